# SPDX-License-Identifier: MIT
"""The rate limit of one caller: a number of requests per second, with a burst of one second's requests.

Each process counts in its own memory. The limit protects a node from a caller, and is not a quota. It is off by
default; then no limiter exists.
"""

from dataclasses import dataclass
from typing import Final

from tidings.clock import Clock
from tidings.errors import too_many
from tidings.model.token import Principal

_BUCKETS_MAX: Final = 10_000


@dataclass(slots=True, eq=False)
class _Bucket:
    """The requests that a caller may still make, as of a time on the monotonic clock."""

    left: float
    at: float


class Limiter:
    """Counts the requests of each caller: an organization, or one of its applications."""

    __slots__ = ("_buckets", "_clock", "_rate")

    def __init__(self, rate: int, clock: Clock) -> None:
        """Create a limiter; `rate` is in requests per second."""
        self._rate = float(rate)
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def admit(self, caller: Principal) -> None:
        """Count a request; raise `AppError` if the caller has reached the limit.

        A refused request does not count. The caller may send another one within a second.
        """
        now = self._clock.monotonic()
        bucket = self._buckets.get(caller.subject)
        if bucket is None:
            bucket = self._added(caller.subject, now)
        left = min(self._rate, bucket.left + (now - bucket.at) * self._rate)
        bucket.at = now
        if left < 1:
            bucket.left = left
            raise too_many(f"The limit of {self._rate:.0f} requests per second is reached. Retry in one second.")
        bucket.left = left - 1

    def _added(self, subject: str, now: float) -> _Bucket:
        if len(self._buckets) >= _BUCKETS_MAX:
            self._remove_full(now)
        bucket = self._buckets[subject] = _Bucket(self._rate, now)
        return bucket

    def _remove_full(self, now: float) -> None:
        """Remove the buckets that are full again; if none is, remove the oldest one."""
        full = [subject for subject, bucket in self._buckets.items() if now - bucket.at >= 1]
        for subject in full or [next(iter(self._buckets))]:
            del self._buckets[subject]
