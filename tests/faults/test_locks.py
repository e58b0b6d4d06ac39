# SPDX-License-Identifier: MIT
"""Chunks, settlement, live messages and commands run concurrently on two nodes without a deadlock."""

import asyncio
import random
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from faults.kit import ended, node, sending, slowly, started, with_endpoint
from live import Live
from postgres import Server
from tasks.kinds.cases import CASES
from tasks.kit import database, reread
from tasks.world import FREE, PRINCIPAL, a_world
from tidings.clock import HOUR, SystemClock, rfc3339
from tidings.core import tasks as use_cases
from tidings.errors import AppError

COMMANDED = 1_000
ROUNDS = 15
PEOPLE = 4
COMMANDS = ("cancel", "pause", "resume", "retry")


@pytest.mark.chaos
@pytest.mark.timeout(240)
async def test_live_traffic_commands_and_tasks_do_not_deadlock(
    postgres_cluster: Server, postgres_dsn: str, tmp_path: Path
) -> None:
    name = postgres_dsn.rpartition("/")[2]
    # Check at once: otherwise the lock timeout of a second releases the waiting session before the check.
    postgres_cluster.run(f"ALTER DATABASE \"{name}\" SET deadlock_timeout = '5ms'")
    nodes = [node(postgres_dsn, tmp_path / each, task_chunk=5) for each in "ab"]
    async with slowly(0.001) as receiver:
        with ended(*nodes):
            await asyncio.gather(*map(started, nodes))
            path = await asyncio.to_thread(with_endpoint, nodes[0], receiver.url)
            async with sending(path, *nodes, clients=8) as senders:
                await senders.take(300)
                people = [asyncio.to_thread(_command, nodes[n % 2], path, random.Random(n)) for n in range(PEOPLE)]  # noqa: S311
                commanded = await asyncio.gather(*people)
            for server in nodes:
                await asyncio.to_thread(server.stop)

    assert sum(commanded) > ROUNDS
    assert await _deadlocks(postgres_cluster, name) == 0
    await _deadlock(postgres_dsn)
    assert await _deadlocks(postgres_cluster, name) == 1


@pytest.mark.chaos
async def test_a_thousand_commands_beside_chunks_do_not_deadlock(postgres_cluster: Server, postgres_dsn: str) -> None:
    """The connections of a command and of the worker, on the rows of one task and of its deliveries."""
    name = postgres_dsn.rpartition("/")[2]
    postgres_cluster.run(f"ALTER DATABASE \"{name}\" SET deadlock_timeout = '5ms'")
    async with database(postgres_dsn) as db:
        world = await a_world(db)
        (work,) = await CASES["endpoint.bulk-replay"].lay_out(world, 50, 1)
        dice, done = random.Random(8), 0  # noqa: S311
        async with world.working(replace(FREE, chunk_rows=1)):
            for _ in range(COMMANDED // 4):
                task = await work.start()
                while await reread(db, task.id) == task:
                    pass  # until it runs
                for command in (use_cases.pause, use_cases.resume, use_cases.pause, use_cases.cancel):
                    await asyncio.sleep(dice.uniform(0, 0.003))
                    with suppress(AppError):  # it has ended meanwhile
                        await command(world.services, PRINCIPAL, task.id)
                        done += 1
    assert done > COMMANDED // 2
    assert await _deadlocks(postgres_cluster, name) == 0


def _command(server: Live, path: str, dice: random.Random) -> int:
    """Start tasks and send commands to any of them; return the number of commands that took effect."""
    heeded = 0
    at = path.removesuffix("/msg")
    ((endpoint,),) = [[each["id"] for each in server.call("GET", f"{at}/endpoint")[1]["data"]]]
    since = {"since": rfc3339(SystemClock().now() - HOUR)}
    starts: list[tuple[str, str, Any]] = [
        ("POST", f"{at}/endpoint/{endpoint}/bulk-replay", since),
        ("POST", f"{at}/endpoint/{endpoint}/recover", since),
        ("POST", f"{at}/endpoint/{endpoint}/replay-missing", since),
        ("POST", f"{at}/msg/expunge-all-contents", None),
        ("POST", "/api/v1/msg/broadcast", {"eventType": "all.hands", "payload": {}}),
    ]
    for _ in range(ROUNDS):
        status, answer = server.call(*dice.choice(starts))
        assert status == 202, answer
        tasks = server.call("GET", "/api/v1/background-task?limit=20")[1]["data"]
        for task in dice.sample(tasks, min(4, len(tasks))):
            command = f"/api/v1/background-task/{task['id']}/{dice.choice(COMMANDS)}"
            status, answer = server.call("POST", command)
            assert status in {200, 409}, answer
            heeded += status == 200
    return heeded


async def _deadlocks(cluster: Server, name: str) -> int:
    """Count the deadlocks that the server has seen; a session reports its own when its connection closes."""
    connection = await asyncpg.connect(cluster.dsn("postgres"))
    try:
        return int(await connection.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = $1", name))
    finally:
        await connection.close()


async def _deadlock(dsn: str) -> None:
    """Provoke a deadlock, to check that it would be counted."""
    one, two = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    both = ((one, 1, 2), (two, 2, 1))
    try:
        for connection, first, _ in both:
            await connection.execute(f"BEGIN; SELECT pg_advisory_xact_lock({first})")
        waits = (connection.execute(f"SELECT pg_advisory_xact_lock({second})") for connection, _, second in both)
        found = await asyncio.gather(*waits, return_exceptions=True)
        assert any(isinstance(each, asyncpg.DeadlockDetectedError) for each in found)
    finally:
        await one.close()
        await two.close()
