# SPDX-License-Identifier: MIT
"""Totals of the whole installation, over all organizations: rate limits, tasks, nodes, and the size of the database.

Every statement counts at most `limit` rows of an index. `queue_depth` and `unhealthy_endpoints` have the totals of
deliveries and endpoints.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tidings.storage.drivers.database import Dialect, Read, Write
from tidings.storage.tables.nodes import IS_LOST
from tidings.storage.tables.queue_depth import COUNT_MAX

_LIMITED_MS: Final = 60_000
"""How long a rate limit counts as in force after it let a delivery pass."""


# -----------------------------------------------------------------------------------------------------------------
# Rate limits

_LIMITED: Final = (
    "SELECT count(*) AS n FROM (SELECT 1 FROM throttle WHERE limited_since IS NOT NULL"
    " AND tat_us > CAST(:limited_us AS BIGINT) LIMIT CAST(:limit AS BIGINT)) AS t"
)


async def limits_in_force(read: Read, now: int, *, limit: int = COUNT_MAX) -> int:
    """Count the rate limits, of endpoints and applications, that delay deliveries now."""
    return int((await read.one(_LIMITED, limit=limit, limited_us=(now - _LIMITED_MS) * 1_000))["n"])


# -----------------------------------------------------------------------------------------------------------------
# Tasks and nodes

# The states are in the order of the partial index.
_TASKS: Final = (
    "SELECT kind, state, count(*) AS n FROM (SELECT kind, state FROM task"
    " WHERE state IN ('paused', 'queued', 'running') LIMIT CAST(:limit AS BIGINT)) AS t GROUP BY kind, state"
)
_PROGRESS: Final = """
SELECT min(at) AS at FROM (
  SELECT min(updated_at) AS at FROM task WHERE state = 'running'
  UNION ALL
  SELECT min(CASE WHEN ready_at > updated_at THEN ready_at ELSE updated_at END) AS at FROM (
    SELECT ready_at, updated_at FROM task WHERE state = 'queued' AND ready_at <= CAST(:now AS BIGINT)
    LIMIT CAST(:limit AS BIGINT)) AS q) AS either
"""
_NODES: Final = f"SELECT count(*) AS n, count(CASE WHEN {IS_LOST} THEN 1 END) AS lost FROM node"


async def tasks_by_kind(read: Read, *, limit: int = COUNT_MAX) -> dict[tuple[str, str], int]:
    """Count the tasks that have not ended, by kind and state."""
    return {(row["kind"], row["state"]): int(row["n"]) for row in await read.rows(_TASKS, limit=limit)}


async def oldest_progress(read: Read, now: int, *, limit: int = COUNT_MAX) -> int | None:
    """Return the last progress of the task that has made none for the longest time; None without such a task.

    Tasks that run count, and queued ones that are ready; not those that are paused or wait for their backlog.
    """
    at = (await read.one(_PROGRESS, now=now, limit=limit))["at"]
    return None if at is None else int(at)


async def nodes_by_state(read: Read) -> dict[str, int] | None:
    """Count the nodes that hold their liveness lock (`alive`) and those that do not (`lost`); None on SQLite."""
    if read.has_one_writer:
        return None
    row = await read.one(_NODES)
    return {"alive": int(row["n"]) - int(row["lost"]), "lost": int(row["lost"])}


# -----------------------------------------------------------------------------------------------------------------
# Size

_FILE: Final = "SELECT file FROM pragma_database_list WHERE name = 'main'"
_SIZE: Final = "SELECT pg_database_size(current_database()) AS n"


@dataclass(frozen=True, slots=True)
class DatabaseSize:
    """Bytes of the database, and of its file system; the latter is None for a server, which only its host can see."""

    size: int
    free: int | None = None
    file_system: int | None = None


async def database_size(read: Read) -> DatabaseSize:
    """Return the size of the database; on SQLite the file with its write-ahead log, and its file system."""
    if read.dialect is Dialect.POSTGRESQL:
        return DatabaseSize(int((await read.one(_SIZE))["n"]))
    return _file_size(Path((await read.one(_FILE))["file"]))


def _file_size(path: Path) -> DatabaseSize:
    wal = path.with_name(f"{path.name}-wal")
    disk = os.statvfs(path)
    size = path.stat().st_size + (wal.stat().st_size if wal.exists() else 0)
    return DatabaseSize(size, disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)


# -----------------------------------------------------------------------------------------------------------------
# One reading for all nodes: a node claims it, reads the totals, and stores them for the others

_CLAIM: Final = (
    "INSERT INTO setting (name, value) VALUES ('totals_claimed_at', :now) ON CONFLICT (name) DO UPDATE"
    " SET value = excluded.value WHERE setting.value < :before OR setting.value > :now"
)
_STORE: Final = (
    "INSERT INTO setting (name, value) VALUES ('totals', :text) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_LOAD: Final = "SELECT value FROM setting WHERE name = 'totals'"


async def claim_reading(tx: Write, now: int, interval: int) -> bool:
    """Claim the next reading; return False if another node has claimed one within `interval` milliseconds."""
    return await tx.run(_CLAIM, now=str(now), before=str(now - interval)) == 1


async def store_totals(tx: Write, text: str) -> None:
    """Store the totals that this node has read."""
    await tx.run(_STORE, text=text)


async def stored_totals(read: Read) -> str | None:
    """Return the totals that a node has stored last, or None."""
    row = await read.row(_LOAD)
    return None if row is None else str(row["value"])
