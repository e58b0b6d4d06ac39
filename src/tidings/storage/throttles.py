# SPDX-License-Identifier: MIT
"""Limits in use: one row for each, locked while tokens are taken from it, so that all nodes share one count."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tidings.storage.database import Dialect, Read, Sql, Write

_OPEN: Final = Sql(
    sqlite="INSERT INTO throttle (key, tat) VALUES (?, 0) ON CONFLICT DO NOTHING",
    postgresql="INSERT INTO throttle (key, tat) SELECT k, 0 FROM unnest($1::text[]) AS t(k) ON CONFLICT DO NOTHING",
)
_HOLD: Final = Sql(
    sqlite="SELECT key, tat, limited_since FROM throttle WHERE key IN (SELECT value FROM json_each(:keys))",
    # In order of the keys, so that two nodes wait for each other and never in a circle.
    postgresql=(
        "SELECT key, tat, limited_since FROM throttle WHERE key = ANY(CAST(:keys AS text[])) ORDER BY key FOR UPDATE"
    ),
)
_MOVE: Final = Sql(
    sqlite="UPDATE throttle SET tat = ?2, limited_since = ?3 WHERE key = ?1",
    postgresql=(
        "UPDATE throttle SET tat = t.tat, limited_since = t.since"
        " FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS t(key, tat, since) WHERE throttle.key = t.key"
    ),
)
_NOW: Final = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) AS now"
_EXPIRE: Final = Sql(
    sqlite="DELETE FROM throttle WHERE key IN (SELECT key FROM throttle WHERE tat < :before LIMIT :limit)",
    postgresql=(
        "DELETE FROM throttle WHERE key IN (SELECT key FROM throttle WHERE tat < CAST(:before AS BIGINT)"
        " LIMIT CAST(:limit AS BIGINT) FOR UPDATE SKIP LOCKED)"
    ),
)


@dataclass(frozen=True, slots=True)
class ThrottleRow:
    """A limit's row: its theoretical arrival time in microseconds, and since when (ms) it holds something up."""

    tat: int = 0
    limited_since: int | None = None


async def hold(tx: Write, keys: Sequence[str]) -> dict[str, ThrottleRow]:
    """Return limits and keep everybody else from them until the transaction ends."""
    found = await tx.rows(_HOLD, keys=keys)
    if len(found) < len(keys):
        await tx.bulk(_OPEN, [(key,) for key in sorted(keys)])
        found = await tx.rows(_HOLD, keys=keys)
    return {row["key"]: ThrottleRow(row["tat"], row["limited_since"]) for row in found}


async def move(tx: Write, held: Mapping[str, ThrottleRow]) -> None:
    """Write how far limits have got."""
    await tx.bulk(_MOVE, [(key, each.tat, each.limited_since) for key, each in sorted(held.items())])


async def find(read: Read, keys: Sequence[str]) -> list[ThrottleRow]:
    """Return limits as they are; one that was never in use is left out."""
    sql = _HOLD.sqlite if read.dialect is Dialect.SQLITE else _HOLD.postgresql.removesuffix(" FOR UPDATE")
    return [ThrottleRow(row["tat"], row["limited_since"]) for row in await read.rows(sql, keys=keys)]


async def shared_now(read: Read) -> int | None:
    """Return the database's time in microseconds, or None where there is one process, and its own clock does."""
    return None if read.dialect is Dialect.SQLITE else int((await read.one(_NOW))["now"])


async def expire(tx: Write, *, before: int, limit: int) -> int:
    """Delete a chunk of limits not in use since a timestamp in microseconds; return how many."""
    return await tx.run(_EXPIRE, before=before, limit=limit)
