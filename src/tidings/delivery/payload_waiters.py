# SPDX-License-Identifier: MIT
"""Endpoints whose due payloads do not fit into memory: claim for them as soon as enough bytes are freed.

All wait in order. Once per loop iteration in which bytes were freed, the first endpoints are woken whose payloads fit
beside each other, so that the others lease no rows in vain. The end of a claim causes the same check: bytes may have
been freed during the claim, and an endpoint that was woken may not have used its bytes.

Sends whose payload a script has made too large wait in the same way, among themselves, each under a name of its own.
"""

import asyncio
from collections.abc import Callable

from tidings.delivery.budget import MemoryBudget


class PayloadWaiters:
    """The waiting endpoints, each with the bytes that its next payload needs."""

    __slots__ = ("_budget", "_handle", "_waiting", "_wake")

    def __init__(self, budget: MemoryBudget, wake: Callable[[list[str]], None]) -> None:
        """`wake` receives the endpoints to claim for; one whose payloads still do not fit is added again."""
        self._budget = budget
        self._wake = wake
        self._waiting: dict[str, int] = {}
        self._handle: asyncio.Handle | None = None

    def add(self, endpoint_id: str, needed: int) -> None:
        """Append an endpoint, or change what a waiting one needs."""
        self._waiting[endpoint_id] = needed
        self._budget.listeners.add(self.check)

    def discard(self, endpoint_id: str) -> None:
        """Remove an endpoint if it waits."""
        self._waiting.pop(endpoint_id, None)

    def check(self) -> None:
        """Wake endpoints in the next loop iteration if their payloads fit by then."""
        if self._waiting and self._handle is None:
            # Bytes move from a reservation to a delivery in two steps, which are over when this callback runs.
            self._handle = asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        """Wake the first endpoints for which the free bytes are enough."""
        self._handle = None
        woken = self._fitting()
        for endpoint_id in woken:
            del self._waiting[endpoint_id]
        if not self._waiting:
            self._budget.listeners.discard(self.check)
        if woken:
            self._wake(woken)

    def _fitting(self) -> list[str]:
        """Return the first endpoints whose payloads fit beside each other; one of any size fits into empty memory."""
        free = self._budget.free_bytes
        found: list[str] = []
        for endpoint_id, needed in self._waiting.items():
            if needed > free and (found or not self._budget.has_no_bytes):
                break
            free -= needed
            found.append(endpoint_id)
        return found
