# SPDX-License-Identifier: MIT
"""A cheap sender and receiver on loopback, and a reference loop to compare CPU time with."""

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, cast

from live import Live

BODY: Final = (
    b'{"eventType":"order.shipped","payload":{"order":"ord_7GkQ2mZx41","status":"shipped","gift":false,'
    b'"customer":{"id":90210,"email":"someone@example.com","tier":"gold"},"carrier":"Overland",'
    b'"items":[{"sku":"KX-1044","quantity":2},{"sku":"PL-0031","quantity":1}]}}'
)
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TURNS: Final = 2_000


def turn_seconds() -> float:
    """Return the current CPU time of one iteration of the reference loop, under the machine's present load.

    An iteration does a little of everything that a message needs: it formats and parses text, and stores and looks up
    items.
    """
    began = time.thread_time()
    kept: dict[str, list[str]] = {}
    for number in range(TURNS):
        line = f"msg_{number:020d}: {number * 7919 % 104729} of order.shipped"
        name, _, rest = line.partition(": ")
        kept[name] = rest.split(" ")
        for other in range(20):
            kept.get(f"msg_{(number - other) % TURNS:020d}")
    return (time.thread_time() - began) / TURNS


def whole(data: bytearray) -> int:
    """Return the length of the request or response that begins the data; 0 while it is incomplete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 0
    at = data.lower().find(b"content-length:", 0, end)
    length = end + 4 + (int(data[at + 15 : data.find(b"\r", at)]) if at >= 0 else 0)
    return length if len(data) >= length else 0


class _Line(asyncio.Protocol):
    """A connection that splits its input into whole requests or responses."""

    def __init__(self, told: Callable[["_Line", bytes], None]) -> None:
        self._told = told
        self._data = bytearray()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit it

    def data_received(self, data: bytes) -> None:
        self._data += data
        while length := whole(self._data):
            one = bytes(self._data[:length])
            del self._data[:length]
            self._told(self, one)


class Sink:
    """A receiver that responds with 200 at once."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Line(_take), "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/hook"


def _take(line: _Line, _request: bytes) -> None:
    line.transport.write(OK)


class Sender:
    """Connections that each post the next message after the response to the last one."""

    def __init__(self, server: Live, path: str, connections: int) -> None:
        self._port = server.port
        self._head = (
            f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {server.token}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(BODY)}\r\n"
        )
        self._connections = connections
        self.sent = 0
        self._lines: list[_Line] = []
        self._to_send = self._to_come = 0

    async def __aenter__(self) -> Self:
        connect = asyncio.get_running_loop().create_connection
        for _ in range(self._connections):
            _, line = await connect(lambda: _Line(self._answered), "127.0.0.1", self._port)
            self._lines.append(line)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for line in self._lines:
            line.transport.abort()

    async def send(self, count: int) -> None:
        """Post messages, each with a key of its own, and wait until all have been accepted."""
        self._to_send = self._to_come = count
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for line in self._lines:
            self._post(line)
        await self._done

    def _post(self, line: _Line) -> None:
        if self._to_send == 0:
            return
        self._to_send -= 1
        self.sent += 1
        line.transport.write(f"{self._head}idempotency-key: cost-{self.sent}\r\n\r\n".encode() + BODY)

    def _answered(self, line: _Line, answer: bytes) -> None:
        if not answer.startswith(b"HTTP/1.1 202"):
            if not self._done.done():
                self._done.set_exception(AssertionError(answer))
            return
        self._to_come -= 1
        if self._to_come == 0:
            self._done.set_result(None)
        else:
            self._post(line)
