# SPDX-License-Identifier: MIT
"""Migrations run once, wait for no lock for long, and continue after a kill; releases beside each other are checked."""

import asyncio

import pytest

from tidings import __version__, ids
from tidings.storage.drivers.database import Database, SchemaError
from tidings.storage.drivers.migrations import (
    Migration,
    MigrationTuning,
    known_migrations,
    migrate,
    require_current,
)
from tidings.storage.drivers.store import opened

NOW = 1_790_000_000_000
LAST = known_migrations()[-1].version
OLDEST = "-- Oldest release that may run on this schema: 0.1.0\n"
COLUMN = Migration(LAST + 1, "column", OLDEST + "ALTER TABLE application ADD COLUMN color {text};\n")
INDEX = Migration(
    LAST + 2,
    "index",
    OLDEST
    + "-- Outside a transaction, because the tables are in use.\n"
    + "CREATE INDEX {concurrently} message_org ON message (org_id, id);\n"
    + "CREATE INDEX {concurrently} application_color ON application (color);\n",
)
BACKFILL = Migration(
    LAST + 3,
    "backfill",
    OLDEST
    + "-- Outside a transaction.\n"
    + "UPDATE application SET color = 'red' WHERE id IN (SELECT id FROM application WHERE color IS NULL LIMIT 2);\n",
)
ALL = (*known_migrations(), COLUMN, INDEX, BACKFILL)
QUICK = MigrationTuning(attempts=2, pause_seconds=0.001)
PARTS = (
    "SELECT i.relname AS name, x.indisvalid AS valid FROM pg_class AS i JOIN pg_index AS x ON x.indexrelid = i.oid"
    " WHERE i.relname LIKE '%message_org' ORDER BY 1"
)


async def add_apps(db: Database, count: int) -> None:
    async with db.write() as tx:
        for number in range(count):
            await tx.run(
                "INSERT INTO application (id, org_id, name, metadata, created_at, updated_at, routed_at)"
                " VALUES (:id, 'org_x', 'a', '{}', 1, 1, 1)",
                id=ids.new(ids.APP, NOW + 8 * number),
            )


async def value(db: Database, sql: str) -> object:
    async with db.read() as read:
        return (await read.one(sql))[0]


async def test_every_sort_of_migration_runs_once(db: Database) -> None:
    await add_apps(db, 5)

    assert ["column", "index", "backfill"] == [each.name for each in await migrate(db, ALL)]

    assert [] == await migrate(db, ALL)
    assert 5 == await value(db, "SELECT count(*) FROM application WHERE color = 'red'")
    assert "0.1.0" == await value(db, "SELECT min(oldest_release) FROM schema_migration")


async def test_concurrent_migrations_run_each_file_once(database_url: str) -> None:
    db = await opened(database_url)
    other = db if db.has_one_writer else await opened(database_url)

    ran = await asyncio.gather(migrate(db, ALL), migrate(other, ALL))

    assert [each.version for each in ALL] == sorted(each.version for migrations in ran for each in migrations)
    for each in {db, other}:
        await each.close()


async def test_every_migration_names_the_oldest_release_that_may_run_on_it() -> None:
    assert all(each.oldest_release for each in known_migrations())
    with pytest.raises(ValueError, match="0002_x does not name the oldest release"):
        _ = Migration(2, "x", "SELECT 1;").oldest_release


async def record(db: Database, version: int, oldest: str) -> None:
    async with db.write() as tx:
        await tx.run(
            "INSERT INTO schema_migration (version, name, checksum, oldest_release) VALUES (:v, 'later', 'x', :oldest)",
            v=version,
            oldest=oldest,
        )


async def test_a_release_starts_on_a_newer_schema_that_permits_it(db: Database) -> None:
    await record(db, LAST + 1, "0.1.0")
    await record(db, LAST + 2, __version__)

    await require_current(db)
    assert [] == await migrate(db)


@pytest.mark.parametrize("act", [require_current, migrate])
async def test_a_release_refuses_a_newer_schema_that_excludes_it(db: Database, act: object) -> None:
    await record(db, LAST + 1, "0.10.0")
    await record(db, LAST + 2, "0.9.0")

    with pytest.raises(SchemaError, match=r"needs tidings 0\.10\.0 or later; this is"):
        await act(db)  # type: ignore[operator]


async def test_a_missing_migration_is_named_with_the_command(database_url: str) -> None:
    db = await opened(database_url)
    with pytest.raises(SchemaError, match=r"\(0001_initial, 0002_dispatch\); run `tidings migrate`"):
        await require_current(db)
    await db.close()


async def test_another_text_of_a_migration_is_refused(db: Database) -> None:
    await migrate(db, ALL)
    changed = (*known_migrations(), Migration(LAST + 1, "column", OLDEST + "SELECT 1;\n"), INDEX, BACKFILL)

    with pytest.raises(SchemaError, match=f"another migration {COLUMN.title} ran"):
        await migrate(db, changed)
