#!/bin/sh
# Installs what the peers run on: Ganeti's htools and CBC by apt (as root), the rest into a virtual
# environment outside the tree. Usage: setup.sh [FOLDER], by default ~/.cache/whimbrel-peers
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/whimbrel-peers}
missing=
command -v hbal >/dev/null || missing="$missing ganeti-htools"
command -v cbc >/dev/null || missing="$missing coinor-cbc"
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086 # a list of package names
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing
fi
[ -x "$folder/bin/python" ] || python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
echo "ready: cd $(dirname "$here") && $folder/bin/python -m peers --help"
