# SPDX-License-Identifier: MIT
"""Start, end and takeover of a runner, and database faults, which are never counted as the task's."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from database_proxy import DatabaseProxy
from tasks.kit import (
    STEADY,
    TENS,
    Counting,
    Environment,
    begun,
    database,
    events_of,
    is_exact,
    new_task,
    reread,
    rows,
    runner_of,
    spin,
    start,
    until,
    working,
    wrongs,
)
from tidings.clock import SystemClock
from tidings.model.task import Batch, ChunkResult, Plan, State, Task, TaskPolicy
from tidings.storage.drivers.database import Busy, Database, Dialect, OutcomeUnknown, Read, Unavailable, Write
from tidings.storage.tables import claims, tasks
from tidings.tasks.slice import Slice
from tidings.tasks.tuning import TaskTuning

IMPATIENT = TaskTuning(backoff_first_seconds=0.0001)

# --- start and end


async def test_a_stop_releases_the_task_without_a_failed_attempt(env: Environment) -> None:
    handler = Counting()
    async with env.working(handler, limits=TENS):
        task = await start(env.services, new_task(5_000))
        await spin(lambda: len(handler.seen) > 3)
    stopped = await reread(env.db, task.id)
    await env.done(task)

    assert (stopped.state, stopped.failed_attempts) == (State.QUEUED, 0)
    assert 0 < stopped.done < 5_000
    await is_exact(env.db, task, 5_000)


async def test_a_stop_during_the_first_step_of_a_runner_ends_it(env: Environment) -> None:
    """On SQLite the first step requeues the tasks of the previous process, and nothing has been claimed yet."""
    runner = runner_of(env.db)
    await runner.start()
    await asyncio.sleep(0)

    async with asyncio.timeout(30):
        await runner.stop(grace=3_600)


async def test_starting_and_stopping_twice_has_no_further_effect(env: Environment) -> None:
    runner = runner_of(env.db)
    await runner.stop()
    await runner.start()
    await runner.start()
    assert repr(runner) == "<Runner [0 of 4 slots busy]>"
    await runner.stop()
    await runner.stop()
    env.services.notifier.tasks = runner.wake
    await runner.start()
    task = await start(env.services, new_task(10))
    await until(env.db, task.id)
    await runner.stop()


@dataclass
class Stuck(Counting):
    """Never returns from its first load."""

    begun: bool = False

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        del read, task, limit
        self.begun = True
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_stop_has_a_time_limit(env: Environment) -> None:
    env.tuning = replace(STEADY, stop_seconds=0.05)
    handler = Stuck()
    async with env.working(handler):
        task = await start(env.services, new_task(10))
        await spin(lambda: handler.begun)

    assert (await reread(env.db, task.id)).state is State.RUNNING


async def test_on_sqlite_a_new_process_takes_over_at_once(sqlite_url: str) -> None:
    """I9: a SQLite file has one process, so the previous owner of a task has ended."""
    async with begun(sqlite_url, 100) as (env, task):
        db = env.db
        async with db.write(advisory_lock=tasks.CLAIM_LOCK) as tx:
            hour = TaskPolicy(lease_ms=3_600_000)
            assert await claims.claim(tx, hour, ["test.count"], "dead", env.services.clock.now()) is not None

        ended = await env.done(task)

        assert (ended.state, ended.epoch) == (State.SUCCEEDED, 3)
        assert await events_of(db, task) == ["created", "lapsed", "succeeded"]


async def test_on_postgresql_another_node_takes_over_when_the_lease_has_run_out(postgres_dsn: str) -> None:
    """I9: without a wake-up."""
    async with begun(postgres_dsn, 100) as (env, task):
        db = env.db
        async with db.write(advisory_lock=tasks.CLAIM_LOCK) as tx:
            assert await claims.claim(tx, TaskPolicy(lease_ms=300), ["test.count"], "dead", None) is not None

        ended = await env.done(task)

        assert (ended.state, ended.epoch) == (State.SUCCEEDED, 3)
        assert await events_of(db, task) == ["created", "lapsed", "succeeded"]


async def test_on_postgresql_the_task_of_a_dead_process_is_taken_over_before_its_lease_expires(
    postgres_dsn: str,
) -> None:
    async with begun(postgres_dsn, 100) as (env, task):
        db = env.db
        async with db.write(advisory_lock=tasks.CLAIM_LOCK) as tx:
            assert await claims.claim(tx, TaskPolicy(lease_ms=3_600_000), ["test.count"], "dead", None) is not None

        heir = runner_of(db, Counting())
        await heir.take_over("another node")
        assert (await reread(db, task.id)).state is State.RUNNING
        await heir.take_over("dead")
        ended = await env.done(task)

        assert (ended.state, ended.epoch) == (State.SUCCEEDED, 3)
        assert await events_of(db, task) == ["created", "lapsed", "succeeded"]


async def test_on_postgresql_nodes_share_the_work(postgres_dsn: str) -> None:
    async with begun(postgres_dsn, 200) as (env, first):
        db = env.db
        started = [first, *[await start(env.services, new_task(200, app=f"app_{number}")) for number in range(7)]]
        nodes = [Counting(worker=name) for name in ("a", "b", "c")]
        limits = replace(TENS, slots=2)
        async with (
            working(db, nodes[0], limits=limits),
            working(db, nodes[1], limits=limits),
            working(db, nodes[2], limits=limits),
        ):
            ended = [await until(db, task.id) for task in started]

        for task in ended:
            assert task.state is State.SUCCEEDED
            assert await wrongs(db, task) == []
        assert len([node for node in nodes if node.seen]) > 1


@pytest.mark.parametrize("is_planned", [False, True])
async def test_two_workers_with_one_claim_apply_each_item_once(env: Environment, *, is_planned: bool) -> None:
    """I1, I2: both writers hold a valid epoch, but only one has the current cursor."""
    task = await start(env.services, new_task(300))
    context = runner_of(env.db, limits=TENS)._context  # noqa: SLF001
    async with env.db.write(advisory_lock=tasks.CLAIM_LOCK) as tx:
        claimed = await claims.claim(tx, context.policy, context.kinds.names, "w", context.now)
        assert claimed is not None
        if is_planned:
            claimed = await claims.store_plan(
                tx, claimed.claim, Plan("0", 300, exact=True), context.policy, context.now
            )

    both = [Counting(worker=name) for name in ("a", "b")]
    await asyncio.gather(*(Slice(context, each, claimed).run() for each in both))

    await is_exact(env.db, task, 300)


# --- database faults


class Troubled(DatabaseProxy):
    """A database that loses connections: before a commit, or just after it."""

    def __init__(self, db: Database, seed: int, *, rate: float) -> None:
        super().__init__(db)
        self.rate = rate
        self.troubles = self.writes = 0
        self._dice = random.Random(seed)  # noqa: S311

    @asynccontextmanager
    async def write(self, **options: Any) -> AsyncIterator[Write]:
        self.writes += 1
        async with self.db.write(**options) as tx:
            yield tx
            self._fail_next(Unavailable, Busy)
        self._fail_next(OutcomeUnknown)

    def read(self) -> AbstractAsyncContextManager[Read]:
        return self._troubled_read()

    @asynccontextmanager
    async def _troubled_read(self) -> AsyncIterator[Read]:
        self._fail_next(Unavailable)
        async with self.db.read() as read:
            yield read

    def _fail_next(self, *errors: type[Exception]) -> None:
        if self._dice.random() < self.rate:
            self.troubles += 1
            raise self._dice.choice(errors)("planned")


async def test_a_database_error_is_no_failed_attempt_and_loses_nothing(
    env: Environment,
) -> None:
    troubled = Troubled(env.db, 7, rate=0.15)
    task = await start(env.services, new_task(600))
    async with working(troubled, limits=replace(TENS, lease_seconds=1.5), tuning=IMPATIENT):
        await until(env.db, task.id)

    assert troubled.troubles > 20
    await is_exact(env.db, task, 600)


@dataclass
class Slow(Counting):
    """Times out with more than eight rows at once; `never` with any number."""

    never: bool = False

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        if self.never or len(batch.items) > 8:
            raise Busy("statement timeout")
        return await super().apply(tx, task, batch)


async def test_a_chunk_that_times_out_is_tried_with_fewer_rows(
    env: Environment,
) -> None:
    env.tuning = IMPATIENT
    handler = Slow()
    ended = await env.done(await start(env.services, new_task(100)), handler)

    assert (ended.state, ended.failed_attempts) == (State.SUCCEEDED, 0)
    assert max(size for _, size in handler.seen) <= 8
    assert await wrongs(env.db, ended) == []


async def test_a_row_that_always_times_out_fails_the_task(env: Environment) -> None:
    env.tuning = IMPATIENT
    ended = await env.done(await start(env.services, new_task(100)), Slow(never=True))

    assert (ended.state, ended.failed_attempts, ended.done) == (State.FAILED, 5, 0)


async def test_claiming_continues_after_a_fault(env: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    env.tuning = replace(STEADY, backoff_max_seconds=0.01)
    sound = claims.claim
    faults = [ZeroDivisionError()]

    async def faulty(tx: Write, policy: TaskPolicy, kinds: list[str], worker: str, now: int | None) -> Task | None:
        if faults:
            raise faults.pop()
        return await sound(tx, policy, kinds, worker, now)

    monkeypatch.setattr(claims, "claim", faulty)

    assert (await env.done(await start(env.services, new_task(10)))).state is State.SUCCEEDED
    assert not faults


async def test_an_idle_runner_sends_no_statement(env: Environment) -> None:
    quiet = Troubled(env.db, 1, rate=0.0)
    runner = runner_of(quiet, clock=SystemClock())
    await runner.start()
    await spin(lambda: quiet.writes == (2 if env.db.dialect is Dialect.SQLITE else 1))
    before = quiet.writes
    for _ in range(200):
        await asyncio.sleep(0.0005)
    await runner.stop()

    assert quiet.writes == before


async def test_on_postgresql_lost_connections_are_no_failed_attempts(postgres_dsn: str) -> None:
    """The server repeatedly ends every connection of the runner; the checks use another database."""
    async with begun(postgres_dsn, 1_500) as (_, task):
        pass
    dsn, _, name = postgres_dsn.rpartition("/")
    async with database(postgres_dsn, fresh=False) as db, database(f"{dsn}/postgres", fresh=False) as beside:
        cut = 0
        async with working(db, limits=replace(TENS, lease_seconds=5.0)):
            for _ in range(12):
                await asyncio.sleep(0.03)
                sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
                cut += len(await rows(beside, sql, name=name))
            ended = None
            while ended is None:
                with contextlib.suppress(Unavailable):
                    ended = await until(db, task.id)
        assert cut > 5
        await is_exact(db, task, 1_500)
