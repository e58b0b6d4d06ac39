# SPDX-License-Identifier: MIT
"""Indexes on tables in use, on PostgreSQL: built while the service writes, and continued after a kill.

A killed build leaves an index that is not valid; it is dropped and built again. On a partitioned table an index cannot
be built concurrently as a whole. So an index of the parent alone is created first, then that of each partition is built
and attached; the last one makes the whole valid. New partitions get the index from the parent.
"""

import asyncio
import re
from typing import Final

import asyncpg

from tidings.storage.drivers.postgres import PostgresDatabase

_STATEMENT: Final = re.compile(r"CREATE INDEX CONCURRENTLY (?:IF NOT EXISTS )?(\w+) ON (\w+) (.+)", re.DOTALL)
_LOOK_SECONDS: Final = 0.5
_IS_PARTITIONED: Final = "SELECT relkind = 'p' AS is_partitioned FROM pg_class WHERE oid = to_regclass(:name)"
_STATE: Final = """
SELECT (SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)) AS is_valid,
  EXISTS (SELECT FROM pg_stat_progress_create_index WHERE index_relid = to_regclass(:name)) AS is_in_progress
"""
_WITHOUT: Final = """
SELECT relname AS name FROM pg_inherits AS part JOIN pg_class ON pg_class.oid = part.inhrelid
WHERE part.inhparent = to_regclass(:table) AND NOT EXISTS (
  SELECT FROM pg_index JOIN pg_inherits AS attached ON attached.inhrelid = indexrelid
  WHERE indrelid = part.inhrelid AND attached.inhparent = to_regclass(:name))
ORDER BY relname LIMIT 1
"""


async def build_index(db: PostgresDatabase, statement: str, *, lock_ms: int) -> None:
    """Run a `CREATE INDEX CONCURRENTLY name ON table …`, on whatever an earlier run has left."""
    found = _STATEMENT.fullmatch(statement)
    if found is None:
        raise ValueError(f"not a statement that builds an index concurrently: {statement}")
    name, table, rest = found.groups()
    async with db.read() as read:
        row = await read.row(_IS_PARTITIONED, name=table)
    if row is None or not row["is_partitioned"]:
        await _build(db, name, table, rest)
        return
    async with db.write(lock_ms=lock_ms) as tx:
        await tx.run(f"CREATE INDEX IF NOT EXISTS {name} ON ONLY {table} {rest}")
    while (partition := await _next_without(db, name, table)) is not None:
        try:
            await _build(db, f"{partition}_{name}", partition, rest)
            async with db.write(lock_ms=lock_ms) as tx:
                await tx.run(f"ALTER INDEX {name} ATTACH PARTITION {partition}_{name}")
        except asyncpg.UndefinedTableError:
            continue  # retention has dropped the partition


async def _next_without(db: PostgresDatabase, name: str, table: str) -> str | None:
    """Return a partition without the index, or None."""
    async with db.read() as read:
        row = await read.row(_WITHOUT, name=name, table=table)
    return None if row is None else str(row["name"])


async def _build(db: PostgresDatabase, name: str, table: str, rest: str) -> None:
    """Build the index of one table, unless it is valid. A build whose client was killed may still be in progress."""
    is_valid, is_in_progress = await _state(db, name)
    while is_in_progress:
        await asyncio.sleep(_LOOK_SECONDS)
        is_valid, is_in_progress = await _state(db, name)
    if is_valid:
        return
    if is_valid is False:
        await db.run_alone(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    await db.run_alone(f"CREATE INDEX CONCURRENTLY {name} ON {table} {rest}")


async def _state(db: PostgresDatabase, name: str) -> tuple[bool | None, bool]:
    """Return whether an index is valid (None if it does not exist), and whether a session builds it."""
    async with db.read() as read:
        is_valid, is_in_progress = await read.one(_STATE, name=name)
    return is_valid, is_in_progress
