# SPDX-License-Identifier: MIT
"""The HTTP server of a node: uvicorn, with our own protocol for messages."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Final

import uvicorn

from tidings import terms
from tidings.api.app import build
from tidings.api.context import Context
from tidings.api.hot import protocol_of
from tidings.settings import Settings
from tidings.table import TABLE

_KEEP_ALIVE: Final = 75
"""Seconds after which an idle connection is closed. Clients have shorter limits, so that they close it first."""
_REQUEST_GRACE: Final = 3
_BACKLOG: Final = 2_048


class HttpServer(uvicorn.Server):
    """A uvicorn server that leaves signals to `Stop`, because a signal stops more than HTTP."""

    on_started: Callable[[], None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.on_started is not None:
            self.on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def http_server(settings: Settings, context: Context) -> HttpServer:
    """Return the server of the API, not yet started."""
    intake = build(context, TABLE)
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
