# SPDX-License-Identifier: MIT
"""The bounds on deliveries in memory: their number, and the bytes of large payloads.

A transaction reserves capacity for the rows that it leases. The reservation ends when the deliveries enter memory or
the transaction fails, so the bounds also hold for concurrent transactions.

All deliveries of a message share its payload, so a large payload counts once. Each delivery over TLS adds its size
again: the encrypted copy stays in a buffer until the receiver reads it. A large payload that a script made counts for
its delivery alone. Small payloads count only as deliveries, so they never wait for large ones.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tidings.model.delivery import Delivery
from tidings.model.routing import Receiver

LARGE: Final = 4_096
"""Size in bytes above which a payload is large."""


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """The bounds on deliveries in memory, and on the time that they wait there."""

    concurrency: int
    """The maximum number of sends in flight to one endpoint."""
    memory: int
    """The maximum number of deliveries in memory, over all endpoints."""
    max_wait: float
    """Seconds that a delivery may wait for its send before it is returned unsent."""
    memory_bytes: int = 128 * 1024 * 1024
    """The maximum number of bytes of large payloads in memory."""
    in_flight: int = 4_000
    """The maximum number of sends in flight to all endpoints."""

    @property
    def queue_length(self) -> int:
        """The number of deliveries that may wait for one endpoint: enough to keep it busy between claims."""
        return max(2 * self.concurrency, min(1_000, self.memory // 4))


class MemoryBudget:
    """Counts the deliveries and the bytes of large payloads in memory, held and reserved."""

    __slots__ = (
        "_changed",
        "_copies",
        "_deliveries",
        "_payload_bytes",
        "_payloads",
        "held",
        "held_bytes",
        "listeners",
        "on_settled",
        "reserved",
        "reserved_bytes",
        "unsettled",
    )

    def __init__(self, deliveries: int, payload_bytes: int) -> None:
        self._deliveries = deliveries
        self._payload_bytes = payload_bytes
        self._payloads: dict[str, tuple[bytes, set[Delivery]]] = {}
        """Large payloads by message id, each with the deliveries that share it."""
        self._copies: set[Delivery] = set()
        """Deliveries over TLS with a large payload: each has an encrypted copy."""
        self._changed: dict[Delivery, int] = {}
        """The bytes of large payloads that scripts made, by delivery."""
        self.held = 0
        self.held_bytes = 0
        self.reserved = 0
        self.reserved_bytes = 0
        self.unsettled = 0
        """Deliveries that have been sent or returned, and are not settled yet: while the writer is busy, they wait."""
        self.on_settled: Callable[[], None] | None = None
        """Called when deliveries have been settled."""
        self.listeners: set[Callable[[], None]] = set()
        """Called when bytes of large payloads have been freed; empty while nothing waits for them."""

    @property
    def free(self) -> int:
        """The number of deliveries that still fit into memory."""
        return self._deliveries - self.held - self.reserved - self.unsettled

    @property
    def free_bytes(self) -> int:
        """The bytes of large payloads that still fit into memory."""
        return self._payload_bytes - self.held_bytes - self.reserved_bytes

    @property
    def has_no_bytes(self) -> bool:
        """Whether memory has no large payload, held or reserved; then one of any size fits."""
        return not self.held_bytes and not self.reserved_bytes

    @property
    def is_half_empty(self) -> bool:
        """Whether memory is at most half full: then endpoints whose rows did not fit are claimed for again."""
        return self.held + self.unsettled < max(1, self._deliveries // 2)

    def settled(self, deliveries: int) -> None:
        """Subtract deliveries that have been settled."""
        self.unsettled -= deliveries
        if self.on_settled is not None:
            self.on_settled()

    def release(self, deliveries: int, payload_bytes: int) -> None:
        """Release a reservation of deliveries and payload bytes."""
        self.reserved -= deliveries
        self.reserved_bytes -= payload_bytes
        if payload_bytes:
            self._notify()

    def reserve_payload(self, size: int) -> int | None:
        """Reserve a large payload, which all deliveries of its message share; return its bytes, or None if too large.

        A payload of any size fits while nothing else is held or reserved.
        """
        return self._reserve(size, 0)

    def reserve_copy(self, size: int, receiver: Receiver) -> int | None:
        """Reserve the encrypted copy of one delivery over TLS; return its bytes, or None if too large.

        The payload itself is already held or reserved. A copy of any size fits while only its payload is held.
        """
        return self._reserve(size, size) if _copies(receiver) else 0

    def _reserve(self, size: int, alone: int) -> int | None:
        if size > self.free_bytes and self.held_bytes + self.reserved_bytes > alone:
            return None
        self.reserved_bytes += size
        return size

    def payload(self, msg_id: str) -> bytes | None:
        """Return the large payload of a message if a delivery in memory has it, else None."""
        found = self._payloads.get(msg_id)
        return None if found is None else found[0]

    def add(self, delivery: Delivery) -> None:
        """Count a delivery that enters memory, and share a large payload with the others of its message."""
        self.held += 1
        size = len(delivery.payload)
        if size <= LARGE:
            return
        found = self._payloads.get(delivery.msg_id)
        if found is None:
            found = self._payloads[delivery.msg_id] = (delivery.payload, set())
            self.held_bytes += size
        delivery.payload = found[0]
        found[1].add(delivery)
        if _copies(delivery.receiver):
            self._copies.add(delivery)
            self.held_bytes += size

    def remove(self, delivery: Delivery) -> None:
        """Subtract a delivery that leaves memory."""
        self.held -= 1
        if self._changed and (changed := self._changed.pop(delivery, 0)):
            self.held_bytes -= changed
            self._notify()
        size = len(delivery.payload)
        if size <= LARGE:
            return
        sharing = self._payloads[delivery.msg_id][1]
        sharing.discard(delivery)
        if not sharing:
            del self._payloads[delivery.msg_id]
            self.held_bytes -= size
        if delivery in self._copies:
            self._copies.discard(delivery)
            self.held_bytes -= size
        self._notify()

    def add_changed(self, delivery: Delivery, size: int, url: str) -> int:
        """Count the payload that a script made of a delivery in memory, until that leaves.

        `url` is where it is sent. Returns 0, or the bytes that it needs if it does not fit. Beside nothing but the
        delivery's own payload, one of any size fits.
        """
        if size <= LARGE:
            return 0
        needed = 2 * size if _is_encrypted(url) else size
        own = len(delivery.payload) + copy_bytes(len(delivery.payload), delivery.receiver)
        if needed > self.free_bytes and self.held_bytes + self.reserved_bytes > own:
            return needed
        self._changed[delivery] = needed
        self.held_bytes += needed
        return 0

    def _notify(self) -> None:
        for listener in tuple(self.listeners) if self.listeners else ():
            listener()

    def remove_and_clear(self, delivery: Delivery) -> None:
        """Subtract a delivery that will not be sent from memory, and drop its reference to a large payload."""
        self.remove(delivery)
        if len(delivery.payload) > LARGE:
            delivery.payload = b""


def copy_bytes(size: int, receiver: Receiver) -> int:
    """Return the bytes of the encrypted copy of a large payload: none without TLS."""
    return size if _copies(receiver) else 0


def _copies(receiver: Receiver) -> bool:
    return _is_encrypted(receiver.url)


def _is_encrypted(url: str) -> bool:
    return url.startswith("https:")


def fair_shares(capacities: Sequence[tuple[str, int]], most: int) -> list[tuple[str, int]]:
    """Divide `most` rows among endpoints: each gets at most its capacity, and at most an equal share."""
    if sum(map(_capacity, capacities)) <= most:
        return list(capacities)
    found = []
    # If there is less than one row for each endpoint, chance decides.
    mixed = random.sample(capacities, len(capacities))
    for at, (each, capacity) in enumerate(sorted(mixed, key=_capacity)):
        share = min(capacity, -(-most // (len(capacities) - at)))
        if share > 0:
            found.append((each, share))
            most -= share
    return found


def _capacity(entry: tuple[str, int]) -> int:
    return entry[1]
