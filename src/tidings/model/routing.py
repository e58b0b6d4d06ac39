# SPDX-License-Identifier: MIT
"""Routing of messages to the endpoints of an application, compiled once and used for every message."""

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from tidings.ids import AppId, EndpointId, OrgId
from tidings.model.signature import KeyRing
from tidings.model.throttle import RateLimit

_CACHE_SIZE: Final = 512


class Mismatch(Enum):
    """Why the filters of an endpoint exclude a message."""

    EVENT_TYPE = auto()
    CHANNEL = auto()


def mismatch(
    event_types: Collection[str] | None,
    channels: Collection[str] | None,
    event_type: str,
    message_channels: tuple[str, ...] | None,
) -> Mismatch | None:
    """Return why the filters of an endpoint exclude a message, or None if they match it.

    An endpoint with channels excludes messages without channels.
    """
    if event_types is not None and event_type not in event_types:
        return Mismatch.EVENT_TYPE
    if channels is not None and not any(each in channels for each in message_channels or ()):
        return Mismatch.CHANNEL
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Receiver:
    """An endpoint as the sender uses it: URL, signing keys, headers, filters and rate limits.

    Compared by identity: data that was compiled from one instance is not used for another one, read later.
    """

    id: EndpointId
    app_id: AppId
    org_id: OrgId
    url: str
    ring: KeyRing
    headers: tuple[tuple[str, str], ...]
    disabled: bool
    event_types: frozenset[str] | None
    channels: frozenset[str] | None
    limits: tuple[RateLimit, ...] = ()
    """The rate limits of the endpoint and of its application."""
    is_failing: bool = False
    """Whether the endpoint has an open failure record, which a success ends."""

    def matches(self, event_type: str, channels: tuple[str, ...] | None) -> bool:
        """Return whether the endpoint receives a new message."""
        return not self.disabled and mismatch(self.event_types, self.channels, event_type, channels) is None


@dataclass(frozen=True, slots=True)
class Routing:
    """One version of an application and its endpoints."""

    app_id: AppId
    org_id: OrgId
    version: int
    receivers: tuple[Receiver, ...]
    _matched: dict[tuple[str, tuple[str, ...] | None], tuple[Receiver, ...]] = field(default_factory=dict, repr=False)

    def match(self, event_type: str, channels: tuple[str, ...] | None) -> tuple[Receiver, ...]:
        """Return the endpoints that receive a message; cached, because few combinations occur in most messages."""
        key = (event_type, channels)
        found = self._matched.get(key)
        if found is None:
            if len(self._matched) >= _CACHE_SIZE:
                self._matched.clear()
            found = self._matched[key] = tuple(each for each in self.receivers if each.matches(event_type, channels))
        return found

    def find(self, endpoint_id: str) -> Receiver | None:
        """Return the endpoint with an id, or None."""
        return next((each for each in self.receivers if each.id == endpoint_id), None)
