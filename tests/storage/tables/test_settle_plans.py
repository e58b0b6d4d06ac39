# SPDX-License-Identifier: MIT
"""Settle reads the deliveries that it settles, and no others, however few were in flight when it was planned."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tidings.storage.drivers.database import Read
from tidings.storage.drivers.postgres import PostgresDatabase
from tidings.storage.drivers.store import migrate, opened
from tidings.storage.tables import deliveries
from tidings.storage.tables.deliveries import SettledDelivery
from tidings.storage.tables.intake import DeliveryRow, add_deliveries

PLANNED, BATCH = 12, 20
"""Batches after which a plan is kept, and the size of a batch."""
ENDED, IN_FLIGHT, LATER = 6_000, 20, 2_000
"""Deliveries that have ended before the table is analyzed, that are in flight then, and that are added afterwards."""
ENDPOINT = f"ep_{27 * '1'}"
"""With ids of the usual length the index of keys has the usual size."""
_READ = "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) AS n FROM pg_stat_xact_user_tables WHERE relname = 'delivery'"


@pytest_asyncio.fixture
async def db(postgres_dsn: str) -> AsyncIterator[PostgresDatabase]:
    """Give a database with one connection, which plans each statement once."""
    database = await opened(postgres_dsn, connections=1)
    assert isinstance(database, PostgresDatabase)
    await migrate(database)
    yield database
    await database.close()


async def added(db: PostgresDatabase, name: str, count: int) -> list[DeliveryRow]:
    """Add deliveries in flight."""
    rows = [DeliveryRow(f"msg_{name:.<21}_{n:05}", ENDPOINT, "app_1", "org_1", 1, 1 + n, 9) for n in range(count)]
    async with db.write() as tx:
        await add_deliveries(tx, rows)
    return rows


async def rows_read(read: Read) -> int:
    return int((await read.one(_READ))["n"])


async def settled(db: PostgresDatabase, rows: list[DeliveryRow]) -> int:
    """Settle deliveries in a transaction; return how many rows of the table that read."""
    async with db.write() as tx:
        before = await rows_read(tx)
        ends = [SettledDelivery(row.msg_id, row.endpoint_id, row.lease or 0) for row in rows]
        assert not await deliveries.settle_delivered(tx, ends, 1)
        return await rows_read(tx) - before


async def test_a_settled_batch_is_found_by_its_keys(db: PostgresDatabase) -> None:
    """Few deliveries, large indexes: a look-up by key then seems to cost more than to read all leases."""
    await settled(db, await added(db, "ended", ENDED))
    await added(db, "early", IN_FLIGHT)
    async with db.write() as tx:
        await tx.run("ANALYZE delivery")
    for number in range(PLANNED):
        await settled(db, await added(db, f"planned{number}", BATCH))
    await added(db, "later", LATER)

    assert await settled(db, await added(db, "last", BATCH)) == BATCH
