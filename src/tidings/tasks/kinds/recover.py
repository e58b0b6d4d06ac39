# SPDX-License-Identifier: MIT
"""`endpoint.recover`: send every message again that failed in a window and never got through.

The range covers attempt ids of one endpoint, closed when the task begins. Each attempt in it is visited in
order; a message is sent again at the first of its failures, unless it has succeeded since or its payload is gone.
So no list of messages is kept, a message comes once however often it failed, and attempts that the task itself
causes lie after the end of the range.
"""

from typing import Final

import msgspec

from tidings import ids
from tidings.clock import Clock
from tidings.core.notifier import Notifier, notify_after_commit
from tidings.model.recovery import RecoverArgs
from tidings.model.results import MESSAGES_SENT
from tidings.model.task import RECOVER, Batch, ChunkResult, Plan, Task
from tidings.storage import deliveries, recovery, replays
from tidings.storage.database import Read, Write
from tidings.storage.recovery import ScanVerdict
from tidings.storage.replays import ReplayTarget
from tidings.tasks.handler import ReadsAhead
from tidings.tasks.kinds import resend_range
from tidings.tasks.kinds.resend_range import PAYLOAD_GONE

_args: Final = msgspec.json.Decoder(RecoverArgs)


class Recover(ReadsAhead):
    """Sends failed messages of one endpoint again."""

    kind = RECOVER

    def __init__(self, clock: Clock, notifier: Notifier) -> None:
        self._clock = clock
        self._notifier = notifier

    async def plan(self, read: Read, task: Task) -> Plan:
        args = _args.decode(task.args)
        lower = ids.first_at(ids.ATTEMPT, args.since)
        if args.until is not None:
            end = ids.first_at(ids.ATTEMPT, args.until)
        else:
            mark = args.high_water_mark
            if mark is None:
                mark = await recovery.high_water_mark(read, args.endpoint_id)
            end = resend_range.after(mark)
        most = resend_range.COUNT_LIMIT
        counted, last = await recovery.count(read, args.endpoint_id, lower, end, limit=most)
        return resend_range.plan_of(lower, end, counted, last, most)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        place = resend_range.decode(task.cursor or "")
        found = await recovery.scan(
            read,
            _args.decode(task.args).endpoint_id,
            lower=place.lower,
            first=place.first,
            end=place.end,
            limit=limit,
        )
        return Batch(found.verdicts, found.count, place.after(found.last_id).text, last=found.count < limit)

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        args = _args.decode(task.args)
        await resend_range.require_endpoint(tx, args.endpoint_id, wait_while_disabled=args.force)
        target = ReplayTarget(args.endpoint_id, task.app_id or "", task.org_id, task.id, self._clock.now())
        sent = await replays.send_failed(
            tx, target, [msg_id for msg_id, does in batch.items if does is ScanVerdict.SEND]
        )
        if sent:
            notify_after_commit(tx, lambda: self._notifier.deliveries([args.endpoint_id]))
        skipped = [(msg_id, PAYLOAD_GONE) for msg_id, does in batch.items if does is ScanVerdict.NO_PAYLOAD]
        return ChunkResult(batch.scanned - len(skipped), skipped, {MESSAGES_SENT: sent}, made=sent)

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        return await deliveries.backlog(read, _args.decode(task.args).endpoint_id, limit=limit)
