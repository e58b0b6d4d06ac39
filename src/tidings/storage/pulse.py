# SPDX-License-Identifier: MIT
"""The one query that an idle node sends to PostgreSQL, once a second: what others have done, and what is due."""

import json
from dataclasses import dataclass
from typing import Final

from tidings.storage import nodes
from tidings.storage.database import Database, Read

_PULSE: Final = """
SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS now,
  (SELECT min(due_at) FROM delivery WHERE lease IS NULL) AS due,
  (SELECT min(lease_until) FROM delivery WHERE lease IS NOT NULL) AS lapse,
  (SELECT min(ready_at) FROM task WHERE state = 'queued') AS ready,
  (SELECT min(lease_until) FROM task WHERE state = 'running') AS task_lapse,
  (SELECT json_object_agg(id, routing_version) FROM application WHERE routed_at >= :since) AS changed,
  ({gone}) AS gone,
  EXISTS (SELECT 1 FROM node WHERE id = :node) AS is_known
""".replace("{gone}", nodes.GONE)


_BEATS: Final = 16
_BEAT: Final = (
    "INSERT INTO setting (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a node learns; moments by the database's clock."""

    now: int
    deliveries_at: int | None
    """When the next delivery is due or its lease lapses."""
    tasks_at: int | None
    """When the next task is ready or its lease lapses."""
    changed: dict[str, int]
    """Applications whose routing was written lately, with the version now in force."""
    gone: dict[int, str]
    """Processes without their sign of life, and how their tasks name them."""
    is_known: bool
    """Whether the others can see the process that asks."""


async def take(read: Read, *, since: int, node: int) -> Pulse:
    """Take the pulse; `since` bounds what counts as lately, `node` is the process that asks."""
    row = await read.one(_PULSE, since=since, node=node)
    return Pulse(
        now=row["now"],
        deliveries_at=_first(row["due"], row["lapse"]),
        tasks_at=_first(row["ready"], row["task_lapse"]),
        changed=json.loads(row["changed"] or "{}"),
        gone={int(each): worker for each, worker in json.loads(row["gone"] or "{}").items()},
        is_known=row["is_known"],
    )


def _first(*moments: int | None) -> int | None:
    return min((moment for moment in moments if moment is not None), default=None)


async def beat(db: Database, node: int, now: int) -> None:
    """Write one row, as proof that the database takes writes. Raises `StorageError` where it does not.

    Nodes share a few rows, so that none of a process that is gone stays behind.
    """
    async with db.write(background=True) as tx:
        await tx.run(_BEAT, name=f"heartbeat:{node % _BEATS}", value=str(now))
