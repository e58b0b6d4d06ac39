# SPDX-License-Identifier: MIT
"""What every command and server of `forked` needs, loaded once, in the process that they are forked from.

Patterns of routes are in the cache of `re`, and the garbage collector of a server skips the objects that exist here.
"""

import gc
import importlib

from starlette.routing import compile_path

import tidings.cli.commands
import tidings.server.serving  # noqa: F401 - the server
from tidings.api.unserved import UNSERVED
from tidings.portal.table import VIEWS
from tidings.portal.view import PREFIXES
from tidings.table import TABLE

_ON_FIRST_USE = ("encodings.idna", "typer._adapters", "uvicorn.lifespan.off", "importlib.metadata")

for name in _ON_FIRST_USE:
    importlib.import_module(name)
for route in TABLE:
    compile_path(f"/api/v1{route.path}")
for unserved in UNSERVED:
    compile_path(unserved.path)
for view in VIEWS:
    for prefix in PREFIXES.values():
        compile_path(prefix + view.path)
gc.collect()
gc.freeze()
