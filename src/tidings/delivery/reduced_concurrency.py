# SPDX-License-Identifier: MIT
"""Reduced concurrency: an endpoint that does not answer gets few sends in flight and a short queue.

Ten sends in a row without an answer reduce it to four at a time. A timer, not the end of a send, refills its queue. So
a dead endpoint with many due retries uses few resources. It never stops, and one answer restores it.
"""

from tidings.delivery.endpoint_queue import EndpointQueue
from tidings.delivery.tuning import DeliveryTuning


class ReducedConcurrency:
    """Counts the unanswered sends of endpoint queues, and reduces or restores their concurrency."""

    __slots__ = ("_full", "_reduced", "_unanswered_limit", "max_held")

    def __init__(self, full: int, tuning: DeliveryTuning = DeliveryTuning()) -> None:
        self._full = full
        self._reduced = min(tuning.reduced_concurrency, full)
        self._unanswered_limit = tuning.unanswered_limit
        self.max_held = tuning.reduced_length
        """The maximum number of deliveries in memory of an endpoint with reduced concurrency."""

    def count_unanswered(self, queue: EndpointQueue) -> bool:
        """Count a send that got no answer; return whether it reduced the concurrency."""
        queue.unanswered += 1
        if queue.is_reduced or queue.unanswered < self._unanswered_limit:
            return False
        self.reduce(queue)
        return True

    def reduce(self, queue: EndpointQueue) -> None:
        """Reduce the concurrency of an endpoint; the next answer restores it."""
        queue.is_reduced = True
        queue.unanswered = max(queue.unanswered, 1)
        queue.concurrency = self._reduced

    def restore(self, queue: EndpointQueue) -> None:
        """Restore the concurrency of an endpoint that has answered."""
        queue.unanswered = 0
        queue.is_reduced = False
        queue.concurrency = self._full
