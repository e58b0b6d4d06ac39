# SPDX-License-Identifier: MIT
"""Claim and settle find rows by key, even with a plan that PostgreSQL made while the table was empty.

PostgreSQL keeps a statement's plan until it is invalidated, so the plan of the first quiet minutes still serves when a
hundred thousand deliveries are due.
"""

import asyncpg
import pytest

from tidings.storage.drivers import postgres_connect
from tidings.storage.drivers.database import Statement
from tidings.storage.drivers.dialect import for_postgres
from tidings.storage.tables import deliveries

LITERALS = {
    "endpoints": "ARRAY['ep_1']",
    "rooms": "ARRAY[200]::bigint[]",
    "lane": "1",
    "lease": "5",
    "until": "9",
    "now": "7",
    "after": "''",
    "limit": "200",
}


async def _kept_plan(url: str, text: str, values: list[str]) -> str:
    """Return the generic plan of a statement, as made now, on a connection like the service's."""
    connection = await asyncpg.connect(url, server_settings=postgres_connect.SESSION)
    try:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE kept AS {text}")
        rows = await connection.fetch(f"EXPLAIN EXECUTE kept({', '.join(values)})")
    finally:
        await connection.close()
    return "\n".join(row[0] for row in rows)


@pytest.fixture
def url(migrated_url: str) -> str:
    if migrated_url.startswith("sqlite"):
        pytest.skip("SQLite keeps no plan")
    return migrated_url


@pytest.mark.parametrize("statement", [deliveries._CLAIM, deliveries._DUE_ENDPOINTS])  # noqa: SLF001
async def test_due_rows_are_found_through_their_whole_key(url: str, statement: Statement) -> None:
    text, names = for_postgres(statement)
    plan = await _kept_plan(url, text, [LITERALS[name] for name in names])

    assert "Seq Scan" not in plan
    assert "delivery_next" not in plan
    assert "delivery_due" in plan


async def test_claimed_rows_are_updated_by_their_row_address(url: str) -> None:
    text, names = for_postgres(deliveries._CLAIM)  # noqa: SLF001
    plan = await _kept_plan(url, text, [LITERALS[name] for name in names])

    assert plan.count("Index Scan") == 1
    assert "Tid Scan" in plan


async def test_settled_rows_are_found_through_the_index(url: str) -> None:
    text = for_postgres(deliveries._END_DELIVERED)[0]  # noqa: SLF001
    plan = await _kept_plan(url, text, ["ARRAY['msg_1']", "ARRAY['ep_1']", "ARRAY[5]::bigint[]"])

    assert "Nested Loop" in plan
    assert "Seq Scan" not in plan
    assert "(msg_id = ANY (ARRAY[given.msg])) AND (endpoint_id = (given.endpoint)::text)" in plan
