# SPDX-License-Identifier: MIT
"""The HTTP server of a node: uvicorn, with our own protocol for messages."""

from typing import Final

import uvicorn

from tidings import terms
from tidings.api.app import Pages, build
from tidings.api.context import Context
from tidings.api.hot import protocol_of
from tidings.process.http import HttpServer
from tidings.settings import Settings
from tidings.table import TABLE

_KEEP_ALIVE: Final = 75
"""Seconds after which an idle connection is closed. Clients have shorter limits, so that they close it first."""
_REQUEST_GRACE: Final = 3
_BACKLOG: Final = 2_048


def http_server(settings: Settings, context: Context, pages: Pages) -> HttpServer:
    """Return the server of the API and the pages, not yet started."""
    intake = build(context, TABLE, pages)
    return HttpServer(
        uvicorn.Config(
            intake,
            http=protocol_of(intake, terms.bounds(settings)),
            proxy_headers=False,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=int(min(_REQUEST_GRACE, settings.shutdown_grace / 2)),
            timeout_keep_alive=_KEEP_ALIVE,
            backlog=_BACKLOG,
        )
    )
