# SPDX-License-Identifier: MIT
"""What a process measures while it works: durations in fixed buckets, and responses by status.

The counters of `observe` and these are all that the message path pays for metrics, a fraction of a microsecond per
message. They are totals since the start of the process; `tidings.metrics` reads them when metrics are requested.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final


class Durations:
    """A histogram of durations in seconds; a bucket holds the durations up to its bound, the last one all longer."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, *bounds: float) -> None:
        self.bounds: Final = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        """The sum of all durations, in seconds."""

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def add_all(self, durations: Sequence[float]) -> None:
        """Count the durations of a batch."""
        counts, bounds = self.counts, self.bounds
        for seconds in durations:
            counts[bisect_left(bounds, seconds)] += 1
        self.total += sum(durations)


accept: Final = Durations(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""From the complete request to the result, for each message that `AcceptBatcher` took."""
first_attempt: Final = Durations(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0)
"""From the time at which a delivery was due to the start of its first attempt."""
database_wait: Final = Durations(0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0)
"""The wait for a connection to PostgreSQL, or for the only writer of SQLite."""
loop_lag: Final = Durations(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""How late timers of the event loop run."""
DURATIONS: Final = {
    "accept": accept,
    "first_attempt": first_attempt,
    "database_wait": database_wait,
    "loop_lag": loop_lag,
}
responses: Final = [0] * 600
"""The numbers of responses of the API, at their HTTP status."""
