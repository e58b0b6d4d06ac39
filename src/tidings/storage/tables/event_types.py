# SPDX-License-Identifier: MIT
"""Queries and writes of the event types of an organization, and of their exports."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from tidings.ids import OrgId
from tidings.model.event_type import EventType
from tidings.model.page import PageWindow
from tidings.storage.drivers.database import (
    Read,
    Row,
    Value,
    Write,
    assigned,
    from_row,
    named,
    names_of,
    names_text,
    to_values,
)
from tidings.storage.tables.key_ranges import bounds_of, end_of

_PLAIN: Final = "org_id, name, description, archived, deprecated, feature_flags, group_name, created_at, updated_at, "
_COLUMNS: Final = _PLAIN + "schemas"
# Both databases return the byte size of a large text that is stored out of line without reading or decompressing it.
_SIZED: Final = f"{_PLAIN}NULL AS schemas, octet_length(schemas) AS schemas_bytes"
_SCHEMAS: Final = "SELECT name, schemas FROM event_type WHERE org_id = :org AND name IN :names"
_GET: Final = f"SELECT {_COLUMNS} FROM event_type WHERE org_id = :org AND name = :name"
_HOLD: Final = f"{_GET} FOR UPDATE"
_CHANGE: Final = f"""
UPDATE event_type SET {assigned("description, archived, deprecated, feature_flags, group_name, updated_at, schemas")}
WHERE org_id = :org_id AND name = :name
"""
_ARCHIVE: Final = "UPDATE event_type SET archived = 1, updated_at = :now WHERE org_id = :org AND name = :name"
_EXPUNGE: Final = "DELETE FROM event_type WHERE org_id = :org AND name = :name"
_FROM: Final = "FROM event_type WHERE org_id = :org"
_ACTIVE: Final = " AND archived = 0"
# The event types that a caller with these feature flags sees: those without flags, and those with one of them.
_FLAGGED: Final = (
    " AND (feature_flags IS NULL OR EXISTS (SELECT 1 FROM items_of(event_type.feature_flags) AS flag"
    " WHERE flag.value IN :flags))"
)
_CONTAINS: Final = " AND (lower(name) LIKE :search ESCAPE '!' OR lower(description) LIKE :search ESCAPE '!')"
_WILDCARDS: Final = str.maketrans({each: f"!{each}" for each in "!%_"})
_KNOWN: Final = "SELECT name FROM event_type WHERE org_id = :org AND archived = 0 AND name IN :names"
# A new event type replaces an archived one of the same name.
_ADD: Final = f"""
INSERT INTO event_type ({_COLUMNS}) VALUES ({named(_COLUMNS)})
ON CONFLICT (org_id, name) DO UPDATE SET description = excluded.description, archived = excluded.archived,
  deprecated = excluded.deprecated, feature_flags = excluded.feature_flags, group_name = excluded.group_name,
  updated_at = excluded.updated_at, schemas = excluded.schemas
WHERE event_type.archived = 1
"""
_ADD_MISSING: Final = (
    "INSERT INTO event_type (org_id, name, description, archived, deprecated, created_at, updated_at)"
    " SELECT given.org_id, given.name, given.description, 0, 0, given.at, given.at"
    " FROM given(org_id text, name text, description text, at bigint) ON CONFLICT DO NOTHING"
)
_EXISTING: Final = "SELECT name FROM event_type WHERE org_id = :org AND name IN :names"


async def find(read: Read, org_id: OrgId, name: str) -> EventType | None:
    """Return an event type with its schemas, archived or not, or None if it does not exist."""
    row = await read.row(_GET, org=org_id, name=name)
    return None if row is None else _event_type(row)


async def find_locked(tx: Write, org_id: OrgId, name: str) -> EventType | None:
    """Return an event type like `find`, and lock its row until the transaction ends."""
    row = await tx.row(_HOLD, org=org_id, name=name)
    return None if row is None else _event_type(row)


async def page(
    read: Read,
    org_id: OrgId,
    window: PageWindow,
    *,
    flags: Sequence[str] | None,
    archived: bool,
    search: str = "",
) -> list[EventType]:
    """Return a page of an organization's event types, ordered by name, without schemas (see `schemas`).

    `flags` are the feature flags of the caller; None disables that filter. `search` is a part of the name or of the
    description, in any case.
    """
    conditions = ("" if archived else _ACTIVE) + ("" if flags is None else _FLAGGED) + (_CONTAINS if search else "")
    statement = f"SELECT {_SIZED} {_FROM}{conditions}{end_of(window, 'name')}"
    pattern = f"%{search.lower().translate(_WILDCARDS)}%"
    rows = await read.rows(statement, org=org_id, flags=list(flags or ()), search=pattern, **bounds_of(window))
    return [replace(_event_type(row), schemas_bytes=row["schemas_bytes"] or 0) for row in rows]


async def schemas(read: Read, org_id: OrgId, listed: Sequence[EventType]) -> dict[str, str]:
    """Return the schemas of event types that `page` returned, by name."""
    names = [each.name for each in listed if each.schemas_bytes]
    rows = await read.rows(_SCHEMAS, org=org_id, names=names) if names else []
    return {row["name"]: row["schemas"] for row in rows}


async def known(read: Read, org_id: OrgId, names: Sequence[str]) -> set[str]:
    """Return the names that are active event types."""
    return {row["name"] for row in await read.rows(_KNOWN, org=org_id, names=list(names))}


async def add(tx: Write, event_type: EventType) -> bool:
    """Add an event type or replace an archived one; return whether the name was free."""
    return await tx.run(_ADD, **_values(event_type)) == 1


async def existing(read: Read, org_id: OrgId, names: Sequence[str]) -> set[str]:
    """Return the names that event types have, archived or not."""
    return {row["name"] for row in await read.rows(_EXISTING, org=org_id, names=list(names))}


async def add_missing(tx: Write, found: Sequence[EventType]) -> None:
    """Add event types without schemas; leave those that exist as they are, archived or not."""
    await tx.bulk(_ADD_MISSING, [(each.org_id, each.name, each.description, each.created_at) for each in found])


async def change(tx: Write, event_type: EventType) -> None:
    """Update an event type."""
    await tx.run(_CHANGE, **_values(event_type))


async def archive(tx: Write, org_id: OrgId, name: str, now: int) -> bool:
    """Archive an event type; return whether it exists."""
    return await tx.run(_ARCHIVE, org=org_id, name=name, now=now) == 1


async def expunge(tx: Write, org_id: OrgId, name: str) -> bool:
    """Delete the row of an event type, archived or not; return whether it existed."""
    return await tx.run(_EXPUNGE, org=org_id, name=name) == 1


def _values(event_type: EventType) -> dict[str, Value]:
    return to_values(event_type, feature_flags=names_text(event_type.feature_flags))


def _event_type(row: Row) -> EventType:
    return from_row(EventType, row, feature_flags=names_of(row["feature_flags"]))


# -----------------------------------------------------------------------------------------------------------------
# Exports: downloadable results of tasks, kept for a day.
# A running task stores parts with the numbers 1, 2 and so on. The finished export has the part number 0.

FINISHED_EXPORT: Final = 0

_ADD_EXPORT: Final = (
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
_SCHEMA_SIZES: Final = (
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


async def active_names(read: Read, org_id: str, *, limit: int) -> list[str]:
    """Return the names of an organization's active event types, in order."""
    return [row["name"] for row in await read.rows(_NAMES, org=org_id, limit=limit)]


async def schema_sizes(read: Read, org_id: str, *, after: str, limit: int) -> list[int]:
    """Return the sizes of the schemas of the next active event types, ordered by name."""
    return [row["size"] for row in await read.rows(_SCHEMA_SIZES, org=org_id, after=after, limit=limit)]


async def exported(read: Read, org_id: str, *, after: str, limit: int) -> list[ExportedEventType]:
    """Return the next active event types, ordered by name."""
    rows = await read.rows(_TYPES, org=org_id, after=after, limit=limit)
    return [from_row(ExportedEventType, row) for row in rows]


async def add_export_part(tx: Write, export_id: str, org_id: str, part: int, content: bytes, expires_at: int) -> None:
    """Store a part of an export, or the finished export."""
    await tx.run(_ADD_EXPORT, id=export_id, org=org_id, part=part, content=content, expires_at=expires_at)


async def export_parts(read: Read, export_id: str) -> list[bytes]:
    """Return the parts of an export, in order."""
    return [bytes(row["content"]) for row in await read.rows(_PARTS, id=export_id)]


async def delete_export_parts(tx: Write, export_id: str) -> None:
    """Delete the parts of an export; keep the finished export."""
    await tx.run(_DELETE_PARTS, id=export_id)


async def finished_export(read: Read, export_id: str, now: int) -> bytes | None:
    """Return a finished export, or None if it does not exist or has expired."""
    row = await read.row(_WHOLE, id=export_id, now=now)
    return None if row is None else bytes(row["content"])


async def expired_exports(read: Read, now: int, *, limit: int) -> list[str]:
    """Return up to `limit` exports that have expired."""
    return [row["id"] for row in await read.rows(_EXPIRED, now=now, limit=limit)]


async def delete_exports(tx: Write, export_ids: Sequence[str]) -> int:
    """Delete exports; return the number of rows."""
    return await tx.run(_DELETE, ids=export_ids)
