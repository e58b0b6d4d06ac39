# SPDX-License-Identifier: MIT
"""The long proof: every kind stays exact through kills, stops, wrong clocks and database restarts.

Each test adds a line to the table at the end of the run. A kill counts only if it hit the middle of a task: the task
was running, and some of its items were done, but not all. Chunks are small, so every kind has many.
"""

import asyncio
import contextlib
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from postgres import Cluster
from tasks.chaos_report import Line
from tasks.kinds.cases import CASES
from tasks.kinds.chaos_driver import (
    WORKER,
    ChaosDriver,
    ChaosRun,
    chaos_run,
    limits_of,
    linux,
    overtaken,
    until_stopped,
)
from tasks.kit import database, rows
from tasks.process_pool import ProcessPool
from tidings.clock import HOUR
from tidings.storage.drivers.database import StorageError
from tidings.storage.drivers.store import migrate

Record = Callable[[str, Any], None]

KILLS = 12
LEASE = 1.2
"""Seconds; longer than a chunk takes on a busy machine, because a slow owner gets a failed attempt, too."""
# There are more tasks than processes: a task that waits for a dead worker's lease leaves two others to alternate.
RESTARTS = 3
TIMEOUT = 100
"""Seconds for a worker to survive restarts and end its work; it backs off for up to five after each error."""

# A coroutine gets half of this limit, and the last workers of a slow type may take 300 seconds of it.
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(720)]
on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
all_kinds = pytest.mark.parametrize("name", CASES)


@pytest.fixture(scope="module")
def restarted_cluster(postgres_binaries: Path) -> Iterator[Cluster]:
    """Give a durable server for all tests that restart one."""
    with Cluster(postgres_binaries) as cluster:
        yield cluster


async def survived(chaos: ChaosRun, record: Record, *, nodes: int = 1, **blows: int) -> None:
    """Add the line to the table, then assert that nothing was lost or doubled."""
    ((name, found),) = (await chaos.ended()).items()
    where = "SQLite" if chaos.is_sqlite else "PostgreSQL" if nodes == 1 else "PostgreSQL, 2 nodes"
    ends = {"chunks": found.chunks, "items": found.items, "lost": found.lost, "doubled": found.doubled}
    Line(name, where, **blows, **ends).add_to(record)
    assert (found.lost, found.doubled, found.wrong) == (0, 0, [])


async def killed_repeatedly(chaos: ChaosRun, record: Record, driver: ChaosDriver) -> None:
    await driver.run()
    await survived(chaos, record, nodes=driver.nodes, kills=driver.hits)


@all_kinds
async def test_a_task_that_is_killed_many_times_is_exact(
    pool: ProcessPool, migrated_url: str, record_property: Record, name: str
) -> None:
    async with chaos_run(pool, migrated_url, [name], tasks=1) as chaos:
        driver = ChaosDriver(chaos, random.Random(name), KILLS, tasks=3, lease_seconds=LEASE)  # noqa: S311
        await killed_repeatedly(chaos, record_property, driver)


@on_postgresql
@all_kinds
async def test_tasks_of_two_nodes_that_are_killed_many_times_are_exact(
    pool: ProcessPool, migrated_url: str, record_property: Record, name: str
) -> None:
    async with chaos_run(pool, migrated_url, [name], tasks=1) as chaos:
        driver = ChaosDriver(chaos, random.Random(name), KILLS, nodes=2, tasks=4, lease_seconds=LEASE)  # noqa: S311
        await killed_repeatedly(chaos, record_property, driver)


@all_kinds
async def test_tasks_of_nodes_with_clocks_an_hour_apart_are_exact(
    pool: ProcessPool, migrated_url: str, record_property: Record, name: str
) -> None:
    """I13: two nodes whose clocks differ by two hours; with SQLite, whose file has one owner, one after the other."""
    dice = random.Random(name)  # noqa: S311
    async with chaos_run(pool, migrated_url, [name], tasks=1) as chaos:
        driver = ChaosDriver(chaos, dice, KILLS // 2, nodes=2, tasks=4, off_ms=(-HOUR, HOUR), lease_seconds=LEASE)
        if chaos.is_sqlite:
            driver = ChaosDriver(chaos, dice, KILLS // 2, tasks=3, off_ms=(-HOUR, 0, HOUR))
        await killed_repeatedly(chaos, record_property, driver)


@linux
@on_postgresql
@all_kinds
async def test_after_a_suspension_past_the_lease_another_worker_continues(
    pool: ProcessPool, migrated_url: str, record_property: Record, name: str
) -> None:
    """The first process stops in the middle of a chunk, the second works on its task, and then the first resumes."""
    async with chaos_run(pool, migrated_url, [name], tasks=2) as chaos:
        await overtaken(chaos)
        await survived(chaos, record_property, nodes=2, stops=1)


@linux
@pytest.mark.parametrize("place", ["task.after_load", "task.after_effects"])
@all_kinds
async def test_after_a_suspension_past_the_lease_the_worker_continues(
    pool: ProcessPool, migrated_url: str, record_property: Record, name: str, place: str
) -> None:
    """No other worker runs. A process stopped inside a transaction keeps its claim; elsewhere it may lose it."""
    limits = limits_of(name) | {"slots": 2}
    async with chaos_run(pool, migrated_url, [name], tasks=2) as chaos:
        with pool.started(WORKER, migrated_url, f"{place}=stop@7", limits) as child:
            await until_stopped(child)
            if not chaos.is_sqlite:
                assert any(task.is_in_the_middle for task in await chaos.held(child.pid))
            await asyncio.sleep(2 * limits["lease_seconds"])
            child.send_signal(signal.SIGCONT)
            assert await child.ended() == 0
        await survived(chaos, record_property, stops=1)


@all_kinds
async def test_tasks_survive_restarts_of_the_database(
    pool: ProcessPool, restarted_cluster: Cluster, record_property: Record, name: str
) -> None:
    """`pg_ctl -m immediate restart` under two nodes, both of which survive."""
    url = restarted_cluster.dsn(restarted_cluster.create_database())
    limits = limits_of(name) | {"slice_seconds": 0.2}
    async with database(url) as db:
        await migrate(db)
    async with chaos_run(pool, url, [name], tasks=4) as chaos:
        with pool.started(WORKER, url, "", limits) as a, pool.started(WORKER, url, "", limits) as b:
            for _ in range(RESTARTS):
                await _until_in_the_middle(chaos)
                await asyncio.to_thread(restarted_cluster.restart, "immediate")
            assert [await a.ended(TIMEOUT), await b.ended(TIMEOUT)] == [0, 0]
        await survived(chaos, record_property, nodes=2, restarts=RESTARTS)


async def _until_in_the_middle(chaos: ChaosRun) -> None:
    """Wait until work has continued since the last restart, and a task is in its middle."""
    count = "SELECT count(*) FROM audit_chunk"
    middle = "SELECT count(*) FROM task WHERE state = 'running' AND done > 0 AND done < total"
    ((before,),) = await _asked(chaos, count)
    async with asyncio.timeout(60):
        while True:
            (now,), (running,) = *await _asked(chaos, count), *await _asked(chaos, middle)
            if now >= before + 5 and running:
                return
            await asyncio.sleep(0.01)


async def _asked(chaos: ChaosRun, sql: str) -> list[tuple[Any, ...]]:
    """Query as soon as the database responds."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(StorageError):
                return await rows(chaos.world.db, sql)
            await asyncio.sleep(0.01)
