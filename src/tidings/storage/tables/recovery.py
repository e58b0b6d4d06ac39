# SPDX-License-Identifier: MIT
"""Queries of a recovery: the attempts at an endpoint in id order, and the state of their messages.

Every lookup must use an index that starts with the message. `endpoint_id || ''` rules out the indexes that start with
the endpoint; without statistics the planners might choose one of those and read all attempts at the endpoint.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import repeat
from typing import Final

from tidings.storage.drivers.database import Dialect, Read, Sql, Value, Write


class ScanVerdict(IntEnum):
    """The action that a scanned row requires.

    In a recovery: `NOTHING` if the attempt did not fail, if its message was delivered, or if the range has an earlier
    failed attempt of the message. `NO_PAYLOAD` if the payload of the message was deleted. `SEND` otherwise.
    """

    NOTHING = 0
    SEND = 1
    NO_PAYLOAD = 2


VERDICTS: Final = tuple(ScanVerdict)
"""The verdicts by number. Constructing the enum member from its number costs more than reading the row."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """A scanned range: the number of rows, the last id, and the messages to act on."""

    count: int
    last_id: str | None
    verdicts: tuple[tuple[str, ScanVerdict], ...]


def scan_statement(text: str) -> Sql:
    """Build the statement of a scan from a query that returns id, message and verdict of each row.

    On PostgreSQL it returns the count, the last id, and one array of messages for each verdict that needs action. The
    driver decodes arrays faster than rows, and most rows need no action.
    """
    lists = ", ".join(
        f"coalesce(array_agg(msg_id) FILTER (WHERE verdict = {verdict:d}), '{{}}') AS {verdict.name}"
        for verdict in (ScanVerdict.SEND, ScanVerdict.NO_PAYLOAD)
    )
    return Sql(text, f"SELECT count(*) AS n, max(id) AS last_id, {lists} FROM ({text}) AS looked")


async def run_scan(read: Read, sql: Sql, **values: Value | Sequence[Value]) -> Scanned:
    """Run the statement of a scan."""
    if read.dialect is Dialect.SQLITE:
        rows = await read.rows(sql, **values)
        verdicts = tuple((row[1], VERDICTS[row[2]]) for row in rows if row[2])
        return Scanned(len(rows), rows[-1][0] if rows else None, verdicts)
    count, last_id, sends, no_payload = await read.one(sql, **values)
    return Scanned(
        count, last_id, (*zip(sends, repeat(ScanVerdict.SEND)), *zip(no_payload, repeat(ScanVerdict.NO_PAYLOAD)))
    )


_HIGH_WATER_MARK: Final = "SELECT max(id) AS high_water_mark FROM attempt WHERE endpoint_id = :endpoint"


async def high_water_mark(read: Read, endpoint_id: str) -> str:
    """Return the greatest visible id of an attempt at an endpoint, or an empty string."""
    return (await read.one(_HIGH_WATER_MARK, endpoint=endpoint_id))["high_water_mark"] or ""


_COUNT: Final = (
    "SELECT count(*) AS n, max(id) AS last FROM (SELECT id FROM attempt WHERE endpoint_id = :endpoint"
    " AND id >= :first AND id < :end ORDER BY id LIMIT CAST(:limit AS BIGINT)) AS counted"
)


async def count(read: Read, endpoint_id: str, first: str, end: str, *, limit: int) -> tuple[int, str | None]:
    """Count the attempts with `first <= id < end`, up to a limit; return the count and the last counted id."""
    row = await read.one(_COUNT, endpoint=endpoint_id, first=first, end=end, limit=limit)
    return row["n"], row["last"]


_SCAN: Final = scan_statement(f"""
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
  ELSE {ScanVerdict.NO_PAYLOAD:d} END AS verdict
FROM scanned ORDER BY id
""")


async def scan(read: Read, endpoint_id: str, *, lower: str, first: str, end: str, limit: int) -> Scanned:
    """Scan the next attempts from `first` on, in a range that begins at `lower` and ends before `end`.

    A message gets its verdict at its first failed attempt of the range. So each message is sent once, and the scan
    needs no list of the messages it has seen.
    """
    return await run_scan(read, _SCAN, endpoint=endpoint_id, lower=lower, first=first, end=end, limit=limit)


_DISABLED: Final = (
    "SELECT endpoint.disabled FROM endpoint JOIN application ON application.id = endpoint.app_id"
    " WHERE endpoint.id = :endpoint AND endpoint.deleted_at IS NULL AND application.deleted_at IS NULL"
)
# The lock is shared with other tasks and excludes writes to the endpoint: no chunk adds deliveries once it is disabled.
_LOCK_DISABLED: Final = Sql(sqlite=_DISABLED, postgresql=f"{_DISABLED} FOR SHARE OF endpoint")


async def is_disabled(tx: Write, endpoint_id: str) -> bool | None:
    """Return whether an endpoint is disabled, or None if it or its application is deleted.

    Locks the endpoint's row until the transaction ends, so that the result stays true.
    """
    row = await tx.row(_LOCK_DISABLED, endpoint=endpoint_id)
    return None if row is None else bool(row["disabled"])
