#!/usr/bin/env bash
# Runs Radicale, a CardDAV server, on this computer only: radicale.sh FOLDER PORT
#
# Its data goes to FOLDER. It is installed into FOLDER/../radicale, unless Python has it already.
set -euo pipefail
folder=$1 port=$2
mkdir -p "$folder"
cat >"$folder/config" <<END
[server]
hosts = 127.0.0.1:$port
[auth]
type = none
[storage]
filesystem_folder = $folder/collections
END
installed=$(dirname "$folder")/radicale
python=python3
if ! python3 -c 'import radicale' 2>/dev/null; then
    python=$installed/bin/python
    if ! "$python" -c 'import radicale' 2>/dev/null; then
        if ! { python3 -m venv "$installed" && "$python" -m pip install --quiet --disable-pip-version-check 'radicale>=3.1,<4'; } >&2; then
            echo "Radicale is not here and cannot be installed; install it: apt-get install radicale, or pip install radicale" >&2
            exit 1
        fi
    fi
fi
exec "$python" -m radicale --config "$folder/config"
