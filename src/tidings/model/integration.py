# SPDX-License-Identifier: MIT
"""Integrations: programs that act for one application, each with a key of its own."""

from dataclasses import dataclass

from tidings.ids import AppId, OrgId


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration:
    """An integration as it is stored; timestamps in milliseconds since the Unix epoch."""

    id: str
    org_id: OrgId
    app_id: AppId
    name: str
    feature_flags: tuple[str, ...] | None
    """The feature flags of its key; None for none."""
    created_at: int
    updated_at: int
