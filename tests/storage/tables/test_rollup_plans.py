# SPDX-License-Identifier: MIT
"""Attempts are counted through an index of their endpoint, and rollups are found by their key or their hour."""

import re

import pytest

from storage.lists.test_list_plans import Listening
from tasks.kit import explained
from tidings import ids
from tidings.clock import HOUR
from tidings.ids import OrgId
from tidings.model.rollup import Owner
from tidings.storage.drivers.database import Database, Dialect
from tidings.storage.tables import rollups, settlement
from tidings.storage.tables.settlement import AttemptRow

NOW = 1_790_000_000_000 // HOUR * HOUR
HOURS = range(NOW - 3 * HOUR, NOW, HOUR)
ENDPOINTS = [ids.new(ids.ENDPOINT, NOW - 4 * number) for number in range(60)]
OWNERS = [Owner("org_1", "app_1", each) for each in ENDPOINTS]
_FILL = (
    "INSERT INTO rollup (org_id, app_id, endpoint_id, hour, delivered, failed, latency)"
    " SELECT 'org_1', 'app_1', :endpoint, hour, 1, 0, '[]' FROM rows_of(:texts, :hours bigint) AS made(text, hour)"
)
WHOLE = {
    Dialect.SQLITE: r"SCAN (attempt|rollup|endpoint)\b(?! USING (COVERING )?INDEX)",
    Dialect.POSTGRESQL: r"Seq Scan on (attempt|rollup)\w* .*rows=\d{3,}|Index Scan using attempt_pkey",
}


def _attempt(endpoint: str, at: int) -> AttemptRow:
    return AttemptRow(
        ids.new(ids.MESSAGE, at), ids.new(ids.ATTEMPT, at), endpoint, "app_1", "org_1", "", 0, 200, "", 1, 0
    )


@pytest.fixture
async def filled(db: Database) -> Database:
    """Give a database with attempts of ten hours, and rollups of two weeks."""
    async with db.write() as tx:
        for place, endpoint in enumerate(ENDPOINTS):
            times = [NOW - 10 * HOUR + number * 6 * 60_000 + place for number in range(100)]
            await settlement.add_attempts(tx, [_attempt(endpoint, at) for at in times])
            hours = range(NOW - 300 * HOUR, NOW, HOUR)
            await tx.run(_FILL, endpoint=endpoint, texts=[str(each) for each in hours], hours=list(hours))
    async with db.write() as tx:
        await tx.run("ANALYZE")
    return db


async def test_no_statement_reads_a_whole_table(filled: Database) -> None:
    async with filled.read() as read:
        listening = Listening(read)
        some = await rollups.count_attempts(listening, ENDPOINTS[:20], HOURS, most=10_000)
        await rollups.count_attempts(listening, ENDPOINTS[:20], HOURS, most=10_000, with_latency=False)
        first, below = rollups.bounds(HOURS.start)
        await rollups.count_part(listening, ENDPOINTS[0], first=first, below=below, most=100)
        await rollups.of_range(listening, OWNERS[:20], HOURS.start, HOURS.stop)
        await rollups.of_range(listening, [Owner("org_1")], HOURS.start, HOURS.stop)
        await rollups.at_hours(listening, [(each, HOURS.start) for each in OWNERS[:20]])
        await rollups.count_expired(listening, NOW - 299 * HOUR, limit=100)
        await rollups.reopened(listening, limit=10)
        for owner in (Owner("org_1", "app_1"), Owner("org_1"), Owner()):
            await rollups.all_endpoints(listening, owner, limit=10)

    assert some
    assert 600 == sum(each.totals.delivered for each in some)
    for sql, values in listening.asked:
        plan = await explained(filled, sql, **values)
        assert not re.search(WHOLE[filled.dialect], plan), plan


async def test_outcomes_are_counted_in_the_index_alone(filled: Database) -> None:
    async with filled.read() as read:
        listening = Listening(read)
        await rollups.count_attempts(listening, ENDPOINTS[:5], HOURS, most=10_000, with_latency=False)

    ((sql, values),) = listening.asked
    plan = await explained(filled, sql, **values)
    index = {Dialect.SQLITE: "USING COVERING INDEX attempt_endpoint", Dialect.POSTGRESQL: "Index Only Scan using"}
    assert index[filled.dialect] in plan, plan


async def test_more_attempts_than_the_limit_are_not_counted(filled: Database) -> None:
    async with filled.read() as read:
        assert await rollups.count_attempts(read, ENDPOINTS[:2], HOURS, most=59) is None
        assert await rollups.count_attempts(read, ENDPOINTS[:2], HOURS, most=60)
        assert [] == await rollups.count_attempts(read, [], HOURS, most=1)


async def test_rollups_of_an_organization_are_deleted_in_chunks(filled: Database) -> None:
    async with filled.write() as tx:
        assert 60 == await rollups.delete_expired(tx, NOW - 299 * HOUR, limit=1_000)
        assert 50 == await rollups.delete_of_org(tx, OrgId("org_1"), limit=50)
        assert 0 == await rollups.delete_of_org(tx, OrgId("org_2"), limit=50)
