# SPDX-License-Identifier: MIT
"""The shared parts of the kinds that resend messages to one endpoint: they scan a range and request sends."""

from typing import Final, Generic, TypeVar

import msgspec

from tidings import ids
from tidings.clock import Clock
from tidings.core.notifier import Notifier, notify_after_commit
from tidings.model.resending import ResendArgs
from tidings.model.results import MESSAGES_SENT
from tidings.model.task import Batch, ChunkResult, MustWait, PermanentFailure, Plan, Task
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import deliveries, recovery
from tidings.storage.tables.key_ranges import OwnedRows, Scanned, ScanVerdict
from tidings.storage.tables.replays import ReplayTarget
from tidings.tasks import key_ranges
from tidings.tasks.handler import ReadsAhead
from tidings.tasks.key_ranges import OwnedRange, RangeCursor, range_to_mark

PAYLOAD_EXPIRED: Final = "payload_expired"

ArgsT = TypeVar("ArgsT", bound=ResendArgs)


class Resending(ReadsAhead, Generic[ArgsT]):
    """A kind that visits a range of rows, and sends the messages that its scan finds to one endpoint."""

    kind: str
    rows: OwnedRows
    prefix: str
    """The prefix of the ids in the range."""
    args: msgspec.json.Decoder[ArgsT]

    def __init__(self, clock: Clock, notifier: Notifier) -> None:
        self._clock = clock
        self._notifier = notifier

    def owner(self, task: Task, args: ArgsT) -> str:
        """Return the owner of the rows: the endpoint, or the application."""
        raise NotImplementedError

    async def scan(self, read: Read, task: Task, cursor: RangeCursor, limit: int) -> Scanned:
        """Scan the next rows, and give each a verdict."""
        raise NotImplementedError

    async def send(self, tx: Write, args: ArgsT, target: ReplayTarget, msg_ids: list[str]) -> int:
        """Request sends of messages that the scan has found; return how many."""
        raise NotImplementedError

    async def plan(self, read: Read, task: Task) -> Plan:
        args = self.args.decode(task.args)
        owner, lower = self.owner(task, args), ids.first_at(self.prefix, args.since)
        if args.until is not None:
            found = OwnedRange(self.rows, owner, lower, ids.first_at(self.prefix, args.until))
        else:
            found = await range_to_mark(read, self.rows, owner, lower, args.high_water_mark)
        return await found.plan(read, limit=key_ranges.COUNT_LIMIT)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        cursor = key_ranges.decode(task.cursor or "")
        found = await self.scan(read, task, cursor, limit)
        return Batch(found.verdicts, found.count, cursor.after(found.last_id).text, last=found.count < limit)

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        args = self.args.decode(task.args)
        await _require_endpoint(tx, args.endpoint_id, wait_while_disabled=args.force)
        target = ReplayTarget(args.endpoint_id, task.app_id or "", task.org_id, task.id, self._clock.now())
        sent = await self.send(
            tx, args, target, [msg_id for msg_id, verdict in batch.items if verdict is ScanVerdict.SEND]
        )
        if sent:
            notify_after_commit(tx, lambda: self._notifier.deliveries([args.endpoint_id]))
        skipped = [(msg_id, PAYLOAD_EXPIRED) for msg_id, verdict in batch.items if verdict is ScanVerdict.NO_PAYLOAD]
        return ChunkResult(batch.scanned - len(skipped), skipped, {MESSAGES_SENT: sent}, made=sent)

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        return await deliveries.backlog(read, self.args.decode(task.args).endpoint_id, limit=limit)


async def _require_endpoint(tx: Write, endpoint_id: str, *, wait_while_disabled: bool) -> None:
    """Require that an endpoint exists and is enabled. With `wait_while_disabled`, wait for it."""
    disabled = await recovery.is_disabled(tx, endpoint_id)
    if disabled is None:
        raise PermanentFailure("endpoint_deleted", "The endpoint was deleted while the task was in progress.")
    if disabled and wait_while_disabled:
        raise MustWait
    if disabled:
        raise PermanentFailure("endpoint_disabled", "The endpoint was disabled while the task was in progress.")
