# SPDX-License-Identifier: MIT
"""What the parts of delivery request from one another. `DeliveryRole` connects them.

A delivery is in memory from a claim or from accept until its result is settled. All calls are on the event loop, and
return without waiting.
"""

from collections.abc import Iterable
from typing import Protocol

from tidings.delivery.endpoint_queue import Cancellable
from tidings.delivery.outcome import SendResult
from tidings.model.delivery import Delivery


class SendStarter(Protocol):
    """Starts sends for the endpoint queues; the sender."""

    def start(self, delivery: Delivery) -> Cancellable:
        """Start the send of a delivery; never raises. Its end is reported once, unless it is canceled."""
        ...


class SendListener(Protocol):
    """Receives the results of sends; the delivery role."""

    def ended(self, result: SendResult) -> None:
        """Settle the result, and start the endpoint's next send. Called after `SendStarter.start` has returned."""
        ...


class UnsentDeliveries(Protocol):
    """Takes deliveries that leave memory without an attempt; settle."""

    def return_unsent(self, deliveries: Iterable[Delivery]) -> None:
        """Make deliveries due again in the database. Their memory is already released."""
        ...


class PacedDeliveries(Protocol):
    """Takes the deliveries of the pacer, which count in memory while it holds them; the endpoint queues."""

    def start_paced(self, delivery: Delivery) -> bool:
        """Start the send of a delivery whose window has begun; return False if its endpoint has no free slot."""
        ...

    def return_paced(self, deliveries: Iterable[Delivery]) -> None:
        """Release the memory of deliveries, and return them unsent."""
        ...


class ClaimRequests(Protocol):
    """Requests for claims; the claim schedule."""

    def wake(self) -> None:
        """Claim now: memory has capacity again, or deliveries became due for any endpoint."""
        ...

    def wake_for(self, endpoint_ids: Iterable[str]) -> None:
        """Claim now for these endpoints, unless all of them are deferred."""
        ...

    def due_at(self, timestamp: int) -> None:
        """Claim no later than at this time, in milliseconds since the Unix epoch."""
        ...
