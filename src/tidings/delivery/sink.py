# SPDX-License-Identifier: MIT
"""The delivery sink of a process with the delivery role: new deliveries go into its endpoint queues."""

from collections.abc import Iterable
from typing import Final

from tidings.delivery.budget import LARGE
from tidings.delivery.claim_schedule import ClaimSchedule
from tidings.delivery.endpoint_queues import EndpointQueues
from tidings.model.delivery import Delivery
from tidings.model.lease import Leases
from tidings.model.routing import Receiver


class QueueSink:
    """Implements `DeliverySink`, which documents the methods."""

    __slots__ = ("_budget", "_capacity", "_queues", "_schedule", "lease_ms", "leases")
    large_bytes: Final = LARGE

    def __init__(self, queues: EndpointQueues, schedule: ClaimSchedule, leases: Leases, lease_ms: int) -> None:
        self._queues = queues
        self._budget = queues.budget
        self._capacity = queues.capacity
        self._schedule = schedule
        self.leases = leases
        self.lease_ms = lease_ms

    def has_capacity(self, endpoint_id: str) -> bool:
        """Reserve a slot in the queue of an endpoint, if there is one."""
        return self._capacity.reserve(endpoint_id)

    def reserve_payload(self, size: int) -> int | None:
        """Reserve memory for a large payload."""
        return self._budget.reserve_payload(size)

    def reserve_copy(self, size: int, receiver: Receiver) -> int | None:
        """Reserve memory for an encrypted copy of a large payload."""
        return self._budget.reserve_copy(size, receiver)

    def release(self, deliveries: int, payload_bytes: int) -> None:
        """Release reserved memory."""
        self._budget.release(deliveries, payload_bytes)

    def enqueue(self, deliveries: list[Delivery]) -> None:
        """Enqueue deliveries, and start the sends that may start."""
        self._queues.enqueue(deliveries)

    def notify_backlog(self, endpoint_ids: Iterable[str]) -> None:
        """Claim for endpoints, and spill their new deliveries until this backlog is drained."""
        endpoint_ids = list(endpoint_ids)
        self._queues.spill(endpoint_ids)
        self._schedule.wake_for(endpoint_ids)

    def schedule_at(self, timestamp: int) -> None:
        """Claim at this time."""
        self._schedule.due_at(timestamp)
