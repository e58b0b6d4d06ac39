# SPDX-License-Identifier: MIT
"""Queries and writes of the configuration of an organization as a whole, for its export and its import."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tidings.ids import ConnectorId, OrgId
from tidings.model.event_type import EventType
from tidings.storage.drivers.database import Read, Row, Write, from_row, names_of, names_text

# The row lock serializes the exports and the imports of an organization, so that each is of one state.
_LOCK: Final = """
INSERT INTO environment (org_id, settings, updated_at) VALUES (:org, NULL, CAST(:now AS BIGINT))
ON CONFLICT (org_id) DO UPDATE SET updated_at = excluded.updated_at
"""
_SETTINGS: Final = "SELECT settings FROM environment WHERE org_id = :org"
_SET: Final = "UPDATE environment SET settings = :settings WHERE org_id = :org"
_SIZE_OF_TYPES: Final = (
    "SELECT count(*) AS n, coalesce(sum(coalesce(octet_length(schemas), 0) + octet_length(description)), 0) AS size"
    " FROM event_type WHERE org_id = :org"
)
_SIZE_OF_CONNECTORS: Final = (
    "SELECT coalesce(sum(octet_length(transformation) + octet_length(instructions) + octet_length(description)"
    " + coalesce(octet_length(logo), 0)), 0) AS size FROM connector WHERE org_id = :org"
)
_PLAIN: Final = "org_id, name, description, archived, deprecated, feature_flags, group_name, created_at, updated_at"
_TYPES: Final = f"SELECT {_PLAIN}, schemas FROM event_type WHERE org_id = :org ORDER BY name"
_CHANGED: Final = ("description", "archived", "deprecated", "feature_flags", "group_name", "schemas")
_GIVEN: Final = (
    "given(org_id text, name text, description text, archived smallint, deprecated smallint, feature_flags text,"
    " group_name text, now bigint, schemas text)"
)
# An event type that is already as given stays untouched. No text column here is ever empty and not NULL but the
# description, which is never NULL, so comparing with '' separates NULL from every value.
_PUT: Final = f"""
INSERT INTO event_type ({_PLAIN}, schemas)
SELECT given.org_id, given.name, given.description, given.archived, given.deprecated, given.feature_flags,
  given.group_name, given.now, given.now, given.schemas
FROM {_GIVEN}
ON CONFLICT (org_id, name) DO UPDATE SET
  {", ".join(f"{column} = excluded.{column}" for column in (*_CHANGED, "updated_at"))}
WHERE event_type.description <> excluded.description OR event_type.archived <> excluded.archived
  OR event_type.deprecated <> excluded.deprecated
  OR coalesce(event_type.feature_flags, '') <> coalesce(excluded.feature_flags, '')
  OR coalesce(event_type.group_name, '') <> coalesce(excluded.group_name, '')
  OR coalesce(event_type.schemas, '') <> coalesce(excluded.schemas, '')
"""
_SIZES: Final = "SELECT name, octet_length(schemas) AS size FROM event_type WHERE org_id = :org AND name IN :names"
_SCHEMAS: Final = "SELECT name, schemas FROM event_type WHERE org_id = :org AND name IN :names"
_CONNECTORS: Final = "SELECT id, uid, name FROM connector WHERE org_id = :org ORDER BY id"


@dataclass(frozen=True, slots=True)
class EnvironmentSize:
    """The number of event types, and the bytes of all texts."""

    event_types: int
    size: int


@dataclass(frozen=True, slots=True)
class ConnectorName:
    """The names of a connector, by which an import finds it."""

    id: ConnectorId
    uid: str | None
    name: str


async def lock(tx: Write, org_id: OrgId, now: int) -> None:
    """Lock the configuration of an organization until the transaction ends."""
    await tx.run(_LOCK, org=org_id, now=now)


async def settings(read: Read, org_id: OrgId) -> str | None:
    """Return the settings of an organization as a JSON object, or None if it has none."""
    row = await read.row(_SETTINGS, org=org_id)
    return None if row is None else row["settings"]


async def set_settings(tx: Write, org_id: OrgId, text: str) -> None:
    """Replace the settings of an organization whose configuration is locked."""
    await tx.run(_SET, org=org_id, settings=text)


async def size(read: Read, org_id: OrgId) -> EnvironmentSize:
    """Measure the configuration of an organization without reading it."""
    types = await read.one(_SIZE_OF_TYPES, org=org_id)
    own = await read.one(_SIZE_OF_CONNECTORS, org=org_id)
    return EnvironmentSize(int(types["n"]), int(types["size"]) + int(own["size"]))


async def event_types(read: Read, org_id: OrgId) -> list[EventType]:
    """Return all event types of an organization with their schemas, by name."""
    return [_event_type(row) for row in await read.rows(_TYPES, org=org_id)]


async def schemas_of_size(read: Read, org_id: OrgId, sizes: Mapping[str, int]) -> dict[str, str]:
    """Return the schemas of those event types whose schemas have the given size in bytes; no others are read."""
    found = await read.rows(_SIZES, org=org_id, names=list(sizes)) if sizes else []
    names = [row["name"] for row in found if row["size"] == sizes[row["name"]]]
    if not names:
        return {}
    return {row["name"]: row["schemas"] for row in await read.rows(_SCHEMAS, org=org_id, names=names)}


async def put_event_types(tx: Write, found: Sequence[EventType]) -> None:
    """Create event types, or replace those that differ."""
    rows = [
        (
            each.org_id,
            each.name,
            each.description,
            int(each.archived),
            int(each.deprecated),
            names_text(each.feature_flags),
            each.group_name,
            each.updated_at,
            each.schemas,
        )
        for each in found
    ]
    await tx.bulk(_PUT, rows)


async def connector_names(read: Read, org_id: OrgId) -> list[ConnectorName]:
    """Return the names of all connectors of an organization, the oldest first."""
    return [from_row(ConnectorName, row) for row in await read.rows(_CONNECTORS, org=org_id)]


def _event_type(row: Row) -> EventType:
    return from_row(EventType, row, feature_flags=names_of(row["feature_flags"]))
