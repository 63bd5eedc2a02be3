#!/bin/sh
# cless @VERSION@ for @SYSTEM@. The program and the runtime that it needs are packed below these lines; the first start
# unpacks them into a folder of the user's own, and that one and all later starts run them from there.
set -eu

fail() {
  printf 'cless: %s\n' "$*" >&2
  exit 1
}

# Whether only user $1 and root can change folder $2, or put another in its place, and its mode and owner match $3:
# anybody else who could would choose what runs here. A folder above that others may write to is fine where it is
# sticky, like /tmp, or belongs to the user's own group.
private() (
  me=$1
  folder=$2
  wanted=$3
  set --
  while set -- "$folder" "$@" && [ "$folder" != / ]; do
    folder=${folder%/*}
    folder=${folder:-/}
  done
  # shellcheck disable=SC2012 # the first fields of ls have no odd characters, and find's -printf is not everywhere
  LC_ALL=C ls -ldn -- "$@" 2>/dev/null | (
    seen=0 last=''
    while read -r mode _ uid gid _; do
      seen=$((seen + 1))
      case $mode:$uid in d*:0 | d*:"$me") ;; *) exit 1 ;; esac
      case $mode in
        d????????[tT]*) ;;
        d???????w*) exit 1 ;;
        d????w*) [ "$gid" = "$uid" ] || exit 1 ;;
      esac
      last=$mode:$uid
    done
    # shellcheck disable=SC2254 # a pattern
    case $last in $wanted) [ "$seen" = $# ] ;; *) exit 1 ;; esac
  )
)

real() { CDPATH='' cd -P -- "$1" 2>/dev/null && pwd -P; }

# Prints the folder that holds the unpacked files, the first of several that will do.
place() {
  me=$(id -u)
  set -- "/tmp/cless-$me"
  case ${TMPDIR-} in /*) set -- "$TMPDIR/cless-$me" ;; esac
  if [ "$me" = 0 ]; then set -- /var/cache/cless-runtime "$@"; fi
  case ${HOME-} in /*) set -- "$HOME/.cache/cless" "$@" ;; esac
  case ${XDG_CACHE_HOME-} in /*) set -- "$XDG_CACHE_HOME/cless" "$@" ;; esac
  case ${CACHE_DIRECTORY-} in /*) set -- "${CACHE_DIRECTORY%%:*}/runtime" "$@" ;; esac # from systemd

  tried=
  for folder in "$@"; do
    if problem=$(prepare "$folder" "$me"); then
      real "$folder"
      return
    fi
    if [ -z "$problem" ]; then exit 1; fi # it has been told
    tried="$tried$folder $problem; "
  done
  fail "cannot unpack: ${tried}set XDG_CACHE_HOME to a folder for it"
}

# Makes sure that folder $1 of user $2 holds the unpacked files, or prints what is wrong with it.
prepare() {
  if [ ! -d "$1" ]; then
    above=$1
    while [ ! -d "$above/" ]; do above=${above%/*}; done
    if ! private "$2" "$(real "$above/")" 'd*'; then
      echo "could be changed by other users"
      return 1
    fi
    (umask 077 && mkdir -p -- "${1%/*}" && mkdir -- "$1") 2>/dev/null || [ -d "$1" ] || {
      echo "cannot be made"
      return 1
    }
  fi
  dir=$(real "$1") || dir=
  if [ -z "$dir" ] || [ -h "$1" ] || ! private "$2" "$dir" "drwx------*:$2"; then
    echo "could be changed by other users"
    return 1
  fi
  if whole; then return; fi

  if [ "$(uname -sm)" != "@SYSTEM@" ]; then fail "this file is for @SYSTEM@, not for $(uname -sm)"; fi
  # gzip has a checksum of its own, for machines without this command
  if command -v sha256sum >/dev/null && [ "$(packed | sha256sum)" != "@SHA256@  -" ]; then
    fail "$0 is damaged or incomplete: download it again"
  fi
  umask 077
  find "$dir" -name '.new.*' -mtime +0 -exec rm -rf {} + 2>/dev/null || : # of starts that were killed
  new=$(mktemp -d "$dir/.new.XXXXXX" 2>/dev/null) || {
    echo "cannot be written"
    return 1
  }
  trap 'rm -rf "$new"' EXIT
  if ! problem=$( (packed | head -c @SPLIT@ | gzip -dc >"$new/program" && cut_program &&
    packed | tail -c +@NEXT@ | gzip -dc >"$new/cless" &&
    chmod 700 "$new/cless") 2>&1); then
    echo "cannot be filled: $(printf %s "$problem" | tr -s '\n' ' ')"
    return 1
  fi
  status=0
  "$new/cless" --version >/dev/null 2>&1 || status=$?
  case $status in
    0) ;;
    126)
      echo "does not let programs run"
      return 1
      ;;
    *) fail "the runtime does not start on this machine; it needs glibc" ;;
  esac
  # Whole files take their places in one step each, so other starts at the same time never see a part of one.
  if ! (mkdir -p -- "$dir/@RUNTIME@" "$dir/@PROGRAM@" && mv -f -- "$new/cless" "$dir/@RUNTIME@/cless" &&
    move_program) 2>/dev/null; then
    echo "cannot be written"
    return 1
  fi
}

# Whether every file is there with its size; all are asked about at once, since each start waits for it.
whole() {
  if [ ! -x "$dir/@RUNTIME@/cless" ]; then return 1; fi
  set -- "@RUNTIME@/cless"
  expected="@SIZE@ @RUNTIME@/cless"
  # shellcheck disable=SC2043 # the build puts all of them there
  for part in @PARTS@; do
    set -- "$@" "@PROGRAM@/${part%:*}"
    expected="$expected ${part#*:} @PROGRAM@/${part%:*}"
  done
  # shellcheck disable=SC2046 # words, since how far wc indents differs
  set -- $(CDPATH='' cd -- "$dir" && LC_ALL=C wc -c -- "$@" 2>/dev/null)
  case $* in "$expected "*) ;; *) return 1 ;; esac
}

# Makes the program's parts, NAME:SIZE, of the one file that they are packed as.
cut_program() {
  at=1
  # shellcheck disable=SC2043 # as above
  for part in @PARTS@; do
    tail -c "+$at" "$new/program" | head -c "${part#*:}" >"$new/${part%:*}" || return
    at=$((at + ${part#*:}))
  done
}

# Puts them in their place.
move_program() {
  # shellcheck disable=SC2043 # as above
  for part in @PARTS@; do
    mv -f -- "$new/${part%:*}" "$dir/@PROGRAM@/${part%:*}" || return
  done
}

packed() { tail -n +@LINES@ "$0" 2>/dev/null; }

_cless=$(place) || exit 1
export DENO_DIR="$_cless/deno" DENO_NO_UPDATE_CHECK=1
exec "$_cless/@RUNTIME@/cless" run --no-config --no-lock --no-remote --no-npm --cached-only --no-prompt \
  @FLAGS@ \
  "$_cless/@PROGRAM@/main.js" "$@"
