# SPDX-License-Identifier: MIT
"""The share of the event loop that background work (replays) may use while live messages arrive.

Replays could use all of it, because each send that ends frees a slot for the next. A live message would then wait for
half a dozen long loop iterations, and also for the database's only writer. So while live messages arrive, a fixed share
of the thread's time is for both: replays use the part that live messages leave, one send at a time. If they leave
none, one replay starts every few milliseconds.
"""

import time
from collections.abc import Callable
from typing import Final

_SHARE: Final = 0.40
"""Share of the time that live and background work may use together before background work has to wait."""
_RECENT_SECONDS: Final = 1.0
"""How long after the last live message the budget is limited."""
_BURST_SECONDS: Final = 0.004
"""The maximum time that may be saved or overdrawn, which bounds bursts."""
_STARVED_SECONDS: Final = 0.005
"""The maximum time that background work waits, so that it never starves."""


class BackgroundBudget:
    """Limits background work by comparing the thread's CPU time with wall time."""

    __slots__ = ("_allowed_at", "_busy", "_busy_at", "_foreground_at", "_left", "_wall", "_wall_at")

    def __init__(
        self, wall: Callable[[], float] = time.monotonic, busy: Callable[[], float] = time.thread_time
    ) -> None:
        """`wall` returns the wall time and `busy` the CPU time of this thread, both in seconds."""
        self._wall = wall
        self._busy = busy
        self._foreground_at = float("-inf")
        self._wall_at = wall()
        self._busy_at = busy()
        self._left = 0.0
        self._allowed_at = float("-inf")

    def record_foreground(self) -> None:
        """Record that foreground work has arrived, which limits background work for a second."""
        self._foreground_at = self._wall()

    def allows_work(self) -> bool:
        """Return whether background work may run now."""
        wall, busy = self._wall(), self._busy()
        earned = _SHARE * (wall - self._wall_at) - (busy - self._busy_at)
        self._wall_at, self._busy_at = wall, busy
        self._left = max(-_BURST_SECONDS, min(_BURST_SECONDS, self._left + earned))
        if (
            self._left <= 0
            and wall - self._foreground_at <= _RECENT_SECONDS
            and wall - self._allowed_at < _STARVED_SECONDS
        ):
            return False
        self._allowed_at = wall
        return True
