# SPDX-License-Identifier: MIT
"""The delivery sink: accept reserves memory slots for deliveries before the commit, and fills them after it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tidings.model.delivery import Delivery
from tidings.model.lease import Leases, new_node
from tidings.model.routing import Receiver


def _no_payload(_size: int) -> int | None:
    return None


def _no_copy(_size: int, _receiver: Receiver) -> int | None:
    return None


def _no_release(_deliveries: int, _payload_bytes: int) -> None:
    """Do nothing: a process without the delivery role reserves nothing."""


def _no_capacity(_endpoint_id: str) -> bool:
    return False


def _ignore(_: object) -> None:
    """Do nothing: this process does not have the delivery role."""


@dataclass(frozen=True, slots=True)
class DeliverySink:
    """The functions through which accept passes deliveries on; without the delivery role there is no capacity."""

    leases: Leases
    lease_ms: int
    has_capacity: Callable[[str], bool]
    """Reserves a slot in memory for a delivery to an endpoint; False if there is none."""
    enqueue: Callable[[list[Delivery]], None]
    """Enqueues deliveries after the commit and after their reservations are released."""
    notify_backlog: Callable[[list[str]], None]
    """Called after the commit with the endpoints whose deliveries were spilled to the database."""
    schedule_at: Callable[[int], None]
    """Called after the commit with the earliest time for which a delivery is scheduled."""
    large: int = 2**62
    """Payloads above this number of bytes need a memory reservation of their own."""
    reserve_payload: Callable[[int], int | None] = _no_payload
    """Reserves memory for a large payload; returns the reserved bytes, or None if the payload does not fit."""
    reserve_copy: Callable[[int, Receiver], int | None] = _no_copy
    """Reserves memory for a receiver's encrypted copy of a large payload; returns the bytes (0 without TLS) or None."""
    release: Callable[[int, int], None] = _no_release
    """Releases reserved slots and bytes, after a commit or a rollback."""


NO_DELIVERY: Final = DeliverySink(Leases(new_node()), 0, _no_capacity, _ignore, _ignore, _ignore)


@dataclass(slots=True)
class Prepared:
    """The deliveries of a transaction, which the sink receives after the commit."""

    lease: int = 0
    at: float = 0.0
    """The start of the lease, on the monotonic clock."""
    sends: list[Delivery] = field(default_factory=list)
    """Deliveries to send from memory; each has a reserved slot."""
    spilled: set[str] = field(default_factory=set)
    """Endpoints with deliveries that stay in the database."""
    scheduled_at: int | None = None
    """The earliest time for which a delivery is scheduled."""
    payload_bytes: int = 0
    """Bytes reserved for large payloads."""

    def clear(self) -> None:
        """Remove all deliveries and reset the reservations."""
        self.sends, self.spilled, self.scheduled_at, self.payload_bytes = [], set(), None, 0
