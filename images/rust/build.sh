#!/bin/sh
# Builds the image rust-docker.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../base.sh
. "$here/../base.sh"
build_image rust "$here"
