# SPDX-License-Identifier: MIT
"""A TCP forwarder: the fixed address of servers that take over from one another."""

import asyncio
from contextlib import suppress
from typing import Self


class Forwarder:
    """Forwards each new connection to `target`; open connections keep their server."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()

    def freeze(self) -> None:
        """Stop forwarding bytes, and keep every connection open."""
        self._flows.clear()

    def thaw(self) -> None:
        """Forward the bytes that have accumulated, and go on."""
        self._flows.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for each in self._open:
            each.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def dsn(self, dsn: str) -> str:
        """Return a URL that leads through this forwarder instead of directly to its host."""
        return dsn.replace(f":{dsn.rpartition(':')[2].partition('/')[0]}/", f":{self.port}/", 1)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with suppress(OSError):
                there, back = await asyncio.open_connection("127.0.0.1", self.target)
                await asyncio.gather(self._copy(reader, back), self._copy(there, writer))
        finally:
            writer.close()
            self._open.discard(task)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while part := await reader.read(65_536):
                await self._flows.wait()
                writer.write(part)
                await writer.drain()
        writer.close()
