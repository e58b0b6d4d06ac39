# SPDX-License-Identifier: MIT
"""The API on a real socket, called with raw bytes."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import uvicorn

from api.kit import Api
from tidings.api.app import build
from tidings.api.connection import ConnectionLimits
from tidings.api.hot import protocol_of
from tidings.api.tuning import ApiTuning
from tidings.table import TABLE

Reply = tuple[int, dict[bytes, bytes], bytes]
PING = b"GET /api/v1/health/ping HTTP/1.1\r\nhost: x\r\n\r\n"
BODY = b'{"eventType":"a.b","payload":{"n": 1.50}}'
KEEP_ALIVE = 1


class _Quiet(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """Leave signals to the tests."""


@dataclass(frozen=True, slots=True)
class Wire:
    """A server on a port, and an application in it."""

    port: int
    token: str
    app: str
    answered: Callable[[], int]
    """Return the number of requests with a response."""
    connected: Callable[[], int]
    """Return the number of open connections."""
    bounds: ConnectionLimits

    async def exchange(self, *pieces: bytes, answers: int = 1) -> list[Reply]:
        """Write pieces one after the other, then read this many responses."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            return [await answer(reader) for _ in range(answers)]
        finally:
            writer.close()

    def request(self, body: bytes = BODY, *headers: bytes, path: bytes = b"", version: bytes = b"1.1") -> bytes:
        """Return the bytes of a request that creates a message."""
        where = path or b"/api/v1/app/%b/msg" % self.app.encode()
        lines = [
            b"POST %b HTTP/%b" % (where, version),
            b"host: x",
            b"authorization: Bearer %b" % self.token.encode(),
            *headers,
        ]
        if not any(header.startswith(b"transfer-encoding") for header in headers):
            lines.append(b"content-length: %d" % len(body))
        return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def answer(reader: asyncio.StreamReader) -> Reply:
    """Read one response."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    fields = dict(line.split(b": ", 1) for line in lines)
    return int(first.split()[1]), fields, await reader.readexactly(int(fields.get(b"content-length", b"0")))


@contextlib.asynccontextmanager
async def listening(
    lite: Api, bounds: ConnectionLimits | None = None, tuning: ApiTuning = ApiTuning()
) -> AsyncIterator[Wire]:
    """Serve the API on a port."""
    intake = build(lite.context, TABLE)
    bounds = bounds or ConnectionLimits()
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        intake,
        http=protocol_of(intake, bounds, tuning),
        proxy_headers=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE,
    )
    server = _Quiet(config)
    serving = asyncio.ensure_future(server._serve([listener]))  # noqa: SLF001 - `serve` would install signal handlers
    port, app = listener.getsockname()[1], await lite.app()
    state = server.server_state
    yield Wire(port, lite.token, app, lambda: state.total_requests, lambda: len(state.connections), bounds)
    server.should_exit = True
    await serving
    listener.close()
