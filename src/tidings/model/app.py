# SPDX-License-Identifier: MIT
"""An application: one of the parties that an organisation sends messages to."""

from collections.abc import Mapping
from dataclasses import dataclass

from tidings.ids import AppId, OrgId


@dataclass(frozen=True, slots=True, kw_only=True)
class AppDraft:
    """What a caller says of an application, checked."""

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
