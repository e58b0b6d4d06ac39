# SPDX-License-Identifier: MIT
"""How accepted deliveries reach delivery: places in memory are reserved before the commit, and filled after it."""

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
    """Stand in where nothing is ever reserved."""


def _no_room(_endpoint_id: str) -> bool:
    return False


def _ignored(_: object) -> None:
    """Stand in for a delivery role that this process does not have."""


@dataclass(frozen=True, slots=True)
class Handover:
    """How accepted deliveries reach delivery. A process without that role has no room for any."""

    leases: Leases
    lease_ms: int
    room: Callable[[str], bool]
    """Reserves a place in memory for a delivery to an endpoint, if there is one."""
    take: Callable[[list[Send]], None]
    """Called after the commit, once the places are released."""
    left: Callable[[list[str]], None]
    """Called after the commit with endpoints whose deliveries wait in the database."""
    later: Callable[[int], None]
    """Called after the commit with the first moment to which a delivery was put off."""
    large: int = 2**62
    """Bytes; a larger payload needs room of its own."""
    payload: Callable[[int], int | None] = _no_payload
    """Reserves room for a large payload; returns its bytes, or None where they do not fit."""
    copy: Callable[[int, Receiver], int | None] = _no_copy
    """Reserves room for the encrypted copy of a large payload to one receiver; returns its bytes, 0 without TLS."""
    release: Callable[[int, int], None] = _nothing
    """Releases so many places and so many bytes, after the commit or instead of it."""


NO_DELIVERY: Final = Handover(Leases(new_node()), 0, _no_room, _ignored, _ignored, _ignored)


@dataclass(slots=True)
class Prepared:
    """What a transaction has prepared for after its commit."""

    lease: int = 0
    at: float = 0.0
    """When the lease began, on the monotonic clock."""
    sends: list[Send] = field(default_factory=list)
    """Each has a place in memory reserved."""
    left: set[str] = field(default_factory=set)
    later: int | None = None
    payload_bytes: int = 0
    """Reserved for large payloads."""

    def clear(self) -> None:
        """Begin again, or hold nothing any more."""
        self.sends, self.left, self.later, self.payload_bytes = [], set(), None, 0
