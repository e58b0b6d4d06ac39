# SPDX-License-Identifier: MIT
"""`endpoint.replay` and `endpoint.bulk-replay`: send what an endpoint was never sent, or again what it was.

Both visit the application's messages of a closed range in the order of their ids, each once. The first asks whether
the endpoint wants a message, by the filters that it has then, and sends it if there is no attempt and nothing
outstanding. The second takes what was attempted at least once and matches the filters of the request, whatever came
of it. Messages of which the payload is gone are skipped, and told.
"""

from typing import Final

import msgspec

from tidings import ids
from tidings.clock import Clock
from tidings.core.notifier import Notifier, notify_after_commit
from tidings.model.resending import ReplayArgs
from tidings.model.results import MESSAGES_SENT
from tidings.model.task import BULK_REPLAY, REPLAY, Batch, ChunkResult, Plan, Task
from tidings.storage import deliveries, replays
from tidings.storage.database import Read, Write
from tidings.storage.recovery import Scanned, ScanVerdict
from tidings.storage.replays import MessageRange, ReplayTarget
from tidings.tasks.handler import ReadsAhead
from tidings.tasks.kinds import resend_range
from tidings.tasks.kinds.resend_range import PAYLOAD_GONE

_args: Final = msgspec.json.Decoder(ReplayArgs)


class Replay(ReadsAhead):
    """Sends messages that one endpoint was never sent."""

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
        most = resend_range.COUNT_LIMIT
        counted, last = await replays.count(read, app_id, lower, end, limit=most)
        return resend_range.plan_of(lower, end, counted, last, most)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        place = resend_range.decode(task.cursor or "")
        part = MessageRange(task.app_id or "", place.first, place.end, limit)
        found = await self._scan(read, _args.decode(task.args), part)
        return Batch(found.verdicts, found.count, place.after(found.last_id).text, last=found.count < limit)

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        args = _args.decode(task.args)
        await resend_range.require_endpoint(tx, args.endpoint_id, wait_while_disabled=args.force)
        target = ReplayTarget(args.endpoint_id, task.app_id or "", task.org_id, task.id, self._clock.now())
        sent = await self._send(tx, args, target, [msg_id for msg_id, does in batch.items if does is ScanVerdict.SEND])
        if sent:
            notify_after_commit(tx, lambda: self._notifier.deliveries([args.endpoint_id]))
        skipped = [(msg_id, PAYLOAD_GONE) for msg_id, does in batch.items if does is ScanVerdict.NO_PAYLOAD]
        return ChunkResult(batch.scanned - len(skipped), skipped, {MESSAGES_SENT: sent}, made=sent)

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        return await deliveries.backlog(read, _args.decode(task.args).endpoint_id, limit=limit)

    async def _scan(self, read: Read, args: ReplayArgs, part: MessageRange) -> Scanned:
        return await replays.missing(read, args.endpoint_id, part)

    async def _send(self, tx: Write, args: ReplayArgs, target: ReplayTarget, msg_ids: list[str]) -> int:
        del args
        return await replays.send_missing(tx, target, msg_ids)


class BulkReplay(Replay):
    """Sends messages again that one endpoint was sent before."""

    kind = BULK_REPLAY

    async def _scan(self, read: Read, args: ReplayArgs, part: MessageRange) -> Scanned:
        return await replays.sent(read, args.endpoint_id, part, args.filters)

    async def _send(self, tx: Write, args: ReplayArgs, target: ReplayTarget, msg_ids: list[str]) -> int:
        return await replays.send_any(tx, target, msg_ids, args.filters.status)
