# SPDX-License-Identifier: MIT
"""Rescheduling visits the deliveries in chunks, and each chunk reads only its own rows."""

import pytest

from tasks.kit import explained
from tidings.storage.drivers.database import Database, Dialect, Read, Sql, Write
from tidings.storage.tables import nodes
from tidings.storage.tables.nodes import ScheduledDelivery

NOW = 1_800_000_000_000
LATER = NOW + 1_000
COUNT, CHUNK = 3_000, 100
MIDDLE = (f"msg_{COUNT // 2:06}", "ep_1")
_ADD = Sql(
    *(
        f"{numbers} INSERT INTO delivery (msg_id, endpoint_id, app_id, org_id, due_at)"
        f" SELECT 'msg_' || {six_digits}, 'ep_1', 'app_1', 'org_1', CAST(:due_at AS BIGINT) FROM number"
        for numbers, six_digits in (
            (
                "WITH RECURSIVE number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < :count - 1)",
                "printf('%06d', n)",
            ),
            (
                "WITH number(n) AS (SELECT generate_series(0, CAST(:count AS BIGINT) - 1))",
                "lpad(CAST(n AS TEXT), 6, '0')",
            ),
        )
    )
)
_READ = "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) AS n FROM pg_stat_xact_user_tables WHERE relname = 'delivery'"


async def fill(tx: Write, count: int, *, due_at: int) -> None:
    """Add deliveries that are identical except for their messages."""
    await tx.run(_ADD, count=count, due_at=due_at)


async def rows_read(read: Read) -> int:
    """Count the rows of deliveries that PostgreSQL has read in this transaction."""
    return int((await read.one(_READ))["n"])


async def scanned(read: Read, limit: int) -> tuple[list[ScheduledDelivery], int]:
    """Return every scheduled delivery, and how many chunks there were."""
    found: list[ScheduledDelivery] = []
    after: tuple[str, str] | None = ("", "")
    chunks = 0
    while after is not None:
        some, after = await nodes.scheduled_deliveries(read, now=NOW, after=after, limit=limit)
        found += some
        chunks += after is not None
    return found, chunks


@pytest.mark.parametrize("statistics", ["none", "stale", "current"])
async def test_a_chunk_reads_only_its_own_rows(db: Database, statistics: str) -> None:
    """The statistics date from before the clock was ahead: they know no later due time."""
    async with db.write() as tx:
        if db.dialect is Dialect.POSTGRESQL:
            await tx.run("ALTER TABLE delivery SET (autovacuum_enabled = off)")
        await fill(tx, COUNT, due_at=LATER if statistics == "current" else NOW)
        if statistics != "none":
            await tx.run("ANALYZE delivery")
        await tx.run("UPDATE delivery SET due_at = :later WHERE due_at < :later", later=LATER)

    if db.dialect is Dialect.SQLITE:
        sql = nodes._SCHEDULED  # noqa: SLF001
        plan = await explained(db, sql, now=NOW, msg=MIDDLE[0], endpoint=MIDDLE[1], limit=CHUNK)
        assert "SEARCH delivery USING INDEX sqlite_autoindex_delivery_1 ((msg_id,endpoint_id)>(?,?))" in plan
        return
    async with db.write() as tx:
        before = await rows_read(tx)
        found, _ = await nodes.scheduled_deliveries(tx, now=NOW, after=MIDDLE, limit=CHUNK)
        between = await rows_read(tx)
        moved = await nodes.move_deliveries(tx, [(each, NOW, None) for each in found])
        after = await rows_read(tx)
    assert CHUNK == len(found) == moved
    assert CHUNK == between - before
    assert CHUNK == after - between


async def test_chunks_without_rows_to_reschedule_do_not_end_the_scan(db: Database) -> None:
    async with db.write() as tx:
        await fill(tx, 12, due_at=NOW)
        await tx.run("UPDATE delivery SET due_at = :later WHERE msg_id IN ('msg_000005', 'msg_000011')", later=LATER)
        await tx.run(
            "UPDATE delivery SET due_at = :later, lease = 1, lease_until = :later WHERE msg_id IN ('msg_000003',"
            " 'msg_000010')",
            later=LATER,
        )

    async with db.read() as read:
        found, chunks = await scanned(read, 2)

    assert ["msg_000005", "msg_000011"] == [each.msg_id for each in found]
    assert chunks == 6


async def test_a_delivery_leased_or_rescheduled_meanwhile_is_not_changed(db: Database) -> None:
    async with db.write() as tx:
        await fill(tx, 3, due_at=LATER)
        found, _ = await scanned(tx, 10)
        await tx.run("UPDATE delivery SET lease = 1, lease_until = :later WHERE msg_id = 'msg_000000'", later=LATER)
        await tx.run("UPDATE delivery SET due_at = due_at + 1 WHERE msg_id = 'msg_000001'")

        assert await nodes.move_deliveries(tx, [(each, NOW, None) for each in found]) == 1

    async with db.read() as read:
        rows = await read.rows("SELECT due_at FROM delivery ORDER BY msg_id")
    assert [LATER, LATER + 1, NOW] == [row["due_at"] for row in rows]
