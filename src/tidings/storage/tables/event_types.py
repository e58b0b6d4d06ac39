# SPDX-License-Identifier: MIT
"""Queries and writes of the event types of an organization."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tidings.ids import OrgId
from tidings.model.event_type import EventType
from tidings.model.page import PageWindow
from tidings.storage.drivers.database import Read, Row, Value, Write
from tidings.storage.tables.page_window import bounds_of, end_of

_PLAIN: Final = "org_id, name, description, archived, deprecated, feature_flags, group_name, created_at, updated_at, "
_COLUMNS: Final = _PLAIN + "schemas"
# Both databases return the byte size of a large text that is stored out of line without reading or decompressing it.
_SIZED: Final = f"{_PLAIN}NULL AS schemas, octet_length(schemas) AS schemas_bytes"
_SCHEMAS: Final = "SELECT name, schemas FROM event_type WHERE org_id = :org AND name IN :names"
_GET: Final = f"SELECT {_COLUMNS} FROM event_type WHERE org_id = :org AND name = :name"
_HOLD: Final = f"{_GET} FOR UPDATE"
_CHANGE: Final = """
UPDATE event_type SET description = :description, archived = :archived, deprecated = :deprecated,
  feature_flags = :feature_flags, group_name = :group_name, updated_at = :updated_at, schemas = :schemas
WHERE org_id = :org AND name = :name
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
_KNOWN: Final = "SELECT name FROM event_type WHERE org_id = :org AND archived = 0 AND name IN :names"
# A new event type replaces an archived one of the same name.
_ADD: Final = f"""
INSERT INTO event_type ({_COLUMNS})
VALUES (:org, :name, :description, :archived, :deprecated, :feature_flags, :group_name, :created_at, :updated_at,
  :schemas)
ON CONFLICT (org_id, name) DO UPDATE SET description = excluded.description, archived = excluded.archived,
  deprecated = excluded.deprecated, feature_flags = excluded.feature_flags, group_name = excluded.group_name,
  updated_at = excluded.updated_at, schemas = excluded.schemas
WHERE event_type.archived = 1
"""


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
) -> list[EventType]:
    """Return a page of an organization's event types, ordered by name, without schemas (see `schemas`).

    `flags` are the feature flags of the caller; None disables that filter.
    """
    conditions = ("" if archived else _ACTIVE) + ("" if flags is None else _FLAGGED)
    statement = f"SELECT {_SIZED} {_FROM}{conditions}{end_of(window, 'name')}"
    rows = await read.rows(statement, org=org_id, flags=list(flags or ()), **bounds_of(window))
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
    return await tx.run(_ADD, **_values(event_type), created_at=event_type.created_at) == 1


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
    """Return the columns that inserts and updates of an event type have in common."""
    flags = event_type.feature_flags
    return {
        "org": event_type.org_id,
        "name": event_type.name,
        "description": event_type.description,
        "archived": int(event_type.archived),
        "deprecated": int(event_type.deprecated),
        "feature_flags": None if flags is None else json.dumps(flags),
        "group_name": event_type.group_name,
        "updated_at": event_type.updated_at,
        "schemas": event_type.schemas,
    }


def _event_type(row: Row) -> EventType:
    flags = row["feature_flags"]
    return EventType(
        org_id=OrgId(row["org_id"]),
        name=row["name"],
        description=row["description"],
        archived=bool(row["archived"]),
        deprecated=bool(row["deprecated"]),
        schemas=row["schemas"],
        feature_flags=None if flags is None else tuple(json.loads(flags)),
        group_name=row["group_name"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
