# SPDX-License-Identifier: MIT
"""A message: what happened, in the caller's own bytes, and who may hear of it."""

from dataclasses import dataclass
from typing import Final

from tidings.clock import DAY, HOUR
from tidings.ids import AppId, MessageId, OrgId

RETENTION_DAYS: Final = 90
"""Days that a payload is kept when the caller does not say."""
CHANNELS_MAX: Final = 10
TAGS_MAX: Final = 5
RETENTION_HOURS_MAX: Final = RETENTION_DAYS * 24


@dataclass(frozen=True, slots=True)
class Draft:
    """A message as the caller sent it, checked, not yet stored."""

    event_type: str
    payload: bytes
    """The JSON value, byte for byte as it came: what is stored, signed and delivered."""
    event_id: str | None
    channels: tuple[str, ...] | None
    retention_ms: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that is stored, as it is told to its sender."""

    id: MessageId
    event_type: str
    payload: bytes
    event_id: str | None
    channels: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Message:
    """A stored message. `payload` is None once it has been deleted, or when it was not asked for."""

    id: MessageId
    app_id: AppId
    org_id: OrgId
    event_type: str
    event_id: str | None
    channels: tuple[str, ...] | None
    payload: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFilter:
    """Which messages are wanted; what is None or empty does not narrow."""

    event_types: tuple[str, ...] = ()
    channel: str | None = None


def retention_ms(days: int | None, hours: int | None) -> int:
    """Return how long a payload is kept, of which at most one unit is given."""
    if hours is not None:
        return hours * HOUR
    return (RETENTION_DAYS if days is None else days) * DAY
