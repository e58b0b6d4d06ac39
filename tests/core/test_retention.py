# SPDX-License-Identifier: MIT
"""Payloads are purged when they expire, a few at a time; payloads with a longer retention stay."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from message_path import add_app
from tidings import ids
from tidings.clock import DAY, HOUR
from tidings.core import retention
from tidings.core.tuning import CoreTuning
from tidings.ids import DEFAULT_ORG
from tidings.storage.drivers.database import Database, Dialect, Write
from tidings.storage.drivers.sqlite import SqliteDatabase
from tidings.storage.tables import intake, settings
from tidings.storage.tables.intake import NewMessage

NOW = 1_700_000_000_000
CHUNK_MS = 3.0


async def add(db: Database, *messages: tuple[int, int | None], size: int = 10) -> list[str]:
    """Add messages, each with its creation time and the expiry of its payload; None means after ninety days."""
    app = await add_app(db)
    rows = [
        NewMessage(ids.new(ids.MESSAGE, at), app, DEFAULT_ORG, "a", None, None, b"x" * size, ends_at, None)
        for at, ends_at in messages
    ]
    async with db.write() as tx:
        await intake.add(tx, rows)
    return [row.id for row in rows]


async def kept(db: Database) -> list[str]:
    async with db.read() as read:
        rows = await read.rows("SELECT id FROM message WHERE payload IS NOT NULL ORDER BY id")
    return [row["id"] for row in rows]


async def test_an_unlimited_payload_is_kept_ninety_days(db: Database) -> None:
    _, old, young = await add(db, (NOW - 200 * DAY, None), (NOW - 90 * DAY - 4, None), (NOW - 90 * DAY, None))

    assert 2 == await retention.expire(db, NOW)

    assert [young] == await kept(db)
    async with db.read() as read:
        assert old == await settings.find(read, retention.MARK)


async def test_a_payload_with_its_own_retention_expires_at_its_timestamp(db: Database) -> None:
    _, later, last = await add(db, (NOW - 2 * HOUR, NOW), (NOW - HOUR, NOW + 1), (NOW, None))

    assert 1 == await retention.expire(db, NOW)
    assert [later, last] == await kept(db)
    assert 1 == await retention.expire(db, NOW + 1)
    assert [last] == await kept(db)


async def test_expiry_continues_from_its_stored_position(db: Database) -> None:
    await add(db, *[(NOW - 91 * DAY + n * 4, None) for n in range(5)])
    assert 5 == await retention.expire(db, NOW)
    await add(db, *[(NOW - 90 * DAY + n * 4, None) for n in range(5)])

    assert 0 == await retention.expire(db, NOW)
    assert 5 == await retention.expire(db, NOW + DAY)
    assert 0 == await retention.expire(db, NOW + 2 * DAY)


async def test_many_payloads_are_deleted_in_chunks_of_few_rows(db: Database) -> None:
    await add(db, *[(NOW - 91 * DAY + n * 4, None) for n in range(30)])
    await add(db, *[(NOW + n * 4, NOW) for n in range(14)])

    assert 44 == await retention.expire(db, NOW, CoreTuning(expiry_rows_read=7, expiry_chunk_rows=3))

    assert [] == await kept(db)


def test_a_chunk_has_few_bytes_and_at_least_one_message() -> None:
    tuning = CoreTuning(expiry_chunk_bytes=10)

    found = retention._chunks([("a", 11), ("b", 5), ("c", 5), ("d", 1), ("e", 11), ("f", None)], tuning)  # noqa: SLF001 - the rule itself

    assert [["a"], ["b", "c"], ["d"], ["e"], ["f"]] == list(found)


@pytest.mark.parametrize("size", [100, 100_000])
async def test_a_chunk_holds_the_writer_only_briefly(db: Database, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    if db.dialect is not Dialect.SQLITE:
        pytest.skip("PostgreSQL's writers do not wait for one another")
    await add(db, *[(NOW - 91 * DAY + n * 4, None) for n in range(400)], size=size)
    held: list[float] = []
    write = SqliteDatabase.write

    @asynccontextmanager
    async def timed(self: SqliteDatabase, *, background: bool = False) -> AsyncIterator[Write]:
        async with write(self, background=background) as tx:
            began = time.thread_time()
            yield tx
            held.append(1e3 * (time.thread_time() - began))

    monkeypatch.setattr(SqliteDatabase, "write", timed)

    await retention.expire(db, NOW)

    assert sorted(held)[len(held) // 2] < CHUNK_MS
    assert [] == await kept(db)
