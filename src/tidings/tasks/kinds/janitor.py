# SPDX-License-Identifier: MIT
"""`system.janitor`: delete tasks that ended long ago, and exports whose links have expired.

A chunk deletes tasks together with their events; their items follow in further chunks. Until the items are deleted, the
cursor holds the ids of their tasks, so the work continues correctly after a crash. Tasks that have not ended stay.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from tidings import ids
from tidings.clock import DAY, HOUR, Clock
from tidings.core.notifier import Notifier, notify_after_commit
from tidings.ids import OrgId, TaskId
from tidings.model.task import Batch, ChunkResult, NewTask, Plan, Task
from tidings.model.task_kind import Effect, TaskKinds
from tidings.storage.drivers.database import Database, Read, Write
from tidings.storage.tables import deletion, event_types, tasks
from tidings.tasks.declaration import Declaration
from tidings.tasks.handler import TaskHandler

RETENTION_MS: Final = 90 * DAY
"""How long a task is stored after its end."""
INTERVAL_MS: Final = 20 * HOUR
"""The shortest interval between two runs of the janitor."""
SYSTEM_ORG: Final = OrgId("system")


class _Cursor(msgspec.Struct, frozen=True):
    """Delete tasks that ended before `before`; `orphaned` are deleted tasks that still have items."""

    before: int
    orphaned: Sequence[str] = ()
    exports: bool = False

    def text(self) -> str:
        """Return the cursor as it is stored."""
        return msgspec.json.encode(self).decode()


_cursor: Final = msgspec.json.Decoder(_Cursor)


async def start_if_due(db: Database, clock: Clock, notifier: Notifier, kinds: TaskKinds) -> bool:
    """Start the janitor if it has work and did not run within the interval; return whether it started."""
    now = clock.now()
    async with db.read() as read:
        old = await deletion.old_tasks(read, before=now - RETENTION_MS, limit=1)
        if not old and not await event_types.expired_exports(read, now, limit=1):
            return False
    async with db.write(advisory_lock=tasks.CLAIM_LOCK, background=True) as tx:
        if await deletion.has_started_since(tx, SYSTEM_ORG, KIND.name, ids.first_at(ids.TASK, now - INTERVAL_MS)):
            return False
        new = NewTask(kind=KIND.name, org_id=SYSTEM_ORG, app_id=None, args="{}", lock_key=KIND.name, priority=-1)
        await tasks.add(tx, TaskId(ids.new(ids.TASK, now)), new, now, kinds.names)
        notify_after_commit(tx, notifier.tasks)
    return True


class NoArgs(msgspec.Struct, frozen=True):
    """The stored arguments: none."""


class Janitor(TaskHandler):
    """Deletes old tasks and expired exports."""

    async def plan(self, read: Read, task: Task) -> Plan:
        del read, task
        return Plan(_Cursor(self._clock.now() - RETENTION_MS).text())

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        cursor, limit = _cursor.decode(task.cursor or ""), min(limit, self._tuning.janitor_rows)
        if cursor.exports:
            found = await event_types.expired_exports(
                read, self._clock.now(), limit=min(limit, self._tuning.janitor_exports)
            )
            return Batch(found, len(found), task.cursor or "", last=not found)
        if cursor.orphaned:
            items = await deletion.count_items(read, cursor.orphaned, limit=limit)
            left = cursor.orphaned if items == limit else ()
            return Batch(cursor.orphaned, max(1, items), _Cursor(cursor.before, left).text(), last=False)
        found = await deletion.old_tasks(read, before=cursor.before, limit=limit)
        return Batch(found, len(found), _Cursor(cursor.before, found, not found).text(), last=False)

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        cursor = _cursor.decode(task.cursor or "")
        if cursor.exports:
            await event_types.delete_exports(tx, batch.items)
        elif cursor.orphaned:
            await deletion.prune_items(tx, batch.items, limit=batch.scanned)
        else:
            await deletion.prune_tasks(tx, batch.items, before=cursor.before)
        return ChunkResult(batch.scanned)


KIND: Final = Declaration(
    name="system.janitor",
    summary="Delete old tasks and expired exports",
    args=NoArgs,
    handler=Janitor,
    effects=frozenset({Effect.PRUNES}),
)
