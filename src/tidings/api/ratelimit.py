# SPDX-License-Identifier: MIT
"""How often one caller may call: so many requests a second, and as many at once as one second allows.

A process counts for itself, in memory: this bounds what a caller can do to a node, and is no quota. It is off unless
set, and then there is no limiter and nothing to ask.
"""

from dataclasses import dataclass
from typing import Final

from tidings.clock import Clock
from tidings.errors import too_many
from tidings.model.token import Principal

_REMEMBERED: Final = 10_000


@dataclass(slots=True, eq=False)
class _Bucket:
    """What a caller has left, as of a timestamp."""

    left: float
    at: float


class Limiter:
    """Counts the requests of each caller: an organisation, or one of its applications."""

    __slots__ = ("_buckets", "_clock", "_rate")

    def __init__(self, rate: int, clock: Clock) -> None:
        """`rate` is in requests per second."""
        self._rate = float(rate)
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def admit(self, caller: Principal) -> None:
        """Count a request; raises the refusal that the caller is told if it is one too many.

        A request that is refused does not count. There is a place for it within a second.
        """
        now = self._clock.monotonic()
        bucket = self._buckets.get(caller.subject)
        if bucket is None:
            bucket = self._added(caller.subject, now)
        left = min(self._rate, bucket.left + (now - bucket.at) * self._rate)
        bucket.at = now
        if left < 1:
            bucket.left = left
            raise too_many(f"More than {self._rate:.0f} requests a second; slow down, and try this one again.")
        bucket.left = left - 1

    def _added(self, subject: str, now: float) -> _Bucket:
        if len(self._buckets) >= _REMEMBERED:
            self._forget_full(now)
        bucket = self._buckets[subject] = _Bucket(self._rate, now)
        return bucket

    def _forget_full(self, now: float) -> None:
        """Forget callers who may do everything again; if all are busy, forget the one who came first."""
        full = [subject for subject, bucket in self._buckets.items() if now - bucket.at >= 1]
        for subject in full or [next(iter(self._buckets))]:
            del self._buckets[subject]
