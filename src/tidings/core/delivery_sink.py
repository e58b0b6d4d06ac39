# SPDX-License-Identifier: MIT
"""The delivery sink: how accept hands deliveries to the delivery role.

Accept reserves memory for deliveries before the commit, releases the reservation after it, and enqueues them.
"""

from typing import Final, Protocol

from tidings.model.delivery import Delivery
from tidings.model.lease import Leases, new_node
from tidings.model.routing import Receiver


class DeliverySink(Protocol):
    """The delivery role, as accept sees it."""

    @property
    def leases(self) -> Leases:
        """The lease tokens of this process."""
        ...

    @property
    def lease_ms(self) -> int:
        """The duration of a lease, in milliseconds."""
        ...

    @property
    def large_bytes(self) -> int:
        """Payloads above this number of bytes need a memory reservation of their own."""
        ...

    def has_capacity(self, endpoint_id: str) -> bool:
        """Reserve a slot in memory for a delivery to an endpoint; return False if there is none."""
        ...

    def reserve_payload(self, size: int) -> int | None:
        """Reserve memory for a large payload; return the reserved bytes, or None if the payload does not fit."""
        ...

    def reserve_copy(self, size: int, receiver: Receiver) -> int | None:
        """Reserve memory for a receiver's encrypted copy of a large payload; return the bytes, 0 without TLS, or None.

        None means that the copy does not fit.
        """
        ...

    def release(self, deliveries: int, payload_bytes: int) -> None:
        """Release reserved slots and bytes, after a commit or a rollback."""
        ...

    def enqueue(self, deliveries: list[Delivery]) -> None:
        """Send deliveries. They are committed, and their reservations are released."""
        ...

    def notify_backlog(self, endpoint_ids: list[str]) -> None:
        """Claim for these endpoints: deliveries to them were committed that are due and in no memory."""
        ...

    def schedule_at(self, timestamp: int) -> None:
        """Claim at this time, in milliseconds since the Unix epoch: a delivery that is due then was committed."""
        ...


class NoDelivery:
    """The sink of a process without the delivery role: it has no capacity, so all deliveries stay in the database."""

    lease_ms: Final = 0
    large_bytes: Final = 2**62

    def __init__(self) -> None:
        self.leases: Final = Leases(new_node())

    def has_capacity(self, endpoint_id: str) -> bool:
        """Return False."""
        del endpoint_id
        return False

    def reserve_payload(self, size: int) -> int | None:
        """Return None."""
        del size
        return None

    def reserve_copy(self, size: int, receiver: Receiver) -> int | None:
        """Return None."""
        del size, receiver
        return None

    def release(self, deliveries: int, payload_bytes: int) -> None:
        """Do nothing: nothing is ever reserved."""

    def enqueue(self, deliveries: list[Delivery]) -> None:
        """Do nothing: without capacity there are no deliveries to enqueue."""

    def notify_backlog(self, endpoint_ids: list[str]) -> None:
        """Do nothing: another process claims the deliveries."""

    def schedule_at(self, timestamp: int) -> None:
        """Do nothing: another process claims the deliveries."""


NO_DELIVERY: Final = NoDelivery()
