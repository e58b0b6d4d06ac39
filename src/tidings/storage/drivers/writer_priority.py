# SPDX-License-Identifier: MIT
"""The writer lock of SQLite: one owner at a time, foreground writes before background writes."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

_RECENT_SECONDS: Final = 1.0
_MAX_BACKGROUND_WAIT_SECONDS: Final = 0.02
"""How long a background write waits for foreground writes. Longer than a commit with a slow sync."""
_Queue = deque[tuple[float, asyncio.Future[None]]]


class ForegroundActivity:
    """The time of this process's last foreground write."""

    __slots__ = ("_at",)

    def __init__(self) -> None:
        self._at = float("-inf")

    def note(self) -> None:
        """Record a foreground write."""
        self._at = time.monotonic()

    @property
    def is_recent(self) -> bool:
        """Whether the last foreground write was within the last second."""
        return time.monotonic() - self._at < _RECENT_SECONDS


class WriterLock:
    """A lock with two queues, one for each priority.

    Background writes (settle, claim, a task's chunk: no caller waits for them) let foreground writes go first. Once a
    background write has waited for 20 ms, the two queues alternate, so that neither starves: a foreground write waits
    for at most one background write. A foreground owner that takes the lock again immediately after it has released it
    is treated as if it had waited. `foreground_only` holds back every background write.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds."""
        self._clock = clock
        self._foreground: Final = _Queue()
        self._background: Final = _Queue()
        self._is_taken = False
        self._was_foreground = False
        self._held_back = 0

    @asynccontextmanager
    async def hold(self, *, background: bool = False) -> AsyncIterator[None]:
        """Hold the lock for the duration of a block."""
        await self._take(background=background)
        try:
            yield
        finally:
            self._release()

    @asynccontextmanager
    async def foreground_only(self) -> AsyncIterator[None]:
        """Hold back new background writes for the duration of a block."""
        self._held_back += 1
        try:
            yield
        finally:
            self._held_back -= 1
            if not self._is_taken:
                self._pass_on()

    async def _take(self, *, background: bool) -> None:
        if not self._is_taken and self._may_begin(background=background):
            self._begin(foreground=not background)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._background if background else self._foreground).append((self._clock(), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # this write has the lock already: pass it on
                self._pass_on()
            raise

    def _release(self) -> None:
        """Release the lock. The same foreground owner may take it again before a background write gets it."""
        if self._was_foreground and not self._foreground and self._background:
            self._is_taken = False
            asyncio.get_running_loop().call_soon(self._offer)
        else:
            self._pass_on()

    def _offer(self) -> None:
        if not self._is_taken:
            self._pass_on()

    def _may_begin(self, *, background: bool) -> bool:
        """Return whether a write may take the free lock now. Queued background writes may have precedence."""
        if background:
            return not self._held_back and not self._background
        return not self._is_background_due()

    def _is_background_due(self) -> bool:
        """Return whether a background write is next, because it has waited for 20 ms."""
        if not self._was_foreground or self._held_back or not self._background:
            return False
        return self._clock() - self._background[0][0] > _MAX_BACKGROUND_WAIT_SECONDS

    def _pass_on(self) -> None:
        """Hand the lock to the next write. No other write can take it in between."""
        waiting = self._next()
        self._is_taken = waiting is not None
        if waiting is not None:
            self._begin(foreground=waiting is self._foreground)
            waiting.popleft()[1].set_result(None)

    def _begin(self, *, foreground: bool) -> None:
        self._is_taken, self._was_foreground = True, foreground

    def _next(self) -> _Queue | None:
        """Return the queue that is next, after removing the canceled writes at its head."""
        for waiting in (self._foreground, self._background):
            while waiting and waiting[0][1].done():
                waiting.popleft()
        if self._foreground and not self._is_background_due():
            return self._foreground
        return None if self._held_back or not self._background else self._background
