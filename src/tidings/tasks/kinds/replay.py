# SPDX-License-Identifier: MIT
"""`endpoint.replay` and `endpoint.bulk-replay`: send messages that an endpoint missed, or resend its messages.

Both kinds visit the messages of an application in a fixed range, in the order of their ids, each once.
`endpoint.replay` sends a message that matches the current filters of the endpoint and has neither an attempt nor an
outstanding delivery. `endpoint.bulk-replay` resends a message that has at least one attempt, successful or not, and
matches the filters of the request. Messages whose payload was deleted are recorded as skipped.
"""

from typing import Final

import msgspec

from tidings import ids
from tidings.clock import Clock
from tidings.core.notifier import Notifier, notify_after_commit
from tidings.model.resending import ReplayArgs
from tidings.model.results import MESSAGES_SENT
from tidings.model.task import BULK_REPLAY, REPLAY, Batch, ChunkResult, Plan, Task
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import deliveries, replays
from tidings.storage.tables.recovery import Scanned, ScanVerdict
from tidings.storage.tables.replays import MessageRange, ReplayTarget
from tidings.tasks.handler import ReadsAhead
from tidings.tasks.kinds import resend_range
from tidings.tasks.kinds.resend_range import PAYLOAD_EXPIRED

_args: Final = msgspec.json.Decoder(ReplayArgs)


class Replay(ReadsAhead):
    """Sends the messages that one endpoint was never sent."""

    kind = REPLAY

    def __init__(self, clock: Clock, notifier: Notifier) -> None:
        self._clock = clock
        self._notifier = notifier

    async def plan(self, read: Read, task: Task) -> Plan:
        args, app_id = _args.decode(task.args), task.app_id or ""
        lower = ids.first_at(ids.MESSAGE, args.since)
        if args.until is not None:
            end = ids.first_at(ids.MESSAGE, args.until)
        else:
            mark = args.high_water_mark
            if mark is None:
                mark = await replays.high_water_mark(read, app_id)
            end = resend_range.after(mark)
        limit = resend_range.COUNT_LIMIT
        counted, last = await replays.count(read, app_id, lower, end, limit=limit)
        return resend_range.plan_of(lower, end, counted, last, limit)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        cursor = resend_range.decode(task.cursor or "")
        part = MessageRange(task.app_id or "", cursor.first, cursor.end, limit)
        found = await self._scan(read, _args.decode(task.args), part)
        return Batch(found.verdicts, found.count, cursor.after(found.last_id).text, last=found.count < limit)

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        args = _args.decode(task.args)
        await resend_range.require_endpoint(tx, args.endpoint_id, wait_while_disabled=args.force)
        target = ReplayTarget(args.endpoint_id, task.app_id or "", task.org_id, task.id, self._clock.now())
        sent = await self._send(
            tx, args, target, [msg_id for msg_id, verdict in batch.items if verdict is ScanVerdict.SEND]
        )
        if sent:
            notify_after_commit(tx, lambda: self._notifier.deliveries([args.endpoint_id]))
        skipped = [(msg_id, PAYLOAD_EXPIRED) for msg_id, verdict in batch.items if verdict is ScanVerdict.NO_PAYLOAD]
        return ChunkResult(batch.scanned - len(skipped), skipped, {MESSAGES_SENT: sent}, made=sent)

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        return await deliveries.backlog(read, _args.decode(task.args).endpoint_id, limit=limit)

    async def _scan(self, read: Read, args: ReplayArgs, part: MessageRange) -> Scanned:
        return await replays.missing(read, args.endpoint_id, part)

    async def _send(self, tx: Write, args: ReplayArgs, target: ReplayTarget, msg_ids: list[str]) -> int:
        del args
        return await replays.send_missing(tx, target, msg_ids)


class BulkReplay(Replay):
    """Resends messages that one endpoint was sent before."""

    kind = BULK_REPLAY

    async def _scan(self, read: Read, args: ReplayArgs, part: MessageRange) -> Scanned:
        return await replays.sent(read, args.endpoint_id, part, args.filters)

    async def _send(self, tx: Write, args: ReplayArgs, target: ReplayTarget, msg_ids: list[str]) -> int:
        return await replays.send_any(tx, target, msg_ids, args.filters.status)
