# SPDX-License-Identifier: MIT
"""Queries of a recovery: the attempts at an endpoint in id order, and the state of their messages.

Every lookup must use an index that starts with the message. `endpoint_id || ''` rules out the indexes that start with
the endpoint; without statistics the planners might choose one of those and read all attempts at the endpoint.
"""

from typing import Final

from tidings.storage.drivers.database import Read, Write
from tidings.storage.tables.key_ranges import Scanned, ScanVerdict, run_scan, scan_statement

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


# The lock is shared with other tasks and excludes writes to the endpoint: no chunk adds deliveries once it is disabled.
_LOCK_DISABLED: Final = (
    "SELECT endpoint.disabled FROM endpoint JOIN application ON application.id = endpoint.app_id"
    " WHERE endpoint.id = :endpoint AND endpoint.deleted_at IS NULL AND application.deleted_at IS NULL"
    " FOR SHARE OF endpoint"
)


async def is_disabled(tx: Write, endpoint_id: str) -> bool | None:
    """Return whether an endpoint is disabled, or None if it or its application is deleted.

    Locks the endpoint's row until the transaction ends, so that the result stays true.
    """
    row = await tx.row(_LOCK_DISABLED, endpoint=endpoint_id)
    return None if row is None else bool(row["disabled"])
