# SPDX-License-Identifier: MIT
"""`endpoint.recover`: resend every message that failed in a time range and was never delivered.

The range is a range of attempt ids of one endpoint, fixed when the task starts. The task visits its attempts in order.
At the first failed attempt of a message it resends the message, unless a later attempt succeeded or the payload was
deleted. So the task keeps no list of messages, and sends each message once, however often it failed. Attempts that the
task itself causes are after the end of the range.
"""

from typing import Final

import msgspec

from tidings import ids
from tidings.clock import Clock
from tidings.core.notifier import Notifier, notify_after_commit
from tidings.model.recovery import RecoverArgs
from tidings.model.results import MESSAGES_SENT
from tidings.model.task import RECOVER, Batch, ChunkResult, Plan, Task
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import deliveries, recovery, replays
from tidings.storage.tables.recovery import ScanVerdict
from tidings.storage.tables.replays import ReplayTarget
from tidings.tasks.handler import ReadsAhead
from tidings.tasks.kinds import resend_range
from tidings.tasks.kinds.resend_range import PAYLOAD_EXPIRED

_args: Final = msgspec.json.Decoder(RecoverArgs)


class Recover(ReadsAhead):
    """Resends the failed messages of one endpoint."""

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
        limit = resend_range.COUNT_LIMIT
        counted, last = await recovery.count(read, args.endpoint_id, lower, end, limit=limit)
        return resend_range.plan_of(lower, end, counted, last, limit)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        cursor = resend_range.decode(task.cursor or "")
        found = await recovery.scan(
            read,
            _args.decode(task.args).endpoint_id,
            lower=cursor.lower,
            first=cursor.first,
            end=cursor.end,
            limit=limit,
        )
        return Batch(found.verdicts, found.count, cursor.after(found.last_id).text, last=found.count < limit)

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        args = _args.decode(task.args)
        await resend_range.require_endpoint(tx, args.endpoint_id, wait_while_disabled=args.force)
        target = ReplayTarget(args.endpoint_id, task.app_id or "", task.org_id, task.id, self._clock.now())
        sent = await replays.send_failed(
            tx, target, [msg_id for msg_id, verdict in batch.items if verdict is ScanVerdict.SEND]
        )
        if sent:
            notify_after_commit(tx, lambda: self._notifier.deliveries([args.endpoint_id]))
        skipped = [(msg_id, PAYLOAD_EXPIRED) for msg_id, verdict in batch.items if verdict is ScanVerdict.NO_PAYLOAD]
        return ChunkResult(batch.scanned - len(skipped), skipped, {MESSAGES_SENT: sent}, made=sent)

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        return await deliveries.backlog(read, _args.decode(task.args).endpoint_id, limit=limit)
