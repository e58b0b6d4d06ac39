# SPDX-License-Identifier: MIT
"""An event type: the name of a kind of event, with a description and JSON schemas."""

from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from tidings.ids import OrgId


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTypeDraft:
    """A validated request to create or change an event type."""

    name: str
    description: str
    archived: bool
    deprecated: bool
    schemas: str | None
    """A JSON object that maps versions to JSON Schemas."""
    feature_flags: tuple[str, ...] | None
    group_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """A stored event type; `schemas` is None if there are none, or if the query does not read them."""

    org_id: OrgId
    name: str
    description: str
    archived: bool
    deprecated: bool
    schemas: str | None
    feature_flags: tuple[str, ...] | None
    group_name: str | None
    created_at: int
    updated_at: int
    schemas_bytes: int = 0
    """The size of the schemas, if a list omits them."""


IMPORTED_VERSION: Final = "1"
"""The version under which an import stores a schema: the one whose examples are sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedEventType:
    """The statements of a document about an event type; a member that is None is not stated, and stays as it is."""

    name: str
    description: str | None
    deprecated: bool
    schema: str | None
    """A JSON Schema."""
    group_name: str | None
    feature_flags: tuple[str, ...] | None
    """An empty tuple removes the flags."""

    def created(self, org_id: OrgId, now: int) -> EventType:
        """Return the event type that an import creates."""
        return EventType(
            org_id=org_id,
            name=self.name,
            description=self.description or "",
            archived=False,
            deprecated=self.deprecated,
            schemas=self._schemas(None),
            feature_flags=self.feature_flags or None,
            group_name=self.group_name,
            created_at=now,
            updated_at=now,
        )

    def applied(self, before: EventType, now: int) -> EventType | None:
        """Return an event type as an import changes it, unarchived; None if there is nothing to change."""
        after = replace(
            before,
            description=before.description if self.description is None else self.description,
            archived=False,
            deprecated=self.deprecated,
            schemas=self._schemas(before.schemas),
            feature_flags=before.feature_flags if self.feature_flags is None else self.feature_flags or None,
            group_name=before.group_name if self.group_name is None else self.group_name,
        )
        return None if after == before else replace(after, updated_at=now)

    def _schemas(self, before: str | None) -> str | None:
        """Return the schemas with the stated one; the same text if that changes nothing."""
        if self.schema is None:
            return before
        versions: dict[str, Any] = msgspec.json.decode(before) if before else {}
        after = {**versions, IMPORTED_VERSION: msgspec.json.decode(self.schema)}
        if before and _canonical(after) == _canonical(versions):
            return before
        return msgspec.json.encode(after).decode()


def is_same_json(one: str, other: str) -> bool:
    """Return whether two JSON texts have the same value; 1, 1.0 and true differ."""
    return one == other or _canonical(msgspec.json.decode(one)) == _canonical(msgspec.json.decode(other))


def _canonical(value: object) -> bytes:
    """Return a text in which the order of members does not matter, and in which 1, 1.0 and true differ."""
    return msgspec.json.encode(value, order="deterministic")
