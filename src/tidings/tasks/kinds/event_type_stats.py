# SPDX-License-Identifier: MIT
"""`event-type.aggregate`: list the event types to which the endpoints of each application subscribe."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from tidings.api.query import DryRunQuery
from tidings.api.routes import Access, Call, Nothing, Route
from tidings.api.started import StartedOut, start_task
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.model.task import Batch, ChunkResult, NewTask, Plan, Task
from tidings.model.task_item import ItemOutcome
from tidings.model.task_kind import TaskResult
from tidings.model.token import Principal
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import apps, task_items
from tidings.storage.tables.key_ranges import APPLICATIONS
from tidings.tasks.applications import ApplicationVisitor, read_cursor
from tidings.tasks.command import CliCommand
from tidings.tasks.declaration import Declaration


class AggregateEventTypesOut(StartedOut, kw_only=True):
    """The background task that lists subscriptions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTypeStatsArgs:
    """The stored arguments; `high_water_mark` is the greatest application id, None if not known at creation."""

    high_water_mark: str | None = None


async def aggregate(call: Call[DryRunQuery, Nothing]) -> Response:
    """Start a task that lists, for each application, the event types that its endpoints subscribe to."""
    services, principal = call.context.services, call.principal
    return await start_task(call, AggregateEventTypesOut, lambda tx: build_task(services, tx, principal))


async def build_task(services: Services, read: Read, principal: Principal) -> NewTask:
    """Build the task of an organization."""
    del services
    mark = await APPLICATIONS.high_water_mark_at_start(read, principal.org_id)
    return KIND.on_organization(principal, EventTypeStatsArgs(high_water_mark=mark))


_args: Final = msgspec.json.Decoder(EventTypeStatsArgs)


class EventTypeStats(ApplicationVisitor):
    """Lists the event types to which the endpoints of each application subscribe, and whether one takes all types."""

    async def plan(self, read: Read, task: Task) -> Plan:
        return await self.plan_of(read, task, _args.decode(task.args).high_water_mark, None)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        cursor, limit = read_cursor(task), min(limit, self._tuning.chunk_applications)
        page = await apps.app_refs(read, task.org_id, after=cursor.after, last=cursor.last, limit=limit)
        filters: dict[str, list[str | None]] = {each.id: [] for each in page}
        for app_id, event_types in await apps.subscriptions(read, list(filters)):
            filters[app_id].append(event_types)
        following = replace(cursor, after=page[-1].id) if page else cursor
        return Batch(list(filters.items()), len(page), following.text, last=len(page) < limit)

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        items = [
            (task.id, app_id, ItemOutcome.AGGREGATED, _aggregated_item(app_id, filters))
            for app_id, filters in batch.items
        ]
        await task_items.add(tx, items)
        return ChunkResult(len(items))


def _aggregated_item(app_id: str, filters: Sequence[str | None]) -> str:
    explicit: set[str] = set()
    for text in filters:
        explicit.update(() if text is None else json.loads(text))
    item: dict[str, Any] = {
        "appId": app_id,
        "explicitlySubscribedEventTypes": sorted(explicit),
        "hasCatchAllEndpoint": None in filters,
    }
    return json.dumps(item)


KIND: Final = Declaration(
    name="event-type.aggregate",
    summary="List the subscriptions of applications",
    place=6,
    args=EventTypeStatsArgs,
    handler=EventTypeStats,
    result=TaskResult(lists=(("event_types", ItemOutcome.AGGREGATED),)),
    first_rate=5_000,
    route=Route(
        method="PUT",
        path="/stats/usage/event-types",
        operation="v1.statistics.aggregate-event-types",
        tag="Statistics",
        summary="List the event types that applications subscribe to",
        access=Access.ORG,
        query=DryRunQuery,
        body=Nothing,
        handler=aggregate,
        responses={202: AggregateEventTypesOut},
    ),
    command=CliCommand("aggregate", "List the event types to which the endpoints of each application subscribe."),
)
