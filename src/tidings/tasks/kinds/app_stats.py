# SPDX-License-Identifier: MIT
"""`application.stats`: count the attempts of each application in a time range.

One statement counts the attempts of several applications that have few. An application with many attempts is counted
alone, endpoint by endpoint and in pieces; the cursor then holds the position and the count so far.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from tidings import ids
from tidings.api.fields import REFERENCES_MAX, UID
from tidings.api.query import DryRunQuery
from tidings.api.routes import Access, Call, Route
from tidings.api.started import StartedOut, started
from tidings.api.wire import In, Timestamp, parse_timestamp
from tidings.clock import CLOCK_SKEW
from tidings.core import tasks
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.errors import Fault, invalid
from tidings.ids import OrgId
from tidings.model import text
from tidings.model.faults import count_faults, set_faults, unique
from tidings.model.task import Batch, ChunkResult, NewTask, Plan, Task
from tidings.model.task_item import ItemOutcome
from tidings.model.task_kind import TaskResult
from tidings.model.token import Principal
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import apps, task_items
from tidings.storage.tables.apps import AppRef
from tidings.storage.tables.key_ranges import APPLICATIONS, ATTEMPTS
from tidings.tasks import command
from tidings.tasks.applications import ApplicationCursor, ApplicationVisitor, read_cursor
from tidings.tasks.command import CliCommand, CliParameter, Value
from tidings.tasks.declaration import Declaration
from tidings.tasks.key_ranges import after

Reference = Annotated[str, UID]
_UNIQUE: Final = Meta(extra_json_schema={"uniqueItems": True})
_APPS: Final = Meta(extra_json_schema={"uniqueItems": True, "minItems": 1, "maxItems": REFERENCES_MAX})


class AppUsageStatsIn(In, kw_only=True):
    """The time range and the applications to count."""

    since: Timestamp
    """The start of the range, inclusive, at most five minutes in the future."""
    until: Timestamp
    """The end of the range, inclusive and not before `since`. A later time than now means now."""
    app_ids: Annotated[list[Reference] | None, _APPS] = None
    """The ids or uids of the applications, at most 1,000. Null, the default, means all."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from count_faults("appIds", self.app_ids, REFERENCES_MAX)
        yield from set_faults("appIds", map(text.name_error, self.app_ids or ()))


class AppUsageStatsOut(StartedOut, kw_only=True):
    """The background task that counts attempts."""

    unresolved_app_ids: Annotated[list[Reference], _UNIQUE]
    """The ids and uids in the request that match no application."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageFilters:
    """A time range, and the applications to count by id or uid; None selects all."""

    since: int
    until: int
    refs: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsArgs:
    """The stored arguments: the range from `since` to `until`, and the applications; None selects all.

    `high_water_mark` is the greatest application id, None if not known at creation.
    """

    since: int
    until: int
    app_ids: tuple[str, ...] | None = None
    high_water_mark: str | None = None


async def count_attempts(call: Call[DryRunQuery, AppUsageStatsIn]) -> Response:
    """Start a task that counts the attempts of each application in a time range.

    The response lists unknown applications; if all are unknown, it is a 422.
    """
    services, principal, body = call.context.services, call.principal, call.body
    filters = UsageFilters(
        since=parse_timestamp(body.since, "since"),
        until=parse_timestamp(body.until, "until"),
        refs=unique(body.app_ids),
    )
    missing: list[str] = []

    async def build(tx: Write) -> NewTask:
        missing[:] = await missing_refs(tx, principal.org_id, filters.refs)
        return await build_task(services, tx, principal, filters)

    def render(task: Task) -> Response:
        return started(AppUsageStatsOut, unresolved_app_ids=missing)(task)

    return await tasks.begin(services, build, idempotency_key=call.idempotency_key, render=render)


async def build_task(services: Services, read: Read, principal: Principal, filters: UsageFilters) -> NewTask:
    """Check a request, and build its task; raise `invalid` if none of the applications exists."""
    until = _checked_until(filters, services.clock.now())
    args = StatsArgs(
        since=filters.since,
        until=until,
        app_ids=await _app_ids(read, principal.org_id, filters.refs),
        high_water_mark=await APPLICATIONS.high_water_mark_at_start(read, principal.org_id),
    )
    return KIND.on_organization(principal, args)


def _checked_until(filters: UsageFilters, now: int) -> int:
    """Refuse a time range that is reversed or in the future; return its end, at most now.

    A range that starts in the future, by at most the clock skew, is empty: it ends before its start.
    """
    if filters.since > now + CLOCK_SKEW:
        raise invalid(Fault(("body", "since"), "'since' must not be in the future"))
    if filters.since > filters.until:
        raise invalid(Fault(("body", "since"), "'since' must not be later than 'until'"))
    return min(filters.until, now)


async def _app_ids(read: Read, org_id: OrgId, refs: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if refs is None:
        return None
    found = await apps.resolve_refs(read, org_id, refs)
    if not found:
        raise invalid(Fault(("body", "appIds"), "None of these applications exists."))
    return tuple(sorted(each.id for each in found))


async def missing_refs(read: Read, org_id: OrgId, refs: tuple[str, ...] | None) -> list[str]:
    """Return the ids and uids that match no application."""
    found = await apps.resolve_refs(read, org_id, refs or ())
    known = {name for each in found for name in (each.id, each.uid)}
    return [ref for ref in refs or () if ref not in known]


_args: Final = msgspec.json.Decoder(StatsArgs)


class AppStats(ApplicationVisitor):
    """Counts the attempts of each application."""

    async def plan(self, read: Read, task: Task) -> Plan:
        args = _args.decode(task.args)
        return await self.plan_of(read, task, args.high_water_mark, args.app_ids)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        args, cursor = _args.decode(task.args), read_cursor(task)
        lower = ids.first_at(ids.ATTEMPT, args.since)
        end = ids.first_at(ids.ATTEMPT, args.until + ids.STEP_MS)
        if cursor.app:
            return await self._count_part(read, cursor, lower, end, limit * self._tuning.entries_per_row)
        limit, few_attempts = min(limit, self._tuning.chunk_applications), self._tuning.few_attempts
        page = await self._page(read, task, args, cursor, limit)
        counts = await apps.count_attempts(read, [each.id for each in page], lower, end, limit=few_attempts)
        few: list[tuple[AppRef, int]] = []
        for each in page:
            if counts[each.id] >= few_attempts:
                inside = replace(cursor, after=few[-1][0].id if few else cursor.after, app=each.id, uid=each.uid)
                return Batch(few, len(few), replace(inside, first=lower).text, last=False)
            few.append((each, counts[each.id]))
        following = replace(cursor, after=page[-1].id) if page else cursor
        return Batch(few, len(few), following.text, last=len(page) < limit)

    async def _page(
        self, read: Read, task: Task, args: StatsArgs, cursor: ApplicationCursor, limit: int
    ) -> list[AppRef]:
        if args.app_ids is not None:
            return await apps.selected_app_refs(read, task.org_id, args.app_ids, after=cursor.after, limit=limit)
        return await apps.app_refs(read, task.org_id, after=cursor.after, last=cursor.last, limit=limit)

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        items = [(task.id, app.id, ItemOutcome.COUNTED, _counted_item(app, count)) for app, count in batch.items]
        await task_items.add(tx, items)
        return ChunkResult(len(items))

    async def _count_part(self, read: Read, cursor: ApplicationCursor, lower: str, end: str, budget: int) -> Batch:
        """Continue an application with many attempts; `budget` is the number of index entries to count."""
        while budget > 0:
            part = await ATTEMPTS.count(read, cursor.endpoint, cursor.first, end, limit=budget)
            cursor = replace(cursor, counted=cursor.counted + part.count)
            if part.count == budget and part.last_id is not None:
                return Batch([], 0, replace(cursor, first=after(part.last_id)).text, last=False)
            following = await apps.next_endpoint(read, cursor.app, after=cursor.endpoint)
            if following is None:
                return _complete(cursor)
            cursor = replace(cursor, endpoint=following, first=lower)
            budget -= part.count + self._tuning.entries_per_endpoint
        return Batch([], 0, cursor.text, last=False)

    async def sample(self, read: Read, task: Task, limit: int) -> Sequence[str]:
        app_ids = _args.decode(task.args).app_ids
        return await super().sample(read, task, limit) if app_ids is None else app_ids[:limit]


def _complete(cursor: ApplicationCursor) -> Batch:
    app = AppRef(cursor.app, cursor.uid)
    return Batch([(app, cursor.counted)], 1, ApplicationCursor(cursor.app, cursor.last).text, last=False)


def _counted_item(app: AppRef, count: int) -> str:
    return json.dumps({"messageDestinations": count, "appId": app.id, "appUid": app.uid})


_UNTIL: Final = CliParameter(
    name="until",
    key="until",
    help="End of the range: an age (`0s`) or an RFC 3339 timestamp.",
    value=Value.TIMESTAMP,
    default="0s",
)
_APP: Final = CliParameter(name="app", key="appIds", help="Only this application; may be repeated.", value=Value.TEXTS)
KIND: Final = Declaration(
    name="application.stats",
    summary="Count the attempts of applications",
    place=3,
    args=StatsArgs,
    handler=AppStats,
    result=TaskResult(lists=(("appStats", ItemOutcome.COUNTED),)),
    first_rate=1_000,
    route=Route(
        method="POST",
        path="/stats/usage/app",
        operation="v1.statistics.aggregate-app-stats",
        tag="Statistics",
        summary="Count the attempts of applications",
        access=Access.ORG,
        query=DryRunQuery,
        body=AppUsageStatsIn,
        handler=count_attempts,
        responses={202: AppUsageStatsOut},
    ),
    command=CliCommand("stats", "Count the attempts of each application.", (command.SINCE, _UNTIL, _APP)),
)
