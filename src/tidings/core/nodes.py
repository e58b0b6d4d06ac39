# SPDX-License-Identifier: MIT
"""Taking over from processes that are gone, on PostgreSQL: what they were sending is due again, their tasks are queued.

A process counts as gone when it was found without its sign of life in three pulses one after the other: its session may
have been lost with a restart of the database, and then it has the time to come back. Should one be given up that still
works, its sends under way are sent twice, and are recorded once: every statement that settles names its lease.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from tidings.clock import Clock
from tidings.model.lease import leases_of
from tidings.observe import log
from tidings.storage import deliveries, nodes
from tidings.storage.database import Database

_MISSED: Final = 3
_CHUNK: Final = 1_000


class Nodes:
    """What one process knows of the others."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        presence: nodes.Presence,
        *,
        freed: Callable[[], None],
        put_back: Callable[[str], Awaitable[None]],
    ) -> None:
        """`freed` hears that deliveries are due again; `put_back` queues the tasks of a worker."""
        self._db = db
        self._clock = clock
        self._presence = presence
        self._freed = freed
        self._put_back = put_back
        self._missed: Counter[int] = Counter()

    async def arrive(self) -> None:
        """Show a sign of life for the first time."""
        await self._presence.keep(is_known=False)

    async def beat(self, gone: Mapping[int, str], *, is_known: bool) -> None:
        """Keep the own sign of life, and take over from whoever has shown none for long enough."""
        await self._presence.keep(is_known=is_known)
        for node in set(self._missed) - set(gone):
            del self._missed[node]
        self._missed.update(gone.keys())
        for node, worker in gone.items():
            if self._missed[node] >= _MISSED:
                await self._take_over(node, worker)
                del self._missed[node]

    async def leave(self) -> None:
        """Take leave of the others."""
        await self._presence.leave()

    async def _take_over(self, node: int, worker: str) -> None:
        first, last = leases_of(node)
        total, freed = 0, _CHUNK
        while freed == _CHUNK:
            async with self._db.write() as tx:
                freed = await deliveries.return_leased(tx, first=first, last=last, now=self._clock.now(), limit=_CHUNK)
            total += freed
        await self._put_back(worker)
        async with self._db.write() as tx:
            await nodes.leave(tx, node)
        log.warning("%s is gone: %d deliveries of its are due again", worker, total)
        self._freed()
