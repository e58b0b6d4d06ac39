# SPDX-License-Identifier: MIT
"""Statements that delete old tasks, with their events, inputs and items."""

from collections.abc import Sequence
from typing import Final

from tidings.storage.drivers.database import Read, Write

# Only tasks that have ended have a `finished_at`.
_OLD: Final = (
    "SELECT id FROM task WHERE finished_at IS NOT NULL AND finished_at < CAST(:before AS BIGINT)"
    " ORDER BY finished_at LIMIT CAST(:limit AS BIGINT)"
)
_DELETE: Final = (
    "DELETE FROM task_event WHERE task_id IN :ids",
    "DELETE FROM task_input WHERE task_id IN :ids",
    "DELETE FROM task WHERE id IN :ids AND finished_at IS NOT NULL AND finished_at < CAST(:before AS BIGINT)",
)
_DELETE_ITEMS: Final = (
    "DELETE FROM task_item WHERE row_key(task_id, key) IN"
    " (SELECT row_key FROM task_item WHERE task_id IN :ids LIMIT CAST(:limit AS BIGINT))"
)
_COUNT_ITEMS: Final = (
    "SELECT count(*) AS n FROM (SELECT 1 FROM task_item WHERE task_id IN :ids LIMIT CAST(:limit AS BIGINT)) AS found"
)
_SINCE: Final = "SELECT 1 FROM task WHERE org_id = :org AND kind = :kind AND id >= :first LIMIT 1"


async def old_tasks(read: Read, *, before: int, limit: int) -> list[str]:
    """Return the ids of tasks that ended before a timestamp, the earliest end first."""
    return [row["id"] for row in await read.rows(_OLD, before=before, limit=limit)]


async def prune_tasks(tx: Write, task_ids: Sequence[str], *, before: int) -> int:
    """Delete tasks with their events and inputs; return the number of tasks.

    A task may have many items; `prune_items` deletes those in chunks.
    """
    deleted = 0
    for statement in _DELETE:
        deleted = await tx.run(statement, ids=task_ids, before=before)
    return deleted


async def count_items(read: Read, task_ids: Sequence[str], *, limit: int) -> int:
    """Count the remaining items of deleted tasks, up to a limit."""
    return int((await read.one(_COUNT_ITEMS, ids=task_ids, limit=limit))["n"])


async def prune_items(tx: Write, task_ids: Sequence[str], *, limit: int) -> int:
    """Delete up to `limit` items of deleted tasks; return how many."""
    return await tx.run(_DELETE_ITEMS, ids=task_ids, limit=limit)


async def has_started_since(read: Read, org_id: str, kind: str, first: str) -> bool:
    """Return whether the organization has a task of this kind whose id is `first` or greater."""
    return await read.row(_SINCE, org=org_id, kind=kind, first=first) is not None
