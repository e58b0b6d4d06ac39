# SPDX-License-Identifier: MIT
"""External work holds no connection, keeps the claim, and ends when the claim does."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest

from tasks.kit import (
    QUICK,
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
)
from tidings.clock import SECOND
from tidings.core import tasks as use_cases
from tidings.model.task import Batch, LeaseLost, State, Task
from tidings.model.token import Principal
from tidings.storage.drivers.database import Unavailable
from tidings.tasks.external_work import run_while_claimed
from tidings.tasks.handler import ExternalWork
from tidings.tasks.tuning import TaskTuning

PRINCIPAL = Principal(new_task().org_id)
ONE_SLOT = replace(QUICK, slots=1)
EXPIRED = "UPDATE task SET state = 'running', lease_until = 1, epoch = epoch + 1, worker = 'ghost' WHERE id = :id"


@dataclass
class Slow(ExternalWork, Counting):
    """Works until the test releases it."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    begun: int = 0
    at_work: int = 0
    most: int = 0

    async def work(self, task: Task, batch: Batch) -> Batch:
        del task
        self.begun += 1
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        try:
            await self.go.wait()
        finally:
            self.at_work -= 1
        return batch


async def test_readers_are_served_while_every_slot_is_busy(env: Environment) -> None:
    handler = Slow()
    tasks = [await start(env.services, new_task(1, app=f"app_{number}")) for number in range(8)]
    async with env.working(handler, limits=replace(QUICK, slots=8)):
        await spin(lambda: handler.at_work == 8)
        found = await rows(env.db, "SELECT count(*) FROM task")
        handler.go.set()
        ended = [await until(env.db, task.id) for task in tasks]

    assert [(8,)] == found
    assert {State.SUCCEEDED} == {task.state for task in ended}


async def test_a_lease_is_renewed_while_the_work_lasts(env: Environment) -> None:
    handler = Slow()
    async with env.working(handler, limits=replace(ONE_SLOT, lease_seconds=6.0)):
        task = await start(env.services, new_task(1))
        await spin(lambda: handler.at_work == 1)
        first = (await reread(env.db, task.id)).lease_until
        async with asyncio.timeout(20):
            while (await reread(env.db, task.id)).lease_until == first:  # noqa: ASYNC110 - a row has no event
                await asyncio.sleep(0.01)
        handler.go.set()
        ended = await until(env.db, task.id)

    assert (State.SUCCEEDED, 1, 1) == (ended.state, ended.epoch, handler.begun)


@pytest.mark.parametrize("lease_ms", [100, 400, 1_000, 30_000, 86_400_000])
def test_a_lease_of_any_length_is_checked_often_enough_to_be_renewed(lease_ms: int) -> None:
    tuning = TaskTuning()
    from_renewal_to_stop = (tuning.renew_within - 1 / 3) * lease_ms / SECOND

    assert 3 * tuning.look_within(lease_ms) <= from_renewal_to_stop
    assert tuning.look_within(lease_ms) <= tuning.look_seconds


@pytest.mark.parametrize("command", [use_cases.cancel, use_cases.pause])
async def test_work_ends_when_its_claim_is_lost(env: Environment, command: Callable[..., Awaitable[Task]]) -> None:
    handler = Slow()
    async with env.working(handler) as runner:
        task = await start(env.services, new_task(1))
        await spin(lambda: handler.at_work == 1)
        await command(env.services, PRINCIPAL, task.id)
        await spin(lambda: runner.is_idle)

    assert (1, 0) == (handler.begun, handler.at_work)
    assert 0 == (await reread(env.db, task.id)).done


async def test_a_stopping_process_ends_the_work_and_releases_the_task(env: Environment) -> None:
    handler = Slow()
    async with env.working(handler) as runner:
        task = await start(env.services, new_task(1))
        await spin(lambda: handler.at_work == 1)
        await runner.stop()
        assert (1, 0) == (handler.begun, handler.at_work)

    left = await reread(env.db, task.id)
    assert (State.QUEUED, 0, 0) == (left.state, left.failed_attempts, left.done)
    assert ["created"] == await events_of(env.db, task)


async def test_work_that_fails_is_a_failed_attempt(env: Environment) -> None:
    @dataclass
    class Failing(Slow):
        async def work(self, task: Task, batch: Batch) -> Batch:
            del task, batch
            raise ZeroDivisionError

    ended = await env.done(await start(env.services, new_task(1)), Failing())

    assert (State.FAILED, 5) == (ended.state, ended.failed_attempts)


@pytest.mark.parametrize("error", [LeaseLost(), Unavailable("the lease could not be renewed")])
async def test_work_has_ended_before_its_claim_can_be_lost(error: Exception) -> None:
    """The next worker of the task begins only when the work here is over."""
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # as for a child process
            ended.set()

    async def hold() -> bool:
        raise error

    with pytest.raises(type(error)):
        await run_while_claimed(work(), hold, look_seconds=0.01)

    assert ended.is_set()


# --- lease expiry


@pytest.mark.parametrize("failed_attempts", [0, 4])
async def test_a_task_with_an_expired_lease_is_requeued_though_no_slot_is_free(
    env: Environment, failed_attempts: int
) -> None:
    handler = Slow()
    async with env.working(handler, limits=ONE_SLOT):
        await start(env.services, new_task(1, app="app_1"))
        await spin(lambda: handler.at_work == 1)
        other = await start(env.services, new_task(1, app="app_2"))
        await run_sql(
            env.db,
            "UPDATE task SET failed_attempts = :failed_attempts WHERE id = :id",
            failed_attempts=failed_attempts,
            id=other.id,
        )
        await run_sql(env.db, EXPIRED, id=other.id)
        env.services.notifier.tasks()
        expired = await until(env.db, other.id, State.QUEUED, State.FAILED)
        handler.go.set()

    assert (State.FAILED if failed_attempts else State.QUEUED, failed_attempts + 1) == (
        expired.state,
        expired.failed_attempts,
    )
    assert expired.error is not None
    assert "lapsed" == expired.error.code


async def test_a_lease_that_expires_later_is_requeued_without_a_wake(env: Environment) -> None:
    handler = Slow()
    other = await start(env.services, new_task(1, app="app_2"))
    in_use = "UPDATE task SET state = 'running', lease_until = :at, epoch = 1, worker = 'ghost' WHERE id = :id"
    async with env.working(handler, limits=ONE_SLOT):
        await until(env.db, other.id, State.RUNNING)
        third = await start(env.services, new_task(1, app="app_3"))
        await run_sql(env.db, in_use, id=third.id, at=env.services.clock.now() + 300)
        env.services.notifier.tasks()
        expired = await until(env.db, third.id, State.QUEUED)
        handler.go.set()

    assert 1 == expired.failed_attempts


async def test_a_process_without_slots_requeues_expired_tasks_and_works_on_none(env: Environment) -> None:
    handler = Counting()
    task = await start(env.services, new_task(1))
    async with env.working(handler, limits=replace(QUICK, slots=0)):
        await run_sql(env.db, EXPIRED, id=task.id)
        env.services.notifier.tasks()
        await until(env.db, task.id, State.QUEUED)

    assert [] == handler.seen
