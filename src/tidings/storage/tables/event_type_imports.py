# SPDX-License-Identifier: MIT
"""Event types in bulk: what an import reads and writes."""

from collections.abc import Sequence
from typing import Final

from tidings.ids import OrgId
from tidings.model.event_type import EventType
from tidings.storage.drivers.database import Read, Row, Value, Write, from_row, names_of, names_text

_COLUMNS: Final = (
    "org_id, name, description, archived, deprecated, feature_flags, group_name, created_at, updated_at, schemas"
)
_GIVEN: Final = (
    "given(org_id text, name text, description text, archived smallint, deprecated smallint, feature_flags text,"
    " group_name text, created_at bigint, updated_at bigint, schemas text)"
)
_OF_NAMES: Final = f"SELECT {_COLUMNS} FROM event_type WHERE org_id = :org AND name IN :names ORDER BY name"
_LOCK: Final = f"{_OF_NAMES} FOR UPDATE"
_SIZE: Final = (
    "SELECT coalesce(sum(octet_length(schemas)), 0) AS size FROM event_type WHERE org_id = :org AND name IN :names"
)
_ADD: Final = f"INSERT INTO event_type ({_COLUMNS}) SELECT * FROM {_GIVEN} ON CONFLICT DO NOTHING"
_CHANGE: Final = f"""
UPDATE event_type SET description = given.description, archived = given.archived, deprecated = given.deprecated,
  feature_flags = given.feature_flags, group_name = given.group_name, updated_at = given.updated_at,
  schemas = given.schemas
FROM {_GIVEN} WHERE event_type.org_id = given.org_id AND event_type.name = given.name
"""
_ARCHIVE: Final = (
    "UPDATE event_type SET archived = 1, updated_at = :now WHERE org_id = :org AND archived = 0 AND name IN :names"
)
_SUBSCRIBED: Final = (
    "SELECT DISTINCT item.value AS name FROM endpoint, items_of(endpoint.event_types) AS item"
    " WHERE endpoint.org_id = :org AND endpoint.deleted_at IS NULL AND item.value IN :names"
)


async def of_names(read: Read, org_id: OrgId, names: Sequence[str]) -> list[EventType]:
    """Return the event types with these names, archived or not, ordered by name."""
    return [_event_type(row) for row in await read.rows(_OF_NAMES, org=org_id, names=list(names))]


async def lock(tx: Write, org_id: OrgId, names: Sequence[str]) -> list[EventType]:
    """Return event types like `of_names`, and lock their rows until the transaction ends."""
    return [_event_type(row) for row in await tx.rows(_LOCK, org=org_id, names=list(names))]


async def schema_bytes(read: Read, org_id: OrgId, names: Sequence[str]) -> int:
    """Return the size of the schemas of event types, together."""
    return int((await read.one(_SIZE, org=org_id, names=list(names)))["size"])


async def add(tx: Write, made: Sequence[EventType]) -> int:
    """Add event types; return how many names were free."""
    return await tx.bulk(_ADD, [_values(each) for each in made])


async def change(tx: Write, changed: Sequence[EventType]) -> None:
    """Update event types."""
    await tx.bulk(_CHANGE, [_values(each) for each in changed])


async def archive(tx: Write, org_id: OrgId, names: Sequence[str], now: int) -> None:
    """Archive active event types."""
    await tx.run(_ARCHIVE, org=org_id, names=list(names), now=now)


async def subscribed(read: Read, org_id: OrgId, names: Sequence[str]) -> set[str]:
    """Return the names to which endpoints of the organization subscribe. Reads all of its endpoints."""
    return {row["name"] for row in await read.rows(_SUBSCRIBED, org=org_id, names=list(names))}


def _values(each: EventType) -> tuple[Value, ...]:
    flags = names_text(each.feature_flags)
    state = (int(each.archived), int(each.deprecated), flags, each.group_name)
    return (each.org_id, each.name, each.description, *state, each.created_at, each.updated_at, each.schemas)


def _event_type(row: Row) -> EventType:
    return from_row(EventType, row, feature_flags=names_of(row["feature_flags"]))
