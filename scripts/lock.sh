#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes requirements*.txt from pyproject.toml: pinned, hashed, for every supported Python and platform, without index
# addresses. A release must be a week old: most poisoned ones are found within days.
set -eu
[ -x .lock/bin/uv ] || { "$PYTHON" -m venv .lock && .lock/bin/pip --quiet --disable-pip-version-check install "uv>=0.9"; }

compile() { # compile FILE SOURCE_OR_OPTION...
    file=$1
    shift
    .lock/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade --quiet \
        --no-emit-index-url --no-emit-find-links --no-annotate --exclude-newer "1 week" \
        --custom-compile-command "make lock" --output-file "$file" "$@" >/dev/null
}

# The widest set first: the others take their versions from it, so that one environment can hold them all.
dev=requirements-dev.txt
compile "$dev" pyproject.toml --extra demo --extra export --extra mail --extra otel --extra transformations --group build --group dev
compile requirements-demo.txt pyproject.toml --extra demo --group build --constraint "$dev"
compile requirements.txt pyproject.toml --group build --constraint "$dev"
compile requirements-postgres.txt --group postgres --constraint "$dev"
compile requirements-codegen.txt --group codegen --constraint "$dev"
# An environment of its own: the SDK's last release of the generation before.
compile requirements-sdk1.txt --group sdk1
# Releases that take their dependencies from the widest set.
for group in sdk26 sdk27 sdk28; do
    compile "requirements-$group.txt" --group "$group" --no-deps
done
