# SPDX-License-Identifier: MIT
"""The capacity of endpoint queues: how many deliveries of an endpoint fit into memory, for accept and for claims."""

from collections.abc import Mapping

from tidings.delivery.budget import MemoryBudget, MemoryLimits
from tidings.delivery.endpoint_queue import EndpointQueue
from tidings.delivery.reduced_concurrency import ReducedConcurrency
from tidings.delivery.send_slots import SendSlots


class QueueCapacity:
    """Reads the queues, the slots and the memory budget; closed, it has no capacity."""

    __slots__ = ("_budget", "_is_closed", "_limits", "_queues", "_reduced", "_slots")

    def __init__(
        self,
        limits: MemoryLimits,
        budget: MemoryBudget,
        queues: Mapping[str, EndpointQueue],
        slots: SendSlots,
        reduced: ReducedConcurrency,
    ) -> None:
        self._limits = limits
        self._budget = budget
        self._queues = queues
        self._slots = slots
        self._reduced = reduced
        self._is_closed = False

    def close(self) -> None:
        """Have no capacity from now on."""
        self._is_closed = True

    def reserve(self, endpoint_id: str) -> bool:
        """Reserve capacity for a new delivery of an endpoint; return whether it succeeded."""
        if not self.has_capacity(endpoint_id):
            return False
        self._budget.reserved += 1
        return True

    def has_capacity(self, endpoint_id: str) -> bool:
        """Return whether a new delivery of an endpoint may be enqueued now."""
        if self._is_closed or self._budget.free <= 0:
            return False
        queue = self._queues.get(endpoint_id)
        if queue is None:
            return self.for_unanswered > 0
        if not queue.answers and self.for_unanswered <= 0:
            return False
        most = self._reduced.max_held if queue.is_reduced else self._limits.queue_length
        return not queue.is_spilled and len(queue.waiting) < most

    @property
    def for_unanswered(self) -> int:
        """The number of deliveries to endpoints that do not answer for which memory has capacity."""
        return self._slots.capacity_for_unanswered - self._budget.reserved

    def for_claim(self, endpoint_id: str) -> int:
        """Return how many rows of an endpoint a claim may take."""
        if self._is_closed:
            return 0
        queue = self._queues.get(endpoint_id)
        held = 0 if queue is None else queue.held
        most = self._reduced.max_held if queue is not None and queue.is_reduced else 3 * self._limits.concurrency
        return max(0, most - held)

    def answers(self, endpoint_id: str) -> bool:
        """Return whether the last send to an endpoint got an answer."""
        queue = self._queues.get(endpoint_id)
        return queue is not None and queue.answers

    def is_reduced(self, endpoint_id: str) -> bool:
        """Return whether an endpoint has reduced concurrency."""
        queue = self._queues.get(endpoint_id)
        return queue is not None and queue.is_reduced

    def free_slots(self, endpoint_id: str) -> int:
        """Return how many deliveries of an endpoint would start immediately if they were enqueued now."""
        if self._is_closed:
            return 0
        queue = self._queues.get(endpoint_id)
        if queue is None:
            return self._limits.concurrency
        return max(0, queue.concurrency - queue.held)

    def is_crowded(self, endpoint_id: str) -> bool:
        """Return whether half or more of an endpoint's slots are taken, or its concurrency is reduced."""
        queue = self._queues.get(endpoint_id)
        return queue is not None and (queue.is_reduced or 2 * len(queue.in_flight) >= queue.concurrency)
