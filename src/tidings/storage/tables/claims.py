# SPDX-License-Identifier: MIT
"""The statements by which a worker claims a task, writes under the claim, and releases the task.

Every statement after the claim has the condition `id AND epoch AND state = 'running'`. A statement that matches no row
raises `LeaseLost`, which rolls back the transaction around it.

If `now` is None, a statement uses the clock of the database (PostgreSQL).
"""

import json
import random
from collections.abc import Sequence
from typing import Final

from tidings.model.task import (
    ARGS_VERSION,
    ITEMS_KEPT,
    Checkpoint,
    ChunkResult,
    Claim,
    Command,
    Failure,
    LeaseLost,
    Plan,
    State,
    Task,
    TaskPolicy,
)
from tidings.storage.drivers.database import Read, Row, Write
from tidings.storage.tables.index_order import use_index_order
from tidings.storage.tables.tasks import COLUMNS, change, failure_text, guard, next_round, note, task_of

EXPIRED: Final = Failure("lapsed", "The worker made no progress within the lease, so the task was requeued.")

_BATCH: Final = 100
_BACKOFF_MAX_MS: Final = 60_000
_JITTER_PERCENT: Final = 25
# 1 s, 2 s, 4 s and so on per failed attempt. SQL computes it, because only the locked row has the current count.
_NOW: Final = "clock(:now)"
_BACKOFF: Final = (
    f"{_NOW} + (CASE WHEN (CAST(:backoff AS BIGINT) << failed_attempts) > CAST(:backoff_max AS BIGINT)"
    " THEN CAST(:backoff_max AS BIGINT)"
    " ELSE (CAST(:backoff AS BIGINT) << failed_attempts) END) * CAST(:percent AS BIGINT) / 100"
)
OWNED: Final = "id = :id AND epoch = CAST(:epoch AS BIGINT) AND state = 'running'"


def _backoff(policy: TaskPolicy) -> dict[str, int]:
    """Return the parameters of a backoff. Jitter keeps tasks that failed together from retrying together."""
    percent = 100 + random.randint(-_JITTER_PERCENT, _JITTER_PERCENT)  # noqa: S311 - no secret
    return {"backoff": policy.backoff_ms, "backoff_max": _BACKOFF_MAX_MS, "percent": percent}


async def timestamp(tx: Write, now: int | None) -> int:
    """Return one timestamp for several statements, so that all of them agree on which tasks are ready.

    With a clock read per statement, a task could become ready between two of them and appear in neither result.
    """
    return now if now is not None else int((await tx.one(f"SELECT {_NOW} AS now", now=None))["now"])


# -----------------------------------------------------------------------------------------------------------------
# Claim

_EXPIRE: Final = (
    f"UPDATE task SET {change(Command.EXPIRE, _NOW)}, error = :error, ready_at = {_BACKOFF}"
    f" WHERE {guard(Command.EXPIRE)}"
)
_REQUEUE: Final = (
    f"{_EXPIRE} AND lease_until < {_NOW}"
    " AND row_address IN (SELECT row_address FROM task"
    f" WHERE state = 'running' AND lease_until < {_NOW} LIMIT CAST(:many AS BIGINT))"
    f" RETURNING {COLUMNS}"
)
_REQUEUE_WORKER: Final = f"{_EXPIRE} AND worker = :worker AND CAST(:many AS BIGINT) IS NOT NULL RETURNING {COLUMNS}"
_REQUEUE_ALL: Final = f"{_EXPIRE} AND CAST(:many AS BIGINT) IS NOT NULL RETURNING {COLUMNS}"


async def requeue_expired(tx: Write, policy: TaskPolicy, now: int | None, *, ignore_leases: bool = False) -> list[Task]:
    """Requeue the tasks whose leases have expired, record a failed attempt for each, and return them.

    One statement checks and writes, so a lease that its owner renews concurrently is not taken.
    """
    return await _expire(tx, _REQUEUE_ALL if ignore_leases else _REQUEUE, policy, now)


async def requeue_worker(tx: Write, policy: TaskPolicy, now: int | None, worker: str) -> list[Task]:
    """Requeue the tasks of a lost worker before lease expiry, record a failed attempt for each, and return them."""
    return await _expire(tx, _REQUEUE_WORKER, policy, now, worker=worker)


async def _expire(tx: Write, statement: str, policy: TaskPolicy, now: int | None, **more: str) -> list[Task]:
    error = failure_text(EXPIRED)
    rows = await tx.rows(
        statement, now=now, limit=policy.attempt_limit, error=error, many=_BATCH, **_backoff(policy), **more
    )
    expired = [task_of(row) for row in rows]
    for task in expired:
        await note(tx, task.id, "failed" if task.state is State.FAILED else "lapsed", task.updated_at, error)
    return expired


_IS_READABLE: Final = f"args_version <= {ARGS_VERSION}"

# `NOT IN` builds its set once. A subquery per row would make every claim slow if a tenant has many tasks.
# `+ 0` keeps the planners on the index of fair-share rounds, in which the first matching row is the result.
_CHOOSE: Final = (
    f"SELECT id FROM task WHERE state = 'queued' AND ready_at + 0 <= {_NOW} AND kind IN :kinds AND {_IS_READABLE}"
    " AND tenant NOT IN (SELECT tenant FROM task WHERE state = 'running'"
    " GROUP BY tenant HAVING count(*) >= CAST(:per_tenant AS BIGINT))"
    " AND (lock_key IS NULL"
    " OR lock_key NOT IN (SELECT lock_key FROM task WHERE state = 'running' AND lock_key IS NOT NULL))"
    " ORDER BY priority DESC, fair_round, id LIMIT 1"
)
_TAKE: Final = (
    f"UPDATE task SET {change(Command.CLAIM, _NOW)}, lease_until = {_NOW} + CAST(:lease AS BIGINT),"
    f" worker = :worker, started_at = coalesce(started_at, {_NOW})"
    f" WHERE id = :id AND {guard(Command.CLAIM)} RETURNING {COLUMNS}"
)


async def claim(tx: Write, policy: TaskPolicy, kinds: Sequence[str], worker: str, now: int | None) -> Task | None:
    """Claim the first task of the current fair-share round among the given kinds. The caller holds the claim lock."""
    await use_index_order(tx)
    while True:
        chosen = await tx.row(_CHOOSE, now=now, kinds=list(kinds), per_tenant=policy.per_tenant)
        if chosen is None:
            return None
        row = await tx.row(_TAKE, id=chosen["id"], now=now, lease=policy.lease_ms, worker=worker)
        if row is not None:  # otherwise a user paused or canceled it between the two statements
            return task_of(row)


_LATER: Final = (
    f"SELECT min(at) - {_NOW} AS wait FROM ("
    f"SELECT min(ready_at) AS at FROM task WHERE state = 'queued' AND ready_at > {_NOW}"
    f" UNION ALL SELECT min(lease_until) FROM task WHERE state = 'running' AND lease_until >= {_NOW}) AS timestamps"
)


async def delay_until_ready(read: Read, now: int | None) -> int | None:
    """Return the milliseconds until the next task becomes ready or the next lease expires, or None if neither will."""
    wait = (await read.one(_LATER, now=now))["wait"]
    return None if wait is None else max(0, int(wait))


_NEXT_EXPIRY: Final = f"SELECT min(lease_until) - {_NOW} AS wait FROM task WHERE state = 'running'"


async def next_expiry(read: Read, now: int | None) -> int | None:
    """Return the milliseconds until the next lease expires: negative if one has expired, None without leases."""
    wait = (await read.one(_NEXT_EXPIRY, now=now))["wait"]
    return None if wait is None else int(wait)


_READY: Final = (
    f"SELECT 1 FROM task WHERE state = 'queued' AND ready_at <= {_NOW} AND kind IN :kinds AND {_IS_READABLE} LIMIT 1"
)


async def has_waiting(read: Read, kinds: Sequence[str], now: int | None) -> bool:
    """Return whether a task of the given kinds is queued and ready."""
    return await read.row(_READY, kinds=list(kinds), now=now) is not None


# -----------------------------------------------------------------------------------------------------------------
# Work under a claim


def _owned_task(row: Row | None) -> Task:
    if row is None:
        raise LeaseLost
    return task_of(row)


_READ: Final = f"SELECT {COLUMNS} FROM task WHERE {OWNED}"
FENCE: Final = f"{_READ} FOR UPDATE"


async def owned(read: Read, held: Claim) -> Task:
    """Return the stored task of a claim; raise `LeaseLost` if the claim no longer holds."""
    return _owned_task(await read.row(_READ, id=held.id, epoch=held.epoch))


async def fence(tx: Write, held: Claim) -> Task:
    """Return the stored task of a claim and lock its row until the transaction ends; raise `LeaseLost` like `owned`."""
    return _owned_task(await tx.row(FENCE, id=held.id, epoch=held.epoch))


def _under_claim(command: Command, changes: str, condition: str = "") -> str:
    """Return the statement of a command under a claim, which sets `changes` and returns the task."""
    return f"UPDATE task SET {change(command, _NOW)}, {changes} WHERE {OWNED}{condition} RETURNING {COLUMNS}"


_OLDER_ENDED: Final = (
    "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint > CAST(:created_xid AS BIGINT) AS ended"
)


async def older_transactions_ended(read: Read, created_xid: int | None) -> bool:
    """Return whether every transaction older than the one that created the task has ended.

    Until then, such a transaction may still commit a row with a key below the cursor.
    """
    if created_xid is None:  # one writer
        return True
    return bool((await read.one(_OLDER_ENDED, created_xid=created_xid))["ended"])


_RENEW: Final = f"UPDATE task SET lease_until = {_NOW} + CAST(:lease AS BIGINT) WHERE {OWNED}"


async def renew(tx: Write, held: Claim, policy: TaskPolicy, now: int | None) -> None:
    """Renew the lease of a claim that waits in the middle of its slice."""
    if not await tx.run(_RENEW, id=held.id, epoch=held.epoch, lease=policy.lease_ms, now=now):
        raise LeaseLost


_PLANNED: Final = _under_claim(
    Command.ADVANCE,
    "cursor = :cursor, total = CAST(:total AS BIGINT), total_exact = CAST(:exact AS SMALLINT),"
    f" lease_until = {_NOW} + CAST(:lease AS BIGINT), error = NULL",
    " AND cursor IS NULL",
)


async def store_plan(tx: Write, held: Claim, plan: Plan, policy: TaskPolicy, now: int | None) -> Task:
    """Store the closed range that a task will visit, once: the same column holds the cursor afterwards."""
    row = await tx.row(
        _PLANNED,
        id=held.id,
        epoch=held.epoch,
        cursor=plan.cursor,
        total=plan.total,
        exact=int(plan.exact),
        lease=policy.lease_ms,
        now=now,
    )
    return _owned_task(row)


CHECKPOINT: Final = _under_claim(
    Command.ADVANCE,
    "cursor = :cursor, done = done + CAST(:done AS BIGINT), skipped = skipped + CAST(:skipped AS BIGINT),"
    " counters = :counters, size = CAST(:size AS INTEGER), rate = CAST(:rate AS DOUBLE PRECISION),"
    " busy_ms = busy_ms + CAST(:took AS BIGINT), chunks = chunks + 1,"
    f" lease_until = {_NOW} + CAST(:lease AS BIGINT), error = NULL",
)


async def checkpoint(
    tx: Write, task: Task, result: ChunkResult, progress: Checkpoint, policy: TaskPolicy, now: int | None
) -> Task:
    """Store the progress of a chunk in the transaction of its effects; `task` is the row that `fence` returned."""
    counters = dict(task.counters)
    for name, by in result.counters.items():
        counters[name] = counters.get(name, 0) + by
    row = await tx.row(
        CHECKPOINT,
        id=task.id,
        epoch=task.epoch,
        cursor=progress.cursor,
        done=result.done,
        skipped=len(result.skipped),
        counters=json.dumps(counters),
        size=progress.size,
        rate=progress.rate,
        took=progress.took_ms,
        lease=policy.lease_ms,
        now=now,
    )
    advanced = _owned_task(row)
    room = ITEMS_KEPT - task.skipped
    if room > 0 and result.skipped:
        await tx.bulk(_SKIP, [(task.id, key, reason) for key, reason in result.skipped[:room]])
    return advanced


_SKIP: Final = (
    "INSERT INTO task_item (task_id, key, outcome, data) SELECT given.task, given.key, 'skipped', given.reason"
    " FROM given(task text, key text, reason text) ON CONFLICT DO NOTHING"
)
_FINISH: Final = _under_claim(Command.FINISH, "error = NULL")


async def finish(tx: Write, held: Claim, now: int | None) -> Task:
    """End a task that has visited its whole range, in the transaction of its last chunk."""
    task = _owned_task(await tx.row(_FINISH, id=held.id, epoch=held.epoch, now=now))
    await note(tx, task.id, "succeeded", task.updated_at)
    return task


# -----------------------------------------------------------------------------------------------------------------
# Release

_WAIT: Final = _under_claim(Command.WAIT, f"ready_at = {_NOW} + CAST(:wait AS BIGINT)")


async def wait(tx: Write, held: Claim, ms: int, now: int | None) -> Task:
    """Release a task for `ms` milliseconds because it waits for other work. It keeps its fair-share round."""
    return _owned_task(await tx.row(_WAIT, id=held.id, epoch=held.epoch, wait=ms, now=now))


_RELEASE_UNREADABLE: Final = _under_claim(Command.WAIT, f"error = :error, ready_at = {_NOW} + CAST(:wait AS BIGINT)")


async def release_unreadable(tx: Write, held: Claim, why: Failure, ms: int, now: int | None) -> Task:
    """Release a task that this version cannot read to a worker of another version, without a failed attempt."""
    return _owned_task(
        await tx.row(_RELEASE_UNREADABLE, id=held.id, epoch=held.epoch, error=failure_text(why), wait=ms, now=now)
    )


_YIELD: Final = _under_claim(Command.YIELD, f"fair_round = CAST(:fair_round AS BIGINT), ready_at = {_NOW}")


async def yield_task(tx: Write, task: Task, known: Sequence[str], now: int | None) -> Task:
    """Requeue a task in a round after the queued tasks of its tenant. The caller holds the claim lock."""
    fair_round = await next_round(tx, task.tenant, task.priority, known, behind=1)
    return _owned_task(await tx.row(_YIELD, id=task.id, epoch=task.epoch, fair_round=fair_round, now=now))


_FAIL: Final = _under_claim(Command.FAIL, f"error = :error, ready_at = {_BACKOFF}")


async def fail_attempt(tx: Write, held: Claim, why: Failure, policy: TaskPolicy, now: int | None) -> Task:
    """Record a failed attempt: requeue the task after a backoff, or fail it at the attempt limit."""
    error = failure_text(why)
    row = await tx.row(
        _FAIL, id=held.id, epoch=held.epoch, error=error, limit=policy.attempt_limit, now=now, **_backoff(policy)
    )
    task = _owned_task(row)
    await note(tx, task.id, "failed" if task.state is State.FAILED else "struck", task.updated_at, error)
    return task
