# SPDX-License-Identifier: MIT
"""Queries for dry runs: samples of the items of a task, and the rate of the last task of its kind."""

from typing import Final

from tidings.storage.drivers.database import Read

_KEPT: Final = (
    "SELECT id FROM message WHERE app_id = :app AND id >= :first AND id < :end AND payload IS NOT NULL"
    " ORDER BY id LIMIT CAST(:limit AS BIGINT)"
)
_RATE: Final = (
    "SELECT rate FROM task WHERE org_id = :org AND kind = :kind AND wire_status = 'finished' ORDER BY id DESC LIMIT 1"
)


async def with_payload(read: Read, app_id: str, first: str, end: str, *, limit: int) -> list[str]:
    """Return the first messages with `first <= id < end` that have a payload."""
    rows = await read.rows(_KEPT, app=app_id, first=first, end=end, limit=limit)
    return [row["id"] for row in rows]


async def last_rate(read: Read, org_id: str, kind: str) -> float | None:
    """Return the rows per second of an organization's last finished task of a kind, or None."""
    row = await read.row(_RATE, org=org_id, kind=kind)
    return None if row is None or row["rate"] <= 0 else float(row["rate"])
