#!/bin/sh
# Builds the sample images, all or those named: images/build_images.sh [golang python …]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=base.sh
. "$here/base.sh"

known=
for script in "$here"/*/build.sh; do
  known="$known $(basename "$(dirname "$script")")"
done

for name in "$@"; do
  case "$known " in
    *" $name "*) ;;
    *)
      say "no such image: $name (there are:$known)"
      exit 2
      ;;
  esac
done
if [ $# -eq 0 ]; then
  # shellcheck disable=SC2086 # one word per image
  set -- $known
fi

BASE=$(find_base) || {
  say "failed: all ($*)"
  exit 1
}
export BASE

built=
failed=
count=0
for name in "$@"; do
  count=$((count + 1))
  printf '[%s/%s] ' "$count" "$#" >&2
  if "$here/$name/build.sh"; then
    built="$built $name-docker"
  else
    failed="$failed $name-docker"
  fi
done

if [ -n "$built" ]; then
  say "built:$built"
fi
if [ -n "$failed" ]; then
  say "failed:$failed"
  exit 1
fi
