# SPDX-License-Identifier: MIT
"""An event type: the name of a kind of event, with a description and JSON schemas."""

from dataclasses import dataclass

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
