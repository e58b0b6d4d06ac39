# SPDX-License-Identifier: MIT
"""The two clocks: wall time for stored and displayed timestamps, monotonic time for deadlines in a process."""

import re
import time
from datetime import UTC, datetime
from typing import Final, Protocol

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
CLOCK_SKEW: Final = 5 * MINUTE
"""The most milliseconds that a caller's clock may be ahead of the server's."""


_PAUSE_MS: Final = 10 * SECOND
"""The largest backward correction, in milliseconds, that a shared clock makes by a pause."""


class Clock(Protocol):
    """The source of the time. Tests replace it, so that they advance the time without sleeping."""

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
    """The wall time of a database that many nodes share: the machine's clock, corrected by the database's time.

    A small backward correction makes the clock pause until the time has caught up, so that later ids still sort after
    earlier ones. A larger backward correction applies immediately.
    """

    __slots__ = ("_inner", "_latest", "_offset")

    def __init__(self, inner: Clock) -> None:
        self._inner = inner
        self._offset = 0
        self._latest = 0

    def now(self) -> int:
        """Return the database's wall time in milliseconds since the Unix epoch, as of the last correction."""
        now = self._inner.now() + self._offset
        if now < self._latest <= now + _PAUSE_MS:
            return self._latest
        self._latest = now
        return now

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        return self._inner.monotonic()

    def adjust(self, timestamp: int, *, took: int = 0) -> None:
        """Adjust to the database's time, which was read in a round trip of `took` milliseconds.

        The offset stays unchanged if it is within the round trip and a tenth of a second of the measurement.
        """
        offset = timestamp - self._inner.now()
        if not offset - SECOND // 10 <= self._offset <= offset + took + SECOND // 10:
            self._offset = offset + took // 2


class ManualClock:
    """A clock for tests that advances only on request."""

    __slots__ = ("_now",)

    def __init__(self, timestamp: int = 1_700_000_000_000) -> None:
        self._now = timestamp

    def now(self) -> int:
        """Return the current time in milliseconds since the Unix epoch."""
        return self._now

    def monotonic(self) -> float:
        """Return the same time in seconds."""
        return self._now / SECOND

    def advance(self, ms: int) -> None:
        """Advance the clock by a number of milliseconds. A negative number moves it back, as happens to wall clocks."""
        self._now += ms


def rfc3339(timestamp: int) -> str:
    """Format a timestamp in milliseconds as RFC 3339 in UTC, with milliseconds unless they are zero."""
    seconds, ms = divmod(timestamp, SECOND)
    text = datetime.fromtimestamp(seconds, UTC).isoformat()[:19]  # `strftime` writes the year 1 as "1"
    return f"{text}.{ms:03d}Z" if ms else f"{text}Z"


_TIMESTAMP: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:([Zz]| UTC| utc)|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))?"
)
_LEAP: Final = 60


def parse_rfc3339(text: str) -> int:
    """Parse an RFC 3339 timestamp and return milliseconds since the Unix epoch, rounded down.

    Like svix-server, it also accepts a space for the `T`, and ` UTC` for the offset. A leap second counts as the next
    second. Raises `ValueError` for any other text, and for a timestamp without an offset, which would be ambiguous.
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
    datetime.fromtimestamp(seconds, UTC)  # raises if the offset moves the year out of range
    return seconds * SECOND + int((fraction or "")[:3].ljust(3, "0"))
