# SPDX-License-Identifier: MIT
"""Operational events that wait to be told: written beside what they tell of, kept for a while, then deleted."""

from collections.abc import Sequence
from typing import Final

from tidings.storage.database import Sql, Write

EventRow = tuple[str, str, str, str, int]
"""An event's id, its organisation, its type, its payload as JSON, and its moment."""

_ADD: Final = Sql(
    sqlite="INSERT INTO operational_event (id, org_id, type, payload, created_at) VALUES (?, ?, ?, ?, ?)",
    postgresql=(
        "INSERT INTO operational_event (id, org_id, type, payload, created_at)"
        " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])"
    ),
)
_EXPIRE: Final = Sql(
    sqlite=(
        "DELETE FROM operational_event WHERE id IN"
        " (SELECT id FROM operational_event WHERE id < :before ORDER BY id LIMIT :limit)"
    ),
    postgresql=(
        "DELETE FROM operational_event WHERE id IN (SELECT id FROM operational_event WHERE id < :before"
        " ORDER BY id LIMIT CAST(:limit AS BIGINT) FOR UPDATE SKIP LOCKED)"
    ),
)


async def add(tx: Write, events: Sequence[EventRow]) -> None:
    """Add events; their ids sort by their moments."""
    await tx.bulk(_ADD, events)


async def expire(tx: Write, *, before: str, limit: int) -> int:
    """Delete a chunk of the events whose ids are less than one; return how many."""
    return await tx.run(_EXPIRE, before=before, limit=limit)
