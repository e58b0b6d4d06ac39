# SPDX-License-Identifier: MIT
"""Rate limits in use: one row each, locked while tokens are taken, so that all nodes share each limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tidings.storage.drivers.database import Read, Write

_OPEN: Final = "INSERT INTO throttle (key, tat_us) SELECT given.key, 0 FROM given(key text) ON CONFLICT DO NOTHING"
_FIND: Final = "SELECT key, tat_us, limited_since FROM throttle WHERE key IN :keys ORDER BY key"
_HOLD: Final = f"{_FIND} FOR UPDATE"  # in key order, so that concurrent transactions cannot deadlock
_MOVE: Final = (
    "UPDATE throttle SET tat_us = given.tat, limited_since = given.since FROM given(key text, tat bigint, since bigint)"
    " WHERE found_by(throttle.key, given.key)"
)
_NOW: Final = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) AS now"
_EXPIRE: Final = (
    "DELETE FROM throttle WHERE row_address IN (SELECT row_address FROM throttle WHERE tat_us < CAST(:before AS BIGINT)"
    " LIMIT CAST(:limit AS BIGINT) FOR UPDATE SKIP LOCKED)"
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
    return [ThrottleRow(row["tat_us"], row["limited_since"]) for row in await read.rows(_FIND, keys=keys)]


async def shared_now(read: Read) -> int | None:
    """Return the time of PostgreSQL in microseconds, or None on SQLite, where the process uses its own clock."""
    return None if read.has_one_writer else int((await read.one(_NOW))["now"])


async def expire(tx: Write, *, before: int, limit: int) -> int:
    """Delete up to `limit` rate limits unused since a timestamp in microseconds; return how many."""
    return await tx.run(_EXPIRE, before=before, limit=limit)
