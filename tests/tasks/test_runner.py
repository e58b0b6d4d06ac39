# SPDX-License-Identifier: MIT
"""The runner on both databases, with a kind that counts: to the end, through trouble, in turn, and not beyond."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from tasks.kit import (
    ORG,
    QUICK,
    Counting,
    database,
    desk_of,
    new_task,
    reread,
    rows,
    run_sql,
    runner_of,
    start,
    until,
    working,
    wrongs,
)
from tidings.clock import SystemClock
from tidings.core import tasks as use_cases
from tidings.core.desk import Desk
from tidings.model.task import Batch, State, Tally, Task, Terms
from tidings.model.token import Principal
from tidings.storage import claims, tasks
from tidings.storage.database import Busy, Database, Dialect, OutcomeUnknown, Read, Unavailable, Write
from tidings.tasks import runner as runner_module
from tidings.tasks.runner import Limits, Runner

TENS = replace(QUICK, chunk_rows=10)
PRINCIPAL = Principal(ORG)


@dataclass
class Scene:
    """A database and a desk whose bell reaches whoever works."""

    db: Database
    desk: Desk

    @asynccontextmanager
    async def working(self, *handlers: Counting, limits: Limits = QUICK) -> AsyncIterator[Runner]:
        async with working(self.db, *handlers, limits=limits) as runner:
            self.desk.wake.tasks = runner.wake
            yield runner

    async def done(self, task: Task, *handlers: Counting, limits: Limits = QUICK) -> Task:
        """Work until a task has ended."""
        async with self.working(*handlers, limits=limits):
            return await until(self.db, task.id)


@pytest.fixture
async def scene(migrated_url: str) -> AsyncIterator[Scene]:
    async with database(migrated_url) as db:
        yield Scene(db, desk_of(db))


async def _events(db: Database, task: Task) -> list[str]:
    async with db.read() as read:
        return [name for _, _, name, _ in await tasks.events(read, task.id)]


async def _spin(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.002)


# --- to the end


async def test_a_task_is_done_to_its_end(scene: Scene) -> None:
    async with scene.working():
        task = await start(scene.desk, new_task(2_500))
        ended = await until(scene.db, task.id)

    assert ended.state is State.SUCCEEDED
    assert (ended.done, ended.skipped, ended.total, ended.counters) == (2_500, 0, 2_500, {"counted": 2_500})
    assert ended.rate > 0
    assert await wrongs(scene.db, ended) == []
    assert await _events(scene.db, ended) == ["created", "succeeded"]


async def test_a_task_that_was_there_before_the_runner_is_found(scene: Scene) -> None:
    task = await start(scene.desk, new_task(10))

    assert (await scene.done(task)).state is State.SUCCEEDED


async def test_a_task_of_nothing_ends_too(scene: Scene) -> None:
    ended = await scene.done(await start(scene.desk, new_task(0)))

    assert (ended.state, ended.done) == (State.SUCCEEDED, 0)


async def test_what_cannot_be_done_is_skipped_and_told_up_to_a_hundred(scene: Scene) -> None:
    ended = await scene.done(await start(scene.desk, new_task(400, skip=2)), limits=replace(QUICK, chunk_rows=30))

    assert (ended.state, ended.done, ended.skipped) == (State.SUCCEEDED, 200, 200)
    async with scene.db.read() as read:
        told = await tasks.skipped_items(read, ended.id, limit=1_000)
    assert len(told) == 100
    assert set(told) <= {(str(item), "odd") for item in range(2, 401, 2)}


async def test_an_operators_cap_bounds_a_chunk(scene: Scene) -> None:
    handler = Counting()
    await scene.done(await start(scene.desk, new_task(95)), handler, limits=TENS)

    assert max(size for _, size in handler.seen) == 10


# --- failures


async def test_a_poisoned_item_fails_the_task_after_five_tries(scene: Scene) -> None:
    ended = await scene.done(await start(scene.desk, new_task(100, poison=25)), limits=TENS)

    assert (ended.state, ended.strikes, ended.done) == (State.FAILED, 5, 20)
    assert ended.error is not None
    assert (ended.error.code, ended.error.detail) == ("internal", "A chunk of the task failed with ZeroDivisionError.")
    assert await wrongs(scene.db, ended) == []
    assert await _events(scene.db, ended) == ["created", *["struck"] * 4, "failed"]


async def test_a_failed_task_is_retried_from_where_it_failed(scene: Scene) -> None:
    failed = await scene.done(await start(scene.desk, new_task(100, poison=25)), limits=TENS)
    await run_sql(scene.db, "UPDATE task SET args = :args", args=new_task(100).args)

    async with scene.working(limits=TENS):
        retried = await use_cases.retry(scene.desk, PRINCIPAL, failed.id)
        assert (retried.strikes, retried.error, retried.finished_at) == (0, None, None)
        ended = await until(scene.db, failed.id)

    assert (ended.state, ended.done) == (State.SUCCEEDED, 100)
    assert await wrongs(scene.db, ended) == []


async def test_what_can_never_succeed_fails_at_once(scene: Scene) -> None:
    ended = await scene.done(await start(scene.desk, new_task(100, gone=25)), limits=TENS)

    assert (ended.state, ended.strikes, ended.done) == (State.FAILED, 1, 20)
    assert ended.error is not None
    assert (ended.error.code, ended.error.detail) == ("gone", "What it works on is gone.")


@dataclass
class Flaky(Counting):
    """Fails at every second try."""

    tries: int = 0

    async def apply(self, tx: Write, task: Task, batch: Batch) -> Tally:
        tally = await super().apply(tx, task, batch)
        self.tries += 1
        if self.tries % 2:
            raise ValueError
        return tally


async def test_progress_wipes_out_strikes(scene: Scene) -> None:
    handler = Flaky()
    ended = await scene.done(await start(scene.desk, new_task(100)), handler, limits=TENS)

    assert handler.tries == 20
    assert (ended.state, ended.strikes, ended.error) == (State.SUCCEEDED, 0, None)
    assert await wrongs(scene.db, ended) == []


async def test_a_kind_that_nobody_here_knows_is_left_for_who_does(scene: Scene) -> None:
    unknown = await start(scene.desk, replace(new_task(10), kind="test.unknown"))
    known = await start(scene.desk, new_task(10))

    await scene.done(known)

    assert (await reread(scene.db, unknown.id)).state is State.QUEUED


# --- people


async def test_after_a_cancel_has_been_answered_nothing_happens(scene: Scene) -> None:
    handler = Counting(per_item=1)
    async with scene.working(handler, limits=replace(TENS, backlog=20)) as runner:
        task = await start(scene.desk, new_task(100))
        await _spin(lambda: handler.outstanding == 20)
        cancelled = await use_cases.cancel(scene.desk, PRINCIPAL, task.id)
        handler.outstanding = 0
        await _spin(lambda: runner.is_idle)

    assert (cancelled.state, cancelled.done) == (State.CANCELLED, 20)
    after = await reread(scene.db, task.id)
    assert (after.state, after.done) == (State.CANCELLED, 20)
    assert await wrongs(scene.db, after) == []


async def test_a_paused_task_goes_on_where_it_stood(scene: Scene) -> None:
    handler = Counting(per_item=1)
    async with scene.working(handler, limits=replace(TENS, backlog=20)) as runner:
        task = await start(scene.desk, new_task(50))
        await _spin(lambda: handler.outstanding == 20)
        paused = await use_cases.pause(scene.desk, PRINCIPAL, task.id)
        handler.outstanding = handler.per_item = 0
        await _spin(lambda: runner.is_idle)
        assert (await reread(scene.db, task.id)).done == paused.done == 20
        await use_cases.resume(scene.desk, PRINCIPAL, task.id)
        ended = await until(scene.db, task.id)

    assert (ended.state, ended.done) == (State.SUCCEEDED, 50)
    assert await wrongs(scene.db, ended) == []


# --- turns and limits


async def test_two_tenants_take_turns_slice_by_slice(scene: Scene) -> None:
    handler = Counting()
    whale, mouse = [f"app_{name}" for name in ("whale", "mouse")]
    for app in (whale, whale, whale, mouse, mouse):
        await start(scene.desk, new_task(40, app=app))
    owner = {row[0]: row[1] for row in await rows(scene.db, "SELECT id, tenant FROM task")}
    async with scene.working(handler, limits=replace(TENS, slots=1, slice_seconds=0.0)):
        for task_id in owner:
            await until(scene.db, task_id)

    slices = [owner[task_id] for task_id, _ in handler.seen]
    shared = slices[: max(at for at, app in enumerate(slices) if app == mouse)]
    runs = [len(run) for run in "".join("w" if app == whale else "m" for app in shared).split("m")]
    assert max(runs) <= 2, "the whale took more than two slices while a mouse was waiting"


async def test_mice_do_not_wait_behind_a_whale(scene: Scene) -> None:
    """A thousand tasks of one tenant, then three others: served as soon as there is room."""
    served: list[str] = []
    async with scene.db.write() as tx:
        for _ in range(1_000):
            await use_cases.start(scene.desk, tx, new_task(1, app="app_whale"))
    for app in ("app_1", "app_2", "app_3"):
        await start(scene.desk, new_task(1, app=app))

    async with scene.db.write(gate=tasks.GATE) as tx:
        for _ in range(6):
            task = await claims.claim(tx, Terms(per_tenant=100), ["test.count"], "w", scene.desk.clock.now())
            assert task is not None
            served.append(task.tenant)

    assert set(served[:4]) == {"app_whale", "app_1", "app_2", "app_3"}


@dataclass
class Counted(Counting):
    """Notes how many are at work at once."""

    now: dict[str, int] = field(default_factory=dict)
    most: int = 0
    most_of_one: int = 0

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        self.now[task.tenant] = self.now.get(task.tenant, 0) + 1
        self.most = max(self.most, sum(self.now.values()))
        self.most_of_one = max(self.most_of_one, *self.now.values())
        await asyncio.sleep(0.002)  # as long as a batch may take to be read
        self.now[task.tenant] -= 1
        return await super().load(read, task, limit)


async def test_slots_and_tenants_are_bounded(scene: Scene) -> None:
    handler = Counted()
    started = [await start(scene.desk, new_task(60, app=f"app_{number % 3}")) for number in range(9)]
    async with scene.working(handler, limits=replace(TENS, slots=3, per_tenant=2)):
        for task in started:
            await until(scene.db, task.id)

    assert 2 <= handler.most <= 3
    assert handler.most_of_one <= 2


async def test_tasks_with_one_lock_run_one_after_the_other(scene: Scene) -> None:
    handler = Counted()
    started = [await start(scene.desk, new_task(40, app=f"app_{n}", lock_key="endpoint:1")) for n in range(3)]
    async with scene.working(handler, limits=TENS):
        ended = [await until(scene.db, task.id) for task in started]

    assert handler.most == 1
    assert all(task.state is State.SUCCEEDED for task in ended)


async def test_who_waits_for_nobody_keeps_on_after_a_slice(scene: Scene) -> None:
    ended = await scene.done(await start(scene.desk, new_task(100)), limits=replace(TENS, slice_seconds=0.0))

    assert ended.epoch == 1


# --- back-pressure


async def test_a_backlog_holds_it_up_without_losing_the_claim(scene: Scene) -> None:
    handler = Counting(per_item=1)
    limits = replace(TENS, backlog=20, lease_seconds=0.6)
    async with scene.working(handler, limits=limits), scene.working(handler, limits=limits) as second:
        scene.desk.wake.tasks = second.wake
        task = await start(scene.desk, new_task(40))
        await _spin(lambda: handler.outstanding == 20)
        held = await reread(scene.db, task.id)
        assert held.lease_until is not None
        renewed = 0
        async with asyncio.timeout(20):
            while renewed < held.lease_until + 700:  # longer than the lease that was given
                await asyncio.sleep(0.01)
                second.wake()
                renewed = (await reread(scene.db, task.id)).lease_until or 0
        handler.outstanding = handler.per_item = 0
        ended = await until(scene.db, task.id)

    assert (ended.state, ended.epoch, ended.done) == (State.SUCCEEDED, 1, 40)


async def test_a_held_up_task_lets_others_go_first(scene: Scene) -> None:
    handler = Counting(per_item=1)
    async with scene.working(handler, limits=replace(TENS, slots=1, backlog=20, slice_seconds=0.1)):
        held = await start(scene.desk, new_task(40, app="app_1"))
        await _spin(lambda: handler.outstanding == 20)
        handler.outstanding, handler.per_item = 1_000, 0
        other = await start(scene.desk, new_task(0, app="app_2"))
        await until(scene.db, held.id, State.QUEUED)
        handler.outstanding = 0
        await until(scene.db, other.id)


# --- endings and beginnings


async def test_a_stop_gives_the_task_back_without_a_strike(scene: Scene) -> None:
    handler = Counting()
    async with scene.working(handler, limits=TENS):
        task = await start(scene.desk, new_task(5_000))
        await _spin(lambda: len(handler.seen) > 3)
    stopped = await reread(scene.db, task.id)
    ended = await scene.done(task)

    assert (stopped.state, stopped.strikes) == (State.QUEUED, 0)
    assert 0 < stopped.done < 5_000
    assert (ended.state, ended.done) == (State.SUCCEEDED, 5_000)
    assert await wrongs(scene.db, ended) == []


async def test_starting_and_stopping_twice_does_no_harm(scene: Scene) -> None:
    runner = runner_of(scene.db)
    await runner.stop()
    await runner.start()
    await runner.start()
    assert repr(runner) == "<Runner [0 of 4 slots busy]>"
    await runner.stop()
    await runner.stop()
    scene.desk.wake.tasks = runner.wake
    await runner.start()
    task = await start(scene.desk, new_task(10))
    await until(scene.db, task.id)
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


async def test_a_stop_does_not_wait_for_ever(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "_STOP_SECONDS", 0.05)
    handler = Stuck()
    async with scene.working(handler):
        task = await start(scene.desk, new_task(10))
        await _spin(lambda: handler.begun)

    assert (await reread(scene.db, task.id)).state is State.RUNNING


async def test_on_sqlite_a_new_process_takes_over_at_once(sqlite_url: str) -> None:
    async with database(sqlite_url) as db:
        scene = Scene(db, desk_of(db))
        task = await start(scene.desk, new_task(100))
        async with db.write(gate=tasks.GATE) as tx:
            hour = Terms(lease_ms=3_600_000)
            assert await claims.claim(tx, hour, ["test.count"], "dead", scene.desk.clock.now()) is not None

        ended = await scene.done(task)

        assert (ended.state, ended.epoch) == (State.SUCCEEDED, 3)
        assert await _events(db, task) == ["created", "lapsed", "succeeded"]


async def test_on_postgresql_another_node_takes_over_when_the_lease_has_run_out(postgres_dsn: str) -> None:
    async with database(postgres_dsn) as db:
        scene = Scene(db, desk_of(db))
        task = await start(scene.desk, new_task(100))
        async with db.write(gate=tasks.GATE) as tx:
            assert await claims.claim(tx, Terms(lease_ms=300), ["test.count"], "dead", None) is not None

        ended = await scene.done(task)

        assert (ended.state, ended.epoch) == (State.SUCCEEDED, 3)
        assert await _events(db, task) == ["created", "lapsed", "succeeded"]


async def test_on_postgresql_nodes_share_the_work(postgres_dsn: str) -> None:
    async with database(postgres_dsn) as db:
        scene = Scene(db, desk_of(db))
        started = [await start(scene.desk, new_task(200, app=f"app_{number}")) for number in range(8)]
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


# --- trouble of the database


class Troubled:
    """A database that loses connections: before a commit, or just after it has happened."""

    def __init__(self, db: Database, seed: int, *, rate: float) -> None:
        self.db = db
        self.dialect: Dialect = db.dialect
        self.rate = rate
        self.troubles = 0
        self._dice = random.Random(seed)  # noqa: S311

    @asynccontextmanager
    async def write(self, *, gate: int | None = None) -> AsyncIterator[Write]:
        async with self.db.write(gate=gate) as tx:
            yield tx
            self._strike(Unavailable, Busy)
        self._strike(OutcomeUnknown)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Read]:
        self._strike(Unavailable)
        async with self.db.read() as read:
            yield read

    def _strike(self, *errors: type[Exception]) -> None:
        if self._dice.random() < self.rate:
            self.troubles += 1
            raise self._dice.choice(errors)("planned")

    async def close(self) -> None:
        """It is closed by its owner."""


async def test_trouble_of_the_database_is_no_strike_and_no_loss(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidings.tasks.slice._TROUBLE_FIRST", 0.0001)
    monkeypatch.setattr(runner_module, "_TROUBLE_FIRST", 0.0001)
    troubled = Troubled(scene.db, 7, rate=0.15)
    task = await start(scene.desk, new_task(600))
    async with working(troubled, limits=replace(TENS, lease_seconds=0.3)):
        ended = await until(scene.db, task.id)

    assert troubled.troubles > 20
    assert (ended.state, ended.done) == (State.SUCCEEDED, 600)
    assert await wrongs(scene.db, ended) == []
    assert "struck" not in await _events(scene.db, task)


@dataclass
class Slow(Counting):
    """Times out with more than eight rows at once; `never` with any number."""

    never: bool = False

    async def apply(self, tx: Write, task: Task, batch: Batch) -> Tally:
        if self.never or len(batch.items) > 8:
            raise Busy("statement timeout")
        return await super().apply(tx, task, batch)


async def test_a_chunk_that_times_out_is_tried_with_fewer_rows(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidings.tasks.slice._TROUBLE_FIRST", 0.0001)
    handler = Slow()
    ended = await scene.done(await start(scene.desk, new_task(100)), handler)

    assert (ended.state, ended.strikes) == (State.SUCCEEDED, 0)
    assert max(size for _, size in handler.seen) <= 8
    assert await wrongs(scene.db, ended) == []


async def test_one_row_that_always_times_out_is_poison(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidings.tasks.slice._TROUBLE_FIRST", 0.0001)
    ended = await scene.done(await start(scene.desk, new_task(100)), Slow(never=True))

    assert (ended.state, ended.strikes, ended.done) == (State.FAILED, 5, 0)


async def test_the_dispatcher_outlives_a_fault_in_claiming(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "_TROUBLE_MAX", 0.01)
    sound = claims.claim
    faults = [ZeroDivisionError()]

    async def faulty(tx: Write, terms: Terms, kinds: list[str], worker: str, now: int | None) -> Task | None:
        if faults:
            raise faults.pop()
        return await sound(tx, terms, kinds, worker, now)

    monkeypatch.setattr(claims, "claim", faulty)

    assert (await scene.done(await start(scene.desk, new_task(10)))).state is State.SUCCEEDED
    assert not faults


async def test_with_nothing_to_do_there_is_no_traffic(scene: Scene) -> None:
    quiet = Troubled(scene.db, 1, rate=0.0)
    writes = 0

    @asynccontextmanager
    async def counted(*, gate: int | None = None) -> AsyncIterator[Write]:
        nonlocal writes
        writes += 1
        async with scene.db.write(gate=gate) as tx:
            yield tx

    quiet.write = counted  # type: ignore[method-assign]
    runner = runner_of(quiet, clock=SystemClock())
    await runner.start()
    await _spin(lambda: writes == (2 if scene.db.dialect is Dialect.SQLITE else 1))
    before = writes
    for _ in range(200):
        await asyncio.sleep(0.0005)
    await runner.stop()

    assert writes == before
