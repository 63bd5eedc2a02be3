#compdef cless
# Completions of cless for zsh. To load them: source <(cless completions zsh), after compinit
_cless() {
  local -a verbs flags valued files folders names
  local verb=$words[2] services=none flag='' word
  local -i position=0 at
  verbs=(VERBS)
  if ((CURRENT == 2)) && [[ $words[2] != -* ]]; then
    _describe -t verbs verb verbs
    return
  fi
  [[ $verb == -* ]] && verb=serve
  case $verb in
    # CASES
  esac
  for ((at = 3; at < CURRENT; at++)); do
    word=$words[at]
    if [[ -n $flag ]]; then
      flag=''
    elif ((${valued[(Ie)$word]})); then
      flag=$word
    elif [[ $word != -* ]]; then
      position+=1
    fi
  done
  if [[ -n $flag ]]; then
    if ((${files[(Ie)$flag]})); then
      _files
    elif ((${folders[(Ie)$flag]})); then
      _files -/
    fi
  elif [[ $words[CURRENT] == -* ]]; then
    _describe -o -t flags flag flags
  elif ((position == 0 && $#names)); then
    compadd -a names
  elif [[ $services == all || ($services == first && $position == 0) ]]; then
    compadd -- ${(f)"$($words[1] services --quiet 2>/dev/null)"}
  fi
}
if [[ $funcstack[1] == _cless ]]; then
  _cless "$@"
else
  compdef _cless cless
fi
