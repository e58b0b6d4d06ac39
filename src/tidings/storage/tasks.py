# SPDX-License-Identifier: MIT
"""Rows of background tasks: starting them, reading them, and the commands that a person gives.

What a worker does with a task is in `claims.py`. The guards and the changes of every command are made from
`model.task.TRANSITIONS`, here for both files.
"""

import json
from collections.abc import Iterable
from typing import Final

from tidings.ids import AppId, OrgId, TaskId
from tidings.model.page import PageWindow
from tidings.model.stored import json_object
from tidings.model.task import (
    ACTIVE,
    ENDED,
    KINDS,
    KNOWN,
    SYSTEM,
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
from tidings.storage.database import Dialect, Read, Row, Sql, Write
from tidings.storage.page_window import bounds_of, end_of

CLAIM_LOCK: Final = 7_251_002
"""The lock under which tasks are claimed and get their rounds: few decisions, and every limit exact."""

COLUMNS: Final = (
    "id, org_id, app_id, tenant, kind, args, state, priority, fair_round, ready_at, epoch, lease_until, cursor, done,"
    " skipped, total, total_exact, size, rate, busy_ms, chunks, failed_attempts, error, counters, lock_key, created_by,"
    " created_xid, rate_limit, created_at, started_at, updated_at, finished_at"
)


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in sorted(words))


def guard(command: Command) -> str:
    """Return the condition under which a command counts."""
    return f"state IN ({_quoted(TRANSITIONS[command].sources)})"


def _to(state: State, now: str) -> tuple[str, ...]:
    """Return the values, in SQL, that belong to a state."""
    return f"'{state}'", f"'{WIRE_STATUS[state]}'", now if state in ENDED else "NULL"


def change(command: Command, now: str) -> str:
    """Return the SET clause of a command; one that adds a failed attempt takes a `:limit`. `now` is an SQL expression.

    The claim's own columns (lease, worker) are the caller's to set where the target is `running`.
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
    """Make a task of a row that holds `COLUMNS`."""
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
    """Return a failure as it is stored."""
    return None if failure is None else json.dumps({"code": failure.code, "detail": failure.detail})


# -----------------------------------------------------------------------------------------------------------------
# Start


async def take_claim_lock(tx: Write) -> None:
    """Hold the claim lock until the transaction ends. On SQLite every write is alone anyway."""
    if tx.dialect is Dialect.POSTGRESQL:
        await tx.rows("SELECT pg_advisory_xact_lock(:claim_lock)", claim_lock=CLAIM_LOCK)


_CREATED_XID: Final = {Dialect.SQLITE: "NULL", Dialect.POSTGRESQL: "pg_current_xact_id()::text::bigint"}
_ADD: Final = (
    "INSERT INTO task (id, org_id, app_id, tenant, kind, args, state, wire_status, priority, fair_round, ready_at,"
    " size, lock_key, created_by, rate_limit, created_xid, created_at, updated_at)"
    " VALUES (:id, :org, :app, :tenant, :kind, :args, 'queued', 'running', :priority, :fair_round, 0, 0,"
    f" :lock_key, :created_by, CAST(:rate_limit AS INTEGER), {{created_xid}}, :now, :now) RETURNING {COLUMNS}"
)
_ADD_PAIR: Final = Sql(
    *(_ADD.replace("{created_xid}", _CREATED_XID[each]) for each in (Dialect.SQLITE, Dialect.POSTGRESQL))
)


async def add(tx: Write, task_id: TaskId, new: NewTask, now: int) -> Task:
    """Store a task that is ready at once, in its tenant's next round. The claim lock must be held."""
    fair_round = await next_round(tx, new.tenant, new.priority, new.kind)
    row = await tx.one(
        _ADD_PAIR,
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


# Without rows of unknown kinds: this release never claims those, and their round never passes. Two negations keep
# SQLite on the index of rounds; PostgreSQL resolves them.
_LOWEST: Final = (
    "SELECT fair_round FROM task WHERE state = 'queued' AND priority = CAST(:priority AS SMALLINT)"
    f" AND NOT (kind NOT IN ({_quoted(KNOWN)}, :kind)) ORDER BY fair_round LIMIT 1"
)
_OWN_HIGHEST: Final = (
    "SELECT fair_round FROM task WHERE state = 'queued' AND tenant = :tenant AND priority = CAST(:priority AS SMALLINT)"
    " ORDER BY fair_round DESC LIMIT 1"
)


async def next_round(tx: Write, tenant: str, priority: int, kind: str, *, behind: int = 0) -> int:
    """Return the fair-share round of a task to queue: after its tenant's own, not before the round being served.

    A task that yields after a slice passes `behind=1`: in the lowest round it would tie with the waiting tasks, and
    win by its older id.
    """
    lowest = await tx.row(_LOWEST, priority=priority, kind=kind)
    own = await tx.row(_OWN_HIGHEST, tenant=tenant, priority=priority)
    return max(0 if lowest is None else lowest["fair_round"] + behind, 0 if own is None else own["fair_round"] + 1)


_ACTIVE: Final = f"SELECT count(*) AS n FROM task WHERE tenant = :tenant AND state IN ({_quoted(ACTIVE)})"


async def active(read: Read, tenant: str) -> int:
    """Count a tenant's tasks that are not at their end; paused ones count too."""
    return int((await read.one(_ACTIVE, tenant=tenant))["n"])


_NOTE: Final = (
    "INSERT INTO task_event (task_id, seq, at, type, data)"
    " SELECT :id, coalesce(max(seq), 0) + 1, CAST(:at AS BIGINT), :type, :data FROM task_event WHERE task_id = :id"
)


async def note(tx: Write, task_id: str, event: str, at: int, data: str | None = None) -> None:
    """Write down a transition that a person caused or cares for; the task's row must be held."""
    await tx.run(_NOTE, id=task_id, at=at, type=event, data=data)


# -----------------------------------------------------------------------------------------------------------------
# Read

_FIND: Final = f"SELECT {COLUMNS} FROM task WHERE id = :id"
_HAS_KNOWN_STATE: Final = f"state IN ({_quoted(State)})"
_IS_PUBLIC: Final = f"kind NOT LIKE '{SYSTEM}%' AND {_HAS_KNOWN_STATE}"
_IS_LISTED: Final = f"NOT (kind NOT IN ({_quoted(KINDS)})) AND {_HAS_KNOWN_STATE}"
"""Clients refuse a list with a kind that they do not know. Two negations keep SQLite on the index of the list."""
_FIND_OF_ORG: Final = f"{_FIND} AND org_id = :org AND {_IS_PUBLIC}"
_FIND_OF_APP: Final = f"{_FIND_OF_ORG} AND app_id = :app"


async def get(read: Read, task_id: str) -> Task | None:
    """Return any task."""
    row = await read.row(_FIND, id=task_id)
    return None if row is None else task_of(row)


async def find(read: Read, org_id: OrgId, app_id: AppId | None, task_id: str) -> Task | None:
    """Return a task of an organisation, or of one application of it."""
    if app_id is None:
        row = await read.row(_FIND_OF_ORG, id=task_id, org=org_id)
    else:
        row = await read.row(_FIND_OF_APP, id=task_id, org=org_id, app=app_id)
    return None if row is None else task_of(row)


def page_text(window: PageWindow, *, by_app: bool, status: WireStatus | None, kind: str | None) -> str:
    """Return the statement of a list. Each set of filters has an index that ends in the id.

    Status and kind stand in the text, not in a value: of a kind that it does not know PostgreSQL thinks that it is as
    frequent as any, and looks for the few tasks of a rare one among all.
    """
    where = "app_id = :app AND org_id = :org" if by_app else "org_id = :org"
    if status is not None:
        where += f" AND wire_status = '{status.value}'"
    if kind is not None:
        where += f" AND kind = '{kind}'" if kind in KINDS else " AND kind = :kind"
    return f"SELECT {COLUMNS} FROM task WHERE {where} AND {_IS_LISTED}{end_of(window, 'id')}"


async def page(
    read: Read,
    org_id: OrgId,
    app_id: AppId | None,
    window: PageWindow,
    *,
    status: WireStatus | None = None,
    kind: str | None = None,
) -> list[Task]:
    """Return a part of the list of tasks of an organisation, or of one application of it."""
    text = page_text(window, by_app=app_id is not None, status=status, kind=kind)
    given = {"org": org_id, "app": app_id, "kind": kind}
    return [task_of(row) for row in await read.rows(text, **given, **bounds_of(window))]


_SKIPPED: Final = (
    "SELECT key, data FROM task_item WHERE task_id = :id AND outcome = 'skipped' AND key > :after"
    " ORDER BY key LIMIT CAST(:limit AS BIGINT)"
)


async def skipped_items(read: Read, task_id: str, *, after: str = "", limit: int = 100) -> list[tuple[str, str]]:
    """Return items that could not be done, with the reason, in order of their keys."""
    return [(row["key"], row["data"]) for row in await read.rows(_SKIPPED, id=task_id, after=after, limit=limit)]


_EVENTS: Final = "SELECT seq, at, type, data FROM task_event WHERE task_id = :id AND seq > :after ORDER BY seq"


async def events(read: Read, task_id: str, *, after: int = 0) -> list[tuple[int, int, str, str | None]]:
    """Return the transitions written down for a task, in order."""
    rows = await read.rows(_EVENTS, id=task_id, after=after)
    return [(row["seq"], row["at"], row["type"], row["data"]) for row in rows]


# -----------------------------------------------------------------------------------------------------------------
# What a person commands. Each is one statement whose condition is the table's, and returns the task or None.

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
    """Pause a task."""
    row = await tx.row(f"{_PAUSE} RETURNING {COLUMNS}", id=task_id, now=now)
    return await _noted(tx, row, "paused", now)


async def cancel(tx: Write, task_id: str, now: int, why: Failure) -> Task | None:
    """End a task."""
    row = await tx.row(f"{_CANCEL} RETURNING {COLUMNS}", id=task_id, now=now, error=failure_text(why))
    return await _noted(tx, row, "cancelled", now)


async def resume(tx: Write, task: Task, now: int) -> Task | None:
    """Let a paused task go on. The claim lock must be held."""
    return await _queued(tx, task, Command.RESUME, now)


async def retry(tx: Write, task: Task, now: int) -> Task | None:
    """Let a failed task go on from where it failed. The claim lock must be held."""
    return await _queued(tx, task, Command.RETRY, now)


async def _queued(tx: Write, task: Task, command: Command, now: int) -> Task | None:
    fair_round = await next_round(tx, task.tenant, task.priority, task.kind)
    row = await tx.row(f"{_QUEUE[command]} RETURNING {COLUMNS}", id=task.id, now=now, fair_round=fair_round)
    return await _noted(tx, row, {Command.RESUME: "resumed", Command.RETRY: "retried"}[command], now)


async def _noted(tx: Write, row: Row | None, event: str, now: int) -> Task | None:
    if row is None:
        return None
    task = task_of(row)
    await note(tx, task.id, event, now)
    return task


_COUNT_MORE: Final = "UPDATE task SET counters = :counters WHERE id = :id"


async def count_more(tx: Write, task_id: str, name: str, by: int) -> None:
    """Add to a counter of a task that nobody works on; the task's row must be held."""
    row = await tx.one("SELECT counters FROM task WHERE id = :id", id=task_id)
    counters = json.loads(row["counters"])
    counters[name] = counters.get(name, 0) + by
    await tx.run(_COUNT_MORE, id=task_id, counters=json.dumps(counters))


_HOLD: Final = Sql(
    sqlite=_FIND,
    postgresql=f"{_FIND} FOR UPDATE",
)


async def hold(tx: Write, task_id: str) -> Task | None:
    """Return a task and hold its row until the transaction ends."""
    row = await tx.row(_HOLD, id=task_id)
    return None if row is None else task_of(row)


# -----------------------------------------------------------------------------------------------------------------
# When there is something to do

DATABASE_NOW: Final = {
    Dialect.SQLITE: "CAST(:now AS BIGINT)",
    Dialect.POSTGRESQL: "coalesce(CAST(:now AS BIGINT), (extract(epoch FROM statement_timestamp()) * 1000)::bigint)",
}
"""The timestamp that leases are measured by: PostgreSQL's own unless it is given, so that no node's clock counts."""


def timed(text: str) -> Sql:
    """Make both texts of a statement that says `{now}`."""
    return Sql(*(text.replace("{now}", DATABASE_NOW[each]) for each in (Dialect.SQLITE, Dialect.POSTGRESQL)))


_NEXT_READY: Final = timed(
    "SELECT min(at) - {now} AS wait FROM (SELECT min(ready_at) AS at FROM task WHERE state = 'queued'"
    " UNION ALL SELECT min(lease_until) FROM task WHERE state = 'running') AS timestamps"
)


async def next_ready(read: Read, now: int) -> int | None:
    """Return the timestamp of the caller's clock at which there is a task to claim or an expired lease to requeue.

    A timestamp in the past may also mean a task that is ready but held up by a limit.
    """
    given = now if read.dialect is Dialect.SQLITE else None
    wait = (await read.one(_NEXT_READY, now=given))["wait"]
    return None if wait is None else now + wait
