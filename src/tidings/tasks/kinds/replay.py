# SPDX-License-Identifier: MIT
"""`endpoint.replay`: send the messages that an endpoint missed.

The task visits the messages of an application in a fixed range, in the order of their ids, each once. It sends a
message that matches the current filters of the endpoint and has neither an attempt nor an outstanding delivery.
Messages whose payload was deleted are recorded as skipped.

Where the endpoint has a payload filter, a chunk ends when the payloads that it loads have a number of bytes.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from tidings import ids
from tidings.api.routes import Access, Call, Route
from tidings.api.started import start_task
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.model.app import App
from tidings.model.task import NewTask, Task
from tidings.model.task_kind import Effect
from tidings.model.token import Capability
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import key_ranges, replays
from tidings.storage.tables.key_ranges import Scanned
from tidings.storage.tables.replays import MessageRange, ReplayTarget
from tidings.tasks import command, resending
from tidings.tasks.command import CliCommand
from tidings.tasks.declaration import Declaration
from tidings.tasks.key_ranges import RangeCursor
from tidings.tasks.resending import ForceQuery, ReplayOut, ResendArgs, Resending, ResendWindow, WindowIn


class ReplayIn(WindowIn, kw_only=True):
    """The time range whose missed messages to send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayArgs(ResendArgs):
    """The stored arguments; the range is one of message ids."""


async def replay_missing(call: Call[ForceQuery, ReplayIn]) -> Response:
    """Start a task that sends messages that the endpoint never received, by its current filters.

    A disabled endpoint is a 422 unless `force` is set.
    """
    services, app, request = call.context.services, call.app, resending.request_of(call)
    return await start_task(call, ReplayOut, lambda tx: build_task(services, tx, app, request))


async def build_task(services: Services, read: Read, app: App, request: ResendWindow) -> NewTask:
    """Check a request, and build its task."""
    until = resending.checked_window(request, services.clock.now())
    endpoint = await resending.require_enabled_endpoint(read, app, request)
    args = ReplayArgs(
        endpoint_id=endpoint.id,
        since=request.since,
        until=until,
        high_water_mark=await key_ranges.MESSAGES.high_water_mark_at_start(read, app.id),
        force=request.force,
    )
    return KIND.on_endpoint(app, endpoint.id, args, request.created_by, request.rate_limit)


class Replay(Resending[ReplayArgs]):
    """Sends the messages that one endpoint was never sent."""

    rows = key_ranges.MESSAGES
    prefix = ids.MESSAGE
    args = msgspec.json.Decoder(ReplayArgs)

    def owner(self, task: Task, args: ReplayArgs) -> str:
        del args
        return task.app_id or ""

    async def scan(self, read: Read, task: Task, cursor: RangeCursor, limit: int) -> Scanned:
        part = MessageRange(task.app_id or "", cursor.first, cursor.end, limit)
        return await replays.missing(
            read, self.args.decode(task.args).endpoint_id, part, payload_bytes=self._tuning.replay_bytes
        )

    async def send(self, tx: Write, args: ReplayArgs, target: ReplayTarget, msg_ids: list[str]) -> int:
        del args
        return await replays.send_missing(tx, target, msg_ids)


KIND: Final = Declaration(
    name="endpoint.replay",
    summary="Send messages that an endpoint never received",
    place=1,
    args=ReplayArgs,
    handler=Replay,
    result=resending.RESULT,
    effects=frozenset({Effect.RESENDS}),
    lock=resending.LOCK,
    first_rate=resending.FIRST_RATE,
    route=Route(
        method="POST",
        path=f"{resending.PATH}/replay-missing",
        operation="v1.endpoint.replay-missing",
        tag=resending.TAG,
        summary="Send the messages that an endpoint never received",
        access=Access.APP,
        needs=Capability.CREATE_ATTEMPTS,
        query=ForceQuery,
        body=ReplayIn,
        handler=replay_missing,
        responses={202: ReplayOut},
    ),
    command=CliCommand(
        "replay",
        "Send the messages that an endpoint has never been sent.",
        (command.APP, command.ENDPOINT, command.SINCE, command.UNTIL, command.RATE, command.FORCE),
    ),
)
