# SPDX-License-Identifier: MIT
"""Task rows on both databases: the transition table, fair-share rounds, limits, lists and their indexes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from itertools import product

import pytest

from tasks.kit import KIND, KINDS, ORG, database, new_task, reread, rows, run_sql
from tidings import ids
from tidings.ids import AppId, OrgId, TaskId
from tidings.model.page import Cursor, Order
from tidings.model.task import (
    Checkpoint,
    ChunkResult,
    Command,
    Failure,
    LeaseLost,
    NewTask,
    State,
    Task,
    TaskPolicy,
    WireStatus,
    transitioned,
)
from tidings.storage.drivers.database import Database, Dialect, Write
from tidings.storage.tables import claims, tasks
from tidings.storage.tables.tasks import TaskFilters

NOW = 1_700_000_000_000
KNOWN = KINDS.names
LISTED = ("endpoint.recover", "endpoint.replay")
ALL = TaskFilters(LISTED)
POLICY = TaskPolicy(lease_ms=10_000)
WHY = Failure("test", "It was meant to fail.")


@pytest.fixture
async def db(migrated_url: str) -> AsyncIterator[Database]:
    async with database(migrated_url) as opened:
        yield opened


async def add(db: Database, new: NewTask | None = None, now: int = NOW) -> Task:
    async with db.write(advisory_lock=tasks.CLAIM_LOCK) as tx:
        return await tasks.add(tx, TaskId(ids.new(ids.TASK, now)), new or new_task(), now, KNOWN)


async def claim(db: Database, now: int = NOW, policy: TaskPolicy = POLICY) -> Task | None:
    async with db.write(advisory_lock=tasks.CLAIM_LOCK) as tx:
        await claims.requeue_expired(tx, policy, now)
        return await claims.claim(tx, policy, [KIND], "w", now)


async def command(db: Database, task: Task, given: Command) -> Task | None:
    """Give any command to a task, as its legitimate sender does."""
    async with db.write(advisory_lock=tasks.CLAIM_LOCK) as tx:
        try:
            return await GIVE[given](tx, task)
        except LeaseLost:
            return None


async def _claim(tx: Write, task: Task) -> Task | None:
    del task
    return await claims.claim(tx, POLICY, [KIND], "w", NOW + 10**9)


async def _expire(tx: Write, task: Task) -> Task | None:
    del task
    expired = await claims.requeue_expired(tx, POLICY, NOW + 2 * 10**9)
    return expired[0] if expired else None


async def _advance(tx: Write, task: Task) -> Task | None:
    return await claims.checkpoint(tx, task, ChunkResult(1), Checkpoint("1", 1, 1.0, 1), POLICY, NOW)


GIVE: dict[Command, Callable[[Write, Task], Awaitable[Task | None]]] = {
    Command.CLAIM: _claim,
    Command.ADVANCE: _advance,
    Command.FINISH: lambda tx, task: claims.finish(tx, task.claim, NOW),
    Command.WAIT: lambda tx, task: claims.wait(tx, task.claim, 1, NOW),
    Command.YIELD: lambda tx, task: claims.yield_task(tx, task, KNOWN, NOW),
    Command.FAIL: lambda tx, task: claims.fail_attempt(tx, task.claim, WHY, POLICY, NOW),
    Command.EXPIRE: _expire,
    Command.PAUSE: lambda tx, task: tasks.pause(tx, task.id, NOW),
    Command.RESUME: lambda tx, task: tasks.resume(tx, task, NOW, KNOWN),
    Command.CANCEL: lambda tx, task: tasks.cancel(tx, task.id, NOW, WHY),
    Command.RETRY: lambda tx, task: tasks.retry(tx, task, NOW, KNOWN),
}
PATHS = {
    State.QUEUED: [],
    State.RUNNING: [Command.CLAIM],
    State.PAUSED: [Command.PAUSE],
    State.SUCCEEDED: [Command.CLAIM, Command.FINISH],
    State.FAILED: [Command.CLAIM, *[Command.FAIL, Command.CLAIM] * 4, Command.FAIL],
    State.CANCELLED: [Command.CANCEL],
}


async def test_every_command_in_every_state_follows_the_table(db: Database) -> None:
    """I5, I7: 6 states x 11 commands."""
    for state, given in product(State, Command):
        task = await add(db)
        for step in PATHS[state]:
            await command(db, task, step)
            task = await reread(db, task.id)
        assert task.state is state
        expected = transitioned(task.transition_state, given)

        changed = await command(db, task, given)

        after = await reread(db, task.id)
        assert (changed is None) is (expected is None), f"{given} of {state}"
        assert after.transition_state == (expected or task.transition_state), f"{given} of {state}"
        assert (after.lease_until is not None) is (after.state is State.RUNNING)
        await run_sql(db, "DELETE FROM task")


async def test_a_failed_attempt_counts_until_the_next_progress(db: Database) -> None:
    task = await add(db)
    await claim(db)
    task = await reread(db, task.id)
    await command(db, task, Command.FAIL)
    assert (await reread(db, task.id)).error == WHY
    again = await claim(db, NOW + 60_000)
    assert again is not None

    await command(db, again, Command.ADVANCE)

    assert (await reread(db, task.id)).error is None


@pytest.mark.parametrize(
    ("failed_attempts", "least", "most"), [(0, 750, 1_250), (3, 6_000, 10_000), (9, 45_000, 75_000)]
)
async def test_the_backoff_after_a_failed_attempt_doubles_and_has_jitter(
    db: Database, failed_attempts: int, least: int, most: int
) -> None:
    await add(db)
    task = await claim(db)
    assert task is not None
    await run_sql(db, "UPDATE task SET failed_attempts = :failed_attempts", failed_attempts=failed_attempts)
    async with db.write() as tx:
        failed = await claims.fail_attempt(tx, task.claim, WHY, replace(POLICY, attempt_limit=99), NOW)

    assert least <= failed.ready_at - NOW <= most


# --- claiming


async def test_a_lease_that_its_owner_renews_is_not_taken(db: Database) -> None:
    await add(db)
    task = await claim(db)
    assert task is not None
    async with db.write() as tx:
        await claims.renew(tx, task.claim, POLICY, NOW + 9_000)

    assert await claim(db, NOW + 18_000) is None
    assert (await reread(db, task.id)).epoch == 1


async def test_a_task_with_an_expired_lease_backs_off_and_goes_to_another_worker(db: Database) -> None:
    task = await add(db)
    await claim(db)
    assert await claim(db, NOW + 10_001) is None

    other = await claim(db, NOW + 13_000)

    assert other is not None
    assert (other.id, other.epoch, other.failed_attempts) == (task.id, 3, 1)


async def test_a_task_that_is_not_ready_is_not_claimed(db: Database) -> None:
    task = await add(db)
    first = await claim(db)
    assert first is not None
    async with db.write() as tx:
        await claims.wait(tx, first.claim, 500, NOW)

    assert await claim(db, NOW + 499) is None
    second = await claim(db, NOW + 500)
    assert second is not None
    assert (second.id, second.fair_round) == (task.id, first.fair_round)


async def test_a_priority_precedes_every_round(db: Database) -> None:
    await add(db, new_task(app="app_1"))
    urgent = await add(db, replace(new_task(app="app_1"), priority=1))
    janitor = await add(db, replace(new_task(app="app_2"), priority=-1))

    order = [await claim(db) for _ in range(3)]

    assert [task.priority for task in order if task] == [1, 0, -1]
    assert order[0] is not None
    assert order[0].id == urgent.id
    assert order[2] is not None
    assert order[2].id == janitor.id


async def test_tasks_of_a_tenant_take_successive_fair_share_rounds(db: Database) -> None:
    """A tenant's tasks take successive rounds; a new task enters at the current round, a yielding one later."""
    a = [await add(db, new_task(app="app_a"), NOW + 4 * number) for number in range(3)]
    b = await add(db, new_task(app="app_b"), NOW + 12)
    assert [task.fair_round for task in (*a, b)] == [0, 1, 2, 0]
    first = await claim(db, NOW + 100)
    assert first is not None
    assert first.id == a[0].id
    async with db.write(advisory_lock=tasks.CLAIM_LOCK) as tx:
        yielded = await claims.yield_task(tx, first, KNOWN, NOW)
    assert yielded.fair_round == 3
    assert (await add(db, new_task(app="app_c"))).fair_round == 0

    served = [
        task.tenant[-1] for _ in range(5) if (task := await claim(db, NOW + 100, TaskPolicy(per_tenant=9))) is not None
    ]

    assert sorted(served[:2]) == ["b", "c"]
    assert served[2:] == ["a", "a", "a"]


async def test_eight_claimants_get_each_task_once_and_no_tenant_more_than_its_share(db: Database) -> None:
    """I4, under concurrent claims."""
    for number in range(40):
        await add(db, new_task(app=f"app_{number % 10}"))

    async def take() -> list[TaskId]:
        got = []
        while (task := await claim(db, policy=TaskPolicy(lease_ms=10**9, per_tenant=3))) is not None:
            got.append(task.id)
        return got

    taken = [task_id for each in await asyncio.gather(*(take() for _ in range(8))) for task_id in each]

    assert len(taken) == len(set(taken)) == 30
    shares = await rows(db, "SELECT count(*) FROM task WHERE state = 'running' GROUP BY tenant")
    assert shares == [(3,)] * 10


async def test_tasks_with_one_lock_key_never_run_concurrently(db: Database) -> None:
    """I4: the index enforces it even for a claim without the condition."""
    for _ in range(2):
        await add(db, new_task(app="app_1", lock_key="endpoint:1"))
    assert await claim(db) is not None
    assert await claim(db) is None

    with pytest.raises(Exception, match=r"(?i)unique"):
        await run_sql(db, "UPDATE task SET state = 'running', lease_until = 1")


async def test_the_next_ready_timestamp_is_returned(db: Database) -> None:
    async def delay() -> int | None:
        async with db.read() as read:
            return await claims.delay_until_ready(read, NOW if db.dialect is Dialect.SQLITE else None)

    assert await delay() is None
    task = await add(db)
    assert await delay() is None, "a timestamp in the past is no next timestamp"
    await run_sql(db, "UPDATE task SET ready_at = :at", at=1 << 50)
    assert await delay() is not None
    await run_sql(db, "UPDATE task SET state = 'cancelled', wire_status = 'failed', finished_at = 1")
    assert await delay() is None
    assert (await reread(db, task.id)).state is State.CANCELLED


# --- the schema


@pytest.mark.parametrize(
    "change",
    [
        "state = 'running'",
        "lease_until = 1",
        "finished_at = 1",
        "state = 'succeeded', finished_at = 1",
        "state = 'failed', wire_status = 'finished', finished_at = 1",
        "done = -1",
        "state = 'cancelling'",
    ],
)
async def test_the_database_refuses_illegal_states(db: Database, change: str) -> None:
    """I5, I7: no statement can break them."""
    await add(db)

    with pytest.raises(Exception, match=r"(?i)check"):
        await run_sql(db, f"UPDATE task SET {change}")


# --- lists


async def _listed(db: Database, org: OrgId = ORG, app: AppId | None = None, filters: TaskFilters = ALL) -> list[str]:
    cursor = Cursor(Order.DESCENDING, 250)
    async with db.read() as read:
        found = await tasks.page(read, org, app, cursor.window(), filters)
    return [task.id for task in found]


async def test_each_caller_lists_its_own_tasks_with_every_filter(db: Database) -> None:
    apps: list[str | None] = ["app_1", "app_2", None]
    made = [
        await add(db, replace(new_task(app=app), kind=kind), NOW + 4 * number)
        for number, (app, kind) in enumerate(product(apps, [*LISTED, "system.janitor", "endpoint.unknown"]))
    ]
    await add(db, replace(new_task(app="app_1"), org_id=OrgId("org_other")), NOW)
    await command(db, made[0], Command.CANCEL)
    public = [task for task in reversed(made) if task.kind in LISTED]

    for app, status, kind in product((None, "app_1"), (None, *WireStatus), (None, *LISTED)):
        expected = [
            task.id
            for task in public
            if app in (None, task.app_id)
            and kind in (None, task.kind)
            and status in (None, WireStatus.FAILED if task is made[0] else WireStatus.RUNNING)
        ]
        seen = await _listed(db, app=AppId(app) if app else None, filters=TaskFilters(LISTED, status, kind))
        assert seen == expected


async def test_a_task_is_found_by_its_owner_only(db: Database) -> None:
    task = await add(db, new_task(app="app_1"))
    janitor = await add(db, replace(new_task(app="app_1"), kind="system.janitor"))

    async def found(org: str, app: str | None, task_id: str = task.id) -> bool:
        async with db.read() as read:
            return await tasks.find(read, OrgId(org), AppId(app) if app else None, task_id) is not None

    assert await found(ORG, None)
    assert await found(ORG, "app_1")
    assert not await found(ORG, "app_2")
    assert not await found("org_other", None)
    assert not await found("org_other", "app_1")
    assert not await found(ORG, None, janitor.id)
    assert not await found(ORG, None, "qtask_nobody")


async def test_counters_can_be_added_after_the_end(db: Database) -> None:
    task = await add(db)
    async with db.write() as tx:
        await tasks.add_to_counter(tx, task.id, "withdrawn", 3)
        await tasks.add_to_counter(tx, task.id, "withdrawn", 4)

    assert (await reread(db, task.id)).counters == {"withdrawn": 7}


async def test_a_lookup_of_an_absent_task_returns_none(db: Database) -> None:
    async with db.write() as tx:
        assert await tasks.hold(tx, "qtask_nobody") is None
    async with db.read() as read:
        assert await tasks.get(read, "qtask_nobody") is None
