# SPDX-License-Identifier: MIT
"""A message: one event, with its payload byte for byte, and its channels and tags."""

from dataclasses import dataclass
from typing import Final

from tidings.clock import DAY, HOUR, MINUTE
from tidings.ids import AppId, MessageId, OrgId

RETENTION_DAYS: Final = 90
"""The default and the longest retention of a payload, in days."""
RETENTION_MS: Final = RETENTION_DAYS * DAY
DELAY_MS: Final = range(MINUTE, 24 * HOUR + 1)
"""How far in the future `deliverAt` may be."""
CHANNELS_MAX: Final = 10
TAGS_MAX: Final = 5
RETENTION_HOURS_MAX: Final = RETENTION_DAYS * 24


@dataclass(frozen=True, slots=True)
class MessageExtras:
    """The optional members of a message; a message without any of them has no `MessageExtras`."""

    tags: tuple[str, ...] | None = None
    deliver_at: int | None = None
    is_raw: bool = False
    """Whether the payload is a JSON value other than an object."""


@dataclass(slots=True)
class Draft:
    """What a caller sent, validated. Treat it as immutable; a frozen class would cost too much time."""

    event_type: str
    payload: bytes
    """The JSON value byte for byte, as it is received, stored, signed and delivered."""
    event_id: str | None
    channels: tuple[str, ...] | None
    retention_ms: int
    extras: MessageExtras | None = None

    def expires_at(self, now: int) -> int | None:
        """Return when the payload expires, None for the default retention."""
        if self.retention_ms == RETENTION_MS:
            return None
        delivered_at = now if self.extras is None else self.extras.deliver_at or now
        return delivered_at + self.retention_ms

    def accepted(self, msg_id: MessageId, app_id: AppId, org_id: OrgId, now: int) -> "AcceptedMessage":
        """Return the message to store."""
        return AcceptedMessage(
            msg_id,
            app_id,
            org_id,
            self.event_type,
            self.payload,
            self.event_id,
            self.channels,
            self.expires_at(now),
            self.extras,
        )


@dataclass(slots=True)
class AcceptedMessage:
    """A message with its id and its application, about to be stored or just stored. Treat it as immutable."""

    id: MessageId
    app_id: AppId
    org_id: OrgId
    event_type: str
    payload: bytes
    event_id: str | None = None
    channels: tuple[str, ...] | None = None
    expires_at: int | None = None
    """When the payload expires; None for the default retention."""
    extras: MessageExtras | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A stored message; `payload` is None if it was deleted, or if the query does not read it."""

    id: MessageId
    app_id: AppId
    org_id: OrgId
    event_type: str
    event_id: str | None
    channels: tuple[str, ...] | None
    tags: tuple[str, ...] | None
    deliver_at: int | None
    payload: bytes | None
    is_raw: bool
    payload_bytes: int | None = None
    """The size of the payload, even if the query does not read the payload; None if it was deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFilter:
    """Filters of messages. A filter that is None or empty is not set."""

    event_types: tuple[str, ...] = ()
    channel: str | None = None
    tag: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no filter is set."""
        return not self.event_types and self.channel is None and self.tag is None

    def matches(self, message: Message) -> bool:
        """Return whether a message matches; a message without channels or tags matches no filter on them."""
        return (
            (not self.event_types or message.event_type in self.event_types)
            and (self.channel is None or self.channel in (message.channels or ()))
            and (self.tag is None or self.tag in (message.tags or ()))
        )


EVERY_MESSAGE: Final = MessageFilter()


def retention_ms(days: int | None, hours: int | None) -> int:
    """Return the retention of a payload in milliseconds; at most one of the units is given."""
    if hours is not None:
        return hours * HOUR
    return (RETENTION_DAYS if days is None else days) * DAY
