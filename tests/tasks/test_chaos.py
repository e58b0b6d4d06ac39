# SPDX-License-Identifier: MIT
"""Processes are killed or stopped at every failpoint by real signals, and others resume their tasks.

Each test asserts that the signal hit the middle of the work, and each check is shown to fail: without the fence, and
with effect and checkpoint in two transactions.
"""

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.kit import Counting, database, new_task, reread, rows, run_sql, services_of, start, until, working, wrongs
from tasks.process_pool import ProcessPool
from tasks.worker import ITEMS, LIMITS
from tidings.model.task import ATTEMPT_LIMIT, State, Task
from tidings.storage.drivers.database import Database

WORKER = "tasks.worker:main"
POINTS = (
    "task.after_claim",
    "task.after_load",
    "task.after_begin",
    "task.after_fence",
    "task.after_effects",
    "task.before_commit",
    "task.after_commit",
    "task.before_yield",
)
TIMEOUT = 30


def run_until_killed(pool: ProcessPool, url: str, name: str, failpoints: str, sabotage: str = "none") -> None:
    with pool.started(WORKER, url, name, failpoints, sabotage) as process:
        assert process.wait() == -signal.SIGKILL, "the failpoint was never reached"


@asynccontextmanager
async def looking(url: str, *, fresh: bool = False) -> AsyncIterator[Database]:
    """Open the database for a check: a SQLite file belongs to one process at a time."""
    async with database(url, fresh=fresh) as db:
        yield db


async def begun(url: str, *, tasks: int = 1, items: int = ITEMS) -> list[Task]:
    async with looking(url, fresh=True) as db:
        return [await start(services_of(db), new_task(items, app=f"app_{number}")) for number in range(tasks)]


async def seen(url: str, task: Task) -> Task:
    async with looking(url) as db:
        return await reread(db, task.id)


async def finished(url: str, *tasks: Task) -> list[tuple[Task, list[str]]]:
    """Resume the tasks to their end; return their final states and the faults found."""
    limits = replace(LIMITS, lease_seconds=5.0)  # this process is never killed; a busy machine may delay it
    async with looking(url) as db, working(db, Counting("last"), limits=limits):
        ended = [await until(db, task.id) for task in tasks]
        return [(task, await wrongs(db, task)) for task in ended]


@pytest.mark.parametrize("point", POINTS)
async def test_a_task_killed_at_any_failpoint_counts_exactly(pool: ProcessPool, migrated_url: str, point: str) -> None:
    """I1: two tasks, so that a yield has a successor; killed in the middle, then resumed."""
    first, second = await begun(migrated_url, tasks=2)

    # At its third pass a failpoint is in the middle of the work; yields and claims alternate from then on.
    await asyncio.to_thread(run_until_killed, pool, migrated_url, "a", f"{point}=kill@{3 if 'yield' in point else 6}")
    halfway = [await seen(migrated_url, task) for task in (first, second)]

    assert 0 < sum(task.done for task in halfway) < 2 * ITEMS
    for ended, wrong in await finished(migrated_url, first, second):
        assert (ended.state, ended.done, ended.failed_attempts) == (State.SUCCEEDED, ITEMS, 0)
        assert wrong == []


async def test_a_task_ends_despite_repeated_kills(pool: ProcessPool, migrated_url: str) -> None:
    """More crashes than the attempt limit, each after some progress, and no failure."""
    (task,) = await begun(migrated_url)
    for number in range(ATTEMPT_LIMIT + 2):
        await asyncio.to_thread(run_until_killed, pool, migrated_url, f"w{number}", "task.before_commit=kill@3")
    halfway = await seen(migrated_url, task)
    ((ended, wrong),) = await finished(migrated_url, task)

    assert 0 < halfway.done < ITEMS
    assert (ended.state, ended.done) == (State.SUCCEEDED, ITEMS)
    assert wrong == []


async def test_a_chunk_that_kills_its_process_is_given_up_after_five(pool: ProcessPool, migrated_url: str) -> None:
    """I10: at most five attempts at one position, crashes included."""
    (task,) = await begun(migrated_url)
    for number in range(ATTEMPT_LIMIT):
        await asyncio.to_thread(run_until_killed, pool, migrated_url, f"w{number}", "task.after_effects=kill")
    ((ended, wrong),) = await finished(migrated_url, task)

    assert (ended.state, ended.failed_attempts, ended.done) == (State.FAILED, ATTEMPT_LIMIT, 0)
    assert ended.error is not None
    assert ended.error.code == "lapsed"
    assert wrong == []


async def _zombie(pool: ProcessPool, url: str, sabotage: str) -> tuple[Task, list[str], bool]:
    """Stop a worker in the middle of a chunk, let another one take over and work, then resume the first one."""
    (task,) = await begun(url)
    async with looking(url) as db:
        with pool.started(WORKER, url, "zombie", "task.after_load=stop@4", sabotage) as zombie:
            await _until_stopped(zombie.pid)
            with pool.started(WORKER, url, "heir", "", sabotage) as heir:
                await _until_worked(db, task, "heir")
                zombie.send_signal(signal.SIGCONT)
                await heir.ended()
                await zombie.ended()
        ended = await reread(db, task.id)
        workers = {row[0] for row in await rows(db, "SELECT DISTINCT worker FROM test_chunk")}
        return ended, await wrongs(db, ended), {"zombie", "heir"} <= workers


async def _until_stopped(pid: int) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not _is_stopped(pid):  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.01)


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


async def _until_worked(db: Database, task: Task, name: str) -> None:
    sql = "SELECT count(*) FROM test_chunk WHERE task_id = :id AND worker = :worker"
    async with asyncio.timeout(TIMEOUT):
        while (await rows(db, sql, id=task.id, worker=name))[0][0] < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc to see a process stopped")


@linux
async def test_a_worker_that_resumes_after_its_lease_writes_nothing(pool: ProcessPool, postgres_dsn: str) -> None:
    """I3: an expired claim writes nothing."""
    ended, wrong, both_worked = await _zombie(pool, postgres_dsn, "none")

    assert both_worked
    assert (ended.state, ended.done) == (State.SUCCEEDED, ITEMS)
    assert wrong == []


@linux
async def test_without_the_fence_the_checker_sees_the_zombie(pool: ProcessPool, postgres_dsn: str) -> None:
    """The sabotage: the same run without the epoch check must be found wrong."""
    _, wrong, both_worked = await _zombie(pool, postgres_dsn, "fence")

    assert both_worked
    assert wrong != []


async def test_with_two_transactions_the_checker_sees_the_doubled_effects(pool: ProcessPool, migrated_url: str) -> None:
    """The sabotage: effects committed before their checkpoint are repeated after a crash in between."""
    (task,) = await begun(migrated_url)
    await asyncio.to_thread(run_until_killed, pool, migrated_url, "a", "test.between=kill@5", "split")
    ((ended, wrong),) = await finished(migrated_url, task)

    assert ended.state is State.SUCCEEDED
    assert any("happened twice" in each for each in wrong)


@pytest.mark.chaos
async def test_the_checker_sees_an_uncounted_lease_expiry(pool: ProcessPool, sqlite_url: str) -> None:
    """The sabotage: if a lease expiry were no failed attempt, the five-attempts test would find the task active."""
    (task,) = await begun(sqlite_url)
    for number in range(ATTEMPT_LIMIT):
        await asyncio.to_thread(run_until_killed, pool, sqlite_url, f"w{number}", "task.after_effects=kill")
        async with looking(sqlite_url) as db:
            await run_sql(db, "UPDATE task SET failed_attempts = 0")

    ((ended, _),) = await finished(sqlite_url, task)
    assert ended.state is State.SUCCEEDED


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_tasks_of_nodes_that_die_concurrently_are_exact(pool: ProcessPool, postgres_dsn: str) -> None:
    """Three nodes on one database; each is killed repeatedly from outside, and another one starts."""
    tasks = await begun(postgres_dsn, tasks=6)
    dice = random.Random(1)  # noqa: S311
    async with looking(postgres_dsn) as db:
        for number in range(12):
            with (
                pool.started(WORKER, postgres_dsn, f"a{number}") as a,
                pool.started(WORKER, postgres_dsn, f"b{number}") as b,
            ):
                for process in (a, b):
                    await asyncio.to_thread(process.wait_until_up)
                await asyncio.sleep(dice.uniform(0.05, 0.4))
        assert 0 < sum([(await reread(db, task.id)).done for task in tasks])

    for ended, wrong in await finished(postgres_dsn, *tasks):
        assert (ended.state, ended.done) == (State.SUCCEEDED, ITEMS)
        assert wrong == []
