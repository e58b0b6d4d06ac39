# SPDX-License-Identifier: MIT
"""An event type: what can happen, described for those who subscribe to it."""

from dataclasses import dataclass

from tidings.ids import OrgId


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTypeDraft:
    """What a caller says of an event type, checked."""

    name: str
    description: str
    archived: bool
    deprecated: bool
    schemas: str | None
    """A JSON object: a JSON Schema by version."""
    feature_flags: tuple[str, ...] | None
    group_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """A stored event type. `schemas` is None also where they were not asked for."""

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
    """The size of the schemas where they were left out of a list."""
