# SPDX-License-Identifier: MIT
"""Exports: downloadable results of tasks, kept for a day.

A running task stores parts with the numbers 1, 2 and so on. The finished export has the part number 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidings.storage.drivers.database import Read, Write

WHOLE: Final = 0

_ADD: Final = (
    "INSERT INTO export (id, part, org_id, content, expires_at)"
    " VALUES (:id, CAST(:part AS INTEGER), :org, :content, CAST(:expires_at AS BIGINT))"
)
_PARTS: Final = "SELECT content FROM export WHERE id = :id AND part > 0 ORDER BY part"
_DELETE_PARTS: Final = "DELETE FROM export WHERE id = :id AND part > 0"
_WHOLE: Final = "SELECT content FROM export WHERE id = :id AND part = 0 AND expires_at > CAST(:now AS BIGINT)"
_EXPIRED: Final = "SELECT DISTINCT id FROM export WHERE expires_at <= CAST(:now AS BIGINT) LIMIT CAST(:limit AS BIGINT)"
_DELETE: Final = "DELETE FROM export WHERE id IN :ids"
_NAMES: Final = (
    "SELECT name FROM event_type WHERE org_id = :org AND archived = 0 ORDER BY name LIMIT CAST(:limit AS BIGINT)"
)
_SIZES: Final = (
    "SELECT coalesce(octet_length(schemas), 0) AS size FROM event_type WHERE org_id = :org AND archived = 0"
    " AND name > :after ORDER BY name LIMIT CAST(:limit AS BIGINT)"
)
_TYPES: Final = (
    "SELECT name, description, deprecated, group_name, schemas FROM event_type WHERE org_id = :org AND archived = 0"
    " AND name > :after ORDER BY name LIMIT CAST(:limit AS BIGINT)"
)


@dataclass(frozen=True, slots=True)
class ExportedEventType:
    """The columns of an event type that an export contains."""

    name: str
    description: str
    deprecated: bool
    group_name: str | None
    schemas: str | None


async def names(read: Read, org_id: str, *, limit: int) -> list[str]:
    """Return the names of an organization's active event types, in order."""
    return [row["name"] for row in await read.rows(_NAMES, org=org_id, limit=limit)]


async def sizes(read: Read, org_id: str, *, after: str, limit: int) -> list[int]:
    """Return the sizes of the schemas of the next active event types, ordered by name."""
    return [row["size"] for row in await read.rows(_SIZES, org=org_id, after=after, limit=limit)]


async def event_types(read: Read, org_id: str, *, after: str, limit: int) -> list[ExportedEventType]:
    """Return the next active event types, ordered by name."""
    rows = await read.rows(_TYPES, org=org_id, after=after, limit=limit)
    return [
        ExportedEventType(row["name"], row["description"], bool(row["deprecated"]), row["group_name"], row["schemas"])
        for row in rows
    ]


async def add(tx: Write, export_id: str, org_id: str, part: int, content: bytes, expires_at: int) -> None:
    """Store a part of an export, or the finished export."""
    await tx.run(_ADD, id=export_id, org=org_id, part=part, content=content, expires_at=expires_at)


async def parts(read: Read, export_id: str) -> list[bytes]:
    """Return the parts of an export, in order."""
    return [bytes(row["content"]) for row in await read.rows(_PARTS, id=export_id)]


async def delete_parts(tx: Write, export_id: str) -> None:
    """Delete the parts of an export; keep the finished export."""
    await tx.run(_DELETE_PARTS, id=export_id)


async def whole(read: Read, export_id: str, now: int) -> bytes | None:
    """Return a finished export, or None if it does not exist or has expired."""
    row = await read.row(_WHOLE, id=export_id, now=now)
    return None if row is None else bytes(row["content"])


async def expired(read: Read, now: int, *, limit: int) -> list[str]:
    """Return up to `limit` exports that have expired."""
    return [row["id"] for row in await read.rows(_EXPIRED, now=now, limit=limit)]


async def delete(tx: Write, export_ids: Sequence[str]) -> int:
    """Delete exports; return the number of rows."""
    return await tx.run(_DELETE, ids=export_ids)
