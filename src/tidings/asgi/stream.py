# SPDX-License-Identifier: MIT
"""Streaming responses: server-sent events.

A stream ends with its last event, or when its reader disconnects or does not read for ten seconds, or when the process
stops. Each part is rendered only when it can be sent, so a slow reader needs no buffer.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from tidings import observe
from tidings.asgi import response_buffer
from tidings.asgi.http import AsgiReceive, AsgiScope, AsgiSend
from tidings.core.idempotency import Response

ABORT: Final = response_buffer.ABORT

EVENTS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


async def _nothing() -> AsyncGenerator[bytes, None]:
    return
    yield b""


@dataclass(frozen=True, slots=True)
class Stream(Response):
    """A response that is rendered while it is sent; `hang_up` ends the parts."""

    parts: Callable[[], AsyncGenerator[bytes, None]] = _nothing
    hang_up: Callable[[], None] = lambda: None
    stall_seconds: float = response_buffer.STALL_SECONDS
    headers: tuple[tuple[bytes, bytes], ...] = EVENTS
    """The headers of the response: those of server-sent events by default."""

    async def run(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        """Send the parts, each one after the previous one is taken."""
        try:
            await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
            if scope["method"] == "HEAD" or await self._send_until_end(scope, receive, send):
                await send({"type": "http.response.body", "body": b""})
        finally:
            self.hang_up()

    async def _send_until_end(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> bool:
        """Return whether the reader received everything; disconnect one that did not."""
        disconnected = asyncio.create_task(_listen(receive, self.hang_up), name="stream")
        try:
            if await self._send_all(send):
                return True
            await _cut_off(scope, disconnected)
            return False
        finally:
            disconnected.cancel()

    async def _send_all(self, send: AsgiSend) -> bool:
        """Return whether the reader took every part in time."""
        async with contextlib.aclosing(self.parts()) as parts:
            async for part in parts:
                try:
                    async with asyncio.timeout(self.stall_seconds):
                        await send({"type": "http.response.body", "body": part, "more_body": True})
                except TimeoutError:
                    return False
        return True


async def _listen(receive: AsgiReceive, hang_up: Callable[[], None]) -> None:
    """Wait for the reader to disconnect; it sends nothing else."""
    while (await receive())["type"] != "http.disconnect":
        pass
    hang_up()


async def _cut_off(scope: AsgiScope, disconnected: Awaitable[None]) -> None:
    """End the connection of a reader that does not read."""
    observe.count("streams.dropped")
    extension = scope.get("extensions", {}).get(ABORT)
    if extension is not None:
        extension["call"]()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await disconnected
