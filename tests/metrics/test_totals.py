# SPDX-License-Identifier: MIT
"""Totals are read by one node at a time, shared with the others, and never invented."""

from tidings.clock import ManualClock
from tidings.metrics.catalog import CATALOG
from tidings.metrics.totals import TotalsReader
from tidings.storage.drivers.database import Database

NOW = 1_800_000_000_000
OF_FILES = {"database_filesystem_free_bytes", "database_filesystem_size_bytes"}


async def test_a_reading_has_every_total(db: Database) -> None:
    reader = TotalsReader(db, ManualClock(NOW))

    await reader.refresh()

    assert reader.latest is not None
    expected = {metric.name for metric in CATALOG if metric.is_total} - {"totals_timestamp_seconds"}
    expected -= {"nodes"} if db.has_one_writer else OF_FILES
    assert expected == set(reader.latest.samples)
    assert reader.latest.read_at == NOW


async def test_a_reading_serves_all_nodes_for_its_interval(db: Database) -> None:
    clock = ManualClock(NOW)
    one, other = TotalsReader(db, clock), TotalsReader(db, clock)
    await one.refresh()
    clock.advance(14_999)
    await one.refresh()
    await other.refresh()

    assert one.latest is not None
    assert one.latest.read_at == NOW
    if not db.has_one_writer:
        assert other.latest == one.latest

    clock.advance(2)
    await other.refresh()
    await one.refresh()
    assert other.latest is not None
    assert other.latest.read_at >= NOW + 14_999
    if not db.has_one_writer:
        assert one.latest == other.latest


async def test_totals_stay_as_old_as_they_are_when_the_database_fails(db: Database) -> None:
    clock = ManualClock(NOW)
    reader = TotalsReader(db, clock)
    await reader.refresh()
    async with db.write() as tx:
        await tx.run("ALTER TABLE delivery RENAME TO hidden")
    clock.advance(60_000)

    await reader.refresh()

    assert reader.latest is not None
    assert reader.latest.read_at == NOW
