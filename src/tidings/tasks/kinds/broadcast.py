# SPDX-License-Identifier: MIT
"""`message.broadcast`: create the same message in every application that existed when the task started.

A chunk creates the messages of some applications and their deliveries, without leases, in one transaction. After the
commit it wakes the dispatcher. An application that already has a message with the event id, or that was deleted
meanwhile, is recorded as skipped with the reason.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from tidings import ids
from tidings.api.fields import UID, Channel, Name, Payload
from tidings.api.messages import MessageIn
from tidings.api.query import DryRunQuery
from tidings.api.routes import Access, Call, Route
from tidings.api.started import StartedOut, start_task
from tidings.api.wire import In
from tidings.core.idempotency import Response
from tidings.core.notifier import notify_after_commit
from tidings.core.services import Services
from tidings.errors import Fault
from tidings.ids import AppId, MessageId
from tidings.model.message import CHANNELS_MAX, RETENTION_DAYS, RETENTION_HOURS_MAX, AcceptedMessage, Draft
from tidings.model.routing import filtered, label_mismatch
from tidings.model.task import Batch, ChunkResult, NewTask, Plan, Task
from tidings.model.task_item import ItemOutcome
from tidings.model.task_kind import Effect, TaskResult
from tidings.model.token import Principal
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import apps, intake, routing, task_items
from tidings.storage.tables.key_ranges import APPLICATIONS
from tidings.tasks import key_ranges
from tidings.tasks.applications import first_applications, total_to
from tidings.tasks.command import CliCommand, CliParameter, Value, argument
from tidings.tasks.declaration import Declaration
from tidings.tasks.handler import ReadsAhead, TaskHandler
from tidings.tasks.key_ranges import RangeCursor

EVENT_ID_TAKEN: Final = "A message with this event id exists already."
APPLICATION_DELETED: Final = "The application was deleted while the task was in progress."


_SET: Final = Meta(extra_json_schema={"uniqueItems": True, "minItems": 1, "maxItems": CHANNELS_MAX})
_DAYS: Final = Meta(extra_json_schema={"minimum": 1, "maximum": RETENTION_DAYS, "format": "int64"})
_HOURS: Final = Meta(extra_json_schema={"minimum": 1, "maximum": RETENTION_HOURS_MAX, "format": "int64"})


class MessageBroadcastIn(In, kw_only=True):
    """The message to create in every application."""

    event_type: Name
    """The event type of the message. It need not exist."""
    payload: Payload
    """The payload to deliver."""
    event_id: Annotated[str | None, UID] = None
    """An identifier of your choice, unique in each application, without the prefix `msg_`."""
    channels: Annotated[list[Channel] | None, _SET] = None
    """The channels of the message, from 1 to 10. Null, the default, means none."""
    payload_retention_period: Annotated[int | None, _DAYS] = None
    """How long to keep the payload, in days, from 1 to 90. 90 by default."""
    payload_retention_hours: Annotated[int | None, _HOURS] = None
    """How long to keep the payload, in hours, from 1 to 2,160. Only one of the two units may be given."""

    def single(self) -> MessageIn:
        """Return the message as the body of a request for one application."""
        return MessageIn(
            event_type=self.event_type,
            payload=self.payload,
            event_id=self.event_id,
            channels=self.channels,
            payload_retention_period=self.payload_retention_period,
            payload_retention_hours=self.payload_retention_hours,
        )

    def faults(self) -> Iterator[Fault]:
        """Yield the same faults as for a message to one application."""
        yield from self.single().faults()


class MessageBroadcastOut(StartedOut, kw_only=True):
    """The background task that creates the messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastArgs:
    """The stored arguments, without the payload.

    `high_water_mark` is the greatest application id, None if not known at creation.
    """

    event_type: str
    event_id: str | None
    channels: tuple[str, ...] | None
    retention_ms: int
    high_water_mark: str | None = None


async def broadcast(call: Call[DryRunQuery, MessageBroadcastIn]) -> Response:
    """Start a task that creates the message in every application that exists when it begins."""
    services, principal = call.context.services, call.principal
    draft = call.body.single().drafted(services.clock)
    return await start_task(call, MessageBroadcastOut, lambda tx: build_task(services, tx, principal, draft))


async def build_task(services: Services, read: Read, principal: Principal, draft: Draft) -> NewTask:
    """Build the task of an organization; the payload is stored beside its arguments."""
    del services
    args = BroadcastArgs(
        event_type=draft.event_type,
        event_id=draft.event_id,
        channels=draft.channels,
        retention_ms=draft.retention_ms,
        high_water_mark=await APPLICATIONS.high_water_mark_at_start(read, principal.org_id),
    )
    return KIND.on_organization(principal, args, payload=draft.payload)


_args: Final = msgspec.json.Decoder(BroadcastArgs)


class Broadcast(TaskHandler, ReadsAhead):
    """Creates one message in many applications."""

    async def plan(self, read: Read, task: Task) -> Plan:
        mark = _args.decode(task.args).high_water_mark
        last = mark if mark is not None else await APPLICATIONS.high_water_mark(read, task.org_id)
        return Plan(
            RangeCursor("", "", last).text, *await total_to(read, task.org_id, last, limit=self._tuning.count_limit)
        )

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        cursor = key_ranges.decode(task.cursor or "")
        payload = await task_items.input_of(read, task.id)
        limit = min(limit, max(1, self._tuning.broadcast_bytes // max(1, len(payload))))
        page = await apps.app_refs(read, task.org_id, after=cursor.first, last=cursor.end, limit=limit)
        is_last = len(page) < limit
        found = [each.id for each in page]
        taken = _fitting(found, await routing.count_enabled_endpoints(read, found), self._tuning.broadcast_deliveries)
        after = found[taken - 1] if taken else cursor.first
        following = RangeCursor(after, cursor.lower, cursor.end).text
        return Batch(
            [(each, payload) for each in found[:taken]], taken, following, last=is_last and taken == len(found)
        )

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        args, now = _args.decode(task.args), self._clock.now()
        app_ids = [app_id for app_id, _ in batch.items]
        existing = await routing.existing_apps(tx, app_ids)
        drafted = [_message(task, args, app_id, payload, now) for app_id, payload in batch.items if app_id in existing]
        taken = await intake.claim_event_ids(tx, drafted)
        created: dict[str, str] = {each.app_id: each.id for each in drafted if each.id not in taken}
        if created:
            await intake.add(tx, [each for each in drafted if each.id not in taken])
        await self._send(tx, task, args, batch.items[0][1] if batch.items else b"", created)
        failed = {app_id: _reason(app_id in existing) for app_id in app_ids if app_id not in created}
        await task_items.add(
            tx, [(task.id, app, ItemOutcome.CREATED, _created_item(app, msg)) for app, msg in created.items()]
        )
        await task_items.add(tx, [(task.id, app, ItemOutcome.SKIPPED, reason) for app, reason in failed.items()])
        return ChunkResult(len(created), list(failed.items()))

    async def _send(self, tx: Write, task: Task, args: BroadcastArgs, payload: bytes, created: dict[str, str]) -> None:
        endpoints = await routing.enabled_endpoints(tx, list(created))
        candidates = [each for each in endpoints if label_mismatch(each, args.event_type, args.channels) is None]
        matching = filtered(candidates, payload)
        owner = task.org_id
        rows = [(created[each.app_id], each.id, each.app_id, owner, self._clock.now(), task.id) for each in matching]
        await routing.add_deliveries(tx, rows)
        if matching:
            woken = [each.id for each in matching]
            notify_after_commit(tx, lambda: self._notifier.deliveries(woken))

    async def sample(self, read: Read, task: Task, limit: int) -> Sequence[str]:
        return await first_applications(read, task, limit)


def _fitting(app_ids: list[str], endpoints: Mapping[str, int], most: int) -> int:
    """Return the number of applications in the next chunk: at least one, and within `most` deliveries."""
    deliveries = 0
    for count, app_id in enumerate(app_ids):
        deliveries += endpoints.get(app_id, 0)
        if deliveries > most and count:
            return count
    return len(app_ids)


def _message(task: Task, args: BroadcastArgs, app_id: str, payload: bytes, now: int) -> AcceptedMessage:
    draft = Draft(args.event_type, payload, args.event_id, args.channels, args.retention_ms)
    return draft.accepted(MessageId(ids.new(ids.MESSAGE, now)), AppId(app_id), task.org_id, now)


def _reason(exists: bool) -> str:  # noqa: FBT001 - private, with two calls
    return EVENT_ID_TAKEN if exists else APPLICATION_DELETED


def _created_item(app_id: str, msg_id: str) -> str:
    return json.dumps({"appId": app_id, "msgId": msg_id})


KIND: Final = Declaration(
    name="message.broadcast",
    summary="Create a message in every application",
    place=4,
    args=BroadcastArgs,
    handler=Broadcast,
    result=TaskResult(lists=(("messagesCreated", ItemOutcome.CREATED), ("messagesFailed", ItemOutcome.SKIPPED))),
    effects=frozenset({Effect.CREATES}),
    first_rate=1_000,
    route=Route(
        method="POST",
        path="/msg/broadcast",
        operation="v1.message.broadcast",
        tag="Broadcast",
        summary="Broadcast a message to every application",
        access=Access.ORG,
        query=DryRunQuery,
        body=MessageBroadcastIn,
        handler=broadcast,
        responses={202: MessageBroadcastOut},
    ),
    command=CliCommand(
        "broadcast",
        "Send a message to every application.",
        (
            argument("EVENT_TYPE", "eventType", "The message's event type."),
            argument("PAYLOAD", "payload", "A JSON object, @file, or - for standard input.", value=Value.JSON),
            CliParameter(
                name="event-id",
                key="eventId",
                help="Event id of the message. Applications that have a message with it are skipped.",
            ),
            CliParameter(
                name="channel",
                key="channels",
                help="A channel of the message; may be repeated.",
                value=Value.TEXTS,
            ),
        ),
    ),
)
