# SPDX-License-Identifier: MIT
"""Evictions: which leased deliveries are stale because their endpoint was changed, disabled or deleted since.

The transaction that leased a delivery may have read the endpoint before the change and committed after it.
"""

from collections.abc import Iterable
from typing import Final

from tidings.clock import Clock
from tidings.model.delivery import Delivery

_KEPT_SECONDS: Final = 60.0
"""How long an eviction is kept: longer than a delivery waits in memory."""
_NEVER: Final = float("-inf")


class Evictions:
    """When the deliveries of each endpoint were evicted from memory; false if none were of late."""

    __slots__ = ("_at", "_clock")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at: dict[str, float] = {}

    def __bool__(self) -> bool:
        return bool(self._at)

    def add(self, endpoint_id: str) -> None:
        """Evict an endpoint now: all deliveries that are leased already are stale."""
        self._at[endpoint_id] = self._clock.monotonic()

    def split(self, deliveries: Iterable[Delivery]) -> tuple[list[Delivery], list[Delivery]]:
        """Return the current deliveries and the stale ones."""
        latest = self._clock.monotonic() - _KEPT_SECONDS
        self._at = {endpoint_id: at for endpoint_id, at in self._at.items() if at > latest}
        current: list[Delivery] = []
        stale: list[Delivery] = []
        for delivery in deliveries:
            is_stale = delivery.leased_at <= self._at.get(delivery.receiver.id, _NEVER)
            (stale if is_stale else current).append(delivery)
        return current, stale
