# SPDX-License-Identifier: MIT
"""`application.stats` and `event-type.aggregate`: one item for each application, never all of them in memory.

Applications are visited in the order of their ids, up to the greatest that was there at the beginning. An application
with few attempts is counted with others by one statement. One with many is counted by itself, endpoint by endpoint
and piece by piece; the cursor then holds how far and how many.
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
from tidings.storage import recovery, task_items, usage
from tidings.storage.database import Read, Write
from tidings.storage.usage import AppRef
from tidings.tasks.kinds import resend_range

PAGE: Final = 100
"""Applications of one chunk."""
FEW: Final = 10_000
"""Attempts of an application that are counted at once with those of others."""
PIECE: Final = 100
"""Entries of an index that are counted for what a row costs elsewhere."""
PROBE: Final = 10
"""Entries that looking for another endpoint is worth."""

_stats_args: Final = msgspec.json.Decoder(StatsArgs)
_event_type_args: Final = msgspec.json.Decoder(EventTypeStatsArgs)


@dataclass(frozen=True, slots=True)
class _Place:
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
        return msgspec.json.encode(self).decode()


_place: Final = msgspec.json.Decoder(_Place)


class _ApplicationVisitor:
    """What both kinds share."""

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        del read, task, limit
        return 0

    async def _plan_of(self, read: Read, task: Task, mark: str | None, named: Sequence[str] | None) -> Plan:
        last = mark if mark is not None else await usage.high_water_mark(read, task.org_id)
        if named is not None:
            return Plan(_Place("", last).text, len(named), exact=True)
        most = resend_range.COUNT_LIMIT
        total = await usage.count(read, task.org_id, last, limit=most)
        return Plan(_Place("", last).text, total, exact=total < most)


class AppStats(_ApplicationVisitor):
    """Counts the attempts of each application."""

    kind = APP_STATS

    async def plan(self, read: Read, task: Task) -> Plan:
        args = _stats_args.decode(task.args)
        return await self._plan_of(read, task, args.high_water_mark, args.app_ids)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        args, place = _stats_args.decode(task.args), _place.decode(task.cursor or "")
        lower = ids.first_at(ids.ATTEMPT, args.since)
        end = ids.first_at(ids.ATTEMPT, args.until + ids.STEP_MS)
        if place.app:
            return await _count_part(read, place, lower, end, limit * PIECE)
        limit = min(limit, PAGE)
        page = await self._page(read, task, args, place, limit)
        counts = await usage.attempts(read, [each.id for each in page], lower, end, most=FEW)
        few: list[tuple[AppRef, int]] = []
        for each in page:
            if counts[each.id] >= FEW:
                inside = replace(place, after=few[-1][0].id if few else place.after, app=each.id, uid=each.uid)
                return Batch(few, len(few), replace(inside, first=lower).text, last=False)
            few.append((each, counts[each.id]))
        following = replace(place, after=page[-1].id) if page else place
        return Batch(few, len(few), following.text, last=len(page) < limit)

    async def _page(self, read: Read, task: Task, args: StatsArgs, place: _Place, limit: int) -> list[AppRef]:
        if args.app_ids is not None:
            return await usage.selected_applications(read, task.org_id, args.app_ids, after=place.after, limit=limit)
        return await usage.applications(read, task.org_id, after=place.after, last=place.last, limit=limit)

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        items = [(task.id, app.id, COUNTED, _counted_item(app, number)) for app, number in batch.items]
        await task_items.add(tx, items)
        return ChunkResult(len(items))


async def _count_part(read: Read, place: _Place, lower: str, end: str, budget: int) -> Batch:
    """Go on with an application that has many attempts, for so many entries of the index."""
    while budget > 0:
        counted, last = await recovery.count(read, place.endpoint, place.first, end, limit=budget)
        place = replace(place, counted=place.counted + counted)
        if counted == budget and last is not None:
            return Batch([], 0, replace(place, first=resend_range.after(last)).text, last=False)
        following = await usage.next_endpoint(read, place.app, after=place.endpoint)
        if following is None:
            return _complete(place)
        place = replace(place, endpoint=following, first=lower)
        budget -= counted + PROBE
    return Batch([], 0, place.text, last=False)


def _complete(place: _Place) -> Batch:
    app = AppRef(place.app, place.uid)
    return Batch([(app, place.counted)], 1, _Place(place.app, place.last).text, last=False)


def _counted_item(app: AppRef, number: int) -> str:
    return json.dumps({"messageDestinations": number, "appId": app.id, "appUid": app.uid})


class EventTypeStats(_ApplicationVisitor):
    """Tells which event types the endpoints of each application subscribe to, and whether one takes all."""

    kind = EVENT_TYPE_STATS

    async def plan(self, read: Read, task: Task) -> Plan:
        return await self._plan_of(read, task, _event_type_args.decode(task.args).high_water_mark, None)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        place, limit = _place.decode(task.cursor or ""), min(limit, PAGE)
        page = await usage.applications(read, task.org_id, after=place.after, last=place.last, limit=limit)
        filters: dict[str, list[str | None]] = {each.id: [] for each in page}
        for app_id, event_types in await usage.subscriptions(read, list(filters)):
            filters[app_id].append(event_types)
        following = replace(place, after=page[-1].id) if page else place
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
