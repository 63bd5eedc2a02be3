# shellcheck shell=sh
# What the build scripts share; to be sourced.
#
#   BASE          the base image, when it is not to be debian:trixie-slim
#   DOCKER        the command (docker)
#   PULL_TIMEOUT  how long a pull of the base may take, in seconds (15)

DOCKER=${DOCKER:-docker}
SUITE=trixie
OFFICIAL_BASE=debian:$SUITE-slim
LOCAL_BASE=cless-base:$SUITE

# Prints the base image to build on. Without BASE: the official one where it is here or can be
# pulled, else a local one made of Debian's packages.
find_base() {
  if [ -n "${BASE:-}" ]; then
    echo "$BASE"
    return
  fi
  if ! error=$("$DOCKER" version 2>&1 >/dev/null); then
    say "base: cannot reach Docker: $error"
    return 1
  fi
  for image in "$OFFICIAL_BASE" "$LOCAL_BASE"; do
    if "$DOCKER" image inspect "$image" >/dev/null 2>&1; then
      echo "$image"
      return
    fi
  done
  if pull_base; then
    echo "$OFFICIAL_BASE"
  elif make_base; then
    echo "$LOCAL_BASE"
  else
    say "base: no base image; name one that is here: BASE=IMAGE $0"
    return 1
  fi
}

pull_base() {
  limit=${PULL_TIMEOUT:-15}
  say "base: pulling $OFFICIAL_BASE ($limit s at most)"
  status=0
  error=$(bounded "$limit" "$DOCKER" pull --quiet "$OFFICIAL_BASE" 2>&1 >/dev/null) || status=$?
  case $status in
    0) return 0 ;;
    124) say "base: $OFFICIAL_BASE did not come within $limit s (PULL_TIMEOUT=SECONDS gives it longer)" ;;
    *) say "base: $OFFICIAL_BASE cannot be pulled: $error" ;;
  esac
  return 1
}

make_base() {
  if ! has mmdebstrap && ! has debootstrap; then
    install_mmdebstrap || return 1
  fi
  say "base: building $LOCAL_BASE from Debian's packages"
  work=$(mktemp -d)
  if bootstrap "$work" >"$work/log" 2>&1 &&
    "$DOCKER" import --change 'CMD ["bash"]' "$work/base.tar" "$LOCAL_BASE" >>"$work/log" 2>&1; then
    rm -rf "$work"
    return 0
  fi
  say "base: $LOCAL_BASE cannot be built:"
  tail -n 20 "$work/log" | indent
  rm -rf "$work"
  return 1
}

# bootstrap DIR: makes DIR/base.tar, a minimal Debian without manuals and translations. This needs root; the shell opens
# the file, so that it belongs to the user.
bootstrap() {
  if has mmdebstrap; then
    as_root mmdebstrap --variant=minbase \
      --dpkgopt='path-exclude=/usr/share/man/*' \
      --dpkgopt='path-include=/usr/share/man/man[1-9]' \
      --dpkgopt='path-exclude=/usr/share/locale/*' \
      --dpkgopt='path-exclude=/usr/share/doc/*' \
      --dpkgopt='path-include=/usr/share/doc/*/copyright' \
      "$SUITE" - >"$1/base.tar"
  else
    as_root debootstrap --variant=minbase "$SUITE" "$1/root" &&
      as_root rm -rf "$1/root/var/cache/apt/archives" "$1/root/var/lib/apt/lists" &&
      as_root tar --directory "$1/root" --create . >"$1/base.tar" &&
      as_root rm -rf "$1/root"
  fi
}

install_mmdebstrap() {
  if ! has apt-get; then
    say "base: neither mmdebstrap nor debootstrap is here, and no apt-get to install one"
    return 1
  fi
  say "base: installing mmdebstrap"
  # The keyring is there already on Debian, but not on a relative of it.
  if ! log=$(as_root apt-get update 2>&1 &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
      mmdebstrap debian-archive-keyring 2>&1); then
    say "base: mmdebstrap cannot be installed:"
    echo "$log" | tail -n 10 | indent
    return 1
  fi
}

# build_image NAME DIR: builds NAME-docker from DIR and says how that went.
build_image() {
  tag=$1-docker
  base=$(find_base) || return 1
  hint=
  if [ "$base" = "$LOCAL_BASE" ]; then hint=", which may take two minutes"; fi
  say "$tag: building on $base$hint"
  start=$(date +%s)
  log=$(mktemp)
  status=0
  "$DOCKER" build --build-arg BASE="$base" --tag "$tag" "$2" >"$log" 2>&1 || status=$?
  seconds=$(($(date +%s) - start))
  if [ "$status" -eq 0 ]; then
    bytes=$("$DOCKER" image inspect --format '{{.Size}}' "$tag")
    tenths=$(((bytes + 50000) / 100000))
    say "$tag: built in $seconds s, $((tenths / 10)).$((tenths % 10)) MB"
  else
    # BuildKit marks the failed step, the older builder's is the last one it began.
    step=$(grep -E '^ > \[|^Step [0-9]' "$log" | tail -n 1 | sed 's/^ *> *//; s/:$//')
    say "$tag: failed after $seconds s${step:+ at: $step}"
    tail -n 40 "$log" | indent
  fi
  rm -f "$log"
  return "$status"
}

# bounded SECONDS COMMAND…: 124 when it takes longer; without a limit where there is no timeout(1).
bounded() {
  if has timeout; then
    timeout "$@"
  else
    shift
    "$@"
  fi
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

has() {
  command -v "$1" >/dev/null 2>&1
}

say() {
  echo "$*" >&2
}

indent() {
  sed 's/^/    /' >&2
}
