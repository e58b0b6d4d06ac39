# SPDX-License-Identifier: MIT
"""`system.rollup`: count the attempts of each endpoint and hour, for charts and success rates.

A run walks over all endpoints, and counts the hours from the mark to the present one. It replaces rollups and corrects
the totals by the difference, in one transaction, so a repetition changes nothing. An endpoint with many attempts in an
hour is counted in parts; the cursor then holds the position and the totals so far.

An hour that has ended long enough before the run began is closed: the mark moves behind it. An attempt that is stored
later still is noted in the transaction that stores it. No such attempt is missed: the transactions that began before
the task was created have ended when it begins to count, and those that begin later add a note, because an hour is
closed later than notes begin.

A run counts the noted hours at its end. It deletes notes in the chunk that writes what they name into the cursor, and
counts in the following chunks; so a note that is added meanwhile stays for the next run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from tidings import ids
from tidings.clock import DAY, HOUR, MINUTE, Clock
from tidings.core import rollups as use_cases
from tidings.core.notifier import Notifier, notify_after_commit
from tidings.ids import OrgId, TaskId
from tidings.model.rollup import NONE, AttemptTotals, Rollups, hour_of
from tidings.model.task import Batch, ChunkResult, NewTask, Plan, Task
from tidings.model.task_kind import TaskKinds
from tidings.storage.drivers.database import Database, Read, Write
from tidings.storage.tables import deletion, nodes, rollups, tasks
from tidings.storage.tables.rollups import CountedHour, Reopened
from tidings.tasks.declaration import Declaration
from tidings.tasks.handler import TaskHandler

RETENTION_MS: Final = 90 * DAY
"""How long rollups are stored."""
REFRESH_MS: Final = 10 * MINUTE
"""The shortest interval between two runs, except that an hour is closed once it may be."""
_REST: Final = 20
"""The interval is this many times as long as the last run took, so that runs take at most a twentieth of the time."""
_KEPT_RUNS_MS: Final = DAY
_RUNS_READ: Final = 200
SYSTEM_ORG: Final = OrgId("system")


class RollupStage(StrEnum):
    """What a run does, in this order."""

    ENDPOINTS = "endpoints"
    REOPENED = "reopened"
    EXPIRED = "expired"


class _Cursor(msgspec.Struct, frozen=True):
    """The position of a run."""

    since: int
    """The first hour that is counted now; before a run that has caught up, the mark."""
    until: int
    """The end of these hours."""
    end: int
    """The end of the last hour of the run, which is the present one."""
    closed_to: int
    """The end of the last hour that the run may close."""
    counted_at: int
    stage: RollupStage = RollupStage.ENDPOINTS
    after: str = ""
    """The last endpoint that was counted."""
    hours: Sequence[tuple[str, int]] = ()
    """Endpoints and hours to count one by one, before anything else."""
    first: str = ""
    """Where the next part of the first of them begins; empty for its beginning."""
    part: Sequence[int] = ()
    """The counts so far: failed attempts, and successful ones by latency."""

    def text(self) -> str:
        """Return the cursor as it is stored."""
        return msgspec.json.encode(self).decode()

    def moved(self, **changes: object) -> str:
        """Return the cursor with changes, as it is stored."""
        return msgspec.structs.replace(self, **changes).text()


_cursor: Final = msgspec.json.Decoder(_Cursor)


@dataclass(frozen=True, slots=True)
class _Found:
    """What one chunk writes."""

    endpoint_ids: Sequence[str] = ()
    hours: range = range(0)
    """All rollups of these endpoints and hours are replaced."""
    counted: Sequence[CountedHour] = ()
    notes: Sequence[Reopened] = ()
    """These notes are deleted."""
    mark: int | None = None
    expired: int = 0
    """The number of expired rollups to delete."""


async def start_if_due(
    db: Database, clock: Clock, notifier: Notifier, kinds: TaskKinds, *, is_active: bool = True
) -> bool:
    """Start a run if an hour can be closed, or if the last run is old and there were attempts; return whether it began.

    `is_active` says whether this process has settled deliveries since the last call.
    """
    now = clock.now()
    async with db.read() as read:
        if not await _is_due(read, now, is_active=is_active):
            return False
    async with db.write(advisory_lock=tasks.CLAIM_LOCK, background=True) as tx:
        if not await _is_due(tx, now, is_active=is_active):
            return False
        before = now - _KEPT_RUNS_MS
        runs = await rollups.runs(tx, SYSTEM_ORG, KIND.name, limit=_RUNS_READ)
        await deletion.prune_tasks(tx, [run for run, ended_at in runs.ended if ended_at < before], before=before)
        new = NewTask(kind=KIND.name, org_id=SYSTEM_ORG, app_id=None, args="{}", lock_key=KIND.name)
        await tasks.add(tx, TaskId(ids.new(ids.TASK, now)), new, now, kinds.names)
        notify_after_commit(tx, notifier.tasks)
    return True


async def _is_due(read: Read, now: int, *, is_active: bool) -> bool:
    found = await nodes.settings_of(read, (use_cases.MARK, use_cases.COUNTED))
    runs = await rollups.runs(read, SYSTEM_ORG, KIND.name, limit=2)
    if runs.is_active:
        return False
    if use_cases.MARK not in found or int(found[use_cases.MARK]) < hour_of(now - use_cases.CLOSED_AFTER_MS):
        return True
    if now - int(found.get(use_cases.COUNTED, 0)) < max(REFRESH_MS, _REST * runs.last_took_ms):
        return False
    return is_active or bool(await rollups.reopened(read, limit=1))


class RollupArgs(msgspec.Struct, frozen=True):
    """The stored arguments: none."""


class Rollup(TaskHandler):
    """Counts attempts by endpoint and hour."""

    async def plan(self, read: Read, task: Task) -> Plan:
        now = task.created_at
        mark = await use_cases.mark(read)
        since = await _first_hour(read, now) if mark is None else mark
        end = max(hour_of(now) + HOUR, since)
        closed_to = max(since, hour_of(now - use_cases.CLOSED_AFTER_MS))
        return Plan(_Cursor(since, min(end, since + self._window), end, closed_to, now).text())

    @property
    def _window(self) -> int:
        """The most hours that are counted at a time, in milliseconds."""
        return self._tuning.rollup_hours * HOUR

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        cursor = _cursor.decode(task.cursor or "")
        budget = limit * self._tuning.rollup_attempts_per_row
        if cursor.hours:
            return await self._load_hour(read, cursor, budget)
        match cursor.stage:
            case RollupStage.ENDPOINTS:
                return await self._load_endpoints(read, cursor, limit, budget)
            case RollupStage.REOPENED:
                return await self._load_reopened(read, cursor, limit)
            case RollupStage.EXPIRED:
                before = hour_of(cursor.counted_at - RETENTION_MS)
                expired = await rollups.count_expired(read, before, limit=limit)
                return Batch([_Found(expired=expired)], expired, cursor.text(), last=expired == 0)

    async def _load_endpoints(self, read: Read, cursor: _Cursor, limit: int, budget: int) -> Batch:
        """Count the next endpoints. One with more attempts than fit into a chunk is left to the following chunks."""
        hours = range(cursor.since, cursor.until, HOUR)
        endpoints = await rollups.next_endpoints(read, after=cursor.after, limit=limit)
        if not endpoints:
            return self._next_window(cursor)
        while True:
            counted = await rollups.count_attempts(read, endpoints, hours, most=budget)
            if counted is not None:
                found = _Found(endpoints, hours, counted)
                return Batch([found], len(endpoints), cursor.moved(after=endpoints[-1]), last=False)
            if len(endpoints) == 1:
                alone = [(endpoints[0], hour) for hour in hours]
                return Batch([_Found()], 1, cursor.moved(after=endpoints[0], hours=alone), last=False)
            endpoints = endpoints[: len(endpoints) // 4 + 1]

    def _next_window(self, cursor: _Cursor) -> Batch:
        """Move the mark, and go on with the next hours, or with the reopened ones."""
        found = _Found(mark=min(cursor.until, cursor.closed_to))
        if cursor.until < cursor.end:
            until = min(cursor.end, cursor.until + self._window)
            return Batch([found], 1, cursor.moved(since=cursor.until, until=until, after=""), last=False)
        return Batch([found], 1, cursor.moved(stage=RollupStage.REOPENED), last=False)

    async def _load_hour(self, read: Read, cursor: _Cursor, budget: int) -> Batch:
        """Count the next part of one endpoint and hour."""
        endpoint_id, hour = cursor.hours[0]
        first, below = rollups.bounds(hour)
        part = await rollups.count_part(read, endpoint_id, first=cursor.first or first, below=below, most=budget)
        totals = _totals(cursor.part) + part.totals
        if part.last_id is not None:
            following = cursor.moved(first=part.last_id + "0", part=(totals.failed, *totals.latency))
            return Batch([_Found()], 1, following, last=False)
        found = _Found([endpoint_id], range(hour, hour + HOUR, HOUR), [CountedHour(endpoint_id, hour, totals)])
        return Batch([found], 1, cursor.moved(hours=cursor.hours[1:], first="", part=()), last=False)

    async def _load_reopened(self, read: Read, cursor: _Cursor, limit: int) -> Batch:
        notes = await rollups.reopened(read, limit=min(limit, self._tuning.rollup_reopened))
        if not notes:
            return Batch([_Found()], 1, cursor.moved(stage=RollupStage.EXPIRED), last=False)
        oldest = hour_of(cursor.counted_at - RETENTION_MS)
        hours = sorted({(endpoint_id, hour) for hour, endpoint_id, _ in notes if hour >= oldest})
        return Batch([_Found(notes=notes)], len(notes), cursor.moved(hours=hours), last=False)

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        found: _Found = batch.items[0]
        if found.endpoint_ids:
            await _replace(tx, found)
        if found.notes:
            await rollups.delete_reopened(tx, found.notes)
        if found.expired:
            before = hour_of(_cursor.decode(task.cursor or "").counted_at - RETENTION_MS)
            await rollups.delete_expired(tx, before, limit=found.expired)
        if found.mark is not None:
            await nodes.advance_setting(tx, use_cases.MARK, str(found.mark))
            counted_at = _cursor.decode(task.cursor or "").counted_at
            await nodes.advance_setting(tx, use_cases.COUNTED, str(counted_at))
        return ChunkResult(batch.scanned)


async def _first_hour(read: Read, now: int) -> int:
    """Return the first hour to count if there are no rollups yet: that of the oldest message."""
    oldest = await rollups.first_message(read)
    present = hour_of(now)
    return present if oldest is None else min(present, max(hour_of(ids.timestamp_of(oldest)), present - RETENTION_MS))


async def _replace(tx: Write, found: _Found) -> None:
    """Replace the rollups of endpoints, and correct the totals that contain them by the difference."""
    owners = {each.endpoint_id: each for each in await rollups.owners(tx, found.endpoint_ids)}
    counted: Rollups = {
        (owners[each.endpoint_id], each.hour): each.totals for each in found.counted if each.endpoint_id in owners
    }
    stored = await rollups.of_range(tx, list(owners.values()), found.hours.start, found.hours.stop)
    changes = {key: counted.get(key, NONE) - stored.get(key, NONE) for key in counted.keys() | stored.keys()}
    changes = {key: change for key, change in changes.items() if change != NONE}
    if changes:
        by_owner = _added_up(changes)
        totals = await rollups.at_hours(tx, list(by_owner))
        corrected = {key: totals.get(key, NONE) + change for key, change in by_owner.items()}
        await rollups.replace(tx, {key: counted.get(key, NONE) for key in changes} | corrected)


def _added_up(changes: Rollups) -> Rollups:
    """Add up changes by application, by organization and of all, each by hour."""
    found: Rollups = {}
    for (owner, hour), change in changes.items():
        for each in owner.totals:
            found[each, hour] = found.get((each, hour), NONE) + change
    return found


def _totals(part: Sequence[int]) -> AttemptTotals:
    """Return the totals that a cursor holds."""
    return AttemptTotals(sum(part[1:]), part[0], tuple(part[1:])) if part else NONE


KIND: Final = Declaration(
    name="system.rollup",
    summary="Count attempts by endpoint and hour",
    args=RollupArgs,
    handler=Rollup,
)
