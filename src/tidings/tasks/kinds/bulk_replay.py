# SPDX-License-Identifier: MIT
"""`endpoint.bulk-replay`: resend selected messages of an endpoint.

The task visits the messages of an application in a fixed range, in the order of their ids, each once. It resends a
message that has at least one attempt, successful or not, and matches the filters of the request. With the filter
`state`, it resends the messages that the list of undelivered messages has. Messages whose payload was deleted are
recorded as skipped.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from tidings import ids
from tidings.api.fields import CHANNEL, TAG, Name
from tidings.api.routes import Access, Call, Route
from tidings.api.started import start_task
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.errors import Fault
from tidings.model import text
from tidings.model.app import App
from tidings.model.attempt import MessageStatus, StatusCodeClass
from tidings.model.endpoint_rules import NAMES_MAX
from tidings.model.faults import count_faults, set_faults, unique
from tidings.model.message import MessageFilter
from tidings.model.resending import ReplayFilters
from tidings.model.task import NewTask, Task
from tidings.model.task_kind import Effect
from tidings.model.token import Capability
from tidings.model.undelivered import UndeliveredState
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import key_ranges, replays
from tidings.storage.tables.key_ranges import Scanned
from tidings.storage.tables.replays import MessageRange, ReplayTarget
from tidings.tasks import command, resending
from tidings.tasks.command import CliCommand, CliParameter, Value
from tidings.tasks.declaration import Declaration
from tidings.tasks.key_ranges import RangeCursor
from tidings.tasks.resending import ForceQuery, ReplayOut, ResendArgs, Resending, ResendWindow, WindowIn


class BulkReplayIn(WindowIn, kw_only=True):
    """The messages to resend, whatever their outcome. Filters that are absent match every message."""

    event_types: Annotated[list[Name] | None, Meta(extra_json_schema={"uniqueItems": True, "maxItems": NAMES_MAX})] = (
        None
    )
    """Only messages of these event types, at most 500."""
    channel: Annotated[str | None, CHANNEL] = None
    """Only messages with this channel."""
    tag: Annotated[str | None, TAG] = None
    """Only messages with this tag."""
    status: MessageStatus | None = None
    """Only messages whose latest attempt has this status. A failed one that will be retried is 3 (sending)."""
    status_code_class: StatusCodeClass | None = None
    """Only messages whose latest attempt has a status code of this class."""
    state: UndeliveredState | None = None
    """Only undelivered messages in this state: those that the list of undelivered messages has with the same filters.
    A message that is scheduled is sent now."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from super().faults()
        yield from count_faults("eventTypes", self.event_types, NAMES_MAX)
        yield from set_faults("eventTypes", map(text.name_error, self.event_types or ()))
        for name, value, rule in (
            ("channel", self.channel, text.channel_error),
            ("tag", self.tag, text.tag_error),
        ):
            wrong = None if value is None else rule(value)
            if wrong is not None:
                yield Fault(("body", name, "__all__"), wrong)

    def filters(self) -> ReplayFilters:
        """Return the filters of the messages to resend."""
        return ReplayFilters(
            messages=MessageFilter(
                event_types=unique(self.event_types) or (),
                channel=self.channel,
                tag=self.tag,
            ),
            status=self.status,
            code_class=self.status_code_class,
            state=self.state,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkReplayArgs(ResendArgs):
    """The stored arguments; the range is one of message ids."""

    filters: ReplayFilters = field(default_factory=ReplayFilters)


async def bulk_replay(call: Call[ForceQuery, BulkReplayIn]) -> Response:
    """Start a task that resends messages that the endpoint was sent before, whatever their outcome.

    A disabled endpoint is a 422 unless `force` is set.
    """
    services, app, request, filters = call.context.services, call.app, resending.request_of(call), call.body.filters()
    return await start_task(call, ReplayOut, lambda tx: build_task(services, tx, app, request, filters))


async def build_task(
    services: Services, read: Read, app: App, request: ResendWindow, filters: ReplayFilters
) -> NewTask:
    """Check a request, and build its task."""
    until = resending.checked_window(request, services.clock.now())
    endpoint = await resending.require_enabled_endpoint(read, app, request)
    args = BulkReplayArgs(
        endpoint_id=endpoint.id,
        since=request.since,
        until=until,
        high_water_mark=await key_ranges.MESSAGES.high_water_mark_at_start(read, app.id),
        force=request.force,
        filters=filters,
    )
    return KIND.on_endpoint(app, endpoint.id, args, request.created_by, request.rate_limit)


class BulkReplay(Resending[BulkReplayArgs]):
    """Resends messages that one endpoint was sent before."""

    rows = key_ranges.MESSAGES
    prefix = ids.MESSAGE
    args = msgspec.json.Decoder(BulkReplayArgs)

    def owner(self, task: Task, args: BulkReplayArgs) -> str:
        del args
        return task.app_id or ""

    async def scan(self, read: Read, task: Task, cursor: RangeCursor, limit: int) -> Scanned:
        args = self.args.decode(task.args)
        part = MessageRange(task.app_id or "", cursor.first, cursor.end, limit)
        return await replays.sent(read, args.endpoint_id, part, args.filters, self._clock.now())

    async def send(self, tx: Write, args: BulkReplayArgs, target: ReplayTarget, msg_ids: list[str]) -> int:
        return await replays.send_any(tx, target, msg_ids, args.filters)


_FILTERS: Final = (
    CliParameter(
        name="event-type",
        key="eventTypes",
        help="Only messages with this event type; may be repeated.",
        value=Value.TEXTS,
    ),
    CliParameter(name="channel", key="channel", help="Only messages with this channel."),
    CliParameter(name="tag", key="tag", help="Only messages with this tag."),
    CliParameter(
        name="status",
        key="status",
        help="Only messages with this status: 0 is success, 2 is failure, 3 is scheduled for a retry.",
        value=Value.NUMBER,
        minimum=0,
        maximum=4,
    ),
    CliParameter(
        name="code-class",
        key="statusCodeClass",
        help="Only messages whose response status was in this class: 0 (no response), 100, 200, … 500.",
        value=Value.NUMBER,
    ),
    CliParameter(
        name="state",
        key="state",
        help="Only undelivered messages in this state: scheduled, in_flight or exhausted.",
    ),
)
KIND: Final = Declaration(
    name="endpoint.bulk-replay",
    old_name="endpoint.bulk_replay",
    summary="Resend selected messages of an endpoint",
    place=8,
    args=BulkReplayArgs,
    handler=BulkReplay,
    result=resending.RESULT,
    effects=frozenset({Effect.RESENDS}),
    lock=resending.LOCK,
    first_rate=resending.FIRST_RATE,
    route=Route(
        method="POST",
        path=f"{resending.PATH}/bulk-replay",
        operation="v1.endpoint.bulk-replay",
        tag=resending.TAG,
        summary="Resend selected messages of an endpoint",
        access=Access.APP,
        needs=Capability.CREATE_ATTEMPTS,
        query=ForceQuery,
        body=BulkReplayIn,
        handler=bulk_replay,
        responses={202: ReplayOut},
    ),
    command=CliCommand(
        "bulk-replay",
        "Resend messages that an endpoint was sent before, delivered or not.",
        (command.APP, command.ENDPOINT, command.SINCE, command.UNTIL, *_FILTERS, command.RATE, command.FORCE),
    ),
)
