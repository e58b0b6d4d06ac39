# SPDX-License-Identifier: MIT
"""The size of the next chunk, chosen so that a chunk holds the database for a bounded time.

These are pure functions of measurements. On SQLite every other writer waits for a chunk, so a chunk gets 3 ms. On
PostgreSQL a chunk locks only its own rows, so larger chunks save round trips and commits.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

_SHRINK: Final = 0.5
_GROW: Final = 1.2
_KEEP: Final = 0.8
FIRST: Final = 100
"""Rows of the first chunk of a task, before anything has been measured."""
REST: Final = 2.0
"""While foreground writes arrive, the rest after a chunk lasts this many times as long as the chunk took."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The bounds of a chunk: time in the write transaction, total time, and rows.

    While foreground writes arrive, a chunk has at most `crowded` rows and is followed by a rest.
    """

    write_ms: float
    whole_ms: float
    cap: int
    crowded: int

    @property
    def first(self) -> int:
        """The rows of the first chunk."""
        return min(FIRST, self.cap)

    def next_size(self, size: int, *, write_ms: float, whole_ms: float) -> int:
        """Return the rows of the next chunk, after one of `size` rows took the given times.

        The size grows by at most a fifth, so that a chunk of cheap rows does not make the next chunk long. It shrinks
        by at most half, so that a single slow chunk does not reset the size.
        """
        fit = min(self.write_ms / max(write_ms, 0.001), self.whole_ms / max(whole_ms, 0.001))
        scaled = size * min(max(fit, _SHRINK), _GROW)
        return min(max(math.ceil(scaled) if fit > 1 else int(scaled), 1), self.cap)


def pace_of(*, has_one_writer: bool, lease_ms: int, rows: int = 0, write_ms: float | None = None) -> Pace:
    """Return the bounds for a database. `rows` is the configured limit, 0 for none. A chunk fits into half a lease.

    `write_ms` replaces the time in the write transaction that suits the database.
    """
    row_limit = rows if rows > 0 else math.inf
    if has_one_writer:
        return Pace(
            3.0 if write_ms is None else write_ms, lease_ms / 2, int(min(1_000, row_limit)), int(min(250, row_limit))
        )
    return Pace(
        200.0 if write_ms is None else write_ms, lease_ms / 2, int(min(8_000, row_limit)), int(min(200, row_limit))
    )


def next_rate(rate: float, items: int, whole_ms: float) -> float:
    """Return the moving average of rows per second. The first measurement is used as it is."""
    measured = items * 1000 / max(whole_ms, 0.001)
    return measured if rate <= 0 else _KEEP * rate + (1 - _KEEP) * measured


class RateMeter:
    """Limits a task to a number of messages per second: exactly over any ten seconds, and evenly within them.

    This is a token bucket that holds half a second of messages, together with a count of the last ten seconds. A slice
    starts with a debt of half a second, because the previous worker may just have emptied its own bucket.
    """

    __slots__ = ("_capacity", "_rate", "_refilled_at", "_sent", "_step", "_tokens", "_window")

    def __init__(self, rate: int, now: float) -> None:
        self._rate = rate
        self._step = max(1.0, rate * _STEP_SECONDS)
        self._capacity = 2 * self._step
        self._tokens = -self._capacity
        self._refilled_at = now
        self._sent: deque[tuple[float, int]] = deque()
        self._window = rate * _WINDOW_SECONDS

    def allowance(self, now: float) -> int:
        """Return the number of messages that may be sent now."""
        self._refill(now)
        while self._sent and self._sent[0][0] <= now - _WINDOW_SECONDS:
            self._sent.popleft()
        return max(0, math.floor(min(self._tokens, self._window - sum(count for _, count in self._sent))))

    def wait(self, now: float) -> float:
        """Return the seconds until a quarter of a second of messages (at least one) may be sent; 0 if it may now."""
        if self.allowance(now) >= math.floor(self._step):
            return 0.0
        if self._tokens < self._step:
            return max(_LEAST_SECONDS, (self._step - self._tokens) / self._rate)
        return max(_LEAST_SECONDS, self._sent[0][0] + _WINDOW_SECONDS - now)

    def spend(self, count: int, now: float) -> None:
        """Record sent messages; called after the commit."""
        if count:
            self._refill(now)  # tokens that accrue while a chunk is written do not exceed the capacity
            self._tokens -= count
            self._sent.append((now, count))

    def _refill(self, now: float) -> None:
        self._tokens = min(self._capacity, self._tokens + (now - self._refilled_at) * self._rate)
        self._refilled_at = now


_STEP_SECONDS: Final = 0.25
_WINDOW_SECONDS: Final = 10
_LEAST_SECONDS: Final = 0.001
