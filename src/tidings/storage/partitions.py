# SPDX-License-Identifier: MIT
"""Partitions of messages and attempts on PostgreSQL, one for each week: made before it comes, dropped when it is empty.

A message and its attempts lie in partitions of the same week, because both are cut by the message's id. What comes to
a week without partitions lies in the default one, and is as good there.
"""

from datetime import UTC, datetime
from typing import Final

from tidings import ids
from tidings.clock import DAY, SECOND
from tidings.observe import failure
from tidings.storage.database import Busy, Database, Dialect, Read, retried

WEEK: Final = 7 * DAY
_GATE: Final = 7_251_002
_TABLES: Final = ("message", "attempt")
_KEYS: Final = {"message": "id", "attempt": "msg_id"}
_EXISTING: Final = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relispartition"
_LOCK_MS: Final = 200
"""How long the queries of others may have to stand behind a lock on all partitions."""


async def make_ahead(db: Database, now: int) -> int:
    """Make the partitions of this week and the next that are not there; return how many were made."""
    if db.dialect is not Dialect.POSTGRESQL:
        return 0
    made = 0
    this = now - now % WEEK
    for start in (this, this + WEEK):
        try:
            made += await _make_week(db, start)
        except Exception as error:  # noqa: BLE001 - a week whose rows are in the default partition keeps them there
            failure("making partitions", error)
    return made


async def _make_week(db: Database, start: int) -> int:
    week = _name_of(start)
    first, end = ids.first_at(ids.MESSAGE, start), ids.first_at(ids.MESSAGE, start + WEEK)
    async with db.write(gate=_GATE) as tx:
        there = await _existing(tx)
        missing = [table for table in _TABLES if f"{table}_{week}" not in there]
        for table in missing:
            await tx.run(f"CREATE TABLE {table}_{week} PARTITION OF {table} FOR VALUES FROM ('{first}') TO ('{end}')")
    return len(missing)


async def drop_empty(db: Database, before: int) -> int:
    """Drop the partitions of weeks that ended before a moment and hold nothing more; return how many were dropped.

    A week whose partitions are in somebody's use for long is left to the next time.
    """
    if db.dialect is not Dialect.POSTGRESQL:
        return 0
    async with db.read() as read:
        there = await _existing(read)
    dropped = 0
    for start in range(_oldest(there), before - WEEK + 1, WEEK):
        tables = [table for table in _TABLES if f"{table}_{_name_of(start)}" in there]
        if tables:
            dropped += await _drop_week(db, start, tables)
    return dropped


async def _drop_week(db: Database, start: int, tables: list[str]) -> int:
    try:
        # Without a lock first: going over what was just deleted may take long, the second time it does not.
        async with db.read() as read:
            if not await _are_empty(read, start, tables):
                return 0
        return await retried(lambda: _drop_locked(db, start, tables))
    except Busy as error:
        failure("dropping partitions", error)
        return 0


async def _drop_locked(db: Database, start: int, tables: list[str]) -> int:
    async with db.write(gate=_GATE, lock_ms=_LOCK_MS) as tx:
        await tx.run(f"SET LOCAL statement_timeout = {_LOCK_MS}")
        # The tables before their parts, in the order of every query.
        await tx.run(f"LOCK TABLE ONLY {', ONLY '.join(tables)} IN ACCESS EXCLUSIVE MODE")
        if not await _are_empty(tx, start, tables):
            return 0
        await tx.run(f"DROP TABLE {', '.join(f'{table}_{_name_of(start)}' for table in tables)}")
    return len(tables)


async def _are_empty(read: Read, start: int, tables: list[str]) -> bool:
    for table in tables:
        if await read.row(f"SELECT 1 FROM {table}_{_name_of(start)} ORDER BY {_KEYS[table]} LIMIT 1"):
            return False
    return True


async def _existing(read: Read) -> set[str]:
    return {row["relname"] for row in await read.rows(_EXISTING)}


def _oldest(there: set[str]) -> int:
    """Return when the oldest week begins; no moment comes before the end of time."""
    starts = [_start_of(name.removeprefix(f"{table}_")) for table in _TABLES for name in there if table in name]
    return min((start for start in starts if start is not None), default=1 << 62)


def _name_of(start: int) -> str:
    return datetime.fromtimestamp(start / SECOND, UTC).strftime("%Y%m%d")


def _start_of(name: str) -> int | None:
    try:
        day = datetime.strptime(name, "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(day.timestamp()) * SECOND
