# SPDX-License-Identifier: MIT
"""Weekly partitions of messages and attempts on PostgreSQL: created in advance, dropped when they are empty.

A message and its attempts are in partitions of the same week, because both tables are partitioned by the message's
id. Rows of a week without a partition go to the default partition, which works the same.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

from tidings import ids
from tidings.clock import DAY, SECOND
from tidings.observe import failure
from tidings.storage.drivers.database import Busy, Database, Dialect, Read, Write, retried

WEEK: Final = 7 * DAY
_CREATE_LOCK: Final = 7_251_003
_DROP_LOCK: Final = 7_251_004
_KEYS: Final = {"message": "id", "attempt": "msg_id"}
_PARTITIONS: Final = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relispartition AND pg_table_is_visible(oid)"
_LOCK_MS: Final = 200
"""How long other queries may be blocked by the lock on the partitioned tables, in milliseconds."""


async def create_partitions(db: Database, now: int) -> int:
    """Create the missing partitions of this week and the next; return how many were created."""
    if db.dialect is not Dialect.POSTGRESQL:
        return 0
    created = 0
    this = now - now % WEEK
    for start in (this, this + WEEK):
        try:
            created += await _make_week(db, start)
        except Exception as error:  # noqa: BLE001 - until then the default partition takes the rows
            failure("making partitions", error)
    return created


def week_names(at: int) -> tuple[str, ...]:
    """Return the names of the partitions for the week of a timestamp."""
    return tuple(f"{table}_{_name_of(at - at % WEEK)}" for table in _KEYS)


async def _make_week(db: Database, start: int) -> int:
    week = _name_of(start)
    first, end = ids.first_at(ids.MESSAGE, start), ids.first_at(ids.MESSAGE, start + WEEK)
    async with db.write(advisory_lock=_CREATE_LOCK) as tx:
        existing = await _partitions(tx)
        missing = [table for table in _KEYS if f"{table}_{week}" not in existing]
        if not missing or await _is_in_default(tx, first, end):
            return 0
        for table in missing:
            await tx.run(f"CREATE TABLE {table}_{week} PARTITION OF {table} FOR VALUES FROM ('{first}') TO ('{end}')")
    return len(missing)


async def _is_in_default(read: Read, first: str, end: str) -> bool:
    """Return whether the default partitions hold rows of a week; PostgreSQL then refuses a partition for it."""
    for table, key in _KEYS.items():
        found = f"SELECT 1 FROM {table}_default WHERE {key} >= :first AND {key} < :end LIMIT 1"
        if await read.row(found, first=first, end=end):
            return True
    return False


async def drop_empty_partitions(db: Database, before: int) -> int:
    """Drop the empty partitions of weeks that ended before a timestamp; return how many were dropped.

    If one cannot be dropped, for example because a long query uses it, the later ones are left to the next call. All
    need the same lock, and each attempt to take it blocks every other query.
    """
    if db.dialect is not Dialect.POSTGRESQL:
        return 0
    dropped = 0
    try:
        for start in await weeks_before(db, before):
            dropped += await _drop_week(db, start)
    except Exception as error:  # noqa: BLE001 - an empty partition that remains is harmless
        failure("dropping partitions", error)
    return dropped


async def weeks_before(db: Database, before: int) -> list[int]:
    """Return the starting timestamps of the weeks with partitions that ended before a timestamp, the oldest first."""
    async with db.read() as read:
        return [start for start in _weeks(await _partitions(read)) if start + WEEK <= before]


async def drop_week(db: Database, start: int, is_kept: Callable[[Read], Awaitable[bool]]) -> bool:
    """Drop the partitions of a week with their rows, unless `is_kept` holds under the lock; return whether it did.

    False as well if the lock on the tables is not free; then a later call may drop them.
    """

    async def work() -> bool:
        async with db.write(advisory_lock=_DROP_LOCK, lock_ms=_LOCK_MS, background=True) as tx:
            await _lock_tables(tx)
            names = {f"{table}_{_name_of(start)}" for table in _KEYS} & await _partitions(tx)
            if not names or await is_kept(tx):
                return False
            await tx.run(f"DROP TABLE {', '.join(sorted(names))}")
        return True

    try:
        return await retried(work)
    except Busy as error:
        failure("dropping the partitions of a week", error)
        return False


async def _lock_tables(tx: Write) -> None:
    """Lock the parent tables, before their partitions and in the order in which queries lock them."""
    await tx.run(f"SET LOCAL statement_timeout = {_LOCK_MS}")
    await tx.run(f"LOCK TABLE ONLY {', ONLY '.join(_KEYS)} IN ACCESS EXCLUSIVE MODE")


async def _drop_week(db: Database, start: int) -> int:
    # First check without the table lock: the first scan over rows that were just deleted may take long, the second
    # is fast.
    async with db.write(advisory_lock=_DROP_LOCK) as tx:
        if not await _empty_partitions(tx, start):
            return 0
    return await retried(lambda: _drop_locked(db, start))


async def _drop_locked(db: Database, start: int) -> int:
    async with db.write(advisory_lock=_DROP_LOCK, lock_ms=_LOCK_MS) as tx:
        await _lock_tables(tx)
        empty = await _empty_partitions(tx, start)
        if empty:
            await tx.run(f"DROP TABLE {', '.join(empty)}")
    return len(empty)


async def _empty_partitions(read: Read, start: int) -> list[str]:
    """Return the names of a week's partitions, or an empty list if any of them holds rows."""
    existing = await _partitions(read)
    keys = {f"{table}_{_name_of(start)}": key for table, key in _KEYS.items()}
    found = [name for name in keys if name in existing]
    for name in found:
        if await read.row(f"SELECT 1 FROM {name} ORDER BY {keys[name]} LIMIT 1"):
            return []
    return found


async def _partitions(read: Read) -> set[str]:
    return {row["relname"] for row in await read.rows(_PARTITIONS)}


def _weeks(existing: set[str]) -> list[int]:
    """Return the starting timestamps of the weeks in partition names, the oldest first."""
    starts = (_start_of(name.rpartition("_")[2]) for name in existing)
    return sorted({start for start in starts if start is not None and start % WEEK == 0})


def _name_of(start: int) -> str:
    return datetime.fromtimestamp(start / SECOND, UTC).strftime("%Y%m%d")


def _start_of(name: str) -> int | None:
    try:
        day = datetime.strptime(name, "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(day.timestamp()) * SECOND
