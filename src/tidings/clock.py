# SPDX-License-Identifier: MIT
"""The two clocks: wall time for what is stored and shown, monotonic time for deadlines inside a process."""

import time
from datetime import UTC, datetime
from typing import Final, Protocol

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
CLOCK_SKEW: Final = 5 * MINUTE
"""How far a caller's clock may be ahead of this server's."""


class Clock(Protocol):
    """What the time is; a seam, so that tests move time without sleeping."""

    def now(self) -> int:
        """Return the wall time in milliseconds since the Unix epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        ...


class SystemClock:
    """The machine's clocks."""

    __slots__ = ()

    def now(self) -> int:
        """Return the wall time in milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        return time.monotonic()


class SharedClock:
    """The wall time of a database that many nodes share: this machine's, put right by what the database told."""

    __slots__ = ("_inner", "_offset")

    def __init__(self, inner: Clock) -> None:
        self._inner = inner
        self._offset = 0

    def now(self) -> int:
        """Return the database's wall time in milliseconds since the Unix epoch, as near as it is known."""
        return self._inner.now() + self._offset

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        return self._inner.monotonic()

    def told(self, moment: int) -> None:
        """Take note of the database's time. Less than a tenth of a second is the way there, not a difference."""
        offset = moment - self._inner.now()
        if abs(offset - self._offset) > SECOND // 10:
            self._offset = offset


class ManualClock:
    """A clock that stands still until it is moved."""

    __slots__ = ("_moment",)

    def __init__(self, moment: int = 1_700_000_000_000) -> None:
        self._moment = moment

    def now(self) -> int:
        """Return the moment that was set, in milliseconds since the Unix epoch."""
        return self._moment

    def monotonic(self) -> float:
        """Return the moment that was set, in seconds."""
        return self._moment / SECOND

    def advance(self, ms: int) -> None:
        """Move the clock by a number of milliseconds; negative goes back, as real wall clocks do."""
        self._moment += ms


def rfc3339(moment: int) -> str:
    """Write a moment in milliseconds as RFC 3339 in UTC, with no fraction or three digits of it."""
    seconds, ms = divmod(moment, SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{ms:03d}Z" if ms else f"{text}Z"


def parse_rfc3339(text: str) -> int:
    """Read a moment in RFC 3339, leniently: a space for the `T`, and ` UTC` for the offset, are accepted.

    Returns milliseconds since the Unix epoch, rounded down. Raises ValueError for anything else, and for a moment
    without an offset: guessing one would move it.
    """
    lenient = text.strip()
    if lenient.endswith((" UTC", " utc")):
        lenient = lenient[:-4] + "+00:00"
    moment = datetime.fromisoformat(lenient)
    if moment.tzinfo is None:
        message = "timestamp has no offset from UTC"
        raise ValueError(message)
    whole = moment.replace(microsecond=0)
    return int(whole.timestamp()) * SECOND + moment.microsecond // 1000
