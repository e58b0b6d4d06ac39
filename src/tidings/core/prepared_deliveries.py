# SPDX-License-Identifier: MIT
"""The deliveries of one transaction of accept: leased if memory has capacity for them, otherwise spilled."""

from collections.abc import Sequence
from typing import Self

from tidings.clock import Clock
from tidings.core.delivery_sink import DeliverySink
from tidings.model.delivery import Delivery
from tidings.model.message import AcceptedMessage
from tidings.model.routing import Receiver
from tidings.storage.tables.intake import DeliveryRow


class PreparedDeliveries:
    """Prepares the rows of deliveries, and hands the leased ones to the sink after the commit.

    As a context manager it releases, at the end of the block, the reservations that are left.
    """

    __slots__ = ("_clock", "_lease", "_leased", "_leased_at", "_payload_bytes", "_scheduled_at", "_sink", "_spilled")

    def __init__(self, sink: DeliverySink, clock: Clock) -> None:
        self._sink = sink
        self._clock = clock
        self._lease = 0
        self._leased_at = 0.0
        self._leased: list[Delivery] = []
        """Deliveries to send from memory; each has a reserved slot."""
        self._spilled: set[str] = set()
        """Endpoints with deliveries that stay in the database."""
        self._scheduled_at: int | None = None
        """The earliest time for which a delivery is scheduled."""
        self._payload_bytes = 0
        """Bytes reserved for large payloads."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def start(self) -> None:
        """Start with no deliveries and a new lease; a transaction that is retried prepares them again."""
        self.release()
        self._lease = self._sink.leases.next()
        self._leased_at = self._clock.monotonic()

    def rows(self, message: AcceptedMessage, receivers: Sequence[Receiver], now: int) -> list[DeliveryRow]:
        """Prepare the deliveries of a message; return their rows, leased where memory has capacity."""
        if message.extras is not None and message.extras.deliver_at is not None:
            return self._scheduled_rows(message, receivers, message.extras.deliver_at)
        sink = self._sink
        is_large = len(message.payload) > sink.large_bytes
        has_capacity = not is_large or (bool(receivers) and self._reserve_payload(len(message.payload)))
        rows: list[DeliveryRow] = []
        for receiver in receivers:
            fits = has_capacity and not receiver.limits and sink.has_capacity(receiver.id)
            if fits and is_large:
                fits = self._reserve_copy(len(message.payload), receiver)
            if fits:
                rows.append(DeliveryRow.of(message, receiver.id, now, self._lease, now + sink.lease_ms))
                delivery = Delivery(receiver, message.id, message.payload, self._lease, self._leased_at)
                if receiver.is_transformed:
                    delivery.labels = message.event_type, message.channels
                self._leased.append(delivery)
            else:
                rows.append(DeliveryRow.of(message, receiver.id, now))
                self._spilled.add(receiver.id)
        return rows

    def hand_over(self) -> None:
        """Pass the committed deliveries to the sink."""
        leased, spilled, scheduled_at = self._leased, self._spilled, self._scheduled_at
        self.release()
        if leased:
            self._sink.enqueue(leased)
        if spilled:
            self._sink.notify_backlog(list(spilled))
        if scheduled_at is not None:
            self._sink.schedule_at(scheduled_at)

    def release(self) -> None:
        """Release the reservations, and remove all deliveries."""
        if self._leased or self._payload_bytes:
            self._sink.release(len(self._leased), self._payload_bytes)
        self._leased, self._spilled, self._scheduled_at, self._payload_bytes = [], set(), None, 0

    def _scheduled_rows(
        self, message: AcceptedMessage, receivers: Sequence[Receiver], deliver_at: int
    ) -> list[DeliveryRow]:
        earliest = self._scheduled_at
        self._scheduled_at = deliver_at if earliest is None else min(earliest, deliver_at)
        return [DeliveryRow.of(message, receiver.id, deliver_at) for receiver in receivers]

    def _reserve_payload(self, size: int) -> bool:
        """Reserve memory for a large payload that all its deliveries share; return whether it fits."""
        reserved = self._sink.reserve_payload(size)
        self._payload_bytes += reserved or 0
        return reserved is not None

    def _reserve_copy(self, size: int, receiver: Receiver) -> bool:
        """Reserve memory for the encrypted copy of a large payload; if it does not fit, release the delivery's slot."""
        reserved = self._sink.reserve_copy(size, receiver)
        self._payload_bytes += reserved or 0
        if reserved is None:
            self._sink.release(1, 0)
        return reserved is not None
