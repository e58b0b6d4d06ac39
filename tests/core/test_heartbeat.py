# SPDX-License-Identifier: MIT
"""The heartbeat query finds a database that refuses writes, and health runs no transaction of its own."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from tidings import observe
from tidings.clock import ManualClock
from tidings.core.heartbeat import Heartbeat
from tidings.storage.drivers.database import Database, Unavailable
from tidings.storage.drivers.sqlite import SqliteDatabase
from tidings.storage.drivers.store import opened


async def written(db: Database) -> list[str]:
    async with db.read() as read:
        return [row["value"] for row in await read.rows("SELECT value FROM setting WHERE name LIKE 'heartbeat%'")]


async def test_frequent_health_checks_write_one_row(db: Database) -> None:
    clock = ManualClock()
    heartbeat = Heartbeat(db, clock, 3)

    assert [True] * 20 == await asyncio.gather(*(heartbeat.is_good() for _ in range(20)))
    first = await written(db)
    clock.advance(1_900)
    assert await heartbeat.is_good()
    assert first == await written(db)
    assert 1 == len(first)


async def test_the_heartbeat_is_written_again_after_two_seconds(db: Database) -> None:
    clock = ManualClock()
    heartbeat = Heartbeat(db, clock, 3)
    await heartbeat.is_good()
    if isinstance(db, SqliteDatabase):
        db._wrote_at = float("-inf")  # noqa: SLF001 - long ago
    first = await written(db)

    clock.advance(2_100)
    await heartbeat.is_good()

    assert first != await written(db)


async def test_a_write_of_the_service_counts_as_a_heartbeat(migrated_sqlite_url: str) -> None:
    db = await opened(migrated_sqlite_url)
    async with db.write() as tx:
        await tx.run("INSERT INTO setting (name, value) VALUES ('a', 'b')")

    assert await Heartbeat(db, ManualClock()).is_good()

    assert [] == await written(db)
    await db.close()


def replace(path: Path) -> None:
    kept = path.read_bytes()
    path.rename(f"{path}.old")
    path.write_bytes(kept)


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\0" * 16)


def delete(path: Path) -> None:
    path.rename(f"{path}.old")


@pytest.mark.parametrize("spoil", [replace, overwrite, delete])
async def test_the_heartbeat_notices_that_the_file_is_no_longer_the_database(
    migrated_sqlite_url: str, spoil: Callable[[Path], None]
) -> None:
    db = await opened(migrated_sqlite_url)
    heartbeat = Heartbeat(db, ManualClock())
    spoil(Path(migrated_sqlite_url.removeprefix("sqlite:///")))

    assert not await heartbeat.is_good()

    await db.close()


async def test_an_outage_is_logged_in_two_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = ManualClock()
    outage = observe.OutageLog(clock)

    for doing in ("claiming deliveries", "claiming tasks", "writing the heartbeat") * 5:
        outage.failed(doing, Unavailable("away"))
        clock.advance(1_000)
    outage.passed()
    outage.failed("settling deliveries", Unavailable("away"))
    outage.passed()
    outage.passed()
    outage.passed()

    assert ["the database is unavailable", "the database is available again"] == [
        each.message for each in caplog.records
    ]
    assert {"seconds": 15.0, "failures": 16} == vars(caplog.records[1])["fields"]


async def test_all_components_share_one_log_line_of_an_outage(caplog: pytest.LogCaptureFixture) -> None:
    for doing in ("claiming deliveries", "claiming tasks", "the heartbeat query"):
        observe.failure(doing, Unavailable("away"))
    observe.failure("a fault of our own", KeyError("x"))

    assert 2 == len(caplog.records)
