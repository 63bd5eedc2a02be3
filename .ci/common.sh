# shellcheck shell=sh
# What the scripts beside this file share.

# shellcheck disable=SC2034 # used where this file is read
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
PATH=$PATH:/usr/sbin:/sbin # Debian leaves these out for users, and dockerd lives there

say() { printf '==> %s\n' "$*" >&2; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "this needs root: $* (run it as root, or install sudo)"
  fi
}

# Installs those of the given packages that this system knows: their names differ between Debian and Ubuntu.
apt_install() {
  as_root apt-get update -qq >&2 || fail "apt-get update failed"
  for package in "$@"; do
    shift
    if apt-cache show "$package" >/dev/null 2>&1; then set -- "$@" "$package"; fi
  done
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2 ||
    fail "apt-get could not install $*"
}
