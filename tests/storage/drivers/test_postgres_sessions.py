# SPDX-License-Identifier: MIT
"""After a read-only error the connection is closed, and the rest of the pool is replaced."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import pytest
import pytest_asyncio

from tidings.clock import SystemClock
from tidings.core.heartbeat import Heartbeat
from tidings.storage.drivers.database import Database, Unavailable
from tidings.storage.drivers.postgres import PostgresDatabase
from tidings.storage.drivers.store import migrate, opened
from tidings.storage.tables.nodes import LivenessLock

POOL = 5


@pytest_asyncio.fixture
async def pooled(postgres_dsn: str) -> AsyncIterator[PostgresDatabase]:
    db = await opened(postgres_dsn, connections=POOL)
    assert isinstance(db, PostgresDatabase)
    await migrate(db)
    yield db
    await db.close()


async def every_session(db: Database, statement: str) -> set[int]:
    """Run a statement on each connection of the pool; return the sessions."""
    async with AsyncExitStack() as stack:
        reads = [await stack.enter_async_context(db.read()) for _ in range(POOL)]
        for read in reads:
            await read.rows(statement)
        return {(await read.one("SELECT pg_backend_pid() AS pid"))["pid"] for read in reads}


async def write(db: Database) -> bool:
    try:
        async with db.write() as tx:
            await tx.run("INSERT INTO setting (name, value) VALUES ('x', '') ON CONFLICT DO NOTHING")
    except Unavailable:
        return False
    return True


async def test_one_failure_renews_all_read_only_sessions(pooled: PostgresDatabase) -> None:
    before = await every_session(pooled, "SET default_transaction_read_only = on")

    done = [await write(pooled) for _ in range(POOL * 3)]

    assert [False] + [True] * (POOL * 3 - 1) == done
    assert before.isdisjoint(await every_session(pooled, "SELECT 1"))


async def test_concurrent_queries_fail_at_most_once_for_each_session(pooled: PostgresDatabase) -> None:
    await every_session(pooled, "SET default_transaction_read_only = on")

    done = await asyncio.gather(*(write(pooled) for _ in range(POOL * 4)))

    assert 1 <= done.count(False) <= POOL


async def test_the_session_of_the_liveness_lock_is_renewed_too(pooled: PostgresDatabase) -> None:
    liveness_lock = LivenessLock(pooled, 7, "a:1")
    await liveness_lock.ensure(is_known=False)
    held = liveness_lock._connection  # noqa: SLF001
    await every_session(pooled, "SET default_transaction_read_only = on")
    assert not await write(pooled)

    async with asyncio.timeout(10):
        while liveness_lock._connection in (None, held):  # noqa: SLF001 - the server has to notice the end of the old one
            await liveness_lock.ensure(is_known=True)

    assert held.is_closed()
    await liveness_lock.release()


async def test_the_heartbeat_finds_a_database_that_refuses_writes(pooled: PostgresDatabase, postgres_dsn: str) -> None:
    name = postgres_dsn.rpartition("/")[2]
    connection = await asyncpg.connect(postgres_dsn)
    await every_session(pooled, "SET default_transaction_read_only = on")
    await connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')

    assert not await Heartbeat(pooled, SystemClock()).is_good()
    assert not await Heartbeat(pooled, SystemClock()).is_good()
    with pytest.raises(Unavailable, match="does not accept writes"):
        await pooled.connect()

    await connection.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    await connection.close()
    assert await Heartbeat(pooled, SystemClock()).is_good()


async def test_the_keepalive_parameters_are_set_on_the_socket(postgres_dsn: str) -> None:
    db = await opened(f"{postgres_dsn}?keepalives_idle=33&application_name=mine&connect_timeout=3")
    assert isinstance(db, PostgresDatabase)
    async with db.read() as read:
        assert ("mine",) == tuple(await read.one("SHOW application_name"))
    connection = await db.connect()
    await connection.close()
    await db.close()
