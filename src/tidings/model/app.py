# SPDX-License-Identifier: MIT
"""An application: one customer of the organization, with its own endpoints and messages."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from tidings.ids import AppId, OrgId


@dataclass(frozen=True, slots=True, kw_only=True)
class AppDraft:
    """A validated request to create or change an application."""

    name: str
    uid: str | None = None
    throttle_rate: int | None = None
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A stored application."""

    id: AppId
    org_id: OrgId
    uid: str | None
    name: str
    throttle_rate: int | None
    metadata: Mapping[str, str]
    created_at: int
    updated_at: int

    def overwritten(self, draft: AppDraft) -> "App":
        """Return this application with the fields of the draft."""
        return replace(self, name=draft.name, uid=draft.uid, throttle_rate=draft.throttle_rate, metadata=draft.metadata)


class AppExclusion(Enum):
    """Applications that a list may exclude; each value names the endpoints that they lack."""

    ENDPOINTS = "any endpoint"
    ENABLED = "an endpoint that is enabled, though they have some"
    REAL = "an endpoint outside the Svix playground, though they have some"
