# SPDX-License-Identifier: MIT
"""A receiver on loopback that behaves, or misbehaves, by script.

A script is a list of steps, one script per connection; the last script serves all further connections. After its last
step a connection is closed. `requests` holds the received requests.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True, slots=True)
class Request:
    line: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Peer:
    """The receiver's side of one connection."""

    def __init__(self, receiver: "Receiver", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.receiver = receiver
        self.reader = reader
        self.writer = writer


Step: TypeAlias = Callable[[Peer], Awaitable[None]]
Script: TypeAlias = Sequence[Step]


async def read(peer: Peer) -> None:
    """Read one request to its end."""
    head = await peer.reader.readuntil(b"\r\n\r\n")
    line, *fields = head[:-4].split(b"\r\n")
    headers = tuple((name, value.strip()) for name, _, value in (field.partition(b":") for field in fields))
    length = next(int(value) for name, value in headers if name.lower() == b"content-length")
    body = await peer.reader.readexactly(length)
    peer.receiver.took(Request(line, headers, body))


def say(data: bytes) -> Step:
    """Write bytes."""

    async def step(peer: Peer) -> None:
        peer.writer.write(data)
        await peer.writer.drain()

    return step


def say_forever(data: bytes) -> Step:
    """Write the bytes repeatedly, until the client closes."""

    async def step(peer: Peer) -> None:
        while True:
            peer.writer.write(data)
            await peer.writer.drain()
            await asyncio.sleep(0)

    return step


async def hang(peer: Peer) -> None:
    """Wait until the client closes."""
    while await peer.reader.read(65_536):
        pass


def wait_for(event: asyncio.Event) -> Step:
    """Wait until an event is set."""

    async def step(peer: Peer) -> None:  # noqa: ARG001 - a step takes the connection
        await event.wait()

    return step


async def reset(peer: Peer) -> None:
    """Break the connection with a TCP reset."""
    sock = peer.writer.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return  # the client was faster
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.writer.transport.abort()


def answer(data: bytes = OK) -> Script:
    """Read a request and respond to it."""
    return [read, say(data)]


async def serve(peer: Peer) -> None:
    """Respond to each request with 200, for as long as the connection lasts."""
    while True:
        await read(peer)
        await say(OK)(peer)


class Receiver:
    """A listening socket and the connections to it."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self._scripts = scripts or ([serve],)
        self._tls = tls
        self._host = host
        self._tasks: set[asyncio.Task[None]] = set()
        self._served: asyncio.Queue[Request] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self._host, 0, ssl=self._tls)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}/hook"

    def took(self, request: Request) -> None:
        self.requests.append(request)
        self._served.put_nowait(request)

    async def next_request(self) -> Request:
        """Wait for the next request that this method has not returned yet."""
        return await self._served.get()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        task = asyncio.create_task(self._follow(script, Peer(self, reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, script: Script, peer: Peer) -> None:
        try:
            for step in script:
                await step(peer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has disconnected
        finally:
            peer.writer.close()
            with contextlib.suppress(OSError):
                await peer.writer.wait_closed()
