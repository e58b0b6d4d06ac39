# SPDX-License-Identifier: MIT
"""Migrations beside a service on PostgreSQL: short locks, indexes built concurrently, and runs that were killed."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from storage.drivers.test_migrations import ALL, BACKFILL, COLUMN, INDEX, NOW, PARTS, QUICK, add_apps, value
from tidings.storage.drivers import store
from tidings.storage.drivers.database import Database, SchemaError
from tidings.storage.drivers.migrations import MigrationTuning, known_migrations, migrate
from tidings.storage.drivers.store import WEEK, opened


@pytest.fixture
async def db(postgres_dsn: str) -> AsyncIterator[Database]:
    db = await opened(postgres_dsn)
    await migrate(db)
    yield db
    await db.close()


async def indexes(db: Database) -> dict[str, bool]:
    async with db.read() as read:
        return {row["name"]: row["valid"] for row in await read.rows(PARTS)}


async def until(db: Database, count: str) -> None:
    """Wait until a count is not 0; the test's own time limit bounds the wait."""
    while not await value(db, count):  # noqa: ASYNC110 - the database offers no event
        await asyncio.sleep(0.002)


async def test_a_migration_waits_briefly_for_a_lock_and_is_repeated(db: Database, postgres_dsn: str) -> None:
    async with db.write() as holder:
        await holder.rows("SELECT 1 FROM application")  # blocks ALTER TABLE until the transaction ends
        with pytest.raises(SchemaError, match=f"{COLUMN.version:04}_column found its tables locked in 2 attempts"):
            await migrate(db, (*known_migrations(), COLUMN), QUICK)
        waiting = asyncio.create_task(migrate(db, (*known_migrations(), COLUMN), MigrationTuning(pause_seconds=0.001)))
        await until(db, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'ALTER TABLE application%'")
        other = await opened(postgres_dsn)
        assert 0 == await value(other, "SELECT count(*) FROM application"), "a query gets past the waiting migration"
        await other.close()

    assert [COLUMN] == await waiting


async def test_an_index_of_a_partitioned_table_covers_old_and_new_partitions(db: Database) -> None:
    await store.create_partitions(db, NOW)

    await migrate(db, ALL)

    found = await indexes(db)
    assert {"message_org", "message_default_message_org", "message_20260917_message_org"} <= set(found)
    assert all(found.values())
    await store.create_partitions(db, NOW + 2 * WEEK)
    async with db.read() as read:
        plan = await read.rows(
            "SELECT 1 FROM pg_indexes WHERE tablename = 'message_20261001' AND indexdef LIKE '%org_id, id%'"
        )
    assert 1 == len(plan)


async def test_an_index_whose_build_was_killed_is_built_again(db: Database) -> None:
    await store.create_partitions(db, NOW)
    async with db.write() as tx:
        await tx.run("CREATE INDEX message_org ON ONLY message (org_id, id)")
        await tx.run("CREATE INDEX message_default_message_org ON message_default (org_id, id)")
        await tx.run(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'message_default_message_org'::regclass"
        )
        await tx.run("CREATE INDEX message_20260917_message_org ON message_20260917 (org_id, id)")  # not attached yet

    await migrate(db, ALL)

    assert all((await indexes(db)).values())


async def test_a_killed_backfill_continues_where_it_was(db: Database) -> None:
    await migrate(db, (*known_migrations(), COLUMN, INDEX))
    await add_apps(db, 41)
    async with db.write() as tx:
        await tx.run("UPDATE application SET color = 'blue' WHERE id IN (SELECT id FROM application LIMIT 10)")
    running = asyncio.create_task(migrate(db, ALL))
    await until(db, "SELECT count(*) FROM application WHERE color = 'red'")
    running.cancel()
    await asyncio.wait([running])

    assert [BACKFILL] == await migrate(db, ALL)

    assert 31 == await value(db, "SELECT count(*) FROM application WHERE color = 'red'")
    assert 10 == await value(db, "SELECT count(*) FROM application WHERE color = 'blue'")


async def test_writes_continue_while_an_index_waits_for_a_transaction(db: Database, postgres_dsn: str) -> None:
    await migrate(db, (*known_migrations(), COLUMN))
    old = await asyncpg.connect(postgres_dsn)
    await old.execute("BEGIN; UPDATE application SET name = 'b'")  # a build waits for transactions that may write
    building = asyncio.create_task(migrate(db, ALL))
    await until(db, "SELECT count(*) FROM pg_stat_progress_create_index WHERE relid = 'application'::regclass")
    await add_apps(db, 3)
    await old.execute("COMMIT")
    await old.close()

    await building
    assert 3 == await value(db, "SELECT count(*) FROM application WHERE color = 'red'")
