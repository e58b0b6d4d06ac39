# SPDX-License-Identifier: MIT
"""Payloads are purged when they expire, a few at a time; payloads with a longer retention stay."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from database_proxy import DatabaseProxy
from message_path import add_app
from tidings import ids
from tidings.clock import DAY, HOUR
from tidings.core import retention
from tidings.core.deletion_pace import DeletionPace
from tidings.core.tuning import CoreTuning
from tidings.ids import DEFAULT_ORG, AppId, MessageId
from tidings.model.message import AcceptedMessage
from tidings.storage.drivers.database import Database, Write
from tidings.storage.tables import intake, nodes

NOW = 1_700_000_000_000


async def add(db: Database, *messages: tuple[int, int | None], size: int = 10) -> list[str]:
    """Add messages, each with its creation time and the expiry of its payload; None means after ninety days."""
    app = await add_app(db)
    rows = [
        AcceptedMessage(
            MessageId(ids.new(ids.MESSAGE, at)), AppId(app), DEFAULT_ORG, "a", b"x" * size, expires_at=ends_at
        )
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
        assert old == await nodes.setting(read, retention.MARK)


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
    sizes = [("a", 11), ("b", 5), ("c", 5), ("d", 1), ("e", 11), ("f", None)]

    found = retention._chunks(sizes, tuning, DeletionPace(lambda: False, tuning, 64))  # noqa: SLF001 - the rule itself

    assert [["a"], ["b", "c"], ["d"], ["e"], ["f"]] == list(found)


class Recorded(DatabaseProxy):
    """A database that records the number and the bytes of the payloads that each transaction deletes."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.deleted: list[tuple[int, int]] = []

    @asynccontextmanager
    async def write(self, **options: Any) -> AsyncIterator[Write]:
        async with self.db.write(**options) as tx:
            before = await self._payloads(tx)
            yield tx
            after = await self._payloads(tx)
            self.deleted.append((before[0] - after[0], before[1] - after[1]))

    async def _payloads(self, tx: Write) -> tuple[int, int]:
        row = await tx.one("SELECT count(payload) AS n, coalesce(sum(length(payload)), 0) AS bytes FROM message")
        return int(row["n"]), int(row["bytes"])


@pytest.mark.parametrize(("count", "size", "transactions"), [(200, 100, 5), (20, 100_000, 10)])
async def test_a_transaction_deletes_few_payloads_and_few_bytes(
    db: Database, count: int, size: int, transactions: int
) -> None:
    await add(db, *[(NOW - 91 * DAY + n * 4, None) for n in range(count)], size=size)
    recorded, limits = Recorded(db), CoreTuning()

    await retention.expire(recorded, NOW)

    assert transactions == len(recorded.deleted)
    assert max(rows for rows, _ in recorded.deleted) <= limits.expiry_chunk_rows
    assert max(size for _, size in recorded.deleted) <= limits.expiry_chunk_bytes
    assert [] == await kept(db)
