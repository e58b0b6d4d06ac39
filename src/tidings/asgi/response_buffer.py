# SPDX-License-Identifier: MIT
"""The buffer of large responses, which are sent part by part as clients read them.

A response stays in memory until it has been read. A client that reads no part for some seconds is disconnected; so is
the slowest one when all such responses together exceed the memory bound. A small response is written in one piece and
left to the kernel.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from tidings import observe
from tidings.asgi.http import AsgiScope, AsgiSend

PART: Final = 256 * 1024
"""Bytes that are written in one piece; responses up to this size are small."""
STALL_SECONDS: Final = 10.0
"""How long the reader of a stream or of a large response may leave a part unread."""
ABORT: Final = "tidings.abort"
"""This server's ASGI extension: a call that ends the connection with unwritten data discarded."""


@dataclass(slots=True, eq=False)
class _Sending:
    """One response in transmission."""

    size: int
    moved_at: float
    limit: asyncio.Timeout
    stall_seconds: float
    is_cut: bool = False

    def moved(self, now: float) -> None:
        """Extend the deadline for another part, unless the reader has been disconnected."""
        self.moved_at = now
        if not self.is_cut:
            self.limit.reschedule(now + self.stall_seconds)

    def cut(self, now: float) -> None:
        """Disconnect the reader in the next iteration of the event loop."""
        self.is_cut = True
        self.limit.reschedule(now)


class ResponseBuffer:
    """Sends large responses, and bounds their memory."""

    __slots__ = ("_sending", "_size_max", "_stall_seconds")

    def __init__(self, size_max: int = 64 * 1024 * 1024, stall_seconds: float = STALL_SECONDS) -> None:
        """Keep at most `size_max` bytes for the readers of this process."""
        self._size_max = size_max
        self._stall_seconds = stall_seconds
        self._sending: dict[_Sending, None] = {}

    @property
    def held(self) -> int:
        """The bytes of the responses in transmission."""
        return sum(each.size for each in self._sending if not each.is_cut)

    async def send(self, scope: AsgiScope, send: AsgiSend, body: bytes) -> None:
        """Send the body of a response that has begun; disconnect a reader that does not read."""
        now = asyncio.get_running_loop().time()
        self._make_room(len(body), now)
        try:
            async with asyncio.timeout_at(now + self._stall_seconds) as limit:
                sending = _Sending(len(body), now, limit, self._stall_seconds)
                self._sending[sending] = None
                try:
                    await _send_parts(sending, send, body)
                finally:
                    del self._sending[sending]
        except TimeoutError:
            observe.count("answers.dropped")
            await _end(scope)

    def _make_room(self, size: int, now: float) -> None:
        """Disconnect the readers that have been idle the longest, until another response fits."""
        excess = self.held + size - self._size_max
        for each in sorted(self._sending, key=lambda each: each.moved_at):
            if excess <= 0:
                return
            if not each.is_cut:
                each.cut(now)
                excess -= each.size


async def _send_parts(sending: _Sending, send: AsgiSend, body: bytes) -> None:
    """Send a body in parts. The last part is empty: the server takes it once all earlier parts are taken."""
    loop = asyncio.get_running_loop()
    for start in (*range(0, len(body), PART), len(body)):
        part = body[start : start + PART]
        await send({"type": "http.response.body", "body": part, "more_body": bool(part)})
        sending.moved(loop.time())


async def _end(scope: AsgiScope) -> None:
    """End a connection; the server notices in the next iteration of the event loop."""
    extension = scope.get("extensions", {}).get(ABORT)
    if extension is not None:
        extension["call"]()
        await asyncio.sleep(0)


_response_buffer: Final = ResponseBuffer()


async def send_body(scope: AsgiScope, send: AsgiSend, body: bytes) -> None:
    """Send the body of a response that has begun: in one piece, or in parts if it is large."""
    if len(body) > PART:
        await _response_buffer.send(scope, send, body)
    else:
        await send({"type": "http.response.body", "body": body})
