# SPDX-License-Identifier: MIT
"""Daily partitions of messages and attempts on PostgreSQL, made before their day comes.

A message and its attempts lie in partitions of the same day, because both are cut by the message's id. What comes to
a day without partitions lies in the default one, and is as good there.
"""

from datetime import UTC, datetime
from typing import Final

from tidings import ids
from tidings.clock import DAY, SECOND
from tidings.observe import failure
from tidings.storage.database import Database, Dialect

_AHEAD: Final = 3
_GATE: Final = 7_251_002
_TABLES: Final = ("message", "attempt")
_EXISTING: Final = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relispartition"


async def make_ahead(db: Database, now: int) -> int:
    """Make the partitions of today and the days to come that are not there; return how many were made."""
    if db.dialect is not Dialect.POSTGRESQL:
        return 0
    made = 0
    for start in range(now - now % DAY, now + _AHEAD * DAY, DAY):
        try:
            made += await _make_day(db, start)
        except Exception as error:  # noqa: BLE001 - a day whose rows are in the default partition keeps them there
            failure("making partitions", error)
    return made


async def _make_day(db: Database, start: int) -> int:
    day = datetime.fromtimestamp(start / SECOND, UTC).strftime("%Y%m%d")
    first, end = ids.first_at(ids.MESSAGE, start), ids.first_at(ids.MESSAGE, start + DAY)
    async with db.write(gate=_GATE) as tx:
        there = {row["relname"] for row in await tx.rows(_EXISTING)}
        missing = [table for table in _TABLES if f"{table}_{day}" not in there]
        for table in missing:
            await tx.run(f"CREATE TABLE {table}_{day} PARTITION OF {table} FOR VALUES FROM ('{first}') TO ('{end}')")
    return len(missing)
