# SPDX-License-Identifier: MIT
"""Operators are warned at 50, 75 and 90 % of the time until an endpoint is disabled, once per level."""

import asyncio
import json
from typing import Any

import pytest

from message_path import add_app, add_endpoint
from tidings.clock import HOUR, rfc3339
from tidings.core.state_changes import StateReporter
from tidings.ids import MANAGEMENT_ORG
from tidings.storage.drivers.database import Database
from tidings.storage.tables import health

SINCE = 1_700_000_000_000
WINDOW = 120 * HOUR


async def failing(db: Database, app: str, *, since: int = SINCE) -> str:
    endpoint = await add_endpoint(db, app, "http://example.com/")
    async with db.write() as tx:
        assert await health.begin(tx, endpoint, since, since + WINDOW)
    return endpoint


async def warnings(db: Database) -> list[dict[str, Any]]:
    async with db.read() as read:
        rows = await read.rows("SELECT payload FROM operational_event WHERE type = 'endpoint.disabling' ORDER BY id")
    return [json.loads(row["payload"])["data"] for row in rows]


async def warned_at(db: Database, *percents: float) -> list[int]:
    """Look at these shares of the time until the endpoints are disabled; return the levels that were reported."""
    for percent in percents:
        await StateReporter().warn_of_disabling(db, SINCE + round(WINDOW * percent / 100))
    return [each["percent"] for each in await warnings(db)]


async def test_each_level_is_reported_once(db: Database) -> None:
    app = await add_app(db, uid="mine")
    endpoint = await failing(db, app)

    assert [] == await warned_at(db, 10, 49.9)
    assert [50] == await warned_at(db, 50, 50.1, 74.9)
    assert [50, 75, 90] == await warned_at(db, 75, 80, 90, 95, 100, 150)

    expected = {
        "appId": app,
        "appUid": "mine",
        "endpointId": endpoint,
        "endpointUid": None,
        "failSince": rfc3339(SINCE),
        "disablesAt": rfc3339(SINCE + WINDOW),
        "percent": 50,
    }
    assert expected == (await warnings(db))[0]


async def test_levels_that_nobody_looked_at_are_reported_as_the_highest_one(db: Database) -> None:
    await failing(db, await add_app(db))

    assert [90] == await warned_at(db, 40, 97, 98)


async def test_a_new_failing_period_is_reported_again(db: Database) -> None:
    endpoint = await failing(db, await add_app(db))
    assert [50] == await warned_at(db, 60)
    async with db.write() as tx:
        assert await health.clear(tx, endpoint)
        assert await health.begin(tx, endpoint, SINCE + WINDOW, SINCE + 2 * WINDOW)

    assert [50, 50] == await warned_at(db, 149, 150, 151)


async def test_an_outdated_record_that_starts_again_is_reported_again(db: Database) -> None:
    endpoint = await failing(db, await add_app(db))
    assert [90] == await warned_at(db, 95)
    async with db.write() as tx:
        assert await health.begin(tx, endpoint, SINCE + 3 * WINDOW, SINCE + 4 * WINDOW)

    assert [90, 50] == await warned_at(db, 340, 350)


@pytest.mark.parametrize(
    "change", ["disabled = 1", "deleted_at = 1", "failing_since = NULL", "disables_at = failing_since"]
)
async def test_an_endpoint_that_will_not_be_disabled_is_not_reported(db: Database, change: str) -> None:
    await failing(db, await add_app(db))
    async with db.write() as tx:
        await tx.run(f"UPDATE endpoint SET {change}")

    assert [] == await warned_at(db, 95, 150)


async def test_operational_endpoints_are_not_reported(db: Database) -> None:
    await failing(db, await add_app(db))
    async with db.write() as tx:
        await tx.run("UPDATE endpoint SET org_id = :org", org=MANAGEMENT_ORG)

    assert [] == await warned_at(db, 60, 95)


async def test_nodes_that_look_at_the_same_time_report_once(db: Database) -> None:
    app = await add_app(db)
    for _ in range(30):
        await failing(db, app)

    await asyncio.gather(*(StateReporter().warn_of_disabling(db, SINCE + WINDOW // 2) for _ in range(8)))

    found = await warnings(db)
    assert 30 == len(found) == len({each["endpointId"] for each in found})


async def test_more_endpoints_than_fit_into_one_transaction_are_all_reported(db: Database) -> None:
    app = await add_app(db)
    for _ in range(3):
        await failing(db, app)
    async with db.write() as tx:
        await tx.run(
            "INSERT INTO endpoint (id, app_id, org_id, url, description, metadata, headers, secret, created_at,"
            " updated_at, failing_since, disables_at)"
            " SELECT e.id || '_' || a.n || '_' || b.n, app_id, org_id, url, '', '{}', '{}', secret, 1, 1,"
            " failing_since, disables_at FROM endpoint AS e,"
            " (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION"
            "  SELECT 7 UNION SELECT 8 UNION SELECT 9 UNION SELECT 10 UNION SELECT 11 UNION SELECT 12 UNION"
            "  SELECT 13 UNION SELECT 14 UNION SELECT 15 UNION SELECT 16) AS a,"
            " (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION"
            "  SELECT 7 UNION SELECT 8 UNION SELECT 9 UNION SELECT 10 UNION SELECT 11 UNION SELECT 12 UNION"
            "  SELECT 13 UNION SELECT 14 UNION SELECT 15 UNION SELECT 16) AS b"
        )

    assert 3 + 3 * 256 == await StateReporter().warn_of_disabling(db, SINCE + WINDOW // 2)

    assert 3 + 3 * 256 == len({each["endpointId"] for each in await warnings(db)})
