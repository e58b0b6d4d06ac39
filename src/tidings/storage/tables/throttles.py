# SPDX-License-Identifier: MIT
"""Rate limits in use: one row each, locked while tokens are taken, so that all nodes share each limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tidings.storage.drivers.database import Dialect, Read, Sql, Write

_OPEN: Final = Sql(
    sqlite="INSERT INTO throttle (key, tat_us) VALUES (?, 0) ON CONFLICT DO NOTHING",
    postgresql="INSERT INTO throttle (key, tat_us) SELECT k, 0 FROM unnest($1::text[]) AS t(k) ON CONFLICT DO NOTHING",
)
_HOLD: Final = Sql(
    sqlite="SELECT key, tat_us, limited_since FROM throttle WHERE key IN (SELECT value FROM json_each(:keys))",
    # In key order, so that concurrent transactions cannot deadlock.
    postgresql=(
        "SELECT key, tat_us, limited_since FROM throttle WHERE key = ANY(CAST(:keys AS text[])) ORDER BY key FOR UPDATE"
    ),
)
_MOVE: Final = Sql(
    sqlite="UPDATE throttle SET tat_us = ?2, limited_since = ?3 WHERE key = ?1",
    postgresql=(
        "UPDATE throttle SET tat_us = t.tat, limited_since = t.since"
        " FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS t(key, tat, since) WHERE throttle.key = t.key"
    ),
)
_NOW: Final = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) AS now"
_EXPIRE: Final = Sql(
    sqlite="DELETE FROM throttle WHERE key IN (SELECT key FROM throttle WHERE tat_us < :before LIMIT :limit)",
    postgresql=(
        "DELETE FROM throttle WHERE key IN (SELECT key FROM throttle WHERE tat_us < CAST(:before AS BIGINT)"
        " LIMIT CAST(:limit AS BIGINT) FOR UPDATE SKIP LOCKED)"
    ),
)


@dataclass(frozen=True, slots=True)
class ThrottleRow:
    """The state of a rate limit.

    `tat` is its theoretical arrival time in microseconds; `limited_since` the timestamp in milliseconds since which it
    delays sends.
    """

    tat: int = 0
    limited_since: int | None = None


async def hold(tx: Write, keys: Sequence[str]) -> dict[str, ThrottleRow]:
    """Lock rate limits until the transaction ends and return their states; creates missing rows."""
    found = await tx.rows(_HOLD, keys=keys)
    if len(found) < len(keys):
        await tx.bulk(_OPEN, [(key,) for key in sorted(keys)])
        found = await tx.rows(_HOLD, keys=keys)
    return {row["key"]: ThrottleRow(row["tat_us"], row["limited_since"]) for row in found}


async def move(tx: Write, held: Mapping[str, ThrottleRow]) -> None:
    """Store the new states of locked rate limits."""
    await tx.bulk(_MOVE, [(key, each.tat, each.limited_since) for key, each in sorted(held.items())])


async def find(read: Read, keys: Sequence[str]) -> list[ThrottleRow]:
    """Return the states of rate limits without a lock; unused limits are left out."""
    sql = _HOLD.sqlite if read.dialect is Dialect.SQLITE else _HOLD.postgresql.removesuffix(" FOR UPDATE")
    return [ThrottleRow(row["tat_us"], row["limited_since"]) for row in await read.rows(sql, keys=keys)]


async def shared_now(read: Read) -> int | None:
    """Return the time of PostgreSQL in microseconds, or None on SQLite, where the process uses its own clock."""
    return None if read.dialect is Dialect.SQLITE else int((await read.one(_NOW))["now"])


async def expire(tx: Write, *, before: int, limit: int) -> int:
    """Delete up to `limit` rate limits unused since a timestamp in microseconds; return how many."""
    return await tx.run(_EXPIRE, before=before, limit=limit)
