# SPDX-License-Identifier: MIT
"""Statements that are planned with adverse statistics and run on many rows, and how much they then read.

Deliveries come and go within a second, so autovacuum often analyzes their table while it is empty. The next partition
of messages, and every table of a new installation, has no statistics at all. Every plan then seems to cost the same,
also one that compares all rows with all given ones, and it is used for the next minute.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from tidings.storage.drivers.database import Statement
from tidings.storage.drivers.dialect import for_postgres
from tidings.storage.tables.index_order import BY_INDEX

BATCH = 20
"""The rows that a statement is given or asked for."""
ROWS = 2_000
"""The rows of each table and sort that are added after the plans were made."""
OWNERS = 100
"""The endpoints, and the messages of one endpoint."""
FEW = 20 * BATCH
"""The most rows that a statement may look at. A bad plan looks at all of them, mostly several times."""
PAGES = 800
"""The most pages that a statement may read, with the indexes of the rows that it changes."""
_HOT = ("delivery", "message", "attempt", "throttle", "endpoint", "application", "idempotency_record", "event_id")
_COLD = ("rollup", "rollup_reopened", "task", "task_item", "bucket_index", "api_key", "operational_event")
ALL_TABLES = (*_HOT, *_COLD, "notification")
_NUMBERS = f"FROM generate_series(0, {ROWS - 1}) AS n"
_OWNER = f"lpad((n % {OWNERS})::text, 27, '0')"
FILLED = f"""
INSERT INTO application (id, org_id, name, metadata, created_at, updated_at, routed_at)
SELECT 'app_' || lpad(n::text, 27, '0'), 'org_1', '', '', 1, 1, 1 {_NUMBERS};
INSERT INTO endpoint (id, app_id, org_id, url, description, metadata, headers, secret, created_at, updated_at)
SELECT 'ep_' || lpad(n::text, 27, '0'), 'app_' || lpad(n::text, 27, '0'), 'org_1', '', '', '', '', '', 1, 1 {_NUMBERS};
INSERT INTO throttle (key, tat_us) SELECT 'ep_' || lpad(n::text, 27, '0'), 5 {_NUMBERS};
INSERT INTO idempotency_record (key, msg_id, expires_at) SELECT 'msg_' || lpad(n::text, 27, '0'), '', 9 {_NUMBERS};
INSERT INTO message (id, app_id, org_id, event_type, payload, event_id)
SELECT 'msg_' || lpad(n::text, 27, '0'), 'app_' || {_OWNER}, 'org_1', 'e', '',
  CASE WHEN n < {ROWS} THEN 'msg_' || lpad(n::text, 27, '0') END
FROM generate_series(0, {2 * ROWS - 1}) AS n;
INSERT INTO event_id (app_id, event_id, msg_id)
SELECT app_id, event_id, id FROM message WHERE event_id IS NOT NULL;
INSERT INTO delivery (msg_id, endpoint_id, app_id, org_id, due_at, lease, lease_until, task_id, again, retry_at)
SELECT 'msg_' || lpad(n::text, 27, '0'), 'ep_' || {_OWNER}, 'app_1', 'org_1', n,
  CASE WHEN n < {ROWS} THEN 1 + n END, CASE WHEN n < {ROWS} THEN 9 + n END,
  CASE WHEN n >= {ROWS} THEN 'qtask_' || {_OWNER} END, 0, CASE WHEN n / {OWNERS} % 2 = 0 THEN n END
FROM generate_series(0, {2 * ROWS - 1}) AS n;
INSERT INTO attempt (
  msg_id, id, endpoint_id, app_id, org_id, url, status, trigger_type, response_status_code, response_duration_ms,
  response, ended
)
SELECT 'msg_' || lpad(n::text, 27, '0'), 'atmpt_' || lpad(n::text, 27, '0'), 'ep_' || {_OWNER}, 'app_1', 'org_1', '',
  2, 0, 500, 1, '', 1 {_NUMBERS};
INSERT INTO rollup (org_id, app_id, endpoint_id, hour, delivered, failed, latency)
SELECT 'org_' || n % 2, 'app_1', 'ep_' || {_OWNER}, n, 1, 1, '[]' {_NUMBERS};
INSERT INTO rollup_reopened (hour, endpoint_id, attempt_id) SELECT n, 'ep_' || {_OWNER}, 'atmpt' {_NUMBERS};
INSERT INTO task (
  id, org_id, tenant, kind, args, state, wire_status, fair_round, ready_at, lease_until, finished_at, size, created_at,
  updated_at
)
SELECT 'qtask_' || lpad(n::text, 27, '0'), 'org_1', 'app_' || n, 'k', '', state,
  CASE WHEN state = 'succeeded' THEN 'finished' ELSE 'running' END, n, n, CASE WHEN state = 'running' THEN n END,
  CASE WHEN state = 'succeeded' THEN n END, 0, 1, 1
FROM (
  SELECT n, CASE WHEN n < 10 THEN 'running' WHEN n % 2 = 0 THEN 'queued' ELSE 'succeeded' END AS state {_NUMBERS}
) AS task_of;
INSERT INTO task_item (task_id, key, outcome) SELECT 'qtask_' || {_OWNER}, n::text, 'skipped' {_NUMBERS};
INSERT INTO bucket_index (owner, name, bucket) SELECT 'ep_' || {_OWNER}, 'd', n::text {_NUMBERS};
INSERT INTO api_key (
  id, hash, org_id, scope, read_only, name, hint, created_by, created_at, changed_at, expires_at
)
SELECT 'key_' || lpad(n::text, 27, '0'), n::text, 'org_1', 'organization', 0, '', '', '', 1, n, n {_NUMBERS};
INSERT INTO operational_event (id, org_id, type, payload)
SELECT 'opev_' || lpad(n::text, 27, '0'), 'org_1', '', '' {_NUMBERS};
INSERT INTO notification (endpoint_id, type, org_id, at, data, mail_id)
SELECT 'ep_' || lpad(n::text, 27, '0'), '', 'org_1', n, '', CASE WHEN n % 2 = 0 THEN 'mail_' || n % {OWNERS} END
{_NUMBERS};
"""


def padded(prefix: str, numbers: Sequence[int]) -> list[str]:
    return [f"{prefix}_{number:027}" for number in numbers]


GIVEN = range(BATCH)
MESSAGES, ENDPOINTS = padded("msg", GIVEN), padded("ep", GIVEN)
LISTS: dict[str, Sequence[str | int | None]] = {
    **dict.fromkeys(("msg", "msgs", "id", "ids", "keys", "key", "event"), MESSAGES),
    **dict.fromkeys(("endpoint", "endpoints", "owner"), ENDPOINTS),
    **dict.fromkeys(("app", "apps"), padded("app", GIVEN)),
    "attempt": ["atmpt" for _ in GIVEN],
    "kinds": ["k"],
    "bucket": [str(each) for each in GIVEN],
    "hour": list(GIVEN),
    "name": ["d" for _ in GIVEN],
    "orgs": ["org_1" for _ in GIVEN],
    "rooms": [2 for _ in GIVEN],
    "hours": [5 for _ in GIVEN],
    "task": padded("qtask", GIVEN),
    "token": [1 + each for each in GIVEN],
    "was": list(GIVEN),
}
"""The values of lists, and of the columns of bulk statements, by name; other columns have the value 5."""
VALUES: dict[str, str | int] = {
    **dict.fromkeys(("now", "before", "since", "keys_since"), 10 * ROWS),
    **dict.fromkeys(("limit", "most", "read", "rows", "many"), BATCH),
    "after": "",
    "app": padded("app", [7])[0],
    "end": padded("msg", [BATCH])[0],
    "endpoint": padded("ep", [7])[0],
    "error": "",
    "first": padded("msg", [0])[0],
    "id": padded("atmpt", [0])[0],
    "lane": 0,
    "lease": 5,
    "mail": "mail_8",
    "management": "org_1",
    "msg": MESSAGES[0],
    "node": 1,
    "org": "org_1",
    "per_tenant": 2,
    "task": padded("qtask", [7])[0],
    "tat": 5,
    "until": 9,
}


@dataclass(frozen=True, slots=True)
class Planned:
    """A statement, and whether it runs in a transaction that reads by the order of indexes.

    `values` replace those of all statements.
    """

    statement: Statement
    by_index: bool = False
    most: int = FEW
    pages: int = PAGES
    values: Mapping[str, str | int] | None = None


# ---------------------------------------------------------------------------------------------------------------------
# States of the statistics


async def emptied(connection: asyncpg.Connection) -> None:
    """Leave the tables empty, with indexes of the usual size, and analyzed."""
    await connection.execute(FILLED)
    for table in ALL_TABLES:
        await connection.execute(f"DELETE FROM {table}")
        await connection.execute(f"VACUUM ANALYZE {table}")


async def fresh(connection: asyncpg.Connection) -> None:
    """Leave the tables as they were made, and analyzed."""
    await connection.execute(f"ANALYZE {', '.join(ALL_TABLES)}")


async def almost_empty(connection: asyncpg.Connection) -> None:
    """Leave one delivery in flight when the tables are analyzed."""
    await emptied(connection)
    await connection.execute(
        "INSERT INTO delivery (msg_id, endpoint_id, app_id, org_id, due_at, lease, lease_until)"
        " VALUES ('msg_last', 'ep_last', '', '', 1, 9000000, 9000000)"
    )
    await connection.execute("ANALYZE delivery")


async def rebuilt(connection: asyncpg.Connection) -> None:
    """Leave the tables empty, and all indexes small but the one that has the next deliveries, which seems expensive."""
    await emptied(connection)
    for name in ("delivery_due", "delivery_org", "delivery_lease_expiry", "delivery_task", "delivery_pkey"):
        await connection.execute(f"REINDEX INDEX {name}")
    await connection.execute("ANALYZE delivery")


STATES = {"fresh": fresh, "emptied": emptied, "almost empty": almost_empty, "rebuilt": rebuilt}

# ---------------------------------------------------------------------------------------------------------------------
# Statements


def _arguments(text: str, names: tuple[str, ...], values: Mapping[str, str | int]) -> str:
    """Return the literals of a statement's parameters."""
    if not names:
        columns = re.search(r"unnest\((.+?)\) AS given\((.+?)\)", text)
        if columns is None:
            return ""
        kinds = re.findall(r"::(\w+)\[\]", columns[1])
        return ", ".join(_list(name, kind) for name, kind in zip(columns[2].split(", "), kinds, strict=True))
    kinds_of = dict(re.findall(r"CAST\(\$(\d+) AS (\w+)\[\]\)", text))
    return ", ".join(
        _list(name, kinds_of[str(number)]) if str(number) in kinds_of else _literal(values[name])
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

    def __init__(self, connection: asyncpg.Connection, statements: Mapping[str, Planned]) -> None:
        self._connection = connection
        self._statements = statements

    async def plan(self, prefix: str) -> None:
        for number, planned in enumerate(self._statements.values()):
            await self._connection.execute(f"PREPARE {prefix}_{number} AS {for_postgres(planned.statement)[0]}")
            await self._explain(prefix, number, planned, "EXPLAIN")

    async def costly(self, prefix: str) -> list[str]:
        """Run the statements; return those that look at too many rows or pages, with their plans."""
        found = []
        for number, (name, planned) in enumerate(self._statements.items()):
            plan = json.loads(await self._explain(prefix, number, planned, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)"))
            top = plan[0]["Plan"]
            rows, pages = _looked_at(top), top["Shared Hit Blocks"] + top["Shared Read Blocks"]
            if rows > planned.most or pages > planned.pages:
                found.append(f"{prefix}, {name}: {rows} rows, {pages} pages")
        return found

    async def _explain(self, prefix: str, number: int, planned: Planned, how: str) -> str:
        text, names = for_postgres(planned.statement)
        given = _arguments(text, names, {**VALUES, **(planned.values or {})})
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            if planned.by_index:
                await self._connection.execute(BY_INDEX)
            arguments = f"({given})" if given else ""
            return str(await self._connection.fetchval(f"{how} EXECUTE {prefix}_{number}{arguments}"))
        finally:
            await transaction.rollback()


async def costly(connection: asyncpg.Connection, statements: Mapping[str, Planned]) -> list[str]:
    """Return the statements that read too much with plans made before and after the rows came, which nobody counted."""
    planned = Statements(connection, statements)
    await planned.plan("early")
    await connection.execute(FILLED)
    await planned.plan("late")
    return await planned.costly("early") + await planned.costly("late")


async def read_by(connection: asyncpg.Connection, function: str, *values: object) -> int:
    """Call a function in a transaction of its own; return how many rows of the tables it has read."""
    read = "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables"
    async with connection.transaction():
        before = int(await connection.fetchval(read))
        await connection.fetchval(function, *values)
        return int(await connection.fetchval(read)) - before
