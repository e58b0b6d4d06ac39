# SPDX-License-Identifier: MIT
"""Old messages are deleted with all their rows, unless they have a delivery; a kill at any point loses nothing else."""

import asyncio
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tasks.seed_data import DELIVERED, FAILED, SeedData, an_endpoint
from tidings import ids, observe
from tidings.clock import DAY, HOUR
from tidings.core import message_retention
from tidings.core.message_retention import delete_old
from tidings.core.tuning import CoreTuning
from tidings.storage.drivers import partitions, space, store
from tidings.storage.drivers.database import Database
from tidings.storage.drivers.partitions import WEEK
from tidings.storage.drivers.store import opened
from tidings.storage.tables import deletion

NOW = 1_790_000_000_000 - 1_790_000_000_000 % WEEK
"""The beginning of a week, so that messages are deleted at the same age on both databases."""
KEPT_FOR = 91 * DAY
OLD = NOW - KEPT_FOR
SMALL = CoreTuning(retention_rows=3, retention_rows_shared=3, retention_attempts_per_message=2, retention_week_rows=4)
FAILPOINTS = ("before_drop", "after_attempts", "before_commit", "after_commit")
RUN = """
import asyncio, sys
from core.test_message_retention import KEPT_FOR, NOW, SMALL
from tidings import failpoint
from tidings.core.message_retention import delete_old
from tidings.storage.drivers.store import opened

async def run() -> None:
    db = await opened(sys.argv[1])
    failpoint.arm(sys.argv[2])
    await delete_old(db, NOW, KEPT_FOR, SMALL)

asyncio.run(run())
"""
ROWS = {"message": "id", "attempt": "msg_id", "event_id": "msg_id", "delivery": "msg_id"}


@pytest.fixture(autouse=True)
def _counters() -> None:
    for name in [each for each in observe.counters if each.startswith("retention.")]:
        del observe.counters[name]


async def add(db: Database, seed: SeedData, at: int, attempts: int = 1, *, event_id: str | None = None) -> str:
    """Store a message with attempts that failed, except the last one."""
    outcomes = [(at + 4 * n, FAILED if n < attempts - 1 else DELIVERED) for n in range(attempts)]
    msg_id = seed.message(at, *outcomes)
    await seed.write(db)
    if event_id is not None:
        async with db.write() as tx:
            await tx.run("UPDATE message SET event_id = :event WHERE id = :id", event=event_id, id=msg_id)
            await tx.run(
                "INSERT INTO event_id (app_id, event_id, msg_id) VALUES (:app, :event, :id)",
                app=seed.app.id,
                event=event_id,
                id=msg_id,
            )
    return msg_id


async def deliver(db: Database, seed: SeedData, msg_id: str, *, lease: int | None = None) -> None:
    async with db.write() as tx:
        await tx.run(
            "INSERT INTO delivery (msg_id, endpoint_id, app_id, org_id, due_at, lease, lease_until)"
            " VALUES (:msg, :endpoint, :app, :org, 1, CAST(:lease AS BIGINT), CAST(:lease AS BIGINT))",
            msg=msg_id,
            endpoint=seed.endpoint_id,
            app=seed.app.id,
            org=seed.app.org_id,
            lease=lease,
        )


async def left(db: Database) -> dict[str, set[str]]:
    """Return the ids of messages that have rows in each table."""
    found = {}
    async with db.read() as read:
        for table, column in ROWS.items():
            found[table] = {row["id"] for row in await read.rows(f"SELECT {column} AS id FROM {table}")}
    return found


async def test_old_messages_are_deleted_with_their_rows_and_young_ones_stay(db: Database) -> None:
    seed = await an_endpoint(db, OLD - DAY)
    for number in range(10):
        await add(db, seed, OLD - (number + 1) * HOUR, 3, event_id=f"old-{number}")
    young = await add(db, seed, OLD, 2, event_id="young")

    await delete_old(db, NOW, KEPT_FOR, SMALL)

    assert {"message": {young}, "attempt": {young}, "event_id": {young}, "delivery": set()} == await left(db)
    assert (10, 30) == (observe.counters["retention.messages_deleted"], observe.counters["retention.attempts_deleted"])


@pytest.mark.parametrize("lease", [None, 7])
async def test_a_message_with_a_delivery_stays_whole(db: Database, lease: int | None) -> None:
    seed = await an_endpoint(db, OLD - DAY)
    ages = [OLD - (number + 1) * HOUR for number in range(8)]
    made = [await add(db, seed, at, 3, event_id=str(at)) for at in ages]
    kept = made[4]
    await deliver(db, seed, kept, lease=lease)

    await delete_old(db, NOW, KEPT_FOR, SMALL)

    assert {key: {kept} for key in ROWS} == await left(db)
    assert 1 == observe.counters["retention.messages_kept"]
    async with db.write() as tx:
        await tx.run("DELETE FROM delivery")
    await delete_old(db, NOW, KEPT_FOR, SMALL)
    assert {key: set() for key in ROWS} == await left(db)


async def test_an_event_id_can_be_used_again_and_then_stays(db: Database) -> None:
    seed = await an_endpoint(db, OLD - DAY)
    await add(db, seed, OLD - HOUR, event_id="e")
    await delete_old(db, NOW, KEPT_FOR, SMALL)

    again = await add(db, seed, NOW, event_id="e")
    await delete_old(db, NOW, KEPT_FOR, SMALL)

    assert {again} == (await left(db))["event_id"]


async def test_attempts_of_deleted_messages_do_not_stay(db: Database) -> None:
    """A send that ends after its message was deleted leaves an attempt."""
    seed = await an_endpoint(db, OLD - DAY)
    late = ids.new(ids.MESSAGE, OLD - HOUR)
    seed.attempts += [(late, ids.new(ids.ATTEMPT, NOW + 4 * n), FAILED) for n in range(9)]
    young = ids.new(ids.MESSAGE, OLD + HOUR)
    seed.attempts.append((young, ids.new(ids.ATTEMPT, NOW), FAILED))
    await seed.write(db)
    kept = await add(db, seed, OLD - 2 * HOUR, 5)
    await deliver(db, seed, kept)

    await delete_old(db, NOW, KEPT_FOR, SMALL)

    assert {kept, young} == (await left(db))["attempt"]


@pytest.mark.parametrize("name", FAILPOINTS)
async def test_a_node_killed_in_any_chunk_leaves_only_work_for_the_next_run(migrated_url: str, name: str) -> None:
    db = await opened(migrated_url)
    seed = await an_endpoint(db, OLD - 3 * WEEK)
    await store.create_partitions(db, OLD - 3 * WEEK)
    for number in range(8):
        await add(db, seed, OLD - (number + 1) * HOUR, 3, event_id=f"n{number}")
        await add(db, seed, OLD - 2 * WEEK - (number + 1) * HOUR, 3, event_id=f"w{number}")
    kept = await add(db, seed, OLD - 9 * HOUR, 3, event_id="kept")
    await deliver(db, seed, kept)
    young = await add(db, seed, OLD, 3, event_id="young")
    has_partitions = not db.has_one_writer
    await db.close()  # a SQLite file has one owner

    code = [sys.executable, "-c", RUN, migrated_url, f"retention.{name}=kill@{1 if name == 'before_drop' else 2}"]
    process = await asyncio.create_subprocess_exec(*code, cwd=Path(__file__).parents[1])

    assert (-signal.SIGKILL if has_partitions or name != "before_drop" else 0) == await process.wait()
    after = await opened(migrated_url)
    assert {kept, young} <= (await left(after))["message"]
    await delete_old(after, NOW, KEPT_FOR, SMALL)
    assert {**{key: {kept, young} for key in ROWS}, "delivery": {kept}} == await left(after)
    assert 6 == await _count(after, f"attempt WHERE msg_id IN ('{kept}', '{young}')"), "theirs are complete"
    await after.close()


async def _count(db: Database, what: str) -> int:
    async with db.read() as read:
        return int((await read.one(f"SELECT count(*) FROM {what}"))[0])


# -----------------------------------------------------------------------------------------------------------------
# On PostgreSQL whole weeks are dropped.


@pytest.fixture
async def shared(postgres_dsn: str) -> AsyncIterator[Database]:
    db = await opened(postgres_dsn)
    await store.migrate(db)
    yield db
    await db.close()


async def test_a_week_without_deliveries_is_dropped_whole(shared: Database) -> None:
    await store.create_partitions(shared, OLD - WEEK)
    seed = await an_endpoint(shared, OLD - DAY)
    for number in range(9):
        await add(shared, seed, OLD - (number + 1) * HOUR, 3, event_id=str(number))
    young = await add(shared, seed, OLD + HOUR)

    await delete_old(shared, NOW + WEEK - 1, KEPT_FOR, SMALL)

    assert [] == await partitions.weeks_before(shared, OLD)
    assert {young} == (await left(shared))["message"], "a week is deleted once all of it is old enough"
    assert {"attempt": {young}, "event_id": set()}.items() <= (await left(shared)).items()
    assert (1, 9) == tuple(observe.counters[f"retention.{each}"] for each in ("weeks_dropped", "messages_deleted"))


async def test_a_week_with_a_delivery_is_emptied_and_dropped_when_the_delivery_ends(shared: Database) -> None:
    await store.create_partitions(shared, OLD - WEEK)
    seed = await an_endpoint(shared, OLD - DAY)
    made = [await add(shared, seed, OLD - (number + 1) * HOUR) for number in range(9)]
    await deliver(shared, seed, made[5])

    await delete_old(shared, NOW, KEPT_FOR, SMALL)

    assert {made[5]} == (await left(shared))["message"] == (await left(shared))["attempt"]
    async with shared.write() as tx:
        await tx.run("DELETE FROM delivery")
    await delete_old(shared, NOW, KEPT_FOR, SMALL)
    assert [] == await partitions.weeks_before(shared, OLD)
    assert set() == (await left(shared))["message"]


async def test_a_delivery_that_was_added_meanwhile_keeps_its_week(shared: Database) -> None:
    await store.create_partitions(shared, OLD - WEEK)
    seed = await an_endpoint(shared, OLD - DAY)
    msg_id = await add(shared, seed, OLD - HOUR)
    await deliver(shared, seed, msg_id)
    first, end = ids.first_at(ids.MESSAGE, OLD - WEEK), ids.first_at(ids.MESSAGE, OLD)

    assert not await partitions.drop_week(shared, OLD - WEEK, lambda read: deletion.has_deliveries(read, first, end))
    assert {msg_id} == (await left(shared))["message"]


async def test_a_week_that_a_query_reads_is_left_to_the_next_run(shared: Database) -> None:
    await store.create_partitions(shared, OLD - WEEK)
    seed = await an_endpoint(shared, OLD - DAY)
    await add(shared, seed, OLD - HOUR)
    async with shared.write() as reader:
        await reader.rows("SELECT 1 FROM attempt")
        assert not await partitions.drop_week(shared, OLD - WEEK, lambda _: _never())

    await delete_old(shared, NOW, KEPT_FOR, SMALL)
    assert [] == await partitions.weeks_before(shared, OLD)


async def _never() -> bool:
    return False


# -----------------------------------------------------------------------------------------------------------------
# On SQLite the space is returned.


async def test_the_space_of_deleted_rows_is_returned(migrated_sqlite_url: str) -> None:
    db = await opened(migrated_sqlite_url)
    seed = await an_endpoint(db, OLD - DAY)
    for number in range(300):
        seed.message(OLD - 4 * (number + 1), payload=b"x" * 10_000)
    await seed.write(db)
    pages = await _pages(db)

    await delete_old(db, NOW, KEPT_FOR)

    assert await _pages(db) < pages / 5
    assert observe.counters["retention.bytes_returned"] > 2_000_000
    await db.close()


async def _pages(db: Database) -> int:
    async with db.read() as read:
        return int((await read.one("SELECT page_count FROM pragma_page_count"))[0])


async def test_a_file_that_cannot_shrink_is_reported_once_with_the_command(
    migrated_sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = migrated_sqlite_url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("VACUUM")
    connection.close()
    db = await opened(migrated_sqlite_url)
    seed = await an_endpoint(db, OLD - DAY)
    for number in range(100):
        seed.message(OLD - 4 * (number + 1), payload=b"x" * 10_000)
    await seed.write(db)

    await delete_old(db, NOW, KEPT_FOR)
    assert 0 == await message_retention.return_space(db)

    assert 1 == caplog.text.count("PRAGMA auto_vacuum = INCREMENTAL; VACUUM")
    assert 0 == await space.return_some(db, 10, 0.1)
    await db.close()
