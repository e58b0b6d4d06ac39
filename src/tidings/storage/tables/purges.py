# SPDX-License-Identifier: MIT
"""Statements that purge the payloads of an application's messages, one range of ids at a time."""

from dataclasses import dataclass
from typing import Final

from tidings.storage.drivers.database import Read, Write

_SCAN: Final = (
    "SELECT count(*) AS n, max(id) AS last, coalesce(sum(kept), 0) AS kept FROM"
    " (SELECT id, CASE WHEN payload IS NULL THEN 0 ELSE 1 END AS kept FROM message"
    " WHERE app_id = :app AND id >= :first AND id < :end ORDER BY id LIMIT CAST(:limit AS BIGINT)) AS scanned"
)
_PURGE: Final = (
    "UPDATE message SET payload = NULL WHERE app_id = :app AND id >= :first AND id <= :last AND payload IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class PurgeScan:
    """A scanned range of messages: their number, the last id, and the number of those with a payload."""

    count: int
    last_id: str | None
    kept: int


async def scan(read: Read, app_id: str, first: str, end: str, *, limit: int) -> PurgeScan:
    """Scan the next messages with `first <= id < end`, up to a limit."""
    row = await read.one(_SCAN, app=app_id, first=first, end=end, limit=limit)
    return PurgeScan(row["n"], row["last"], row["kept"])


async def purge(tx: Write, app_id: str, first: str, last: str) -> int:
    """Delete the payloads of the messages with `first <= id <= last`; return how many there were."""
    return await tx.run(_PURGE, app=app_id, first=first, last=last)
