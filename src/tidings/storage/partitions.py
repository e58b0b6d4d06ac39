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
from tidings.storage.database import Database, Dialect, Read, retried

WEEK: Final = 7 * DAY
_CREATE_LOCK: Final = 7_251_003
_DROP_LOCK: Final = 7_251_004
_KEYS: Final = {"message": "id", "attempt": "msg_id"}
_EXISTING: Final = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relispartition AND pg_table_is_visible(oid)"
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
        except Exception as error:  # noqa: BLE001 - until it is made, the default partition takes what comes
            failure("making partitions", error)
    return made


async def _make_week(db: Database, start: int) -> int:
    week = _name_of(start)
    first, end = ids.first_at(ids.MESSAGE, start), ids.first_at(ids.MESSAGE, start + WEEK)
    async with db.write(advisory_lock=_CREATE_LOCK) as tx:
        there = await _existing(tx)
        missing = [table for table in _KEYS if f"{table}_{week}" not in there]
        if not missing or await _has_begun(tx, first, end):
            return 0
        for table in missing:
            await tx.run(f"CREATE TABLE {table}_{week} PARTITION OF {table} FOR VALUES FROM ('{first}') TO ('{end}')")
    return len(missing)


async def _has_begun(read: Read, first: str, end: str) -> bool:
    """Tell whether something of a week lies in the default partitions: then the rest of it goes there, too."""
    for table, key in _KEYS.items():
        found = f"SELECT 1 FROM {table}_default WHERE {key} >= :first AND {key} < :end LIMIT 1"
        if await read.row(found, first=first, end=end):
            return True
    return False


async def drop_empty(db: Database, before: int) -> int:
    """Drop the partitions of weeks that ended before a timestamp and hold nothing more; return how many were dropped.

    Where one cannot be dropped, as while somebody uses it for long, it and those behind it are left to the next time:
    all of them are behind the same lock, and trying each would keep everybody else waiting again and again.
    """
    if db.dialect is not Dialect.POSTGRESQL:
        return 0
    async with db.read() as read:
        weeks = _weeks(await _existing(read))
    dropped = 0
    try:
        for start in weeks:
            if start + WEEK <= before:
                dropped += await _drop_week(db, start)
    except Exception as error:  # noqa: BLE001 - a week that is empty and stays does no harm
        failure("dropping partitions", error)
    return dropped


async def _drop_week(db: Database, start: int) -> int:
    # Without a lock first: going over what was just deleted may take long, the second time it does not.
    async with db.write(advisory_lock=_DROP_LOCK) as tx:
        if not await _if_empty(tx, start):
            return 0
    return await retried(lambda: _drop_locked(db, start))


async def _drop_locked(db: Database, start: int) -> int:
    async with db.write(advisory_lock=_DROP_LOCK, lock_ms=_LOCK_MS) as tx:
        await tx.run(f"SET LOCAL statement_timeout = {_LOCK_MS}")
        # The tables before their parts, in the order of every query.
        await tx.run(f"LOCK TABLE ONLY {', ONLY '.join(_KEYS)} IN ACCESS EXCLUSIVE MODE")
        empty = await _if_empty(tx, start)
        if empty:
            await tx.run(f"DROP TABLE {', '.join(empty)}")
    return len(empty)


async def _if_empty(read: Read, start: int) -> list[str]:
    """Return the partitions that a week has, if they hold nothing."""
    there = await _existing(read)
    keys = {f"{table}_{_name_of(start)}": key for table, key in _KEYS.items()}
    found = [name for name in keys if name in there]
    for name in found:
        if await read.row(f"SELECT 1 FROM {name} ORDER BY {keys[name]} LIMIT 1"):
            return []
    return found


async def _existing(read: Read) -> set[str]:
    return {row["relname"] for row in await read.rows(_EXISTING)}


def _weeks(there: set[str]) -> list[int]:
    """Return when the weeks begin that partitions are named after, the oldest first."""
    starts = (_start_of(name.rpartition("_")[2]) for name in there)
    return sorted({start for start in starts if start is not None and start % WEEK == 0})


def _name_of(start: int) -> str:
    return datetime.fromtimestamp(start / SECOND, UTC).strftime("%Y%m%d")


def _start_of(name: str) -> int | None:
    try:
        day = datetime.strptime(name, "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(day.timestamp()) * SECOND
