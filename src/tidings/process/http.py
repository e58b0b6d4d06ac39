# SPDX-License-Identifier: MIT
"""A uvicorn server as a part of a process."""

import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn


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
