# SPDX-License-Identifier: MIT
"""Rows of background tasks: creating, reading and commanding them. `claims.py` has the statements of workers.

The guard and the SET clause of every command, also for `claims.py`, are derived from `model.task.TRANSITIONS`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tidings.ids import AppId, OrgId, TaskId
from tidings.model.page import PageWindow
from tidings.model.stored import json_object
from tidings.model.task import (
    ACTIVE,
    ARGS_VERSION,
    ENDED,
    TRANSITIONS,
    WIRE_STATUS,
    Command,
    CountChange,
    Failure,
    NewTask,
    State,
    Task,
    WireStatus,
)
from tidings.model.task_kind import SYSTEM
from tidings.storage.drivers.database import Read, Row, Write
from tidings.storage.tables.key_ranges import bounds_of, end_of

CLAIM_LOCK: Final = 7_251_002
"""The lock under which tasks are claimed and get their fair-share rounds, so that limits are exact."""

COLUMNS: Final = (
    "id, org_id, app_id, tenant, kind, args, state, priority, fair_round, ready_at, epoch, lease_until, cursor, done,"
    " skipped, total, total_exact, size, rate, busy_ms, chunks, failed_attempts, error, counters, lock_key, created_by,"
    " created_xid, rate_limit, created_at, started_at, updated_at, finished_at"
)


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in sorted(words))


def guard(command: Command) -> str:
    """Return the SQL condition under which a command applies."""
    return f"state IN ({_quoted(TRANSITIONS[command].sources)})"


def _to(state: State, now: str) -> tuple[str, ...]:
    """Return state, wire status and end timestamp of a state as SQL expressions."""
    return f"'{state}'", f"'{WIRE_STATUS[state]}'", now if state in ENDED else "NULL"


def change(command: Command, now: str) -> str:
    """Return the SET clause of a command; `now` is an SQL expression.

    A command with an attempt limit has the parameter `:limit`. If the target is `running`, the caller sets lease and
    worker.
    """
    rule = TRANSITIONS[command]
    values = _to(rule.target, now)
    if rule.at_limit is not None:
        spent = _to(rule.at_limit, now)
        values = tuple(
            f"CASE WHEN failed_attempts + 1 >= CAST(:limit AS BIGINT) THEN {each} ELSE {other} END"
            for each, other in zip(spent, values, strict=True)
        )
    parts = [
        f"{column} = {value}" for column, value in zip(("state", "wire_status", "finished_at"), values, strict=True)
    ]
    parts.append(f"updated_at = {now}")
    if rule.raises_epoch:
        parts.append("epoch = epoch + 1")
    if rule.failed_attempts is not CountChange.KEPT:
        parts.append(
            "failed_attempts = failed_attempts + 1"
            if rule.failed_attempts is CountChange.ADDED
            else "failed_attempts = 0"
        )
    if rule.target is not State.RUNNING:
        parts.append("lease_until = NULL, worker = NULL")
    return ", ".join(parts)


def task_of(row: Row) -> Task:
    """Build a task from a row with `COLUMNS`."""
    values = dict(zip(COLUMNS.split(", "), row, strict=True))
    error = values.pop("error")
    values |= {
        "state": State(values["state"]),
        "total_exact": bool(values["total_exact"]),
        "counters": {name: n for name, n in json_object(values["counters"]).items() if isinstance(n, int)},
        "error": Failure.of(error),
    }
    return Task(**values)


def failure_text(failure: Failure | None) -> str | None:
    """Return a failure as stored JSON."""
    return None if failure is None else json.dumps({"code": failure.code, "detail": failure.detail})


# -----------------------------------------------------------------------------------------------------------------
# Creation


async def take_claim_lock(tx: Write) -> None:
    """Hold the claim lock until the transaction ends."""
    await tx.lock(CLAIM_LOCK)


_ADD: Final = (
    "INSERT INTO task (id, org_id, app_id, tenant, kind, args, args_version, state, wire_status, priority, fair_round,"
    " ready_at, size, lock_key, created_by, rate_limit, created_xid, created_at, updated_at)"
    f" VALUES (:id, :org, :app, :tenant, :kind, :args, {ARGS_VERSION:d}, 'queued', 'running', :priority, :fair_round,"
    " 0, 0,"
    f" :lock_key, :created_by, CAST(:rate_limit AS INTEGER), transaction_id(), :now, :now) RETURNING {COLUMNS}"
)


async def add(tx: Write, task_id: TaskId, new: NewTask, now: int, known: Sequence[str]) -> Task:
    """Insert a task that is ready immediately, in its tenant's next round. The caller must hold the claim lock."""
    fair_round = await next_round(tx, new.tenant, new.priority, known)
    row = await tx.one(
        _ADD,
        id=task_id,
        org=new.org_id,
        app=new.app_id,
        tenant=new.tenant,
        kind=new.kind,
        args=new.args,
        priority=new.priority,
        fair_round=fair_round,
        lock_key=new.lock_key,
        created_by=new.created_by,
        rate_limit=new.rate_limit,
        now=now,
    )
    task = task_of(row)
    await note(tx, task.id, "created", now)
    return task


def lowest_text(known: Sequence[str]) -> str:
    """Return the query for the current round.

    It excludes unknown kinds: this release never claims them, so their round would never advance. The double negation
    keeps SQLite on the index `task_ready`; PostgreSQL simplifies it.
    """
    return (
        "SELECT fair_round FROM task WHERE state = 'queued' AND priority = CAST(:priority AS SMALLINT)"
        f" AND NOT (kind NOT IN ({_quoted(known)})) ORDER BY fair_round LIMIT 1"
    )


_OWN_HIGHEST: Final = (
    "SELECT fair_round FROM task WHERE state = 'queued' AND tenant = :tenant AND priority = CAST(:priority AS SMALLINT)"
    " ORDER BY fair_round DESC LIMIT 1"
)


async def next_round(tx: Write, tenant: str, priority: int, known: Sequence[str], *, behind: int = 0) -> int:
    """Return the fair-share round of a task to queue: after its tenant's other tasks, not before the current round.

    `known` are the kinds of this release.

    A task that yields after a slice passes `behind=1`: in the lowest round it would tie with the waiting tasks, and
    win by its older id.
    """
    lowest = await tx.row(lowest_text(known), priority=priority)
    own = await tx.row(_OWN_HIGHEST, tenant=tenant, priority=priority)
    return max(0 if lowest is None else lowest["fair_round"] + behind, 0 if own is None else own["fair_round"] + 1)


_ACTIVE: Final = f"SELECT count(*) AS n FROM task WHERE tenant = :tenant AND state IN ({_quoted(ACTIVE)})"


async def active(read: Read, tenant: str) -> int:
    """Count a tenant's tasks that have not ended, including paused ones."""
    return int((await read.one(_ACTIVE, tenant=tenant))["n"])


_NOTE: Final = (
    "INSERT INTO task_event (task_id, seq, at, type, data)"
    " SELECT :id, coalesce(max(seq), 0) + 1, CAST(:at AS BIGINT), :type, :data FROM task_event WHERE task_id = :id"
)


async def note(tx: Write, task_id: str, event: str, at: int, data: str | None = None) -> None:
    """Record a state transition that users cause or need to see. The caller must have locked the task's row."""
    await tx.run(_NOTE, id=task_id, at=at, type=event, data=data)


# -----------------------------------------------------------------------------------------------------------------
# Queries

_FIND: Final = f"SELECT {COLUMNS} FROM task WHERE id = :id"
_HAS_KNOWN_STATE: Final = f"state IN ({_quoted(State)})"
_IS_PUBLIC: Final = f"kind NOT LIKE '{SYSTEM}%' AND {_HAS_KNOWN_STATE}"
_FIND_OF_ORG: Final = f"{_FIND} AND org_id = :org AND {_IS_PUBLIC}"
_FIND_OF_APP: Final = f"{_FIND_OF_ORG} AND app_id = :app"


async def get(read: Read, task_id: str) -> Task | None:
    """Return a task by its id, of any kind, or None."""
    row = await read.row(_FIND, id=task_id)
    return None if row is None else task_of(row)


async def find(read: Read, org_id: OrgId, app_id: AppId | None, task_id: str) -> Task | None:
    """Return a public task of an organization, or of one of its applications, or None."""
    if app_id is None:
        row = await read.row(_FIND_OF_ORG, id=task_id, org=org_id)
    else:
        row = await read.row(_FIND_OF_APP, id=task_id, org=org_id, app=app_id)
    return None if row is None else task_of(row)


@dataclass(frozen=True, slots=True)
class TaskFilters:
    """The tasks of a list: those of the given kinds, because clients reject a list with another one."""

    kinds: Sequence[str]
    status: WireStatus | None = None
    kind: str | None = None


def page_text(window: PageWindow, filters: TaskFilters, *, by_app: bool, of_all: bool = False) -> str:
    """Return the statement of a list. Each combination of status and kind has an index that ends with the id.

    Without a status, the statement merges the pages of all statuses. Status and kinds are constants, not parameters:
    for a parameter PostgreSQL assumes the average frequency, and for a rare kind it would then scan all tasks. Double
    negation keeps SQLite on the list's index. `of_all` lists the tasks of every organization, by their primary key.
    """
    where = "TRUE" if of_all else "app_id = :app AND org_id = :org" if by_app else "org_id = :org"
    if filters.kind is not None:
        where += f" AND kind = '{filters.kind}'" if filters.kind in filters.kinds else " AND kind = :kind"
    where += f" AND NOT (kind NOT IN ({_quoted(filters.kinds)})) AND {_HAS_KNOWN_STATE}"
    statuses = WireStatus if filters.status is None else (filters.status,)
    end = end_of(window, "id")
    found = [f"SELECT {COLUMNS} FROM task WHERE {where} AND wire_status = '{each.value}'{end}" for each in statuses]
    if len(found) == 1:
        return found[0]
    every = " UNION ALL ".join(f"SELECT * FROM ({text}) AS part" for text in found)
    return f"SELECT * FROM ({every}) AS task WHERE TRUE{end}"


async def page(read: Read, org_id: OrgId, app_id: AppId | None, window: PageWindow, filters: TaskFilters) -> list[Task]:
    """Return a page of the tasks of an organization, or of one of its applications."""
    text = page_text(window, filters, by_app=app_id is not None)
    given = {"org": org_id, "app": app_id, "kind": filters.kind}
    return [task_of(row) for row in await read.rows(text, **given, **bounds_of(window))]


async def page_of_all(read: Read, window: PageWindow, filters: TaskFilters) -> list[Task]:
    """Return a page of the tasks of every organization."""
    text = page_text(window, filters, by_app=False, of_all=True)
    return [task_of(row) for row in await read.rows(text, kind=filters.kind, **bounds_of(window))]


_RATE: Final = (
    "SELECT rate FROM task WHERE org_id = :org AND kind = :kind AND wire_status = 'finished' ORDER BY id DESC LIMIT 1"
)


async def last_rate(read: Read, org_id: str, kind: str) -> float | None:
    """Return the rows per second of an organization's last finished task of a kind, or None."""
    row = await read.row(_RATE, org=org_id, kind=kind)
    return None if row is None or row["rate"] <= 0 else float(row["rate"])


_EVENTS: Final = "SELECT seq, at, type, data FROM task_event WHERE task_id = :id AND seq > :after ORDER BY seq"


async def events(read: Read, task_id: str, *, after: int = 0) -> list[tuple[int, int, str, str | None]]:
    """Return the events of a task in order: number, timestamp, type and data."""
    rows = await read.rows(_EVENTS, id=task_id, after=after)
    return [(row["seq"], row["at"], row["type"], row["data"]) for row in rows]


# -----------------------------------------------------------------------------------------------------------------
# Commands of users. Each is one statement with the guard of its transition, and returns the task, or None if the guard
# does not hold.

_NOW: Final = "CAST(:now AS BIGINT)"
_PAUSE: Final = f"UPDATE task SET {change(Command.PAUSE, _NOW)} WHERE id = :id AND {guard(Command.PAUSE)}"
_CANCEL: Final = (
    f"UPDATE task SET {change(Command.CANCEL, _NOW)}, error = :error WHERE id = :id AND {guard(Command.CANCEL)}"
)
_QUEUE: Final = {
    command: (
        f"UPDATE task SET {change(command, _NOW)}, error = NULL, ready_at = 0, fair_round = CAST(:fair_round AS BIGINT)"
        f" WHERE id = :id AND {guard(command)}"
    )
    for command in (Command.RESUME, Command.RETRY)
}


async def pause(tx: Write, task_id: str, now: int) -> Task | None:
    """Pause a task. Returns None if its state does not allow that."""
    row = await tx.row(f"{_PAUSE} RETURNING {COLUMNS}", id=task_id, now=now)
    return await _noted(tx, row, "paused", now)


async def cancel(tx: Write, task_id: str, now: int, why: Failure) -> Task | None:
    """Cancel a task. Returns None if its state does not allow that."""
    row = await tx.row(f"{_CANCEL} RETURNING {COLUMNS}", id=task_id, now=now, error=failure_text(why))
    return await _noted(tx, row, "cancelled", now)


async def resume(tx: Write, task: Task, now: int, known: Sequence[str]) -> Task | None:
    """Queue a paused task again. The caller must hold the claim lock."""
    return await _queued(tx, task, Command.RESUME, now, known)


async def retry(tx: Write, task: Task, now: int, known: Sequence[str]) -> Task | None:
    """Queue a failed task again, to continue at its cursor. The caller must hold the claim lock."""
    return await _queued(tx, task, Command.RETRY, now, known)


async def _queued(tx: Write, task: Task, command: Command, now: int, known: Sequence[str]) -> Task | None:
    fair_round = await next_round(tx, task.tenant, task.priority, known)
    row = await tx.row(f"{_QUEUE[command]} RETURNING {COLUMNS}", id=task.id, now=now, fair_round=fair_round)
    return await _noted(tx, row, {Command.RESUME: "resumed", Command.RETRY: "retried"}[command], now)


async def _noted(tx: Write, row: Row | None, event: str, now: int) -> Task | None:
    if row is None:
        return None
    task = task_of(row)
    await note(tx, task.id, event, now)
    return task


_COUNT_MORE: Final = "UPDATE task SET counters = :counters WHERE id = :id"


async def add_to_counter(tx: Write, task_id: str, name: str, by: int) -> None:
    """Add to a counter of a task that no worker runs. The caller must have locked the task's row."""
    row = await tx.one("SELECT counters FROM task WHERE id = :id", id=task_id)
    counters = json.loads(row["counters"])
    counters[name] = counters.get(name, 0) + by
    await tx.run(_COUNT_MORE, id=task_id, counters=json.dumps(counters))


_HOLD: Final = f"{_FIND} FOR UPDATE"


async def hold(tx: Write, task_id: str) -> Task | None:
    """Return a task by its id, or None, and lock its row until the transaction ends."""
    row = await tx.row(_HOLD, id=task_id)
    return None if row is None else task_of(row)
