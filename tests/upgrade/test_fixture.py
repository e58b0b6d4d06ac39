# SPDX-License-Identifier: MIT
"""A database that 0.1.0 filled is migrated with its data intact, and its migrations are frozen."""

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

import release_fixture
from delivery.receiver import Receiver
from faults.kit import ended, eventually, received
from live import Live
from tidings.storage.drivers.database import Database, Dialect
from tidings.storage.drivers.migrations import Migration, known_migrations, migrate
from tidings.storage.drivers.store import opened
from upgrade.releases import EXPANDING, FIXTURE, OLD, entry_of, fixture, next_release

NOT_CUT = f"{OLD} is not cut: its fixture is provisional, and the schema has changed since"


def _is_current() -> bool:
    """Return whether this release has the migrations of the fixture."""
    ours = {each.title: each.checksum for each in known_migrations()}
    return fixture().checksums.items() <= ours.items()


@pytest.fixture
def _frozen() -> None:
    if fixture().is_provisional and not _is_current():
        pytest.skip(NOT_CUT)


@pytest.mark.usefixtures("_frozen")
def test_a_released_migration_is_never_edited() -> None:
    ours = {each.title: each.checksum for each in known_migrations()}

    assert fixture().checksums == {title: ours.get(title) for title in fixture().checksums}


def test_the_dumps_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in FIXTURE.glob("*.sql")}

    assert {"sqlite.sql", "postgresql.sql"} == set(sizes)
    assert max(sizes.values()) < release_fixture.MAX_BYTES


@pytest.fixture
def restored_url(database_url: str) -> str:
    """Give the URL of a database with the rows that 0.1.0 wrote, once of each kind."""
    if database_url.startswith("sqlite"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as connection:
            connection.executescript((FIXTURE / "sqlite.sql").read_text())
    else:
        asyncio.run(_restored(database_url))
    return database_url


async def _restored(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute((FIXTURE / "postgresql.sql").read_text())
    await connection.close()


async def snapshot(db: Database, columns: dict[str, list[str]] | None = None) -> dict[str, Counter[tuple[object, ...]]]:
    """Return all rows, by table: of the given columns, or of all."""
    found: dict[str, Counter[tuple[object, ...]]] = {}
    async with db.read() as read:
        for table, names in (columns or await tables(db)).items():
            rows = await read.rows(f"SELECT {', '.join(names)} FROM {table}")
            found[table] = Counter(tuple(row) for row in rows)
    return found


async def tables(db: Database) -> dict[str, list[str]]:
    """Return the columns of each table."""
    sql = {
        Dialect.SQLITE: "SELECT m.name AS relation, p.name AS part FROM sqlite_schema AS m"
        " JOIN pragma_table_info(m.name) AS p WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'",
        Dialect.POSTGRESQL: "SELECT c.relname AS relation, attname AS part FROM pg_attribute JOIN pg_class AS c"
        " ON c.oid = attrelid WHERE relkind IN ('r', 'p') AND NOT relispartition AND attnum > 0 AND NOT attisdropped"
        " AND relnamespace = current_schema()::regnamespace",
    }
    found: dict[str, list[str]] = {}
    async with db.read() as read:
        for relation, part in await read.rows(sql[db.dialect]):
            found.setdefault(relation, []).append(part)
    return found


@pytest.mark.usefixtures("_frozen")
async def test_every_table_has_rows_and_keeps_them_through_a_migration(restored_url: str) -> None:
    db = await opened(restored_url)
    columns = await tables(db)
    before = await snapshot(db)
    assert [] == [table for table, rows in before.items() if not rows]
    last = known_migrations()[-1].version
    added = [Migration(last + number, name, text) for number, (name, text) in enumerate(EXPANDING.items(), 1)]

    await migrate(db, (*known_migrations(), *added))

    after = await snapshot(db, columns)
    done = after.pop("schema_migration") - before.pop("schema_migration")
    assert len(added) <= done.total()
    assert after == before
    async with db.read() as read:
        assert 0 == (await read.one("SELECT count(*) FROM message WHERE shade IS NULL"))[0]
    await db.close()


@pytest.mark.usefixtures("_frozen")
async def test_the_next_release_serves_the_data_and_continues_the_deliveries(restored_url: str, tmp_path: Path) -> None:
    server = Live(
        restored_url,
        tmp_path / "node",
        ["--migrate"],
        {**release_fixture.SECRETS, "retry_schedule": "[1]"},
        entry=entry_of(next_release(tmp_path / "new", EXPANDING)),
    )
    with ended(server):
        await asyncio.to_thread(server.start)
        async with Receiver() as receiver:
            call = server.call
            [app] = call("GET", "/api/v1/app")[1]["data"]
            root = f"/api/v1/app/{app['id']}"
            assert call("GET", f"{root}/endpoint/ok/secret")[1]["key"].startswith("whsec_"), "decrypted"
            assert "X-Key" in call("GET", f"{root}/endpoint/ok/headers")[1]["headers"]
            found = call("GET", f"{root}/attempt/endpoint/ok?limit=100")[1]["data"]
            # The node also tries what the dump has left scheduled for `ok`, whose receiver is gone.
            dump = "".join(path.read_text() for path in FIXTURE.glob("*.sql"))
            kept = [each for each in found if each["id"] in dump]
            assert len(kept) >= 7
            assert {0} == {each["status"] for each in kept}
            assert "Zoë" == call("GET", f"{root}/msg/event-3")[1]["payload"]["name"]
            assert 200 == call("PATCH", f"{root}/endpoint/hang", {"url": receiver.url})[0]
            # The node of the fixture was killed with seven messages in flight, whose leases ended since.
            await eventually(lambda: len(received(receiver)) >= 7)
