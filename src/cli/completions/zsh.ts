import type { Verb } from "../verb.ts";
import { quoted, wordsOf } from "./words.ts";

/** A script that makes zsh complete the command line of cless. */
export function zshScript(verbs: readonly Verb[]): string {
  const all = wordsOf(verbs);
  const described = (name: string, text: string) => quoted(`${name.replaceAll(":", "\\:")}:${text}`);
  const cases = all.map(({ name, flags, valued, files, folders, words, services }) =>
    [
      `    ${name})`,
      `      flags=(${flags.map((flag) => described(`--${flag.name}`, flag.help)).join(" ")})`,
      `      valued=(${valued.join(" ")})`,
      `      files=(${files.join(" ")})`,
      `      folders=(${folders.join(" ")})`,
      `      names=(${words.join(" ")})`,
      `      services=${services}`,
      `      ;;`,
    ].join("\n")
  );
  return `#compdef cless
# Completions of cless for zsh. To load them: source <(cless completions zsh), after compinit
_cless() {
  local -a verbs flags valued files folders names
  local verb=$words[2] services=none flag='' word
  local -i position=0 at
  verbs=(${all.map(({ name, summary }) => described(name, summary)).join(" ")})
  if ((CURRENT == 2)) && [[ $words[2] != -* ]]; then
    _describe -t verbs verb verbs
    return
  fi
  [[ $verb == -* ]] && verb=serve
  case $verb in
${cases.join("\n")}
  esac
  for ((at = 3; at < CURRENT; at++)); do
    word=$words[at]
    if [[ -n $flag ]]; then
      flag=''
    elif ((\${valued[(Ie)$word]})); then
      flag=$word
    elif [[ $word != -* ]]; then
      position+=1
    fi
  done
  if [[ -n $flag ]]; then
    if ((\${files[(Ie)$flag]})); then
      _files
    elif ((\${folders[(Ie)$flag]})); then
      _files -/
    fi
  elif [[ $words[CURRENT] == -* ]]; then
    _describe -o -t flags flag flags
  elif ((position == 0 && $#names)); then
    compadd -a names
  elif [[ $services == all || ($services == first && $position == 0) ]]; then
    compadd -- \${(f)"$($words[1] services --quiet 2>/dev/null)"}
  fi
}
if [[ $funcstack[1] == _cless ]]; then
  _cless "$@"
else
  compdef _cless cless
fi`;
}
