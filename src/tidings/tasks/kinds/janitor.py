# SPDX-License-Identifier: MIT
"""`system.janitor`: delete tasks that ended long ago, and exports that nobody can fetch any more.

A task goes at once, with its events; its items follow in chunks. Until they are gone the cursor holds the ids, so
that whoever goes on after a crash knows whose items are left. No task that has not ended is ever touched.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from tidings.clock import Clock
from tidings.core.housekeeping import RETENTION_MS
from tidings.model.task import JANITOR, Batch, ChunkResult, Plan, Task
from tidings.storage import exports, janitor
from tidings.storage.database import Read, Write

AT_ONCE: Final = 500
"""Rows of one chunk at most."""
EXPORTS_AT_ONCE: Final = 5
"""They are big."""


class _Place(msgspec.Struct, frozen=True):
    """What ended before which timestamp goes, and whose items are still there."""

    before: int
    orphaned: Sequence[str] = ()
    exports: bool = False

    def text(self) -> str:
        return msgspec.json.encode(self).decode()


_place: Final = msgspec.json.Decoder(_Place)


class Janitor:
    """Deletes what has been kept long enough."""

    kind = JANITOR

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def plan(self, read: Read, task: Task) -> Plan:
        del read, task
        return Plan(_Place(self._clock.now() - RETENTION_MS).text())

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        place, limit = _place.decode(task.cursor or ""), min(limit, AT_ONCE)
        if place.exports:
            found = await exports.expired(read, self._clock.now(), limit=min(limit, EXPORTS_AT_ONCE))
            return Batch(found, len(found), task.cursor or "", last=not found)
        if place.orphaned:
            items = await janitor.count_items(read, place.orphaned, limit=limit)
            left = place.orphaned if items == limit else ()
            return Batch(place.orphaned, max(1, items), _Place(place.before, left).text(), last=False)
        found = await janitor.old_tasks(read, before=place.before, limit=limit)
        return Batch(found, len(found), _Place(place.before, found, not found).text(), last=False)

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        place = _place.decode(task.cursor or "")
        if place.exports:
            await exports.delete(tx, batch.items)
        elif place.orphaned:
            await janitor.prune_items(tx, batch.items, limit=batch.scanned)
        else:
            await janitor.prune_tasks(tx, batch.items, before=place.before)
        return ChunkResult(batch.scanned)

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        del read, task, limit
        return 0
