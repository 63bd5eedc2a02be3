# Completions of cless for bash. To load them: source <(cless completions bash)
_cless() {
  local current=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]}
  local flags='' valued='' files='' folders='' words='' services=none
  local position=0 flag='' word at
  COMPREPLY=()
  if ((COMP_CWORD == 1)) && [[ $current != -* ]]; then
    COMPREPLY=($(compgen -W 'VERBS' -- "$current"))
    return
  fi
  [[ $verb == -* ]] && verb=serve
  case $verb in
    # CASES
  esac
  for ((at = 2; at < COMP_CWORD; at++)); do
    word=${COMP_WORDS[at]}
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
complete -F _cless cless
