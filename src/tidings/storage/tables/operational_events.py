# SPDX-License-Identifier: MIT
"""Operational events, stored in the transaction of the change that they report and deleted after a retention time."""

from collections.abc import Sequence
from typing import Final

from tidings.storage.drivers.database import Write

EventRow = tuple[str, str, str, str]
"""An event's id, organization, type, and payload as JSON."""

_ADD: Final = (
    "INSERT INTO operational_event (id, org_id, type, payload)"
    " SELECT * FROM given(id text, org_id text, type text, payload text)"
)
_EXPIRE: Final = (
    "DELETE FROM operational_event WHERE id IN (SELECT id FROM operational_event WHERE id < :before"
    " ORDER BY id LIMIT CAST(:limit AS BIGINT) FOR UPDATE SKIP LOCKED)"
)


async def add(tx: Write, events: Sequence[EventRow]) -> None:
    """Insert events. Their ids sort by timestamp."""
    await tx.bulk(_ADD, events)


async def expire(tx: Write, *, before: str, limit: int) -> int:
    """Delete up to `limit` of the events with ids less than `before`; return how many."""
    return await tx.run(_EXPIRE, before=before, limit=limit)
