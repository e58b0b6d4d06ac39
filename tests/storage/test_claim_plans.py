# SPDX-License-Identifier: MIT
"""What is claimed and settled is found by its key, also by a plan that PostgreSQL made while the table was empty.

It keeps a statement's plan for as long as nothing tells it otherwise, so the plan of the first quiet minutes serves
when a hundred thousand deliveries wait.
"""

import asyncpg
import pytest

from tidings.storage import deliveries, postgres_connect
from tidings.storage.database import Sql, numbered

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
    """Return the plan that serves all values of a statement, as it is made now, on a connection like the service's."""
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
async def test_due_rows_are_found_by_all_of_their_key(url: str, statement: Sql) -> None:
    text, names = numbered(statement.postgresql)
    plan = await _kept_plan(url, text, [LITERALS[name] for name in names])

    assert "Seq Scan" not in plan
    assert "delivery_next" not in plan
    assert "delivery_due" in plan


async def test_claimed_rows_are_written_where_they_were_found(url: str) -> None:
    text, names = numbered(deliveries._CLAIM.postgresql)  # noqa: SLF001
    plan = await _kept_plan(url, text, [LITERALS[name] for name in names])

    assert plan.count("Index Scan") == 1
    assert "Tid Scan" in plan


async def test_settled_rows_are_found_one_by_one(url: str) -> None:
    text = deliveries._END_DELIVERED.postgresql  # noqa: SLF001
    plan = await _kept_plan(url, text, ["ARRAY['msg_1']", "ARRAY['ep_1']", "ARRAY[5]::bigint[]"])

    assert "Nested Loop" in plan
    assert "Seq Scan" not in plan
    assert "(msg_id = (t.m)::text) AND (endpoint_id = (t.e)::text)" in plan
