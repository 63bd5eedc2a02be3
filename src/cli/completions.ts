import { UsageError } from "../base/errors.ts";
import { COMMON, type Flag } from "./flags.ts";
import type { Verb } from "./verb.ts";

/** What a shell needs to know about a verb. */
type VerbWords = ReturnType<typeof wordsOf>;

/** Writes the script of each shell. */
const SCRIPTS: Readonly<Record<string, (verbs: readonly VerbWords[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};
const SHELLS = Object.keys(SCRIPTS).join("|");

/** `cless completions`: prints a script for a shell. @param others All other verbs. */
export function completionsOf(others: readonly Verb[]): Verb {
  const completions: Verb = {
    name: "completions",
    summary: "Print a script that lets a shell complete verbs, flags and names of services",
    args: [SHELLS],
    flags: [],
    notes: ["The script asks `cless services` for the names of services, with the same environment variables."],
    example: [
      "source <(cless completions bash)",
      "cless completions zsh > ~/.zfunc/_cless",
      "cless completions fish > ~/.config/fish/completions/cless.fish",
    ],
    run: ({ args: [shell = ""] }) => {
      const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
      if (script === undefined) {
        throw new UsageError(`completions does not know the shell "${shell}": cless completions ${SHELLS}`);
      }
      console.log(script([...others, completions].map(wordsOf)));
      return Promise.resolve();
    },
  };
  return completions;
}

function wordsOf({ name, summary, flags: own, args: [first = ""] = [] }: Verb) {
  const flags = [...own, ...COMMON];
  const spellings = ({ name, short }: Flag) => [`--${name}`, ...(short === undefined ? [] : [`-${short}`])];
  const followedBy = (value: RegExp) => flags.filter((flag) => value.test(flag.value ?? "")).flatMap(spellings);
  return {
    name,
    summary,
    flags,
    /** All flags as written. */
    written: flags.flatMap(({ name, value, default: preset }) =>
      value === undefined && preset === "on" ? [`--${name}`, `--no-${name}`] : [`--${name}`]
    ),
    valued: followedBy(/./),
    files: followedBy(/^FILE$/),
    folders: followedBy(/^DIR$/),
    /** The possible words of the first argument. */
    words: first.includes("|") ? first.replaceAll(/[[\]]/g, "").split("|") : [],
    /** Which arguments are names of services. */
    services: first === "NAME" ? "first" : first === "[NAME…]" ? "all" : "none",
  };
}

/** A text as one word of bash and zsh. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The cases of a shell script in which each verb sets its variables. */
function casesOf(verbs: readonly VerbWords[], assignmentsOf: (verb: VerbWords) => string[]): string {
  return verbs.flatMap((verb) => [
    `    ${verb.name})`,
    ...[...assignmentsOf(verb), `services=${verb.services}`, ";;"].map((line) => `      ${line}`),
  ]).join("\n");
}

function bashScript(verbs: readonly VerbWords[]): string {
  const cases = casesOf(
    verbs,
    ({ written, valued, files, folders, words }) =>
      Object.entries({ flags: written, valued, files, folders, words })
        .map(([variable, list]) => `${variable}=${quoted(list.join(" "))}`),
  );
  return `# Completions of cless for bash. To load them: source <(cless completions bash)
_cless() {
  local current=\${COMP_WORDS[COMP_CWORD]} verb=\${COMP_WORDS[1]}
  local flags='' valued='' files='' folders='' words='' services=none
  local position=0 flag='' word at
  COMPREPLY=()
  if ((COMP_CWORD == 1)) && [[ $current != -* ]]; then
    COMPREPLY=($(compgen -W ${quoted(verbs.map(({ name }) => name).join(" "))} -- "$current"))
    return
  fi
  [[ $verb == -* ]] && verb=serve
  case $verb in
${cases}
  esac
  for ((at = 2; at < COMP_CWORD; at++)); do
    word=\${COMP_WORDS[at]}
    if [[ $flag ]]; then
      flag=''
    elif [[ " $valued " == *" $word "* ]]; then
      flag=$word
    elif [[ $word != -* ]]; then
      ((position++))
    fi
  done
  if [[ $flag ]]; then
    if [[ " $files " == *" $flag "* ]]; then
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
    elif [[ " $folders " == *" $flag "* ]]; then
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -d -- "$current")
    fi
  elif [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$current"))
  elif ((position == 0)) && [[ $words ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  elif [[ $services == all ]] || { ((position == 0)) && [[ $services == first ]]; }; then
    COMPREPLY=($(compgen -W "$("$1" services --quiet 2>/dev/null)" -- "$current"))
  fi
}
complete -F _cless cless`;
}

function zshScript(verbs: readonly VerbWords[]): string {
  const described = (name: string, text: string) => quoted(`${name.replaceAll(":", "\\:")}:${text}`);
  const cases = casesOf(verbs, ({ flags, valued, files, folders, words }) => {
    const texts = flags.map((flag) => described(`--${flag.name}`, flag.help));
    return Object.entries({ flags: texts, valued, files, folders, names: words })
      .map(([variable, list]) => `${variable}=(${list.join(" ")})`);
  });
  return `#compdef cless
# Completions of cless for zsh. To load them: source <(cless completions zsh), after compinit
_cless() {
  local -a verbs flags valued files folders names
  local verb=$words[2] services=none flag='' word
  local -i position=0 at
  verbs=(${verbs.map(({ name, summary }) => described(name, summary)).join(" ")})
  if ((CURRENT == 2)) && [[ $words[2] != -* ]]; then
    _describe -t verbs verb verbs
    return
  fi
  [[ $verb == -* ]] && verb=serve
  case $verb in
${cases}
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

function fishScript(verbs: readonly VerbWords[]): string {
  const quoted = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const flagWords = ({ name, short, value }: Flag, { files, folders }: VerbWords) => {
    const names = `-l ${name}${short === undefined ? "" : ` -s ${short}`}`;
    if (value === undefined) return names;
    if (files.includes(`--${name}`)) return `${names} -r -F`;
    return folders.includes(`--${name}`) ? `${names} -x -a '(__fish_complete_directories)'` : `${names} -x`;
  };
  const linesOf = (verb: VerbWords) => {
    const anywhere = `complete -c cless -n '__cless_verb ${verb.name}'`;
    const first = `complete -c cless -n '__cless_first ${verb.name}'`;
    return [
      ...verb.flags.map((flag) => `${anywhere} ${flagWords(flag, verb)} -d ${quoted(flag.help)}`),
      ...(verb.words.length > 0 ? [`${first} -a ${quoted(verb.words.join(" "))}`] : []),
      ...(verb.services === "first" ? [`${first} -a '(__cless_services)'`] : []),
      ...(verb.services === "all" ? [`${anywhere} -a '(__cless_services)'`] : []),
    ];
  };
  return [
    "# Completions of cless for fish. To load them: cless completions fish | source",
    "function __cless_services",
    "  cless services --quiet 2>/dev/null",
    "end",
    "function __cless_alone",
    "  test (count (commandline -opc)) -eq 1",
    "end",
    "function __cless_verb",
    "  set -l words (commandline -opc)",
    '  test (count $words) -ge 2; and test "$words[2]" = "$argv[1]"',
    "end",
    "function __cless_first",
    "  test (count (commandline -opc)) -eq 2; and __cless_verb $argv",
    "end",
    "complete -c cless -f",
    ...verbs.map(({ name, summary }) => `complete -c cless -n __cless_alone -a ${name} -d ${quoted(summary)}`),
    ...verbs.flatMap(linesOf),
  ].join("\n");
}
