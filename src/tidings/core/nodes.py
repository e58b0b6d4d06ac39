# SPDX-License-Identifier: MIT
"""Takeover from lost nodes, on PostgreSQL: their deliveries become due again, and their tasks are queued.

A node is lost when three consecutive heartbeat queries find it without its liveness lock. A restart of the database
ends its session as well, and the delay gives the node time to take the lock again. If a node that still works is
declared lost, its deliveries in flight may be sent twice but are recorded once, because every statement that settles
checks the lease token.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from tidings.clock import Clock
from tidings.logs import log
from tidings.model.lease import leases_of
from tidings.storage.drivers.database import Database
from tidings.storage.tables import deliveries, nodes

_MISSED_MAX: Final = 3
_CHUNK: Final = 1_000


class Nodes:
    """The liveness of this node, and the takeover from lost nodes."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        liveness_lock: nodes.LivenessLock,
        *,
        freed: Callable[[], None],
        requeue: Callable[[str], Awaitable[None]],
    ) -> None:
        """`freed` is called when deliveries became due again; `requeue` queues the tasks of a worker."""
        self._db = db
        self._clock = clock
        self._liveness_lock = liveness_lock
        self._freed = freed
        self._requeue = requeue
        self._missed: Counter[int] = Counter()

    async def join(self) -> None:
        """Take the liveness lock when the node starts."""
        await self._liveness_lock.ensure(is_known=False)

    async def check(self, lost: Mapping[int, str], *, is_known: bool) -> None:
        """Hold the liveness lock, and take over from nodes that missed three heartbeat queries."""
        await self._liveness_lock.ensure(is_known=is_known)
        for node in set(self._missed) - set(lost):
            del self._missed[node]
        self._missed.update(lost.keys())
        for node, worker in lost.items():
            if self._missed[node] >= _MISSED_MAX:
                await self._take_over(node, worker)
                del self._missed[node]

    async def leave(self) -> None:
        """Release the liveness lock, so that no node takes over from this one."""
        await self._liveness_lock.release()

    async def _take_over(self, node: int, worker: str) -> None:
        first, last = leases_of(node)
        total, freed = 0, _CHUNK
        while freed:  # fewer than a chunk are not the last ones: those that changed meanwhile are left to the next call
            async with self._db.write() as tx:
                freed = await deliveries.return_leased(tx, first=first, last=last, now=self._clock.now(), limit=_CHUNK)
            total += freed
        await self._requeue(worker)
        async with self._db.write() as tx:
            is_first = await nodes.delete(tx, node)
        if is_first:  # of all nodes that noticed
            log.warning("node.lost", "a node is lost; its deliveries are due again", lost=worker, deliveries=total)
        self._freed()
