# SPDX-License-Identifier: MIT
"""What an operator asks about the installation: its active tasks, its nodes, and the size of its database."""

import re
from typing import Final

from tidings.ids import OrgId
from tidings.model.status import ActiveTask, Count, DatabaseState, NodeState
from tidings.model.task import State
from tidings.storage.drivers.database import Dialect, Read, Sql, from_row

_TASKS_READ: Final = 10_000
_NODES: Final = 256
_HEARTBEATS: Final = 16
"""The rows that the nodes share for their heartbeats: see `nodes.write_heartbeat`."""


_ACTIVE: Final = "state IN ('paused', 'queued', 'running'){own}"
_OWN: Final = " AND org_id = :org AND wire_status = 'running'"
_STATES: Final = (
    "SELECT state, count(*) AS tasks FROM (SELECT state FROM task WHERE {active} LIMIT CAST(:most AS BIGINT)) AS a"
    " GROUP BY state"
)
# The running ones first, then the oldest.
_SHOWN: Final = (
    "SELECT id, kind, state, org_id, app_id, done, skipped, total, failed_attempts FROM ("
    "SELECT * FROM task WHERE {active} LIMIT CAST(:most AS BIGINT)) AS a"
    " ORDER BY CASE state WHEN 'running' THEN 0 WHEN 'queued' THEN 1 ELSE 2 END, id LIMIT CAST(:limit AS BIGINT)"
)


async def active_tasks(read: Read, org_id: OrgId | None, *, limit: int) -> tuple[dict[State, Count], list[ActiveTask]]:
    """Return the number of tasks in each active state, and the first `limit` of them; no organization means all."""
    own = {} if org_id is None else {"org": org_id}
    active = _ACTIVE.format(own=_OWN if own else "")
    rows = await read.rows(_STATES.format(active=active), **own, most=_TASKS_READ + 1)
    found = {State(row["state"]): row["tasks"] for row in rows}
    is_whole = sum(found.values()) <= _TASKS_READ
    counts = {state: Count(found.get(state, 0), is_whole) for state in (State.RUNNING, State.QUEUED, State.PAUSED)}
    shown = await read.rows(_SHOWN.format(active=active), **own, most=_TASKS_READ, limit=limit)
    return counts, [from_row(ActiveTask, row, state=State(row["state"])) for row in shown]


_HEARTBEAT: Final = "(SELECT CAST(value AS BIGINT) FROM setting WHERE name = 'heartbeat:' || (node.id % {rows}))"
_RUNNING: Final = (
    f"SELECT worker AS name, release, {_HEARTBEAT.format(rows=_HEARTBEATS)} AS heartbeat_at FROM node"
    " ORDER BY worker LIMIT CAST(:most AS BIGINT)"
)
_BEATING: Final = (
    "SELECT name, '' AS release, CAST(value AS BIGINT) AS heartbeat_at FROM setting"
    " WHERE name LIKE 'heartbeat:%' AND CAST(value AS BIGINT) >= CAST(:since AS BIGINT) ORDER BY name"
)


async def running_nodes(read: Read, *, since: int) -> list[NodeState]:
    """Return the nodes that run.

    SQLite, and PostgreSQL behind a pooler without sessions, have no list of nodes: there it is each heartbeat since a
    timestamp, without a release.
    """
    rows = await read.rows(_RUNNING, most=_NODES) or await read.rows(_BEATING, since=since)
    return [from_row(NodeState, row) for row in rows]


_SIZE: Final = Sql(
    sqlite="SELECT sqlite_version() AS version, page_count * page_size AS bytes,"
    " freelist_count * page_size AS free_bytes, 0 AS partitions"
    " FROM pragma_page_count(), pragma_page_size(), pragma_freelist_count()",
    postgresql="SELECT current_setting('server_version') AS version, pg_database_size(current_database()) AS bytes,"
    " 0 AS free_bytes, (SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relispartition"
    " AND pg_table_is_visible(oid)) AS partitions",
)


async def database_state(read: Read) -> DatabaseState:
    """Return the kind, version and size of the database."""
    row = await read.one(_SIZE)
    version = re.split(r"[ (]", row["version"])[0]
    product = "SQLite" if read.dialect is Dialect.SQLITE else "PostgreSQL"
    return from_row(DatabaseState, row, product=product, version=version)
