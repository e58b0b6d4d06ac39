# SPDX-License-Identifier: MIT
"""`endpoint.recover`: resend every message that failed in a time range and was never delivered.

The range is a range of attempt ids of one endpoint, fixed when the task starts. The task visits its attempts in order.
At the first failed attempt of a message it resends the message, unless a later attempt succeeded or the payload was
deleted. So the task keeps no list of messages, and sends each message once, however often it failed. Attempts that the
task itself causes are after the end of the range.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from tidings import ids
from tidings.api.routes import Access, Call, Route
from tidings.api.started import StartedOut, start_task
from tidings.clock import CLOCK_SKEW, DAY
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.errors import Fault, invalid
from tidings.model.app import App
from tidings.model.task import NewTask, Task
from tidings.model.task_kind import Effect
from tidings.model.token import Capability
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import key_ranges, replays
from tidings.storage.tables.key_ranges import Scanned
from tidings.storage.tables.replays import ReplayTarget
from tidings.tasks import command, resending
from tidings.tasks.command import CliCommand
from tidings.tasks.declaration import Declaration
from tidings.tasks.key_ranges import RangeCursor
from tidings.tasks.resending import ForceQuery, ResendArgs, Resending, ResendWindow, WindowIn

LONGEST_MS: Final = 14 * DAY + CLOCK_SKEW
"""Fourteen days, with a tolerance for callers with a slow clock or connection."""


class RecoverIn(WindowIn, kw_only=True):
    """The time range whose failed messages to resend. It begins at most 14 days before its end."""


class RecoverOut(StartedOut, kw_only=True):
    """The background task that resends failed messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverArgs(ResendArgs):
    """The stored arguments; the range is one of attempt ids."""


async def recover(call: Call[ForceQuery, RecoverIn]) -> Response:
    """Start a task that resends each message that failed in a time range and has not succeeded since.

    A disabled endpoint is a 422 unless `force` is set. A range of more than 14 days is a 422.
    """
    services, app, request = call.context.services, call.app, resending.request_of(call)
    return await start_task(call, RecoverOut, lambda tx: build_task(services, tx, app, request))


async def build_task(services: Services, read: Read, app: App, request: ResendWindow) -> NewTask:
    """Check a request, and build its task."""
    now = services.clock.now()
    endpoint = await resending.require_enabled_endpoint(read, app, request)
    until = resending.checked_window(request, now)
    if request.since < (max(request.since, now) if request.until is None else request.until) - LONGEST_MS:
        raise invalid(Fault(("body", "since"), "Cannot recover more than 14 days of messages"))
    args = RecoverArgs(
        endpoint_id=endpoint.id,
        since=request.since,
        until=until,
        high_water_mark=await key_ranges.ATTEMPTS.high_water_mark_at_start(read, endpoint.id),
        force=request.force,
    )
    return KIND.on_endpoint(app, endpoint.id, args, request.created_by, request.rate_limit)


class Recover(Resending[RecoverArgs]):
    """Resends the failed messages of one endpoint."""

    rows = key_ranges.ATTEMPTS
    prefix = ids.ATTEMPT
    args = msgspec.json.Decoder(RecoverArgs)

    def owner(self, task: Task, args: RecoverArgs) -> str:
        del task
        return args.endpoint_id

    async def scan(self, read: Read, task: Task, cursor: RangeCursor, limit: int) -> Scanned:
        endpoint_id = self.args.decode(task.args).endpoint_id
        return await replays.scan_attempts(
            read, endpoint_id, lower=cursor.lower, first=cursor.first, end=cursor.end, limit=limit
        )

    async def send(self, tx: Write, args: RecoverArgs, target: ReplayTarget, msg_ids: list[str]) -> int:
        del args
        return await replays.send_failed(tx, target, msg_ids)


KIND: Final = Declaration(
    name="endpoint.recover",
    summary="Resend failed messages of an endpoint",
    place=2,
    args=RecoverArgs,
    handler=Recover,
    result=resending.RESULT,
    effects=frozenset({Effect.RESENDS}),
    lock=resending.LOCK,
    first_rate=resending.FIRST_RATE,
    route=Route(
        method="POST",
        path=f"{resending.PATH}/recover",
        operation="v1.endpoint.recover",
        tag=resending.TAG,
        summary="Resend the failed messages of an endpoint",
        access=Access.APP,
        needs=Capability.CREATE_ATTEMPTS,
        query=ForceQuery,
        body=RecoverIn,
        handler=recover,
        responses={202: RecoverOut},
    ),
    command=CliCommand(
        "recover",
        "Resend the messages whose delivery to an endpoint failed.",
        (command.APP, command.ENDPOINT, command.SINCE, command.UNTIL, command.RATE, command.FORCE),
    ),
)
