# Completions of cless for fish. To load them: cless completions fish | source
function __cless_services
  cless services --quiet 2>/dev/null
end
function __cless_alone
  test (count (commandline -opc)) -eq 1
end
function __cless_verb
  set -l words (commandline -opc)
  test (count $words) -ge 2; and test "$words[2]" = "$argv[1]"
end
function __cless_first
  test (count (commandline -opc)) -eq 2; and __cless_verb $argv
end
complete -c cless -f
