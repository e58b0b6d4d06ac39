# SPDX-License-Identifier: MIT
"""A pooler in front of PostgreSQL with the differences of PgBouncer in transaction mode."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Self, TypeAlias

TLS_REQUEST = 80_877_103
ALLOWED = {"user", "database", "client_encoding", "datestyle", "timezone", "standard_conforming_strings"}
Stream: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Pooler:
    """Refuses startup parameters, and alternates each client's transactions between two server connections."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._target = int(dsn.rpartition(":")[2].partition("/")[0])
        self._port = 0
        self._open: set[asyncio.Task[None]] = set()
        self.refused: list[str] = []
        """The startup parameter for which each connection was refused."""
        self.accepted = 0
        self.statements: set[str] = set()
        """The names under which clients have prepared statements."""

    @property
    def dsn(self) -> str:
        return self._dsn.replace(f":{self._target}/", f":{self._port}/", 1)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for each in self._open:
            each.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                startup = await _startup(reader, writer)
                names = [name.decode().lower() for name in startup[8:].split(b"\0")[::2] if name]
                if wrong := next((name for name in names if name not in ALLOWED), None):
                    self.refused.append(wrong)
                    writer.write(_error(f"unsupported startup parameter: {wrong}"))
                    await writer.drain()
                    return
                self.accepted += 1
                await self._lead(startup, (reader, writer))
        finally:
            writer.close()
            self._open.discard(task)

    async def _lead(self, startup: bytes, client: Stream) -> None:
        servers: list[Stream] = [await asyncio.open_connection("127.0.0.1", self._target) for _ in range(2)]
        route = _Route()
        answers = [asyncio.create_task(_answer(startup, servers, number, client[1], route)) for number in range(2)]
        try:
            while True:
                message = await _message(client[0])
                if message[:1] == b"X":  # the client ends its session
                    return
                if message[:1] == b"P":
                    self.statements.add(message[5:].partition(b"\0")[0].decode())
                servers[route.current][1].write(message)
        finally:
            for each in answers:
                each.cancel()
            await asyncio.gather(*answers, return_exceptions=True)
            for _, writer in servers:
                writer.close()


@dataclass
class _Route:
    """The server connection that gets the client's next message."""

    current: int = 0


async def _answer(
    startup: bytes, servers: list[Stream], number: int, client: asyncio.StreamWriter, route: _Route
) -> None:
    """Start a session on a server connection, and forward the server's responses; once idle, the other one is next."""
    reader, writer = servers[number]
    writer.write(startup)
    is_silent = number > 0
    while True:
        message = await _message(reader)
        if not is_silent:
            if message[:1] == b"Z" and message[5:] == b"I":
                route.current = 1 - number
            client.write(message)
        is_silent = is_silent and message[:1] != b"Z"


async def _startup(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    while True:
        length = await reader.readexactly(4)
        packet = length + await reader.readexactly(int.from_bytes(length) - 4)
        if int.from_bytes(packet[4:8]) != TLS_REQUEST:
            return packet
        writer.write(b"N")


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(int.from_bytes(head[1:]) - 4)


def _error(text: str) -> bytes:
    fields = b"SFATAL\0VFATAL\0C08P01\0M" + text.encode() + b"\0\0"
    return b"E" + (4 + len(fields)).to_bytes(4) + fields
