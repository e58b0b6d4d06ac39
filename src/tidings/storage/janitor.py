# SPDX-License-Identifier: MIT
"""Deleting what has been kept long enough: ended tasks with all that belongs to them."""

from collections.abc import Sequence
from typing import Final

from tidings.storage.database import Read, Sql, Write

_IN: Final = {"sqlite": "IN (SELECT value FROM json_each(:ids))", "postgresql": "= ANY(CAST(:ids AS text[]))"}


def _of_ids(text: str) -> Sql:
    return Sql(*(text.replace("{ids}", each) for each in _IN.values()))


# `finished_at` says that a task has ended: no active one has it.
_OLD: Final = (
    "SELECT id FROM task WHERE finished_at IS NOT NULL AND finished_at < CAST(:before AS BIGINT)"
    " ORDER BY finished_at LIMIT CAST(:limit AS BIGINT)"
)
_DROP: Final = tuple(
    _of_ids(text)
    for text in (
        "DELETE FROM task_event WHERE task_id {ids}",
        "DELETE FROM task_input WHERE task_id {ids}",
        "DELETE FROM task WHERE id {ids} AND finished_at IS NOT NULL AND finished_at < CAST(:before AS BIGINT)",
    )
)
_DROP_ITEMS: Final = Sql(
    sqlite=(
        "DELETE FROM task_item WHERE rowid IN (SELECT rowid FROM task_item"
        " WHERE task_id IN (SELECT value FROM json_each(:ids)) LIMIT :limit)"
    ),
    postgresql=(
        "DELETE FROM task_item WHERE (task_id, key) IN (SELECT task_id, key FROM task_item"
        " WHERE task_id = ANY(CAST(:ids AS text[])) LIMIT CAST(:limit AS BIGINT))"
    ),
)
_COUNT_ITEMS: Final = _of_ids(
    "SELECT count(*) AS n FROM (SELECT 1 FROM task_item WHERE task_id {ids} LIMIT CAST(:limit AS BIGINT)) AS found"
)
_SINCE: Final = "SELECT 1 FROM task WHERE org_id = :org AND kind = :kind AND id >= :first LIMIT 1"


async def old_tasks(read: Read, *, before: int, limit: int) -> list[str]:
    """Return tasks that ended before a timestamp, those that ended first first."""
    return [row["id"] for row in await read.rows(_OLD, before=before, limit=limit)]


async def prune_tasks(tx: Write, task_ids: Sequence[str], *, before: int) -> int:
    """Delete tasks with their events; their items, of which there may be many, are left to `drop_items`."""
    dropped = 0
    for statement in _DROP:
        dropped = await tx.run(statement, ids=task_ids, before=before)
    return dropped


async def count_items(read: Read, task_ids: Sequence[str], *, limit: int) -> int:
    """Count the items of tasks that are deleted, up to a limit."""
    return int((await read.one(_COUNT_ITEMS, ids=task_ids, limit=limit))["n"])


async def prune_items(tx: Write, task_ids: Sequence[str], *, limit: int) -> int:
    """Delete some items of tasks that are deleted; return how many."""
    return await tx.run(_DROP_ITEMS, ids=task_ids, limit=limit)


async def was_at_work(read: Read, org_id: str, kind: str, first: str) -> bool:
    """Return whether a task of the janitor's kind was started since a task id."""
    return await read.row(_SINCE, org=org_id, kind=kind, first=first) is not None
