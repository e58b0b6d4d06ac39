# SPDX-License-Identifier: MIT
"""The heartbeat query: once a second, a node on PostgreSQL reads due work and changes that other nodes made."""

import json
from dataclasses import dataclass
from typing import Final

from tidings.storage.drivers.database import Database, Read
from tidings.storage.tables import nodes

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
    """The result of a heartbeat query. Timestamps are from the clock of the database."""

    now: int
    deliveries_at: int | None
    """When the next delivery is due or the next delivery lease expires; None if there is neither."""
    tasks_at: int | None
    """When the next task is ready or the next task lease expires; None if there is neither."""
    changed: dict[str, int]
    """The applications whose routing changed lately, with their current routing versions."""
    lost: dict[int, str]
    """The nodes that do not hold their liveness lock, with their worker names."""
    is_known: bool
    """Whether the table `node` has a row for this node."""


async def query(read: Read, *, since: int, node: int) -> HeartbeatResult:
    """Run the heartbeat query of `node`. It reports routing changes at or after `since`."""
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
    """Write one row to prove that the database accepts writes; raise `StorageError` if it does not.

    Nodes share 16 rows, so lost nodes leave no rows that need cleanup.
    """
    async with db.write(background=True) as tx:
        await tx.run(_WRITE, name=f"heartbeat:{node % _ROWS}", value=str(now))
