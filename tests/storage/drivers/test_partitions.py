# SPDX-License-Identifier: MIT
"""Weekly partitions are created ahead of time, are optional if that fails, and are dropped when empty."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from logged import text_of
from tidings import ids
from tidings.clock import DAY
from tidings.core import wiping
from tidings.storage.drivers import store
from tidings.storage.drivers.database import Database
from tidings.storage.drivers.store import WEEK, migrate, opened
from tidings.storage.tables import tasks

NOW = 1_790_000_000_000
THIS = NOW - NOW % WEEK
NAMES = "SELECT relname AS name FROM pg_class WHERE relispartition AND relkind = 'r' AND relname NOT LIKE '%default'"
ADD = """
INSERT INTO message (id, app_id, org_id, event_type, payload) VALUES (:id, 'app_x', 'org_x', 'a', CAST('x' AS bytea))
"""
WHERE = "SELECT CAST(tableoid AS regclass) AS name FROM message WHERE id = :id"


@pytest.fixture
async def db(postgres_dsn: str) -> AsyncIterator[Database]:
    db = await opened(postgres_dsn)
    await migrate(db)
    yield db
    await db.close()


async def add(db: Database, timestamp: int) -> str:
    """Add a message; return the name of its partition."""
    made = ids.new(ids.MESSAGE, timestamp)
    async with db.write() as tx:
        await tx.run(ADD, id=made)
        return str((await tx.one(WHERE, id=made))["name"])


async def names(db: Database) -> set[str]:
    async with db.read() as read:
        return {row["name"] for row in await read.rows(NAMES)}


async def test_the_partitions_of_this_week_and_the_next_are_created_once(db: Database) -> None:
    assert (4, 0) == (await store.create_partitions(db, NOW), await store.create_partitions(db, NOW))

    there = [await add(db, timestamp) for timestamp in (THIS, NOW, THIS + WEEK - 4, THIS + WEEK, THIS + 2 * WEEK - 4)]

    assert ["message_20260917"] * 3 + ["message_20260924"] * 2 == there
    assert "message_default" == await add(db, THIS + 2 * WEEK)


async def test_a_task_claim_does_not_delay_the_creation_of_partitions(db: Database) -> None:
    async with db.write(advisory_lock=tasks.CLAIM_LOCK):
        assert 4 == await store.create_partitions(db, NOW)


async def test_a_week_in_the_default_partition_stays_there_and_the_next_is_created(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await add(db, NOW)

    made = await store.create_partitions(db, NOW)

    # Neither the week of its messages, some of which remain, nor of its attempts, which share their messages'
    # partition.
    assert (2, {"message_20260924", "attempt_20260924"}) == (made, await names(db))
    assert 2 == await store.create_partitions(db, NOW + WEEK)
    assert "making partitions" not in text_of(caplog)


async def test_only_emptied_weeks_are_dropped(db: Database) -> None:
    for weeks in (5, 3, 1, 0):
        await store.create_partitions(db, NOW - weeks * WEEK)
    kept = await add(db, NOW - 2 * WEEK)
    gone = [await add(db, THIS - weeks * WEEK) for weeks in (5, 4)]
    before = await names(db)

    await wiping.prune(db, THIS - 2 * WEEK + DAY, NOW, chunk=2)

    # The retention ends in the middle of a week, which stays; all earlier weeks are dropped.
    left = {name.partition("_")[2] for name in before - await names(db)}
    assert {*(name.removeprefix("message_") for name in gone), "20260827"} == left
    assert kept == await add(db, NOW - 2 * WEEK)
    assert {"message_" + week for week in left} & await names(db) == set()


async def test_future_partitions_are_not_dropped(db: Database) -> None:
    await store.create_partitions(db, NOW)
    before = await names(db)

    await wiping.prune(db, NOW + 10 * WEEK, NOW, chunk=2)

    assert before == await names(db)


async def test_a_week_with_rows_is_not_dropped(db: Database) -> None:
    await store.create_partitions(db, NOW - 3 * WEEK)
    await add(db, NOW - 3 * WEEK)

    assert 2 == await store.drop_empty_partitions(db, NOW)

    assert {"message_20260827", "attempt_20260827"} == await names(db)


async def test_a_week_that_a_transaction_reads_is_skipped_until_the_next_pass(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await store.create_partitions(db, NOW - 3 * WEEK)

    async with db.write() as tx:
        await tx.rows("SELECT 1 FROM message LIMIT 1")
        async with asyncio.timeout(30):
            assert 0 == await store.drop_empty_partitions(db, NOW)

    # One wait for two weeks: the lock that delays the first one also delays the second.
    assert 1 == text_of(caplog).count("dropping partitions")
    assert 4 == await store.drop_empty_partitions(db, NOW)
    assert set() == await names(db)


async def test_concurrent_prunes_each_drop_the_remaining_partitions(
    db: Database, postgres_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    for weeks in range(3, 9):
        await store.create_partitions(db, NOW - weeks * WEEK)
    before = await names(db)
    other = await opened(postgres_dsn)

    dropped = await asyncio.gather(*(store.drop_empty_partitions(each, NOW) for each in (db, other, db, other)))

    await other.close()
    assert len(before - await names(db)) == sum(dropped) > 0
    assert "Traceback" not in text_of(caplog)


async def test_a_partition_that_cannot_be_dropped_blocks_no_other_work(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await store.create_partitions(db, NOW - 3 * WEEK)
    kept = ids.new(ids.MESSAGE, NOW)
    async with db.write() as tx:
        await tx.run("CREATE VIEW mine AS SELECT * FROM message_20260827")
        await tx.run(ADD, id=kept)
        await tx.run("UPDATE message SET expires_at = 1")

    gone = await wiping.prune(db, NOW - WEEK, NOW, chunk=2)

    assert {"payloads": 1} == {kind: number for kind, number in gone.items() if number}
    assert "dropping partitions" in text_of(caplog)


async def test_partitions_of_other_lengths_do_not_prevent_weekly_ones(db: Database) -> None:
    await store.create_partitions(db, NOW - 3 * WEEK)
    start = THIS - 8 * WEEK + DAY
    first, end = ids.first_at(ids.MESSAGE, start), ids.first_at(ids.MESSAGE, start + DAY)
    async with db.write() as tx:
        await tx.run(f"CREATE TABLE message_20260724 PARTITION OF message FOR VALUES FROM ('{first}') TO ('{end}')")

    assert 4 == await store.drop_empty_partitions(db, NOW)

    assert {"message_20260724"} == await names(db)


async def test_each_schema_of_a_database_has_its_own_partitions(db: Database, postgres_dsn: str) -> None:
    async with db.write() as tx:
        await tx.run("CREATE SCHEMA other")
    other = await opened(f"{postgres_dsn}?search_path=other")
    await migrate(other)

    made = [await store.create_partitions(each, NOW - 3 * WEEK) for each in (db, other)]
    dropped = [await store.drop_empty_partitions(each, NOW) for each in (other, db)]

    await other.close()
    assert ([4, 4], [4, 4]) == (made, dropped)
