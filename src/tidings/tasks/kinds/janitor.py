# SPDX-License-Identifier: MIT
"""`system.janitor`: delete tasks that ended long ago, and exports whose links have expired.

A chunk deletes tasks together with their events; their items follow in further chunks. Until the items are deleted, the
cursor holds the ids of their tasks, so the work continues correctly after a crash. Tasks that have not ended stay.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from tidings.clock import Clock
from tidings.core.housekeeping import RETENTION_MS
from tidings.model.task import JANITOR, Batch, ChunkResult, Plan, Task
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import exports, janitor

CHUNK_ROWS: Final = 500
"""The most rows that one chunk deletes."""
CHUNK_EXPORTS: Final = 5
"""The most exports that one chunk deletes. They are large."""


class _Cursor(msgspec.Struct, frozen=True):
    """Delete tasks that ended before `before`; `orphaned` are deleted tasks that still have items."""

    before: int
    orphaned: Sequence[str] = ()
    exports: bool = False

    def text(self) -> str:
        """Return the cursor as it is stored."""
        return msgspec.json.encode(self).decode()


_cursor: Final = msgspec.json.Decoder(_Cursor)


class Janitor:
    """Deletes old tasks and expired exports."""

    kind = JANITOR

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def plan(self, read: Read, task: Task) -> Plan:
        del read, task
        return Plan(_Cursor(self._clock.now() - RETENTION_MS).text())

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        cursor, limit = _cursor.decode(task.cursor or ""), min(limit, CHUNK_ROWS)
        if cursor.exports:
            found = await exports.expired(read, self._clock.now(), limit=min(limit, CHUNK_EXPORTS))
            return Batch(found, len(found), task.cursor or "", last=not found)
        if cursor.orphaned:
            items = await janitor.count_items(read, cursor.orphaned, limit=limit)
            left = cursor.orphaned if items == limit else ()
            return Batch(cursor.orphaned, max(1, items), _Cursor(cursor.before, left).text(), last=False)
        found = await janitor.old_tasks(read, before=cursor.before, limit=limit)
        return Batch(found, len(found), _Cursor(cursor.before, found, not found).text(), last=False)

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        cursor = _cursor.decode(task.cursor or "")
        if cursor.exports:
            await exports.delete(tx, batch.items)
        elif cursor.orphaned:
            await janitor.prune_items(tx, batch.items, limit=batch.scanned)
        else:
            await janitor.prune_tasks(tx, batch.items, before=cursor.before)
        return ChunkResult(batch.scanned)

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        del read, task, limit
        return 0
