# SPDX-License-Identifier: MIT
"""What a recovery reads: an endpoint's attempts in the order of their ids, and what is known of their messages.

Every probe goes through an index that begins with the message. `endpoint_id || ''` says so to the planners, which
without statistics would as soon walk all attempts of the endpoint.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import repeat
from typing import Final

from tidings.storage.database import Dialect, Read, Sql, Value, Write


class ScanVerdict(IntEnum):
    """What a scanned attempt asks for.

    Nothing if it did not fail, if its message got through, or if an earlier failure of the message stands for it;
    gone if the message's payload is no longer there.
    """

    NOTHING = 0
    SEND = 1
    GONE = 2


VERDICTS: Final = tuple(ScanVerdict)
"""By their numbers: making each from its number costs more than reading it from the database."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """A scanned range of attempts: how many, the last id, and those to act on."""

    count: int
    last_id: str | None
    asking: tuple[tuple[str, ScanVerdict], ...]


def gathered(text: str) -> Sql:
    """Make a scan's statement from the one that tells id, message and verdict of each row.

    A client takes longer to read rows than lists, and most of what it would read is told by a count and one id.
    """
    lists = ", ".join(
        f"coalesce(array_agg(msg_id) FILTER (WHERE verdict = {verdict:d}), '{{}}') AS {verdict.name}"
        for verdict in (ScanVerdict.SEND, ScanVerdict.GONE)
    )
    return Sql(text, f"SELECT count(*) AS n, max(id) AS last_id, {lists} FROM ({text}) AS looked")


async def scanned(read: Read, sql: Sql, **values: Value | Sequence[Value]) -> Scanned:
    """Run the statement of a scan."""
    if read.dialect is Dialect.SQLITE:
        rows = await read.rows(sql, **values)
        asking = tuple((row[1], VERDICTS[row[2]]) for row in rows if row[2])
        return Scanned(len(rows), rows[-1][0] if rows else None, asking)
    count, last_id, sends, gone = await read.one(sql, **values)
    return Scanned(count, last_id, (*zip(sends, repeat(ScanVerdict.SEND)), *zip(gone, repeat(ScanVerdict.GONE))))


_HIGH_WATER_MARK: Final = "SELECT max(id) AS high_water_mark FROM attempt WHERE endpoint_id = :endpoint"


async def high_water_mark(read: Read, endpoint_id: str) -> str:
    """Return the greatest id of an endpoint's attempts that is visible, or nothing."""
    return (await read.one(_HIGH_WATER_MARK, endpoint=endpoint_id))["high_water_mark"] or ""


_COUNT: Final = (
    "SELECT count(*) AS n, max(id) AS last FROM (SELECT id FROM attempt WHERE endpoint_id = :endpoint"
    " AND id >= :first AND id < :end ORDER BY id LIMIT CAST(:limit AS BIGINT)) AS counted"
)


async def count(read: Read, endpoint_id: str, first: str, end: str, *, limit: int) -> tuple[int, str | None]:
    """Count the attempts with `first <= id < end`, up to a limit; return the last id that was counted too."""
    row = await read.one(_COUNT, endpoint=endpoint_id, first=first, end=end, limit=limit)
    return row["n"], row["last"]


_SCAN: Final = gathered(f"""
WITH scanned AS (
  SELECT id, msg_id, status FROM attempt
  WHERE endpoint_id = :endpoint AND id >= :first AND id < :end ORDER BY id LIMIT CAST(:limit AS BIGINT)
)
SELECT id, msg_id, CASE
  WHEN status <> 2 THEN {ScanVerdict.NOTHING:d}
  WHEN (SELECT 1 FROM attempt AS other WHERE other.msg_id = scanned.msg_id AND other.endpoint_id || '' = :endpoint
    AND (other.status = 0 OR (other.status = 2 AND other.id >= :lower AND other.id < scanned.id)) LIMIT 1) = 1
    THEN {ScanVerdict.NOTHING:d}
  WHEN (SELECT 1 FROM message WHERE message.id = scanned.msg_id AND message.payload IS NOT NULL LIMIT 1) = 1
    THEN {ScanVerdict.SEND:d}
  ELSE {ScanVerdict.GONE:d} END AS verdict
FROM scanned ORDER BY id
""")


async def scan(read: Read, endpoint_id: str, *, lower: str, first: str, end: str, limit: int) -> Scanned:
    """Look at the next attempts from `first` on, in a range that begins at `lower` and ends before `end`.

    A message is asked for at its first failed attempt of the range, so that each comes once and none is remembered.
    """
    return await scanned(read, _SCAN, endpoint=endpoint_id, lower=lower, first=first, end=end, limit=limit)


_RECEIVES: Final = (
    "SELECT endpoint.disabled FROM endpoint JOIN application ON application.id = endpoint.app_id"
    " WHERE endpoint.id = :endpoint AND endpoint.deleted_at IS NULL AND application.deleted_at IS NULL"
)
# Shared with other tasks, not with a write to the endpoint: once it is disabled, no chunk adds to it.
_RECEIVES_HELD: Final = Sql(sqlite=_RECEIVES, postgresql=f"{_RECEIVES} FOR SHARE OF endpoint")


async def is_disabled(tx: Write, endpoint_id: str) -> bool | None:
    """Tell whether an endpoint is disabled, None where it or its application is deleted; and keep it as it is."""
    row = await tx.row(_RECEIVES_HELD, endpoint=endpoint_id)
    return None if row is None else bool(row["disabled"])
