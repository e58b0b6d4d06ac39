# SPDX-License-Identifier: MIT
"""An open stream of a live part: the client of the tests would wait for the end of the response."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import httpx


class OpenStream:
    """A request whose response is read while it is sent."""

    def __init__(self, app: Any, request: httpx.Request, *, is_slow: bool = False) -> None:
        """Send a request; the reader of a slow one takes nothing after the head until it disconnects."""
        url = urlsplit(str(request.url))
        self._scope = {
            "type": "http",
            "http_version": "1.1",
            "method": request.method,
            "scheme": url.scheme,
            "server": ("tidings", 80),
            "root_path": "",
            "path": url.path,
            "raw_path": url.path.encode(),
            "query_string": url.query.encode(),
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
        }
        self.headers = httpx.Headers()
        self._is_slow = is_slow
        self._sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._gone = asyncio.Event()
        self._running = asyncio.ensure_future(app(self._scope, self._receive, self._take))

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _take(self, message: dict[str, Any]) -> None:
        if self._is_slow and message["type"] == "http.response.body":
            await self._gone.wait()
        await self._sent.put(message)

    async def status(self) -> int:
        """Return the status, which is sent first, and keep the headers."""
        start = await self._sent.get()
        self.headers = httpx.Headers(start["headers"])
        return int(start["status"])

    async def part(self) -> str:
        """Return the next part; empty at the end."""
        return str((await self._sent.get()).get("body", b"").decode())

    async def rest(self) -> str:
        """Return everything until the end."""
        await self._running
        return "".join([await self.part() for _ in range(self._sent.qsize())])

    async def close(self) -> None:
        """Disconnect."""
        self._gone.set()
        await self._running
