# SPDX-License-Identifier: MIT
"""Statements of the message path read what they need, with the plans of an empty table.

Deliveries come and go within a second, so autovacuum often analyzes their table while it is empty. Every plan then
seems to cost the same, also one that compares all rows with all given ones, and it is used for the next minute.
"""

# ruff: noqa: SLF001 - the statements are private

import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from postgres import Server
from tidings.model.attempt import DeliveryEnd
from tidings.storage.drivers import postgres_connect
from tidings.storage.drivers.database import Statement
from tidings.storage.drivers.dialect import for_postgres
from tidings.storage.tables import deliveries, health, idempotency, intake, nodes, routing, settlement, throttles
from tidings.storage.tables.index_order import BY_INDEX
from tidings.storage.tables.intake import columns
from tidings.storage.tables.settlement import AttemptRow

BATCH = 20
"""The rows that a statement is given or asked for."""
ROWS = 2_000
"""The rows of each table and sort that are added after the plans were made."""
OWNERS = 100
"""The endpoints, and the messages of one endpoint."""
PLANNED = 8
"""Calls after which a function keeps its plans."""
FEW = 20 * BATCH
"""The most rows that a statement may look at. A bad plan looks at all of them, mostly several times."""
PAGES = 800
"""The most pages that a statement may read, with the indexes of the rows that it changes."""
ALL_TABLES = ("delivery", "message", "attempt", "throttle", "endpoint", "application", "idempotency_record")
FILLED = f"""
INSERT INTO application (id, org_id, name, metadata, created_at, updated_at, routed_at)
SELECT 'app_' || lpad(n::text, 27, '0'), 'org_1', '', '', 1, 1, 1 FROM generate_series(0, {ROWS - 1}) AS n;
INSERT INTO endpoint (id, app_id, org_id, url, description, metadata, headers, secret, created_at, updated_at)
SELECT 'ep_' || lpad(n::text, 27, '0'), 'app_' || lpad(n::text, 27, '0'), 'org_1', '', '', '', '', '', 1, 1
FROM generate_series(0, {ROWS - 1}) AS n;
INSERT INTO throttle (key, tat_us) SELECT 'ep_' || lpad(n::text, 27, '0'), 5 FROM generate_series(0, {ROWS - 1}) AS n;
INSERT INTO idempotency_record (key, msg_id, expires_at)
SELECT 'msg_' || lpad(n::text, 27, '0'), '', 9 FROM generate_series(0, {ROWS - 1}) AS n;
INSERT INTO message (id, app_id, org_id, event_type, payload)
SELECT 'msg_' || lpad(n::text, 27, '0'), 'app_' || lpad((n % {OWNERS})::text, 27, '0'), 'org_1', 'e', ''
FROM generate_series(0, {2 * ROWS - 1}) AS n;
INSERT INTO delivery (msg_id, endpoint_id, app_id, org_id, due_at, lease, lease_until)
SELECT 'msg_' || lpad(n::text, 27, '0'), 'ep_' || lpad((n % {OWNERS})::text, 27, '0'), 'app_1', 'org_1', n,
  CASE WHEN n < {ROWS} THEN 1 + n END, CASE WHEN n < {ROWS} THEN 9 + n END
FROM generate_series(0, {2 * ROWS - 1}) AS n;
INSERT INTO attempt (
  msg_id, id, endpoint_id, app_id, org_id, url, status, trigger_type, response_status_code, response_duration_ms,
  response, ended
)
SELECT 'msg_' || lpad(n::text, 27, '0'), 'atmpt_' || lpad(n::text, 27, '0'),
  'ep_' || lpad((n % {OWNERS})::text, 27, '0'), 'app_1', 'org_1', '', 2, 0, 500, 1, '', 1
FROM generate_series(0, {ROWS - 1}) AS n;
"""


def padded(prefix: str, numbers: Sequence[int]) -> list[str]:
    return [f"{prefix}_{number:027}" for number in numbers]


GIVEN = range(BATCH)
MESSAGES, ENDPOINTS = padded("msg", GIVEN), padded("ep", GIVEN)
LISTS: dict[str, Sequence[str | int | None]] = {
    **dict.fromkeys(("msg", "id", "ids", "keys", "key"), MESSAGES),
    **dict.fromkeys(("endpoint", "endpoints"), ENDPOINTS),
    "apps": padded("app", GIVEN),
    "token": [1 + each for each in GIVEN],
    "rooms": [2 for _ in GIVEN],
    "was": list(GIVEN),
}
"""The values of lists, and of the columns of bulk statements, by name; other columns have the value 5."""
VALUES: dict[str, str | int] = {
    "now": 10 * ROWS,
    "after": "",
    "endpoint": padded("ep", [7])[0],
    "lane": 0,
    "lease": 5,
    "until": 9,
    "before": 10 * ROWS,
    "limit": BATCH,
    "msg": MESSAGES[0],
    "id": padded("atmpt", [0])[0],
    "app": padded("app", [7])[0],
    "since": 10 * ROWS,
    "keys_since": 10 * ROWS,
    "node": 1,
}


@dataclass(frozen=True, slots=True)
class Planned:
    """A statement, and whether it runs in a transaction that reads by the order of indexes."""

    statement: Statement
    by_index: bool = False
    most: int = FEW


STATEMENTS = {
    "claim: due times": Planned(deliveries._NEXT),
    "claim: expired leases": Planned(deliveries._RETURN_EXPIRED, by_index=True),
    # Each endpoint is visited by several look-ups.
    "claim: endpoints": Planned(deliveries._DUE_ENDPOINTS, by_index=True, most=8 * OWNERS),
    "claim: rows": Planned(deliveries._CLAIM, by_index=True),
    "claim: discard": Planned(deliveries._DISCARD_WAITING, by_index=True),
    "claim: payloads": Planned(intake._PAYLOADS, by_index=True),
    "claim: hold limits": Planned(throttles._HOLD, by_index=True),
    "claim: move limits": Planned(throttles._MOVE, by_index=True),
    "claim: return": Planned(deliveries._RETURN, by_index=True),
    "claim: end discarded": Planned(settlement._ENDED[DeliveryEnd.DISCARDED], by_index=True),
    "settle: delivered": Planned(deliveries._END_DELIVERED),
    "settle: delivered, again": Planned(deliveries._AGAIN_DELIVERED),
    "settle: exhausted": Planned(deliveries._END_FAILED),
    "settle: failed": Planned(deliveries._MOVE_FAILED),
    "settle: failed, again": Planned(deliveries._AGAIN_FAILED),
    "settle: aborted": Planned(deliveries._END_RETRY_SCHEDULE),
    "settle: returned": Planned(deliveries._RETURN),
    "settle: discarded": Planned(deliveries._DISCARD),
    "settle: end discarded": Planned(settlement._ENDED[DeliveryEnd.DISCARDED]),
    "settle: end canceled": Planned(settlement._ENDED[DeliveryEnd.CANCELED]),
    "settle: delivered later": Planned(settlement._DELIVERED_LATER),
    "settle: unknown outcome": Planned(settlement._IS_THERE),
    "settle: event ids": Planned(health._EVENT_IDS),
    "accept: repeated": Planned(intake._STORED),
    "accept: keys in use": Planned(idempotency._HOLDERS),
    "accept: routing versions": Planned(routing._VERSIONS),
    "heartbeat": Planned(nodes._HEARTBEAT),
}


async def _emptied(connection: asyncpg.Connection) -> None:
    """Leave the tables empty, with indexes of the usual size, and analyzed."""
    await connection.execute(FILLED)
    for table in ALL_TABLES:
        await connection.execute(f"DELETE FROM {table}")
        await connection.execute(f"VACUUM ANALYZE {table}")


async def _fresh(connection: asyncpg.Connection) -> None:
    """Leave the tables as they were made, and analyzed."""
    await connection.execute(f"ANALYZE {', '.join(ALL_TABLES)}")


async def _almost_empty(connection: asyncpg.Connection) -> None:
    """Leave one delivery in flight when the tables are analyzed."""
    await _emptied(connection)
    await connection.execute(
        "INSERT INTO delivery (msg_id, endpoint_id, app_id, org_id, due_at, lease, lease_until)"
        " VALUES ('msg_last', 'ep_last', '', '', 1, 9000000, 9000000)"
    )
    await connection.execute("ANALYZE delivery")


@pytest_asyncio.fixture(params=[_fresh, _emptied, _almost_empty], ids=["fresh", "emptied", "almost empty"])
async def connection(
    request: pytest.FixtureRequest, postgres_cluster: Server, postgres_template: str
) -> AsyncIterator[asyncpg.Connection]:
    """Give a connection like the service's to a database with adverse statistics."""
    name = postgres_cluster.create_database(template=postgres_template)
    made = await asyncpg.connect(postgres_cluster.dsn(name), server_settings=postgres_connect.SESSION)
    try:
        await request.param(made)
        await made.execute("SET plan_cache_mode = force_generic_plan")
        yield made
    finally:
        await made.close()
        postgres_cluster.drop_database(name)


def _arguments(text: str, names: tuple[str, ...]) -> str:
    """Return the literals of a statement's parameters."""
    if not names:  # a bulk statement
        columns = re.search(r"unnest\((.+?)\) AS given\((.+?)\)", text)
        assert columns is not None
        kinds = re.findall(r"::(\w+)\[\]", columns[1])
        return ", ".join(_list(name, kind) for name, kind in zip(columns[2].split(", "), kinds, strict=True))
    lists = set(re.findall(r"CAST\(\$(\d+) AS \w+\[\]\)", text))
    return ", ".join(
        _list(name, "bigint" if name == "rooms" else "text") if str(number) in lists else _literal(VALUES[name])
        for number, name in enumerate(names, 1)
    )


def _list(name: str, kind: str) -> str:
    values = LISTS.get(name, [5] * BATCH)
    return f"ARRAY[{', '.join(map(_literal, values))}]::{kind}[]"


def _literal(value: str | int | None) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)


def _looked_at(node: dict[str, Any]) -> int:
    """Return how many rows the nodes of a plan looked at, also those that they did not pass on."""
    removed = sum(int(node.get(f"Rows Removed by {which}", 0)) for which in ("Filter", "Join Filter", "Index Recheck"))
    own = round((node["Actual Rows"] + removed) * node["Actual Loops"])
    return int(own) + sum(map(_looked_at, node.get("Plans", ())))


class Statements:
    """Prepared statements, planned now and run later."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def plan(self, prefix: str) -> None:
        for number, (text, planned) in enumerate(self._texts()):
            await self._connection.execute(f"PREPARE {prefix}_{number} AS {text}")
            await self._explain(prefix, number, planned, "EXPLAIN")

    async def costly(self, prefix: str) -> list[str]:
        """Run the statements; return those that look at too many rows or pages, with their plans."""
        found = []
        for number, (name, planned) in enumerate(STATEMENTS.items()):
            plan = json.loads(await self._explain(prefix, number, planned, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)"))
            top = plan[0]["Plan"]
            rows, pages = _looked_at(top), top["Shared Hit Blocks"] + top["Shared Read Blocks"]
            if rows > planned.most or pages > PAGES:
                found.append(f"{prefix}, {name}: {rows} rows, {pages} pages")
        return found

    def _texts(self) -> list[tuple[str, Planned]]:
        return [(for_postgres(planned.statement)[0], planned) for planned in STATEMENTS.values()]

    async def _explain(self, prefix: str, number: int, planned: Planned, how: str) -> str:
        text, names = for_postgres(planned.statement)
        given = _arguments(text, names)
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            if planned.by_index:
                await self._connection.execute(BY_INDEX)
            arguments = f"({given})" if given else ""
            return str(await self._connection.fetchval(f"{how} EXECUTE {prefix}_{number}{arguments}"))
        finally:
            await transaction.rollback()


async def test_statements_look_at_few_rows_with_the_plans_of_an_empty_table(connection: asyncpg.Connection) -> None:
    """Plans made while the table is empty, and made before the rows that came since are counted."""
    statements = Statements(connection)
    await statements.plan("early")
    await connection.execute(FILLED)
    await statements.plan("late")

    assert await statements.costly("early") + await statements.costly("late") == []


async def _read_by(connection: asyncpg.Connection, function: str, *values: object) -> int:
    """Call a function in a transaction of its own; return how many rows of the tables it has read."""
    read = "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables"
    async with connection.transaction():
        before = int(await connection.fetchval(read))
        await connection.fetchval(function, *values)
        return int(await connection.fetchval(read)) - before


async def test_settle_batch_reads_what_it_settles(connection: asyncpg.Connection) -> None:
    nothing: list[list[str]] = [[] for _ in range(1 + len(AttemptRow._fields) + 3)]
    for _ in range(PLANNED):
        await connection.fetchval(settlement._SETTLE, *nothing)
    await connection.execute(FILLED)
    attempts = [
        AttemptRow(msg, new, endpoint, "app_1", "org_1", "", 0, 200, "", 1, 0)
        for msg, new, endpoint in zip(MESSAGES, padded("new", GIVEN), ENDPOINTS, strict=True)
    ]
    leases = [1 + each for each in GIVEN]
    values = (leases, *columns(attempts, len(AttemptRow._fields)), [], [], [])

    assert await _read_by(connection, settlement._SETTLE, *values) <= 2 * BATCH
