# SPDX-License-Identifier: MIT
"""How much one process holds in memory to send: deliveries by number, large payloads by their bytes.

A transaction reserves what it is about to lease. The reservation ends when the deliveries come to memory or the
transaction fails, so the bounds also hold for transactions that overlap.

A large payload counts once, however many deliveries of its message are held, because they share it. A delivery over
TLS counts once more: its encrypted copy waits in a buffer until the receiver reads. Smaller payloads are bounded by
the number of deliveries alone, so that they never wait for large ones.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidings.model.routing import Receiver, Send

LARGE: Final = 4_096
"""Bytes; payloads of more are counted."""


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """How much may be in memory and for how long."""

    concurrency: int
    """Sends in flight to one endpoint."""
    memory: int
    """Deliveries in memory, of all endpoints."""
    max_wait: float
    """Seconds that a delivery may wait unsent before it is handed back."""
    memory_bytes: int = 128 * 1024 * 1024
    """Of large payloads in memory."""
    in_flight: int = 4_000
    """Sends in flight to all endpoints."""

    @property
    def queue_length(self) -> int:
        """Return how many deliveries of one endpoint may wait: enough to keep its sends busy between claims."""
        return max(2 * self.concurrency, min(1_000, self.memory // 4))


class MemoryBudget:
    """What is held and reserved."""

    __slots__ = (
        "_copies",
        "_deliveries",
        "_payload_bytes",
        "_payloads",
        "held",
        "held_bytes",
        "reserved",
        "reserved_bytes",
    )

    def __init__(self, deliveries: int, payload_bytes: int) -> None:
        self._deliveries = deliveries
        self._payload_bytes = payload_bytes
        self._payloads: dict[str, tuple[bytes, set[Send]]] = {}
        """Large payloads by message, each with the deliveries that share it."""
        self._copies: set[Send] = set()
        """Large deliveries over TLS."""
        self.held = 0
        self.held_bytes = 0
        self.reserved = 0
        self.reserved_bytes = 0
        """Bytes that are reserved."""

    @property
    def free(self) -> int:
        """How many more deliveries fit."""
        return self._deliveries - self.held - self.reserved

    @property
    def free_bytes(self) -> int:
        """How many more bytes of large payloads fit."""
        return self._payload_bytes - self.held_bytes - self.reserved_bytes

    @property
    def is_half_empty(self) -> bool:
        """Whether it is time to claim for endpoints that found no place."""
        return self.held < max(1, self._deliveries // 2)

    def release(self, deliveries: int, payload_bytes: int) -> None:
        """End a reservation."""
        self.reserved -= deliveries
        self.reserved_bytes -= payload_bytes

    def reserve_payload(self, size: int) -> int | None:
        """Reserve a large payload, which all deliveries of its message share; return its bytes, or None if too large.

        One payload always fits while nothing else is held, whatever its size.
        """
        return self._reserve(size, 0)

    def reserve_copy(self, size: int, receiver: Receiver) -> int | None:
        """Reserve the encrypted copy of one delivery over TLS; return its bytes, or None if too large.

        The payload itself is held or reserved already. One copy always fits while nothing but its payload is held.
        """
        return self._reserve(size, size) if _copies(receiver) else 0

    def _reserve(self, size: int, alone: int) -> int | None:
        if size > self.free_bytes and self.held_bytes + self.reserved_bytes > alone:
            return None
        self.reserved_bytes += size
        return size

    def payload(self, msg_id: str) -> bytes | None:
        """Return the large payload of a message, if a delivery in memory has it."""
        found = self._payloads.get(msg_id)
        return None if found is None else found[0]

    def add(self, send: Send) -> None:
        """Count a delivery that comes to memory, and share its payload."""
        self.held += 1
        size = len(send.payload)
        if size <= LARGE:
            return
        found = self._payloads.get(send.msg_id)
        if found is None:
            found = self._payloads[send.msg_id] = (send.payload, set())
            self.held_bytes += size
        send.payload = found[0]
        found[1].add(send)
        if _copies(send.receiver):
            self._copies.add(send)
            self.held_bytes += size

    def remove(self, send: Send) -> None:
        """Count out a delivery that leaves memory."""
        self.held -= 1
        size = len(send.payload)
        if size <= LARGE:
            return
        sharing = self._payloads[send.msg_id][1]
        sharing.discard(send)
        if not sharing:
            del self._payloads[send.msg_id]
            self.held_bytes -= size
        if send in self._copies:
            self._copies.discard(send)
            self.held_bytes -= size

    def remove_and_clear(self, send: Send) -> None:
        """Count out a delivery that is sent no more from memory, and let go of a large payload."""
        self.remove(send)
        if len(send.payload) > LARGE:
            send.payload = b""


def _copies(receiver: Receiver) -> bool:
    return receiver.url.startswith("https:")


def fair_shares(rooms: Sequence[tuple[str, int]], most: int) -> list[tuple[str, int]]:
    """Divide what memory has left among endpoints: none gets more than it has room for, or more than its share."""
    if sum(map(_room, rooms)) <= most:
        return list(rooms)
    found = []
    mixed = random.sample(rooms, len(rooms))  # where there is less than one for each, chance decides
    for at, (each, room) in enumerate(sorted(mixed, key=_room)):
        share = min(room, -(-most // (len(rooms) - at)))
        if share > 0:
            found.append((each, share))
            most -= share
    return found


def _room(entry: tuple[str, int]) -> int:
    return entry[1]
