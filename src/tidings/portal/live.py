# SPDX-License-Identifier: MIT
"""Parts of pages that change while they are open, as server-sent events.

All readers of one topic in this process share one rendering per interval, and get it only if it differs from the one
they have. A hidden tab closes its stream, and reads the present state when it is shown again.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from tidings import observe
from tidings.asgi.stream import Stream
from tidings.errors import too_many
from tidings.storage.drivers.database import StorageError

Render = Callable[[], Awaitable[str]]
MayRead = Callable[[], Awaitable[bool]]

_SECONDS: Final = 2.0
_CHECK_SECONDS: Final = 15.0
_KEEPALIVE: Final = b": \n\n"
_READERS_MAX: Final = 2_000


@dataclass(slots=True)
class _Topic:
    """The latest rendering of one topic, for all of its readers."""

    text: str = ""
    version: int = 0
    rendered_at: float = float("-inf")
    readers: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Live:
    """The topics that pages of this process follow."""

    __slots__ = ("_ended", "_readers", "_seconds", "_topics")

    def __init__(self, seconds: float = _SECONDS) -> None:
        """`seconds` is the least time between two renderings of a topic."""
        self._seconds = seconds
        self._topics: dict[str, _Topic] = {}
        self._readers = 0
        self._ended: set[asyncio.Event] = set()

    def follow(self, topic: str, render: Render, may_read: MayRead) -> Stream:
        """Return a stream of a topic's renderings; `may_read` is asked every 15 seconds.

        Raises `too_many` if this process has its maximum of readers.
        """
        if self._readers >= _READERS_MAX:
            raise too_many("Too many live pages are open; reload this page to see its present state.")
        followed = self._topics.setdefault(topic, _Topic())
        followed.readers += 1
        self._readers += 1
        ended = asyncio.Event()
        self._ended.add(ended)

        def hang_up() -> None:
            if ended in self._ended:
                self._ended.remove(ended)
                ended.set()
                self._leave(topic, followed)

        return Stream(200, parts=lambda: self._parts(followed, render, may_read, ended), hang_up=hang_up)

    def close(self) -> None:
        """End all streams: the process stops."""
        for ended in self._ended:
            ended.set()

    def _leave(self, topic: str, followed: _Topic) -> None:
        self._readers -= 1
        followed.readers -= 1
        if not followed.readers:
            self._topics.pop(topic, None)

    async def _parts(
        self, topic: _Topic, render: Render, may_read: MayRead, ended: asyncio.Event
    ) -> AsyncGenerator[bytes, None]:
        loop = asyncio.get_running_loop()
        checked_at, sent = loop.time(), -1
        while not ended.is_set():
            await self._refresh(topic, render)
            if topic.version != sent:
                sent = topic.version
                yield event(topic.text)
            elif loop.time() - checked_at >= _CHECK_SECONDS:
                if not await may_read():
                    return
                checked_at = loop.time()
                yield _KEEPALIVE
            await self._pause(ended, topic.rendered_at + self._seconds - loop.time())

    async def _refresh(self, topic: _Topic, render: Render) -> None:
        """Render a topic again if its rendering is older than the interval; the first reader does it for all."""
        async with topic.lock:
            now = asyncio.get_running_loop().time()
            if now - topic.rendered_at < self._seconds:
                return
            topic.rendered_at = now
            try:
                text = await render()
            except StorageError:
                observe.count("pages.live_troubles")  # the page keeps what it shows
                return
            if text != topic.text or not topic.version:
                topic.text = text
                topic.version += 1

    async def _pause(self, ended: asyncio.Event, seconds: float) -> None:
        """Wait for the next interval, or the end of the stream."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0.0)):
                await ended.wait()


def event(text: str) -> bytes:
    """Return a server-sent event with a part of a page."""
    return b"".join(b"data: %b\n" % line.encode() for line in text.split("\n")) + b"\n"
