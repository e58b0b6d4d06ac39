# SPDX-License-Identifier: MIT
"""`application.purge_content`: delete the payloads of all messages that an application had when the task started.

Outstanding deliveries of these messages are not sent: delivery finds no payload and discards them.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from tidings import ids
from tidings.api.query import DryRunQuery
from tidings.api.routes import Access, Call, Nothing, Route
from tidings.api.started import StartedOut, start_task
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.model.app import App
from tidings.model.task import Batch, ChunkResult, NewTask, Plan, Task
from tidings.model.task_kind import Effect, TaskResult
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import messages
from tidings.storage.tables.key_ranges import MESSAGES, PAYLOADS
from tidings.tasks import command, key_ranges
from tidings.tasks.command import CliCommand
from tidings.tasks.declaration import Declaration
from tidings.tasks.handler import SAMPLE, DryRunPart, ReadsAhead, TaskHandler
from tidings.tasks.key_ranges import range_to_mark

MESSAGES_PURGED: Final = "messagesPurged"


class ExpungeAllContentsOut(StartedOut, kw_only=True):
    """The background task that deletes payloads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeArgs:
    """The stored arguments; `high_water_mark` is the greatest message id, None if not known at creation."""

    high_water_mark: str | None = None


async def expunge(call: Call[DryRunQuery, Nothing]) -> Response:
    """Start a task that deletes the payloads of the messages that exist when it begins.

    Their pending deliveries are discarded; the messages stay.
    """
    services, app, created_by = call.context.services, call.app, call.principal.subject
    return await start_task(call, ExpungeAllContentsOut, lambda tx: build_task(services, tx, app, created_by))


async def build_task(services: Services, read: Read, app: App, created_by: str) -> NewTask:
    """Build a task that deletes the payloads of all messages of an application."""
    del services
    args = PurgeArgs(high_water_mark=await MESSAGES.high_water_mark_at_start(read, app.id))
    return KIND.on_app(app, args, created_by)


_args: Final = msgspec.json.Decoder(PurgeArgs)


class Purge(TaskHandler, ReadsAhead):
    """Deletes the payloads of all messages of one application."""

    async def plan(self, read: Read, task: Task) -> Plan:
        mark, lower = _args.decode(task.args).high_water_mark, ids.first_at(ids.MESSAGE, 0)
        found = await range_to_mark(read, MESSAGES, task.app_id or "", lower, mark)
        return await found.plan(read, limit=self._tuning.count_limit)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        cursor = key_ranges.decode(task.cursor or "")
        found = await PAYLOADS.count(read, task.app_id or "", cursor.first, cursor.end, limit=limit)
        kept = [(cursor.first, found.last_id)] if found.matching else []
        return Batch(kept, found.count, cursor.after(found.last_id).text, last=found.count < limit)

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        purged = 0
        for first, last in batch.items:
            purged += await messages.purge(tx, task.app_id or "", first, last)
        return ChunkResult(batch.scanned, counters={MESSAGES_PURGED: purged})

    async def scan_dry(self, read: Read, task: Task, limit: int) -> DryRunPart:
        """Scan for the payloads that the task would delete."""
        cursor, app_id = key_ranges.decode(task.cursor or ""), task.app_id or ""
        found = await PAYLOADS.count(read, app_id, cursor.first, cursor.end, limit=limit)
        is_first = cursor.first == cursor.lower
        sample = await messages.with_payload(read, app_id, cursor.first, cursor.end, limit=SAMPLE) if is_first else ()
        after = cursor.after(found.last_id).text
        return DryRunPart(found.count, found.matching, after, last=found.count < limit, sample=sample)


KIND: Final = Declaration(
    name="application.purge_content",
    summary="Delete the payloads of an application",
    place=7,
    args=PurgeArgs,
    handler=Purge,
    result=TaskResult((MESSAGES_PURGED,)),
    effects=frozenset({Effect.PURGES}),
    lock="purge",
    first_rate=20_000,
    route=Route(
        method="POST",
        path="/app/{app_id}/msg/expunge-all-contents",
        operation="v1.message.expunge-all-contents",
        tag="Message",
        summary="Delete the payloads of all messages of an application",
        access=Access.ORG,
        query=DryRunQuery,
        body=Nothing,
        handler=expunge,
        responses={202: ExpungeAllContentsOut},
    ),
    command=CliCommand(
        "purge", "Delete the payloads of all messages of an application. This cannot be undone.", (command.APP,)
    ),
)
