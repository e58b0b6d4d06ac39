# SPDX-License-Identifier: MIT
"""The size of the next chunk, so that a chunk holds the database for a known time. Pure functions of measurements.

On SQLite every other writer waits for a chunk, so it gets 3 ms; on PostgreSQL a chunk holds its own rows only, and
what counts is that a round trip and a commit are paid seldom.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from tidings.storage.database import Dialect

_SHRINK: Final = 0.5
_GROW: Final = 1.2
_KEEP: Final = 0.8
FIRST: Final = 100
"""Rows of the first chunk, when nothing has been measured."""
REST: Final = 2.0
"""How many times as long as a chunk took it rests where others write."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The bounds of a chunk: time inside the write transaction, time in all, and rows.

    While foreground writes arrive, a chunk has at most `crowded` rows, followed by a rest.
    """

    write_ms: float
    whole_ms: float
    cap: int
    crowded: int

    @property
    def first(self) -> int:
        return min(FIRST, self.cap)

    def next_size(self, size: int, *, write_ms: float, whole_ms: float) -> int:
        """Return the rows of the next chunk after one of `size` rows took so long.

        It grows by a fifth at most, so that one chunk of cheap rows does not make the next one long, and halves at
        most, so that one hiccup does not undo what was learnt.
        """
        fit = min(self.write_ms / max(write_ms, 0.001), self.whole_ms / max(whole_ms, 0.001))
        wanted = size * min(max(fit, _SHRINK), _GROW)
        return min(max(math.ceil(wanted) if fit > 1 else int(wanted), 1), self.cap)


def pace_of(dialect: Dialect, *, lease_ms: int, rows: int = 0) -> Pace:
    """Return the bounds for a database; `rows` is an operator's own cap. A chunk must fit in half a lease."""
    most = rows if rows > 0 else math.inf
    if dialect is Dialect.SQLITE:
        return Pace(3.0, lease_ms / 2, int(min(1_000, most)), int(min(250, most)))
    return Pace(200.0, lease_ms / 2, int(min(8_000, most)), int(min(200, most)))


def next_rate(rate: float, items: int, whole_ms: float) -> float:
    """Return rows a second as a moving average; the first measure stands for itself."""
    measured = items * 1000 / max(whole_ms, 0.001)
    return measured if rate <= 0 else _KEEP * rate + (1 - _KEEP) * measured


class RateMeter:
    """Limits a task to a number of messages a second: exactly over any ten seconds, and evenly inside them.

    What may be sent grows with time, up to half a second's worth, and is counted over the last ten seconds besides.
    A slice begins with that half second as a debt: the previous worker may just have spent its own.
    """

    __slots__ = ("_at", "_most", "_rate", "_sent", "_step", "_window", "_worth")

    def __init__(self, rate: int, now: float) -> None:
        self._rate = rate
        self._step = max(1.0, rate * _STEP_SECONDS)
        self._most = 2 * self._step
        self._worth = -self._most
        self._at = now
        self._sent: deque[tuple[float, int]] = deque()
        self._window = rate * _WINDOW_SECONDS

    def allowance(self, now: float) -> int:
        """Return how many messages may be sent now."""
        self._grow(now)
        while self._sent and self._sent[0][0] <= now - _WINDOW_SECONDS:
            self._sent.popleft()
        return max(0, math.floor(min(self._worth, self._window - sum(count for _, count in self._sent))))

    def wait(self, now: float) -> float:
        """Return the seconds until it is worth the while to send some; none if it is."""
        if self.allowance(now) >= math.floor(self._step):
            return 0.0
        if self._worth < self._step:
            return max(_LEAST_SECONDS, (self._step - self._worth) / self._rate)
        return max(_LEAST_SECONDS, self._sent[0][0] + _WINDOW_SECONDS - now)

    def spend(self, count: int, now: float) -> None:
        """Record sent messages; called after the commit."""
        if count:
            self._grow(now)  # what grows while a chunk is written is not on top of the most
            self._worth -= count
            self._sent.append((now, count))

    def _grow(self, now: float) -> None:
        self._worth = min(self._most, self._worth + (now - self._at) * self._rate)
        self._at = now


_STEP_SECONDS: Final = 0.25
_WINDOW_SECONDS: Final = 10
_LEAST_SECONDS: Final = 0.001
