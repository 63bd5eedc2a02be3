#!/bin/sh
# Builds the image golang-docker.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../base.sh
. "$here/../base.sh"
build_image golang "$here"
