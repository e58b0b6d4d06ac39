# SPDX-License-Identifier: MIT
"""`application.stats` and `event-type.aggregate`: one item per application, written in chunks.

Applications are visited in the order of their ids, up to the high-water mark. One statement counts the attempts of
several applications that have few. An application with many attempts is counted alone, endpoint by endpoint and in
pieces; the cursor then holds the position and the count so far.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from tidings import ids
from tidings.model.results import AGGREGATED, COUNTED
from tidings.model.task import APP_STATS, EVENT_TYPE_STATS, Batch, ChunkResult, Plan, Task
from tidings.model.usage import EventTypeStatsArgs, StatsArgs
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import task_items, usage
from tidings.storage.tables.key_ranges import APPLICATIONS, ATTEMPTS
from tidings.storage.tables.usage import AppRef
from tidings.tasks import key_ranges
from tidings.tasks.key_ranges import OwnedRange, after

PAGE: Final = 100
"""The most applications in one chunk."""
FEW: Final = 10_000
"""An application with fewer attempts than this is counted together with others."""
PIECE: Final = 100
"""Index entries that can be counted in the time that other kinds need for one row."""
PROBE: Final = 10
"""The cost of finding the next endpoint, in index entries."""

_stats_args: Final = msgspec.json.Decoder(StatsArgs)
_event_type_args: Final = msgspec.json.Decoder(EventTypeStatsArgs)


@dataclass(frozen=True, slots=True)
class _Cursor:
    """The last application done, the high-water mark, and the position in an application that is counted in pieces."""

    after: str
    last: str
    app: str = ""
    uid: str | None = None
    endpoint: str = ""
    first: str = ""
    counted: int = 0

    @property
    def text(self) -> str:
        """The cursor as it is stored."""
        return msgspec.json.encode(self).decode()


_cursor: Final = msgspec.json.Decoder(_Cursor)


class _ApplicationVisitor:
    """The shared parts of both kinds."""

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        del read, task, limit
        return 0

    async def _plan_of(self, read: Read, task: Task, mark: str | None, app_ids: Sequence[str] | None) -> Plan:
        last = mark if mark is not None else await APPLICATIONS.high_water_mark(read, task.org_id)
        if app_ids is not None:
            return Plan(_Cursor("", last).text, len(app_ids), exact=True)
        found = OwnedRange(APPLICATIONS, task.org_id, "", after(last))
        return Plan(_Cursor("", last).text, *await found.total(read, limit=key_ranges.COUNT_LIMIT))


class AppStats(_ApplicationVisitor):
    """Counts the attempts of each application."""

    kind = APP_STATS

    async def plan(self, read: Read, task: Task) -> Plan:
        args = _stats_args.decode(task.args)
        return await self._plan_of(read, task, args.high_water_mark, args.app_ids)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        args, cursor = _stats_args.decode(task.args), _cursor.decode(task.cursor or "")
        lower = ids.first_at(ids.ATTEMPT, args.since)
        end = ids.first_at(ids.ATTEMPT, args.until + ids.STEP_MS)
        if cursor.app:
            return await _count_part(read, cursor, lower, end, limit * PIECE)
        limit = min(limit, PAGE)
        page = await self._page(read, task, args, cursor, limit)
        counts = await usage.attempts(read, [each.id for each in page], lower, end, most=FEW)
        few: list[tuple[AppRef, int]] = []
        for each in page:
            if counts[each.id] >= FEW:
                inside = replace(cursor, after=few[-1][0].id if few else cursor.after, app=each.id, uid=each.uid)
                return Batch(few, len(few), replace(inside, first=lower).text, last=False)
            few.append((each, counts[each.id]))
        following = replace(cursor, after=page[-1].id) if page else cursor
        return Batch(few, len(few), following.text, last=len(page) < limit)

    async def _page(self, read: Read, task: Task, args: StatsArgs, cursor: _Cursor, limit: int) -> list[AppRef]:
        if args.app_ids is not None:
            return await usage.selected_applications(read, task.org_id, args.app_ids, after=cursor.after, limit=limit)
        return await usage.applications(read, task.org_id, after=cursor.after, last=cursor.last, limit=limit)

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        items = [(task.id, app.id, COUNTED, _counted_item(app, count)) for app, count in batch.items]
        await task_items.add(tx, items)
        return ChunkResult(len(items))


async def _count_part(read: Read, cursor: _Cursor, lower: str, end: str, budget: int) -> Batch:
    """Continue an application with many attempts; `budget` is the number of index entries to count."""
    while budget > 0:
        part = await ATTEMPTS.count(read, cursor.endpoint, cursor.first, end, limit=budget)
        cursor = replace(cursor, counted=cursor.counted + part.count)
        if part.count == budget and part.last_id is not None:
            return Batch([], 0, replace(cursor, first=after(part.last_id)).text, last=False)
        following = await usage.next_endpoint(read, cursor.app, after=cursor.endpoint)
        if following is None:
            return _complete(cursor)
        cursor = replace(cursor, endpoint=following, first=lower)
        budget -= part.count + PROBE
    return Batch([], 0, cursor.text, last=False)


def _complete(cursor: _Cursor) -> Batch:
    app = AppRef(cursor.app, cursor.uid)
    return Batch([(app, cursor.counted)], 1, _Cursor(cursor.app, cursor.last).text, last=False)


def _counted_item(app: AppRef, count: int) -> str:
    return json.dumps({"messageDestinations": count, "appId": app.id, "appUid": app.uid})


class EventTypeStats(_ApplicationVisitor):
    """Lists the event types to which the endpoints of each application subscribe, and whether one takes all types."""

    kind = EVENT_TYPE_STATS

    async def plan(self, read: Read, task: Task) -> Plan:
        return await self._plan_of(read, task, _event_type_args.decode(task.args).high_water_mark, None)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        cursor, limit = _cursor.decode(task.cursor or ""), min(limit, PAGE)
        page = await usage.applications(read, task.org_id, after=cursor.after, last=cursor.last, limit=limit)
        filters: dict[str, list[str | None]] = {each.id: [] for each in page}
        for app_id, event_types in await usage.subscriptions(read, list(filters)):
            filters[app_id].append(event_types)
        following = replace(cursor, after=page[-1].id) if page else cursor
        return Batch(list(filters.items()), len(page), following.text, last=len(page) < limit)

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        items = [(task.id, app_id, AGGREGATED, _aggregated_item(app_id, filters)) for app_id, filters in batch.items]
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
