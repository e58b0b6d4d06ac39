# SPDX-License-Identifier: MIT
"""The two clocks: wall time for what is stored and shown, monotonic time for deadlines inside a process."""

import re
import time
from datetime import UTC, datetime
from typing import Final, Protocol

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
CLOCK_SKEW: Final = 5 * MINUTE
"""How far a caller's clock may be ahead of this server's."""


_PAUSE_MS: Final = 10 * SECOND
"""How far a shared clock may be put back without going back."""


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
    """The wall time of a database that many nodes share: this machine's, put right by what the database told.

    Where it is put right by a little it pauses instead of going back: ids are to rise in the order in which they are
    made. A clock that was wrong by more goes back at once.
    """

    __slots__ = ("_inner", "_latest", "_offset")

    def __init__(self, inner: Clock) -> None:
        self._inner = inner
        self._offset = 0
        self._latest = 0

    def now(self) -> int:
        """Return the database's wall time in milliseconds since the Unix epoch, as near as it is known."""
        now = self._inner.now() + self._offset
        if now < self._latest <= now + _PAUSE_MS:
            return self._latest
        self._latest = now
        return now

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        return self._inner.monotonic()

    def adjust(self, timestamp: int, *, took: int = 0) -> None:
        """Adjust to the database's time, which took `took` milliseconds to arrive and may be that much later by now.

        Another tenth of a second is the way there, not a difference.
        """
        offset = timestamp - self._inner.now()
        if not offset - SECOND // 10 <= self._offset <= offset + took + SECOND // 10:
            self._offset = offset + took // 2


class ManualClock:
    """A clock that stands still until it is moved."""

    __slots__ = ("_now",)

    def __init__(self, timestamp: int = 1_700_000_000_000) -> None:
        self._now = timestamp

    def now(self) -> int:
        """Return the timestamp that was set, in milliseconds since the Unix epoch."""
        return self._now

    def monotonic(self) -> float:
        """Return the timestamp that was set, in seconds."""
        return self._now / SECOND

    def advance(self, ms: int) -> None:
        """Move the clock by a number of milliseconds; negative goes back, as real wall clocks do."""
        self._now += ms


def rfc3339(timestamp: int) -> str:
    """Write a timestamp in milliseconds as RFC 3339 in UTC, with no fraction or three digits of it."""
    seconds, ms = divmod(timestamp, SECOND)
    text = datetime.fromtimestamp(seconds, UTC).isoformat()[:19]  # `strftime` writes the year 1 as "1"
    return f"{text}.{ms:03d}Z" if ms else f"{text}Z"


_TIMESTAMP: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:([Zz]| UTC| utc)|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))?"
)
_LEAP: Final = 60


def parse_rfc3339(text: str) -> int:
    """Read a timestamp in RFC 3339; svix-server's leniencies, a space for the `T` and ` UTC` for the offset, count too.

    Returns milliseconds since the Unix epoch, rounded down; a leap second is the second after it. Raises ValueError
    for anything else, and for a timestamp without an offset: guessing one would move it.
    """
    found = _TIMESTAMP.fullmatch(text.strip())
    if found is None:
        raise ValueError("expected a timestamp like 2024-05-01T12:00:00Z")
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    fraction, utc, sign, hours, minutes = found.groups()[6:]
    if utc is None and sign is None:
        raise ValueError("timestamp has no offset from UTC")
    leap = second == _LEAP
    parsed = datetime(year, month, day, hour, minute, second - leap, tzinfo=UTC)
    offset = 0 if sign is None else int(f"{sign}{int(hours) * 60 + int(minutes)}")
    seconds = int(parsed.timestamp()) + leap - offset * 60
    datetime.fromtimestamp(seconds, UTC)  # raises where the offset moves it out of the years that can be written
    return seconds * SECOND + int((fraction or "")[:3].ljust(3, "0"))
