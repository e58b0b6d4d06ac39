# SPDX-License-Identifier: MIT
"""`application.purge_content`: delete the payloads of all messages that an application had when the task started.

Outstanding deliveries of these messages are not sent: delivery finds no payload and discards them.
"""

import msgspec

from tidings import ids
from tidings.model.purge import PurgeArgs
from tidings.model.results import MESSAGES_PURGED
from tidings.model.task import PURGE_CONTENT, Batch, ChunkResult, Plan, Task
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import purges, replays
from tidings.tasks.handler import ReadsAhead
from tidings.tasks.kinds import resend_range

_args = msgspec.json.Decoder(PurgeArgs)


class Purge(ReadsAhead):
    """Deletes the payloads of all messages of one application."""

    kind = PURGE_CONTENT

    async def plan(self, read: Read, task: Task) -> Plan:
        args, app_id = _args.decode(task.args), task.app_id or ""
        mark = args.high_water_mark
        if mark is None:
            mark = await replays.high_water_mark(read, app_id)
        lower, end, limit = ids.first_at(ids.MESSAGE, 0), resend_range.after(mark), resend_range.COUNT_LIMIT
        counted, last = await replays.count(read, app_id, lower, end, limit=limit)
        if counted < limit:
            return Plan(resend_range.RangeCursor(lower, lower, end).text, counted, exact=True)
        first = await replays.first(read, app_id)
        return resend_range.plan_of(first, end, counted, last, limit)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        cursor = resend_range.decode(task.cursor or "")
        found = await purges.scan(read, task.app_id or "", cursor.first, cursor.end, limit=limit)
        kept = [(cursor.first, found.last_id)] if found.kept else []
        return Batch(kept, found.count, cursor.after(found.last_id).text, last=found.count < limit)

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        purged = 0
        for first, last in batch.items:
            purged += await purges.purge(tx, task.app_id or "", first, last)
        return ChunkResult(batch.scanned, counters={MESSAGES_PURGED: purged})

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        del read, task, limit
        return 0
