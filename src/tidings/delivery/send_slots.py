# SPDX-License-Identifier: MIT
"""Choose the queue that starts the next send, within the bounds on one loop iteration and on sends in flight.

Queues of endpoints that answer alternate with the others. Endpoints that do not answer get at most three quarters of
the sends in flight and of memory, so deliveries to the rest start without delay, however many receivers hang.
"""

from typing import Final

from tidings.delivery.endpoint_queue import EndpointQueue
from tidings.delivery.tuning import DeliveryTuning

_CROWDED: Final = 10
"""The maximum number of sends in flight from one queue while half of all slots are taken."""
_CROWDED_UNANSWERED: Final = 2
"""The same for an endpoint that does not answer, while five eighths of all slots are taken by such endpoints."""


class SendSlots:
    """Counts the sends in flight, and holds the queues whose next send waits for a loop iteration or a slot."""

    __slots__ = (
        "_in_flight",
        "_is_other_kind_next",
        "_memory",
        "_most",
        "_per_iteration",
        "_ready",
        "_unanswered",
        "_waiting",
        "started",
    )

    def __init__(self, in_flight: int, memory: int, tuning: DeliveryTuning = DeliveryTuning()) -> None:
        self._per_iteration = tuning.sends_per_iteration
        self._most = in_flight
        self._memory = memory
        self._in_flight = 0
        self._unanswered = 0
        """Sends in flight to endpoints that do not answer."""
        self._waiting = 0
        """Deliveries in memory to endpoints that do not answer, including those in flight."""
        self.started = 0
        """Sends started in this loop iteration."""
        self._ready: tuple[dict[EndpointQueue, None], dict[EndpointQueue, None]] = ({}, {})
        """Waiting queues in order: those of endpoints that answer, and the others."""
        self._is_other_kind_next = False

    @property
    def in_flight(self) -> int:
        """The number of sends in flight."""
        return self._in_flight

    @property
    def capacity_for_unanswered(self) -> int:
        """The number of deliveries to endpoints that do not answer for which memory has capacity."""
        return _three_quarters(self._memory) - self._waiting

    def add(self, queue: EndpointQueue) -> None:
        """Count a delivery that enters memory."""
        self._waiting += not queue.answers

    def remove(self, queue: EndpointQueue) -> None:
        """Subtract a delivery that leaves memory."""
        self._waiting -= not queue.answers

    def start(self, queue: EndpointQueue) -> bool:
        """Count a send that starts; return whether it is the last one in this loop iteration."""
        self._in_flight += 1
        self._unanswered += not queue.answers
        self.started += 1
        return self.started == self._per_iteration

    def end(self, queue: EndpointQueue) -> None:
        """Subtract a send that has ended."""
        self._in_flight -= 1
        self._unanswered -= not queue.answers

    def clear(self) -> None:
        """Reset the number of sends in flight to zero."""
        self._in_flight = self._unanswered = 0

    def set_answers(self, queue: EndpointQueue, *, answers: bool) -> None:
        """Set whether an endpoint answers, and update the counts with its sends and deliveries."""
        sign = -1 if answers else 1
        self._unanswered += sign * len(queue.in_flight)
        self._waiting += sign * queue.held
        queue.answers = answers

    def concurrency(self, queue: EndpointQueue) -> int:
        """Return how many sends of a queue may be in flight: few while half of all slots are taken."""
        if 2 * self._in_flight < self._most:
            return queue.concurrency
        is_tight = not queue.answers and 8 * self._unanswered >= 5 * self._most
        return min(queue.concurrency, _CROWDED_UNANSWERED if is_tight else _CROWDED)

    def has_slot(self, *, answers: bool) -> bool:
        """Return whether there is a slot for an endpoint that answers, or for one that does not."""
        return self._in_flight < self._most and (answers or self._unanswered < _three_quarters(self._most))

    def may_start(self, queue: EndpointQueue) -> bool:
        """Return whether a queue may start a send now."""
        return (
            not self._ready[not queue.answers]
            and self.started < self._per_iteration
            and self.has_slot(answers=queue.answers)
        )

    def defer(self, queue: EndpointQueue) -> None:
        """Append a queue to those that wait for a loop iteration or a slot."""
        self._ready[not queue.answers][queue] = None

    @property
    def has_next(self) -> bool:
        """Whether there is a slot for a waiting queue."""
        answering, others = self._ready
        return bool(answering and self.has_slot(answers=True)) or bool(others and self.has_slot(answers=False))

    def next(self) -> EndpointQueue | None:
        """Remove and return the next queue that may start a send, or None; the two kinds alternate."""
        if self.started >= self._per_iteration:
            return None
        self._is_other_kind_next = not self._is_other_kind_next
        for others in (self._is_other_kind_next, not self._is_other_kind_next):
            queues = self._ready[others]
            if queues and self.has_slot(answers=not others):
                queue = next(iter(queues))
                del queues[queue]
                return queue
        return None


def _three_quarters(most: int) -> int:
    return most - most // 4
