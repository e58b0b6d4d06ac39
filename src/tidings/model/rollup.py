# SPDX-License-Identifier: MIT
"""Rollups: the attempts of an hour, counted by outcome and by duration."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from tidings.clock import HOUR

LATENCY_BOUNDS_MS: Final = (10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000)
"""The upper bounds of the latency buckets, inclusive; a last bucket has all longer attempts. They are stored data."""
BUCKETS: Final = len(LATENCY_BOUNDS_MS) + 1
_NO_LATENCY: Final = (0,) * BUCKETS


def hour_of(timestamp: int) -> int:
    """Return the start of the hour that contains a timestamp."""
    return timestamp // HOUR * HOUR


@dataclass(frozen=True, slots=True)
class AttemptTotals:
    """Numbers of attempts: successful and failed ones, and the successful ones by latency bucket."""

    delivered: int = 0
    failed: int = 0
    latency: tuple[int, ...] = _NO_LATENCY

    @classmethod
    def of_buckets(cls, counts: Iterable[tuple[int, int]]) -> "AttemptTotals":
        """Return the totals of (bucket, number) pairs, where bucket -1 has the failed attempts."""
        found = [0] * BUCKETS
        failed = 0
        for bucket, number in counts:
            if bucket < 0:
                failed += number
            else:
                found[bucket] += number
        return cls(sum(found), failed, tuple(found))

    @property
    def attempts(self) -> int:
        """The number of all attempts."""
        return self.delivered + self.failed

    @property
    def success_rate(self) -> float | None:
        """The part of the attempts that succeeded, from 0 to 1; None without attempts."""
        return self.delivered / self.attempts if self.attempts else None

    def latency_ms(self, part: float) -> int | None:
        """Return the duration that a part of the successful attempts (0.95) did not exceed; None without any.

        Within a bucket the durations count as evenly distributed. In the last bucket it is the lower bound.
        """
        rank, below = part * sum(self.latency), 0
        for bucket, (least, most) in enumerate(pairwise((0, *LATENCY_BOUNDS_MS))):
            number = self.latency[bucket]
            if number and below + number >= rank:
                return round(least + (most - least) * max(0.0, rank - below) / number)
            below += number
        return LATENCY_BOUNDS_MS[-1] if self.latency[-1] else None

    def __add__(self, other: "AttemptTotals") -> "AttemptTotals":
        return self._combined(other, 1)

    def __sub__(self, other: "AttemptTotals") -> "AttemptTotals":
        return self._combined(other, -1)

    def _combined(self, other: "AttemptTotals", sign: int) -> "AttemptTotals":
        latency = tuple(mine + sign * theirs for mine, theirs in zip(self.latency, other.latency, strict=True))
        return AttemptTotals(self.delivered + sign * other.delivered, self.failed + sign * other.failed, latency)


NONE: Final = AttemptTotals()
"""The totals of an hour without attempts."""


@dataclass(frozen=True, slots=True)
class HourTotals:
    """The attempts that began in one hour; `hour` is its start in milliseconds since the Unix epoch."""

    hour: int
    totals: AttemptTotals


@dataclass(frozen=True, slots=True)
class Series:
    """The hours of a time range in order, each with its totals."""

    hours: Sequence[HourTotals]
    counted_until: int
    """The time up to which attempts are counted. Later ones may be missing from the last hours."""
    exact_until: int
    """The time up to which the totals are exact: attempts that began earlier and are not counted end late."""

    @property
    def sum(self) -> AttemptTotals:
        """The totals of all hours together."""
        return sum((each.totals for each in self.hours), NONE)


@dataclass(frozen=True, slots=True)
class Owner:
    """What a rollup counts: an endpoint; an application without one; an organization; all of them without any."""

    org_id: str = ""
    app_id: str = ""
    endpoint_id: str = ""

    @property
    def totals(self) -> tuple["Owner", ...]:
        """The totals that contain this endpoint: those of its application, of its organization and of all."""
        return Owner(self.org_id, self.app_id), Owner(self.org_id), Owner()


Rollups = dict[tuple[Owner, int], AttemptTotals]
"""AttemptTotals by owner and hour."""
