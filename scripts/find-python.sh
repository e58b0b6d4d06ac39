#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints the Python to build the environment with, or says what to install.
# PYTHON chooses one by hand. A name on PATH may be a shim that fails, so each is run, not only found.
lacking=
for name in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python3.14; do
    "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    if "$name" -c 'import ensurepip, venv' 2>/dev/null; then
        command -v "$name"
        exit 0
    fi
    lacking=${lacking:-$name}
done
if [ "$lacking" ]; then
    version=$("$lacking" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "$lacking cannot make environments. Install its venv module: apt-get install python3-venv (or python$version-venv)" >&2
else
    echo "Python 3.11 or later was not found. Install it: apt-get install python3 python3-venv, or brew install python@3.13" >&2
fi
exit 1
