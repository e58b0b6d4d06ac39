# SPDX-License-Identifier: MIT
"""How accept hands deliveries to delivery: slots in memory are reserved before the commit and filled after it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tidings.model.lease import Leases, new_node
from tidings.model.routing import Receiver, Send


def _no_payload(_size: int) -> int | None:
    return None


def _no_copy(_size: int, _receiver: Receiver) -> int | None:
    return None


def _nothing(_deliveries: int, _payload_bytes: int) -> None:
    """Do nothing: nothing is ever reserved."""


def _no_capacity(_endpoint_id: str) -> bool:
    return False


def _ignored(_: object) -> None:
    """Do nothing: this process does not have the delivery role."""


@dataclass(frozen=True, slots=True)
class DeliverySink:
    """Where accept hands its deliveries. In a process without the delivery role, it has no capacity."""

    leases: Leases
    lease_ms: int
    has_capacity: Callable[[str], bool]
    """Reserves a slot in memory for a delivery to an endpoint; False if there is none."""
    enqueue: Callable[[list[Send]], None]
    """Takes deliveries after the commit, once their slots are released."""
    notify_backlog: Callable[[list[str]], None]
    """Called after the commit with the endpoints whose deliveries were spilled to the database."""
    schedule_at: Callable[[int], None]
    """Called after the commit with the earliest time for which a delivery is scheduled."""
    large: int = 2**62
    """Bytes; a larger payload is reserved on its own."""
    reserve_payload: Callable[[int], int | None] = _no_payload
    """Reserves memory for a large payload; returns its bytes, or None if it does not fit."""
    reserve_copy: Callable[[int, Receiver], int | None] = _no_copy
    """Reserves memory for the encrypted copy of a large payload to one receiver; returns its bytes, 0 without TLS."""
    release: Callable[[int, int], None] = _nothing
    """Releases slots and bytes, after the commit or instead of it."""


NO_DELIVERY: Final = DeliverySink(Leases(new_node()), 0, _no_capacity, _ignored, _ignored, _ignored)


@dataclass(slots=True)
class Prepared:
    """The deliveries of a transaction, to be handed over after its commit."""

    lease: int = 0
    at: float = 0.0
    """When the lease began, on the monotonic clock."""
    sends: list[Send] = field(default_factory=list)
    """Each has a slot in memory reserved."""
    spilled: set[str] = field(default_factory=set)
    scheduled_at: int | None = None
    payload_bytes: int = 0
    """Reserved for large payloads."""

    def clear(self) -> None:
        """Clear everything, to begin again or to end."""
        self.sends, self.spilled, self.scheduled_at, self.payload_bytes = [], set(), None, 0
