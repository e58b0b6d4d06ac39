# SPDX-License-Identifier: MIT
"""The claim of a slice while no chunk renews its lease."""

import asyncio

from tidings.clock import SECOND
from tidings.model.task import Claim
from tidings.storage.drivers.database import StorageError, Unavailable
from tidings.storage.tables import claims
from tidings.tasks.context import WorkerContext


class HeldClaim:
    """Checks a claim, and renews its lease in time: without chunks, no checkpoint renews it."""

    __slots__ = ("_context", "_renewed", "error_count")

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._renewed = context.clock.monotonic()
        self.error_count = 0
        """The database errors since the last renewal."""

    def note_renewal(self, timestamp: float) -> None:
        """Record that a checkpoint has renewed the lease."""
        self._renewed = timestamp
        self.error_count = 0

    async def keep(self, claim: Claim) -> None:
        """Check the claim, and renew its lease if a third of it is over; raise `LeaseLost` if it no longer holds."""
        async with self._context.db.read() as read:
            await claims.owned(read, claim)
        timestamp = self._context.clock.monotonic()
        if (timestamp - self._renewed) * SECOND * 3 >= self._context.policy.lease_ms:
            async with self._context.db.write(background=True) as tx:
                await claims.renew(tx, claim, self._context.policy, self._context.now)
            self.note_renewal(timestamp)

    async def keep_while_working(self, claim: Claim) -> bool:
        """Keep the claim during external work, and return whether the work may continue.

        If the lease cannot be renewed, the work ends before lease expiry, when another process may start the same work.
        """
        if self._context.stopping.is_set():
            return False
        until = self._renewed + self._context.tuning.renew_within * self._context.policy.lease_ms / SECOND
        left = until - self._context.clock.monotonic()
        try:
            async with asyncio.timeout(max(0.001, left)):
                await self.keep(claim)
        except (StorageError, TimeoutError) as error:
            if self._context.clock.monotonic() >= until:
                raise Unavailable("the lease could not be renewed") from error
        return True
