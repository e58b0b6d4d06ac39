# SPDX-License-Identifier: MIT
"""The shared parts of the kinds that resend messages to one endpoint: their requests, and the work on a range."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final, Generic, TypeVar

import msgspec
from msgspec import Meta

from tidings import ids
from tidings.api.query import DryRunQuery, Flag
from tidings.api.routes import Call
from tidings.api.started import StartedOut
from tidings.api.wire import In, Timestamp, parse_timestamp
from tidings.clock import CLOCK_SKEW
from tidings.core.notifier import notify_after_commit
from tidings.errors import Fault, invalid
from tidings.ids import EndpointId
from tidings.model.app import App
from tidings.model.endpoint import Endpoint
from tidings.model.task import Batch, ChunkResult, MustWait, PermanentFailure, Plan, Task
from tidings.model.task_kind import TaskResult
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import deliveries, endpoints, replays
from tidings.storage.tables.key_ranges import OwnedRows, Scanned, ScanVerdict
from tidings.storage.tables.replays import ReplayTarget
from tidings.tasks import key_ranges
from tidings.tasks.handler import DryRunPart, ReadsAhead, TaskHandler
from tidings.tasks.key_ranges import OwnedRange, RangeCursor, range_to_mark

TAG: Final = "Endpoint"
PATH: Final = "/app/{app_id}/endpoint/{endpoint_id}"
LOCK: Final = "endpoint"
FIRST_RATE: Final = 20_000
MESSAGES_SENT: Final = "messagesSent"
RESULT: Final = TaskResult((MESSAGES_SENT,))
PAYLOAD_EXPIRED: Final = "payload_expired"
RATE_MAX: Final = 100_000
_RATE: Final = Meta(extra_json_schema={"minimum": 1, "maximum": RATE_MAX})


class WindowIn(In, kw_only=True):
    """A time range, and the rate at which to send."""

    since: Timestamp
    """The start of the range, at most five minutes in the future."""
    until: Timestamp | None = None
    """The end of the range, exclusive and not before `since`. Now by default; a later time than now means now."""
    rate_per_second: Annotated[int | None, _RATE] = None
    """Maximum number of messages to send per second. Null, the default, means no limit of the task."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        if self.rate_per_second is not None and not 1 <= self.rate_per_second <= RATE_MAX:
            yield Fault(("body", "ratePerSecond"), f"must be between 1 and {RATE_MAX} messages per second")


class ReplayOut(StartedOut, kw_only=True):
    """The background task that sends messages."""


class ForceQuery(DryRunQuery, kw_only=True):
    """How to start a task that sends messages."""

    force: Flag = False
    """Start the task even if the endpoint is disabled. The task waits until the endpoint is enabled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResendWindow:
    """A request to resend messages from `since` to before `until` to an endpoint (id or uid)."""

    endpoint_ref: str
    since: int
    until: int | None
    created_by: str
    rate_limit: int | None = None
    force: bool = False


WindowInT = TypeVar("WindowInT", bound=WindowIn)


def request_of(call: Call[ForceQuery, WindowInT]) -> ResendWindow:
    """Return the request of a call; raise `AppError` if a timestamp is invalid."""
    body = call.body
    return ResendWindow(
        endpoint_ref=call.path["endpoint_id"],
        since=parse_timestamp(body.since, "since"),
        until=None if body.until is None else parse_timestamp(body.until, "until"),
        created_by=call.principal.subject,
        rate_limit=body.rate_per_second,
        force=call.query.force,
    )


def checked_window(request: ResendWindow, now: int) -> int | None:
    """Refuse a time range that is reversed or in the future; return its end, None for now.

    A range that starts in the future, by at most the clock skew, is empty: it ends at its start.
    """
    since, until = request.since, request.until
    if since > now + CLOCK_SKEW:
        raise invalid(Fault(("body", "since"), "'since' must not be in the future"))
    if until is not None and since > until:
        raise invalid(Fault(("body", "since"), "'since' must not be later than 'until'"))
    if since > now:
        return since
    # A closed range ends in the past: later rows are not known yet.
    return until if until is not None and until < now else None


async def require_enabled_endpoint(read: Read, app: App, request: ResendWindow) -> Endpoint:
    """Return the endpoint of a request; raise `invalid` if it is disabled, unless `force` is set."""
    endpoint = await endpoints.get(read, app.id, request.endpoint_ref)
    if endpoint.disabled and not request.force:
        raise invalid(Fault(("path", "endpoint_id"), "The endpoint is disabled; enable it first, or use force=true."))
    return endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class ResendArgs:
    """The stored arguments: the range from `since` to before `until`, in milliseconds.

    Without `until` the range ends at the high-water mark; None if it is not known at creation.
    """

    endpoint_id: EndpointId
    since: int
    until: int | None = None
    high_water_mark: str | None = None
    force: bool = False


ArgsT = TypeVar("ArgsT", bound=ResendArgs)


class Resending(TaskHandler, ReadsAhead, Generic[ArgsT]):
    """A kind that visits a range of rows, and sends the messages that its scan finds to one endpoint."""

    rows: OwnedRows
    prefix: str
    """The prefix of the ids in the range."""
    args: msgspec.json.Decoder[ArgsT]

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
        return await found.plan(read, limit=self._tuning.count_limit)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        cursor = key_ranges.decode(task.cursor or "")
        found = await self.scan(read, task, cursor, limit)
        is_last = found.count < limit and not found.is_cut
        return Batch(found.verdicts, found.count, cursor.after(found.last_id).text, last=is_last)

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

    async def scan_dry(self, read: Read, task: Task, limit: int) -> DryRunPart:
        """Scan for the messages that the task would send."""
        batch = await self.load(read, task, limit)
        found = [msg_id for msg_id, verdict in batch.items if verdict is ScanVerdict.SEND]
        return DryRunPart(batch.scanned, len(found), batch.cursor, batch.last, found)


async def _require_endpoint(tx: Write, endpoint_id: str, *, wait_while_disabled: bool) -> None:
    """Require that an endpoint exists and is enabled. With `wait_while_disabled`, wait for it."""
    disabled = await replays.is_disabled(tx, endpoint_id)
    if disabled is None:
        raise PermanentFailure("endpoint_deleted", "The endpoint was deleted while the task was in progress.")
    if disabled and wait_while_disabled:
        raise MustWait
    if disabled:
        raise PermanentFailure("endpoint_disabled", "The endpoint was disabled while the task was in progress.")
