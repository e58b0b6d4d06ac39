# SPDX-License-Identifier: MIT
"""The time that is left for what nobody waits for, on the one thread that everything shares.

What tasks send again would take all of it: a send that ends makes room for the next. A live message that comes then
needs half a dozen turns of the loop, each as long as what others do in it, and waits for the one writer besides. So
while live messages come, the rest gets what they leave of a fixed share of the time, in grains of one send, and a
grain every few milliseconds where they leave nothing.
"""

import time
from collections.abc import Callable
from typing import Final

_SHARE: Final = 0.40
"""The part of the time that may be spent, on live messages and the rest together, before the rest has to wait."""
_LATELY_SECONDS: Final = 1.0
_MOST_SECONDS: Final = 0.004
"""How much may be saved up or overdrawn: bursts are no longer than this."""
_STARVED_SECONDS: Final = 0.005
"""After how long without any time something is begun all the same."""


class SpareTime:
    """Counts the time that the thread works against the time that goes by."""

    __slots__ = ("_busy", "_busy_at", "_given_at", "_left", "_urgent_at", "_wall", "_wall_at")

    def __init__(
        self, wall: Callable[[], float] = time.monotonic, busy: Callable[[], float] = time.thread_time
    ) -> None:
        """`wall` tells the time, `busy` how much of it this thread has worked; both in seconds."""
        self._wall = wall
        self._busy = busy
        self._urgent_at = float("-inf")
        self._wall_at = wall()
        self._busy_at = busy()
        self._left = 0.0
        self._given_at = float("-inf")

    def urgent(self) -> None:
        """Note that something has come for which somebody waits."""
        self._urgent_at = self._wall()

    def is_left(self) -> bool:
        """Tell whether there is time for something that can wait."""
        wall, busy = self._wall(), self._busy()
        earned = _SHARE * (wall - self._wall_at) - (busy - self._busy_at)
        self._wall_at, self._busy_at = wall, busy
        self._left = max(-_MOST_SECONDS, min(_MOST_SECONDS, self._left + earned))
        if self._left <= 0 and wall - self._urgent_at <= _LATELY_SECONDS and wall - self._given_at < _STARVED_SECONDS:
            return False
        self._given_at = wall
        return True
