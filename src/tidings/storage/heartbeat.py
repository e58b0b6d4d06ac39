# SPDX-License-Identifier: MIT
"""The heartbeat query, which an idle node sends to PostgreSQL once a second: changes by other nodes, and work due."""

import json
from dataclasses import dataclass
from typing import Final

from tidings.storage import nodes
from tidings.storage.database import Database, Read

_QUERY: Final = """
SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS now,
  (SELECT min(due_at) FROM delivery WHERE lease IS NULL) AS due,
  (SELECT min(lease_until) FROM delivery WHERE lease IS NOT NULL) AS lease_expiry,
  (SELECT min(ready_at) FROM task WHERE state = 'queued') AS ready,
  (SELECT min(lease_until) FROM task WHERE state = 'running') AS task_lease_expiry,
  (SELECT json_object_agg(id, routing_version) FROM application WHERE routed_at >= :since) AS changed,
  ({lost}) AS lost,
  EXISTS (SELECT 1 FROM node WHERE id = :node) AS is_known
""".replace("{lost}", nodes.LOST_NODES)


_ROWS: Final = 16
_WRITE: Final = (
    "INSERT INTO setting (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


@dataclass(frozen=True, slots=True)
class HeartbeatResult:
    """What a node learns from the heartbeat query; timestamps are of the database's clock."""

    now: int
    deliveries_at: int | None
    """When the next delivery is due or its lease expires."""
    tasks_at: int | None
    """When the next task is ready or its lease expires."""
    changed: dict[str, int]
    """Applications whose routing was written lately, with the version now in force."""
    lost: dict[int, str]
    """Nodes without their liveness lock, with the worker name of each."""
    is_known: bool
    """Whether the other nodes see the row of this node."""


async def query(read: Read, *, since: int, node: int) -> HeartbeatResult:
    """Run the heartbeat query; `since` bounds the routing changes to report, `node` is the node that asks."""
    row = await read.one(_QUERY, since=since, node=node)
    return HeartbeatResult(
        now=row["now"],
        deliveries_at=_first(row["due"], row["lease_expiry"]),
        tasks_at=_first(row["ready"], row["task_lease_expiry"]),
        changed=json.loads(row["changed"] or "{}"),
        lost={int(each): worker for each, worker in json.loads(row["lost"] or "{}").items()},
        is_known=row["is_known"],
    )


def _first(*timestamps: int | None) -> int | None:
    return min((timestamp for timestamp in timestamps if timestamp is not None), default=None)


async def write(db: Database, node: int, now: int) -> None:
    """Write one row, as proof that the database takes writes. Raises `StorageError` where it does not.

    Nodes share a few rows, so that a lost node leaves none behind.
    """
    async with db.write(background=True) as tx:
        await tx.run(_WRITE, name=f"heartbeat:{node % _ROWS}", value=str(now))
