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
from tidings.storage.tables import purges
from tidings.storage.tables.key_ranges import MESSAGES, PAYLOADS
from tidings.tasks import key_ranges
from tidings.tasks.handler import ReadsAhead
from tidings.tasks.key_ranges import range_to_mark

_args = msgspec.json.Decoder(PurgeArgs)


class Purge(ReadsAhead):
    """Deletes the payloads of all messages of one application."""

    kind = PURGE_CONTENT

    async def plan(self, read: Read, task: Task) -> Plan:
        mark, lower = _args.decode(task.args).high_water_mark, ids.first_at(ids.MESSAGE, 0)
        found = await range_to_mark(read, MESSAGES, task.app_id or "", lower, mark)
        return await found.plan(read, limit=key_ranges.COUNT_LIMIT)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        cursor = key_ranges.decode(task.cursor or "")
        found = await PAYLOADS.count(read, task.app_id or "", cursor.first, cursor.end, limit=limit)
        kept = [(cursor.first, found.last_id)] if found.matching else []
        return Batch(kept, found.count, cursor.after(found.last_id).text, last=found.count < limit)

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        purged = 0
        for first, last in batch.items:
            purged += await purges.purge(tx, task.app_id or "", first, last)
        return ChunkResult(batch.scanned, counters={MESSAGES_PURGED: purged})

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        del read, task, limit
        return 0
