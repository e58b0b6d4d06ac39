# SPDX-License-Identifier: MIT
"""A synthetic kind of task that leaves a row for every effect, and checks on these rows.

The test's own tables have no unique columns: a doubled effect has two rows, which the check finds.
"""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from tidings import ids
from tidings.clock import Clock, SystemClock
from tidings.core import tasks as use_cases
from tidings.core.idempotency import Idempotency
from tidings.core.notifier import Notifier
from tidings.core.services import Services
from tidings.ids import AppId, OrgId
from tidings.model.task import Batch, ChunkResult, NewTask, PermanentFailure, Plan, State, Task
from tidings.model.task_kind import TaskKind, TaskKinds
from tidings.storage.drivers.database import Database, Dialect, Read, Sql, Statement, StorageTuning, Value, Write
from tidings.storage.drivers.store import migrate, opened
from tidings.storage.tables import tasks as store
from tidings.tasks.handler import Handler, TaskHandler
from tidings.tasks.registry import DECLARED
from tidings.tasks.runner import Runner, RunnerLimits
from tidings.tasks.tuning import TaskTuning

ORG = OrgId("org_23rb8YdGqMT0qIzpgGwdXfHirMu")
KIND = "test.count"
COUNT = TaskKind(name=KIND, summary="Count")
KINDS = TaskKinds((*DECLARED, COUNT))
WAIT_SECONDS = 50.0
"""Shorter than the limit of a test: the state of the task is then in the report."""
STEADY = TaskTuning(chunk_write_ms=math.inf)
"""Chunks keep their size, however slow the machine is."""

_TABLES = (
    "CREATE TABLE IF NOT EXISTS test_effect (task_id TEXT NOT NULL, item BIGINT NOT NULL)",
    """
    CREATE TABLE IF NOT EXISTS test_chunk (task_id TEXT NOT NULL, at_epoch BIGINT NOT NULL, from_item BIGINT NOT NULL,
      to_item BIGINT NOT NULL, worker TEXT NOT NULL)
    """,
)
_EFFECT = Sql(
    sqlite="INSERT INTO test_effect (task_id, item) VALUES (?, ?)",
    postgresql="INSERT INTO test_effect (task_id, item) SELECT * FROM unnest($1::text[], $2::bigint[])",
)


@dataclass
class Counting(TaskHandler):
    """Visits the numbers from 1 to `items`; some may fail in different ways."""

    worker: str = "here"
    kind: TaskKind = COUNT
    outstanding: int = 0
    per_item: int = 0
    seen: list[tuple[str, int]] = field(default_factory=list)

    async def plan(self, read: Read, task: Task) -> Plan:
        del read
        return Plan("0", json.loads(task.args)["items"], exact=True)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        del read
        first = int(task.cursor or 0) + 1
        last = json.loads(task.args)["items"]
        items = list(range(first, min(first + limit - 1, last) + 1))
        return Batch(items, len(items), str(items[-1] if items else last), not items or items[-1] == last)

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        args = json.loads(task.args)
        if args.get("poison") in batch.items:
            raise ZeroDivisionError
        if args.get("gone") in batch.items:
            raise PermanentFailure("gone", "The endpoint has been deleted.")
        skipped = [(str(item), "odd") for item in batch.items if args.get("skip") and item % args["skip"] == 0]
        left_out = {int(key) for key, _ in skipped}
        done = [item for item in batch.items if item not in left_out]
        if done:
            await tx.bulk(_EFFECT, [(task.id, item) for item in done])
        await log_chunk(tx, task, batch, self.worker)
        self.seen.append((task.id, len(batch.items)))
        made = len(done) * self.per_item
        self.outstanding += made
        return ChunkResult(len(done), skipped, {"counted": len(done)}, made)

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        del read, task
        return min(self.outstanding, limit)


async def log_chunk(tx: Write, task: Task, batch: Batch, worker: str) -> None:
    await tx.run(
        "INSERT INTO test_chunk (task_id, at_epoch, from_item, to_item, worker)"
        " VALUES (:id, :epoch, :first, :last, :worker)",
        id=task.id,
        epoch=task.epoch,
        first=int(task.cursor or 0),
        last=int(batch.cursor),
        worker=worker,
    )


@asynccontextmanager
async def database(url: str, *, fresh: bool = True, tuning: StorageTuning = StorageTuning()) -> AsyncIterator[Database]:
    db = await opened(url, connections=8, tuning=tuning)
    try:
        if fresh:
            await migrate(db)
            async with db.write() as tx:
                for table in _TABLES:
                    await tx.run(table)
        yield db
    finally:
        await db.close()


def services_of(db: Database, clock: Clock | None = None, notifier: Notifier | None = None) -> Services:
    clock = clock or SystemClock()
    return Services(db, clock, notifier or Notifier(), Idempotency(db, clock), KINDS)


def new_task(items: int = 100, *, app: str | None = None, lock_key: str | None = None, **args: int) -> NewTask:
    text = json.dumps({"items": items, **args})
    return NewTask(kind=KIND, org_id=ORG, app_id=AppId(app) if app else None, args=text, lock_key=lock_key)


async def start(services: Services, new: NewTask) -> Task:
    async with services.db.write() as tx:
        return await use_cases.start(services, tx, new)


async def reread(db: Database, task_id: str) -> Task:
    async with db.read() as read:
        task = await store.get(read, task_id)
    assert task is not None
    return task


async def rows(db: Database, sql: str, **values: Value) -> list[tuple[Any, ...]]:
    async with db.read() as read:
        return [tuple(row) for row in await read.rows(sql, **values)]


async def run_sql(db: Database, sql: str, **values: Value) -> None:
    async with db.write() as tx:
        await tx.run(sql, **values)


QUICK = RunnerLimits(backoff_ms=1)
TENS = replace(QUICK, chunk_rows=10)


def runner_of(
    db: Database,
    *handlers: Handler,
    limits: RunnerLimits = QUICK,
    clock: Clock | None = None,
    tuning: TaskTuning = TaskTuning(),
) -> Runner:
    known: Mapping[str, Handler] = {handler.kind.name: handler for handler in handlers or (Counting(),)}
    return Runner(db, clock or SystemClock(), limits, known, tuning=tuning)


@asynccontextmanager
async def working(
    db: Database,
    *handlers: Handler,
    limits: RunnerLimits = QUICK,
    clock: Clock | None = None,
    tuning: TaskTuning = TaskTuning(),
) -> AsyncIterator[Runner]:
    runner = runner_of(db, *handlers, limits=limits, clock=clock, tuning=tuning)
    await runner.start()
    try:
        yield runner
    finally:
        await runner.stop()


async def until(db: Database, task_id: str, *states: State, seconds: float = WAIT_SECONDS) -> Task:
    """Wait until a task is in one of the states, by default in any final state."""
    wanted = states or (State.SUCCEEDED, State.FAILED, State.CANCELLED)
    async with asyncio.timeout(seconds):
        while True:
            task = await reread(db, task_id)
            if task.state in wanted:
                return task
            await asyncio.sleep(0.005)


async def wrongs(db: Database, task: Task) -> list[str]:
    """Return the faults in a task's effects and chunks: each item must occur once, and the chunks must form a chain."""
    async with db.read() as read:
        return await wrongs_seen(read, task)


async def wrongs_seen(read: Read, task: Task) -> list[str]:
    effects = [row["item"] for row in await read.rows("SELECT item FROM test_effect WHERE task_id = :id", id=task.id)]
    sql = "SELECT from_item, to_item, at_epoch FROM test_chunk WHERE task_id = :id"
    return wrongs_of(task, effects, [tuple(row) for row in await read.rows(sql, id=task.id)])


def wrongs_of(task: Task, effects: Sequence[int], chunks: Sequence[tuple[int, ...]]) -> list[str]:
    """Describe the faults in the effects of a task or in its chunks (first item, last item, epoch)."""
    found = []
    if len(set(effects)) != len(effects):
        found.append(f"{len(effects) - len(set(effects))} effects happened twice")
    if len(effects) != task.done:
        found.append(f"{len(effects)} effects, {task.done} counted")
    if task.state is State.SUCCEEDED and task.done + task.skipped != json.loads(task.args)["items"]:
        found.append(f"{task.done} done and {task.skipped} skipped of {task.args}")
    place = epoch = 0
    for first, last, at_epoch in sorted(chunks):
        if first != place:
            found.append(f"a chunk begins at {first}, not at {place}")
        if at_epoch < epoch:
            found.append(f"epoch {at_epoch} after {epoch}")
        place, epoch = last, at_epoch
    return found


def an_app(number: int = 0) -> AppId:
    return AppId(ids.new(ids.APP, 1_700_000_000_000 + number * 4))


async def explained(db: Database, sql: Statement, **values: Value | list[str]) -> str:
    """Return the plan of a statement as one text."""
    pair = sql if isinstance(sql, Sql) else Sql(sql, sql)
    explain = Sql(f"EXPLAIN QUERY PLAN {pair.sqlite}", f"EXPLAIN {pair.postgresql}")
    async with db.read() as read:
        found = await read.rows(explain, **values)
    return "\n".join(str(row[3] if db.dialect is Dialect.SQLITE else row[0]) for row in found)


@dataclass
class Environment:
    """A database, and services that wake the runner."""

    db: Database
    services: Services
    tuning: TaskTuning = STEADY

    @asynccontextmanager
    async def working(self, *handlers: Counting, limits: RunnerLimits = QUICK) -> AsyncIterator[Runner]:
        async with working(self.db, *handlers, limits=limits, tuning=self.tuning) as runner:
            self.services.notifier.tasks = runner.wake
            yield runner

    async def done(self, task: Task, *handlers: Counting, limits: RunnerLimits = QUICK) -> Task:
        """Run until a task has ended."""
        async with self.working(*handlers, limits=limits):
            return await until(self.db, task.id)


async def events_of(db: Database, task: Task) -> list[str]:
    async with db.read() as read:
        return [name for _, _, name, _ in await store.events(read, task.id)]


async def spin(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the condition has no event
            await asyncio.sleep(0.002)


@asynccontextmanager
async def begun(
    url: str, items: int, tuning: StorageTuning = StorageTuning()
) -> AsyncIterator[tuple[Environment, Task]]:
    """Give a database with one task that no runner has claimed yet."""
    async with database(url, tuning=tuning) as db:
        env = Environment(db, services_of(db))
        yield env, await start(env.services, new_task(items))


async def is_exact(db: Database, task: Task, items: int) -> None:
    """Assert that a task ends with each item done once, and without a failed attempt."""
    ended = await until(db, task.id)
    assert (ended.state, ended.done) == (State.SUCCEEDED, items)
    assert await wrongs(db, ended) == []
    assert "struck" not in await events_of(db, task)
