# SPDX-License-Identifier: MIT
"""The runner on both databases with a counting kind: completion, failures, fairness and limits."""

import asyncio
import contextlib
from dataclasses import dataclass, field, replace

import msgspec
import pytest

from tasks.kit import (
    KIND,
    ORG,
    QUICK,
    STEADY,
    TENS,
    Counting,
    Environment,
    events_of,
    new_task,
    reread,
    rows,
    run_sql,
    spin,
    start,
    until,
    wrongs,
)
from tidings.core import tasks as use_cases
from tidings.model.task import Batch, ChunkResult, Plan, State, Task, TaskPolicy
from tidings.model.token import Principal
from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables import claims, task_items, tasks

PRINCIPAL = Principal(ORG)


# --- completion


async def test_a_task_runs_to_its_end(env: Environment) -> None:
    async with env.working():
        task = await start(env.services, new_task(2_500))
        ended = await until(env.db, task.id)

    assert ended.state is State.SUCCEEDED
    assert (ended.done, ended.skipped, ended.total, ended.counters) == (2_500, 0, 2_500, {"counted": 2_500})
    assert ended.rate > 0
    assert await wrongs(env.db, ended) == []
    assert await events_of(env.db, ended) == ["created", "succeeded"]


async def test_a_task_queued_before_the_runner_started_is_claimed(env: Environment) -> None:
    task = await start(env.services, new_task(10))

    assert (await env.done(task)).state is State.SUCCEEDED


async def test_a_task_without_items_succeeds(env: Environment) -> None:
    ended = await env.done(await start(env.services, new_task(0)))

    assert (ended.state, ended.done) == (State.SUCCEEDED, 0)


async def test_impossible_items_are_skipped_and_the_first_hundred_reported(env: Environment) -> None:
    ended = await env.done(await start(env.services, new_task(400, skip=2)), limits=replace(QUICK, chunk_rows=30))

    assert (ended.state, ended.done, ended.skipped) == (State.SUCCEEDED, 200, 200)
    async with env.db.read() as read:
        found = await task_items.first_of_each(read, [(ended.id, "skipped")], limit=1_000)
    reported = found[ended.id, "skipped"]
    assert len(reported) == 100
    assert set(reported) <= {(str(item), "odd") for item in range(2, 401, 2)}


async def test_an_operators_cap_bounds_a_chunk(env: Environment) -> None:
    handler = Counting()
    await env.done(await start(env.services, new_task(95)), handler, limits=TENS)

    assert max(size for _, size in handler.seen) == 10


# --- failures


async def test_a_poisoned_item_fails_the_task_after_five_tries(env: Environment) -> None:
    """I10."""
    ended = await env.done(await start(env.services, new_task(100, poison=25)), limits=TENS)

    assert (ended.state, ended.failed_attempts, ended.done) == (State.FAILED, 5, 20)
    assert ended.error is not None
    assert (ended.error.code, ended.error.detail) == ("internal", "A chunk of the task failed with ZeroDivisionError.")
    assert await wrongs(env.db, ended) == []
    assert await events_of(env.db, ended) == ["created", *["struck"] * 4, "failed"]


async def test_a_failure_is_logged_as_an_error_and_a_retry_as_a_warning(
    env: Environment, caplog: pytest.LogCaptureFixture
) -> None:
    ended = await env.done(await start(env.services, new_task(100, poison=25, app="app_1")), limits=TENS)

    reported = [each for each in caplog.records if "internal" in str(vars(each).get("fields", {}).get("error"))]
    assert ["WARNING"] * 4 + ["ERROR"] == [each.levelname for each in reported]
    fields = vars(reported[-1])["fields"]
    assert (ended.id, KIND, 20, 0, 100) == tuple(fields[name] for name in ("task", "kind", "done", "skipped", "total"))
    assert ("org", "app_1") == (fields["org"][:3], fields["app"])
    assert ("task.failed", 5) == (vars(reported[-1])["event"], fields["failed_attempts"])
    assert "internal: A chunk of the task failed with ZeroDivisionError." == fields["error"]


async def test_a_failed_task_is_retried_from_where_it_failed(env: Environment) -> None:
    failed = await env.done(await start(env.services, new_task(100, poison=25)), limits=TENS)
    await run_sql(env.db, "UPDATE task SET args = :args", args=new_task(100).args)

    async with env.working(limits=TENS):
        retried = await use_cases.retry(env.services, PRINCIPAL, failed.id)
        assert (retried.failed_attempts, retried.error, retried.finished_at) == (0, None, None)
        ended = await until(env.db, failed.id)

    assert (ended.state, ended.done) == (State.SUCCEEDED, 100)
    assert await wrongs(env.db, ended) == []


async def test_a_task_that_can_never_succeed_fails_at_once(env: Environment) -> None:
    ended = await env.done(await start(env.services, new_task(100, gone=25)), limits=TENS)

    assert (ended.state, ended.failed_attempts, ended.done) == (State.FAILED, 1, 20)
    assert ended.error is not None
    assert (ended.error.code, ended.error.detail) == ("gone", "The endpoint has been deleted.")


@dataclass
class Flaky(Counting):
    """Fails at every second attempt."""

    tries: int = 0

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        tally = await super().apply(tx, task, batch)
        self.tries += 1
        if self.tries % 2:
            raise ValueError
        return tally


async def test_progress_resets_failed_attempts(env: Environment) -> None:
    """I11."""
    handler = Flaky()
    ended = await env.done(await start(env.services, new_task(100)), handler, limits=TENS)

    assert handler.tries >= 20  # chunks have ten rows at most, fewer under load; every second attempt fails
    assert (ended.state, ended.failed_attempts, ended.error) == (State.SUCCEEDED, 0, None)
    assert await wrongs(env.db, ended) == []


async def test_a_task_of_an_unknown_kind_is_left_to_workers_that_know_it(env: Environment) -> None:
    unknown = await start(env.services, replace(new_task(10), kind="test.unknown"))
    known = await start(env.services, new_task(10))

    await env.done(known)

    assert (await reread(env.db, unknown.id)).state is State.QUEUED


@dataclass
class Reading(Counting):
    """Parses its arguments as the real kinds do."""

    async def plan(self, read: Read, task: Task) -> Plan:
        msgspec.json.decode(task.args, type=dict[str, int])
        return await super().plan(read, task)


@pytest.mark.parametrize("args", ['{"items": "ten"}', "[10]", "v2:10"])
async def test_a_task_with_arguments_of_another_release_is_left_to_its_workers(env: Environment, args: str) -> None:
    task = await start(env.services, replace(new_task(10), args=args))
    async with env.working(Reading()):
        async with asyncio.timeout(20):
            while (await reread(env.db, task.id)).error is None:  # noqa: ASYNC110 - a row has no event
                await asyncio.sleep(0.005)

    left = await reread(env.db, task.id)
    assert (left.state, left.failed_attempts, left.done) == (State.QUEUED, 0, 0)
    assert left.error is not None
    assert left.error.code == "unreadable"
    await run_sql(env.db, "UPDATE task SET args = :args, ready_at = 0", args=new_task(10).args)
    ended = await env.done(task, Reading())
    assert (ended.state, ended.error, ended.done) == (State.SUCCEEDED, None, 10)


async def test_a_task_with_newer_arguments_is_left_to_workers_that_know_them(env: Environment) -> None:
    newer = await start(env.services, new_task(10))
    await run_sql(env.db, "UPDATE task SET args_version = 2")
    known = await start(env.services, new_task(10))

    await env.done(known)

    assert (await reread(env.db, newer.id)).state is State.QUEUED


async def test_tenants_alternate_beside_a_task_of_an_unknown_kind(env: Environment) -> None:
    """Its round never passes; the rounds of the others still advance."""
    await start(env.services, replace(new_task(10, app="app_0"), kind="test.unknown"))
    handler = Counting()
    tenants: dict[str, str] = {(await start(env.services, new_task(60, app=app))).id: app for app in ("app_1", "app_2")}
    async with env.working(handler, limits=replace(TENS, slots=1, slice_seconds=0.0)):
        for task_id in tenants:
            await until(env.db, task_id)

    assert [tenants[task_id] for task_id, _ in handler.seen][:10] == ["app_1", "app_2"] * 5


# --- commands


async def test_after_a_cancel_has_returned_the_task_has_no_effect(env: Environment) -> None:
    """I8."""
    handler = Counting(per_item=1)
    async with env.working(handler, limits=replace(TENS, backlog=20)) as runner:
        task = await start(env.services, new_task(100))
        await spin(lambda: handler.outstanding == 20)
        cancelled = await use_cases.cancel(env.services, PRINCIPAL, task.id)
        handler.outstanding = 0
        await spin(lambda: runner.is_idle)

    assert (cancelled.state, cancelled.done) == (State.CANCELLED, 20)
    after = await reread(env.db, task.id)
    assert (after.state, after.done) == (State.CANCELLED, 20)
    assert await wrongs(env.db, after) == []


async def test_a_paused_task_resumes_at_its_cursor(env: Environment) -> None:
    handler = Counting(per_item=1)
    async with env.working(handler, limits=replace(TENS, backlog=20)) as runner:
        task = await start(env.services, new_task(50))
        await spin(lambda: handler.outstanding == 20)
        paused = await use_cases.pause(env.services, PRINCIPAL, task.id)
        handler.outstanding = handler.per_item = 0
        await spin(lambda: runner.is_idle)
        assert (await reread(env.db, task.id)).done == paused.done == 20
        await use_cases.resume(env.services, PRINCIPAL, task.id)
        ended = await until(env.db, task.id)

    assert (ended.state, ended.done) == (State.SUCCEEDED, 50)
    assert await wrongs(env.db, ended) == []


# --- rounds and limits


async def test_two_tenants_alternate_slice_by_slice(env: Environment) -> None:
    handler = Counting()
    large, small = [f"app_{name}" for name in ("large", "small")]
    for app in (large, large, large, small, small):
        await start(env.services, new_task(40, app=app))
    owner = {row[0]: row[1] for row in await rows(env.db, "SELECT id, tenant FROM task")}
    async with env.working(handler, limits=replace(TENS, slots=1, slice_seconds=0.0)):
        for task_id in owner:
            await until(env.db, task_id)

    slices = [owner[task_id] for task_id, _ in handler.seen]
    shared = slices[: max(at for at, app in enumerate(slices) if app == small)]
    runs = [len(run) for run in "".join("w" if app == large else "m" for app in shared).split("m")]
    assert max(runs) <= 2, "the large tenant took more than two slices while the small one was waiting"


async def test_small_tenants_do_not_wait_for_a_large_one(env: Environment) -> None:
    """A thousand tasks of one tenant, then three others: they run as soon as a slot is free."""
    served: list[str] = []
    async with env.db.write() as tx:
        for _ in range(1_000):
            await use_cases.start(env.services, tx, new_task(1, app="app_whale"))
    for app in ("app_1", "app_2", "app_3"):
        await start(env.services, new_task(1, app=app))

    async with env.db.write(advisory_lock=tasks.CLAIM_LOCK) as tx:
        for _ in range(6):
            task = await claims.claim(tx, TaskPolicy(per_tenant=100), ["test.count"], "w", env.services.clock.now())
            assert task is not None
            served.append(task.tenant)

    assert set(served[:4]) == {"app_whale", "app_1", "app_2", "app_3"}


@dataclass
class Counted(Counting):
    """Records the number of concurrent slices; the first ones wait for the wanted number."""

    wanted: int = 0
    now: dict[str, int] = field(default_factory=dict)
    most: int = 0
    most_of_one: int = 0

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        self.now[task.tenant] = self.now.get(task.tenant, 0) + 1
        self.most = max(self.most, sum(self.now.values()))
        self.most_of_one = max(self.most_of_one, *self.now.values())
        await asyncio.sleep(0.002)  # as long as reading a batch may take
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(30):
                while self.most < self.wanted:  # noqa: ASYNC110 - the others are counted, not heard
                    await asyncio.sleep(0.001)
        self.now[task.tenant] -= 1
        return await super().load(read, task, limit)


async def test_slots_and_tenants_are_bounded(env: Environment) -> None:
    handler = Counted(wanted=3)
    started = [await start(env.services, new_task(60, app=f"app_{number % 3}")) for number in range(9)]
    async with env.working(handler, limits=replace(TENS, slots=3, per_tenant=2)):
        for task in started:
            await until(env.db, task.id)

    assert handler.most == 3
    assert handler.most_of_one <= 2


async def test_tasks_with_one_lock_run_one_after_the_other(env: Environment) -> None:
    handler = Counted()
    started = [await start(env.services, new_task(40, app=f"app_{n}", lock_key="endpoint:1")) for n in range(3)]
    async with env.working(handler, limits=TENS):
        ended = [await until(env.db, task.id) for task in started]

    assert handler.most == 1
    assert all(task.state is State.SUCCEEDED for task in ended)


async def test_a_task_without_competitors_continues_after_its_slice(env: Environment) -> None:
    ended = await env.done(await start(env.services, new_task(100)), limits=replace(TENS, slice_seconds=0.0))

    assert ended.epoch == 1


# --- back-pressure


async def test_a_backlog_pauses_the_task_without_losing_the_claim(env: Environment) -> None:
    handler = Counting(per_item=1)
    limits = replace(TENS, backlog=20, lease_seconds=3.0)
    async with env.working(handler, limits=limits), env.working(handler, limits=limits) as second:
        env.services.notifier.tasks = second.wake
        task = await start(env.services, new_task(40))
        await spin(lambda: handler.outstanding == 20)
        held = await reread(env.db, task.id)
        assert held.lease_until is not None
        renewed = 0
        async with asyncio.timeout(20):
            while renewed <= held.lease_until:  # renewed though nothing was written
                await asyncio.sleep(0.01)
                second.wake()
                renewed = (await reread(env.db, task.id)).lease_until or 0
        handler.outstanding = handler.per_item = 0
        ended = await until(env.db, task.id)

    assert (ended.state, ended.epoch, ended.done) == (State.SUCCEEDED, 1, 40)


@dataclass
class Drained(Counting):
    """Its backlog shrinks by one each time it is counted."""

    per_item: int = 1
    counts: int = 0

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        self.counts += 1
        self.outstanding = max(0, self.outstanding - 1)
        return await super().backlog(read, task, limit)


async def test_free_backlog_is_not_recounted_for_each_message(
    env: Environment,
) -> None:
    env.tuning = replace(STEADY, look_seconds=0.001)
    handler = Drained()
    async with env.working(handler, limits=replace(TENS, backlog=20)):
        task = await start(env.services, new_task(100))
        ended = await until(env.db, task.id)

    # Twenty at first, then ten whenever ten have been delivered.
    assert ended.done == 100
    assert [count for _, count in handler.seen] == [10] * 10


async def test_a_task_with_a_full_backlog_lets_others_run_first(env: Environment) -> None:
    handler = Counting(per_item=1)
    async with env.working(handler, limits=replace(TENS, slots=1, backlog=20, slice_seconds=0.1)):
        held = await start(env.services, new_task(40, app="app_1"))
        await spin(lambda: handler.outstanding == 20)
        handler.outstanding, handler.per_item = 1_000, 0
        other = await start(env.services, new_task(0, app="app_2"))
        await until(env.db, held.id, State.QUEUED)
        handler.outstanding = 0
        await until(env.db, other.id)


async def test_a_small_task_continues_while_outstanding_deliveries_stay_below_the_limit(env: Environment) -> None:
    """The receiver is down, and other callers' messages wait for retries; the limit is not reached, nor will it be."""
    handler = Counting(per_item=1, outstanding=15)
    async with env.working(handler, limits=replace(TENS, backlog=20)):
        task = await start(env.services, new_task(3))
        async with asyncio.timeout(30):
            ended = await until(env.db, task.id)

    assert ended.done == 3
