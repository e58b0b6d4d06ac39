#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints the Python to build the environment with, or says what to install.
# PYTHON chooses one by hand. Otherwise the first profile-guided build on PATH is taken, and the first other one if there
# is none. A name on PATH may be a shim that fails, so each is run, not only found.
here=$(cd "$(dirname "$0")" && pwd)

build_of() {
    "$1" "$here/python_build.py" 2>/dev/null
}

say_how_to_complete() {
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "$1 cannot make environments. Install its venv module: apt-get install python3-venv (or python$version-venv)" >&2
}

if [ "${PYTHON:-}" ]; then
    case "$(build_of "$PYTHON")" in
    *" complete") command -v "$PYTHON" && exit 0 ;;
    *" incomplete") say_how_to_complete "$PYTHON" ;;
    *) echo "PYTHON is $PYTHON, which is not Python 3.11 or later" >&2 ;;
    esac
    exit 1
fi

chosen= faster= lacking=
set -f
for name in python3 python3.13 python3.12 python3.11 python3.14; do
    IFS=:
    for folder in $PATH; do
        python=${folder:-.}/$name
        [ -f "$python" ] && [ -x "$python" ] || continue
        case "$(build_of "$python")" in
        *" profile-guided complete") echo "$python"; exit 0 ;;
        *" plain complete") chosen=${chosen:-$python} ;;
        *" profile-guided incomplete") faster=${faster:-$python} ;;
        *" plain incomplete") lacking=${lacking:-$python} ;;
        esac
    done
done
unset IFS

if [ "$chosen" ]; then
    [ -z "$faster" ] || { say_how_to_complete "$faster"; echo "It is the faster build. Until then: $chosen" >&2; }
    echo "$chosen"
elif [ "$faster$lacking" ]; then
    say_how_to_complete "${faster:-$lacking}"
    exit 1
else
    echo "Python 3.11 or later was not found. Install it: apt-get install python3 python3-venv, or brew install python@3.13" >&2
    exit 1
fi
