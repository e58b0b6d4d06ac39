# SPDX-License-Identifier: MIT
"""Which endpoints of an application receive a message; compiled once, asked for every message."""

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from tidings.ids import AppId, EndpointId, OrgId
from tidings.model.signature import KeyRing
from tidings.model.throttle import RateLimit

_CACHE_SIZE: Final = 512


class Mismatch(Enum):
    """Why the filters of an endpoint leave a message out."""

    EVENT_TYPE = auto()
    CHANNEL = auto()


def mismatch(
    event_types: Collection[str] | None,
    channels: Collection[str] | None,
    event_type: str,
    message_channels: tuple[str, ...] | None,
) -> Mismatch | None:
    """Return why an endpoint with these filters leaves a message out, None where it does not.

    A message without channels misses an endpoint with channels.
    """
    if event_types is not None and event_type not in event_types:
        return Mismatch.EVENT_TYPE
    if channels is not None and not any(each in channels for each in message_channels or ()):
        return Mismatch.CHANNEL
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Receiver:
    """An endpoint as delivery needs it: where to, signed with what, and what it wants to hear.

    Compared by identity: one that was read again is another, and what was compiled from the first is not used for it.
    """

    id: EndpointId
    app_id: AppId
    org_id: OrgId
    url: str
    ring: KeyRing
    """What signs for it."""
    headers: tuple[tuple[str, str], ...]
    disabled: bool
    event_types: frozenset[str] | None
    channels: frozenset[str] | None
    limits: tuple[RateLimit, ...] = ()
    """The rates that hold for it: its own and its application's."""
    is_failing: bool = False
    """Whether the endpoint has a failure record, which a success ends."""

    def matches(self, event_type: str, channels: tuple[str, ...] | None) -> bool:
        """Tell whether an automatic send goes here."""
        return not self.disabled and mismatch(self.event_types, self.channels, event_type, channels) is None


@dataclass(frozen=True, slots=True)
class Routing:
    """An application with its endpoints, as they were at one version."""

    app_id: AppId
    org_id: OrgId
    version: int
    receivers: tuple[Receiver, ...]
    _matched: dict[tuple[str, tuple[str, ...] | None], tuple[Receiver, ...]] = field(default_factory=dict, repr=False)

    def match(self, event_type: str, channels: tuple[str, ...] | None) -> tuple[Receiver, ...]:
        """Return who receives a message; remembered, because most messages are of few kinds."""
        kind = (event_type, channels)
        found = self._matched.get(kind)
        if found is None:
            if len(self._matched) >= _CACHE_SIZE:
                self._matched.clear()
            found = self._matched[kind] = tuple(each for each in self.receivers if each.matches(event_type, channels))
        return found

    def find(self, endpoint_id: str) -> Receiver | None:
        """Return one endpoint."""
        return next((each for each in self.receivers if each.id == endpoint_id), None)


@dataclass(slots=True, eq=False)
class Send:
    """A delivery in memory: what is sent, whereto, and the lease that says it is ours to send."""

    receiver: Receiver
    msg_id: str
    payload: bytes
    lease: int
    leased_at: float
    """When the lease began, in seconds on the monotonic clock."""
    attempts: int = 0
    """Automatic attempts made before this one."""
    manual: bool = False
    retry_at: int | None = None
    """The automatic attempt that a manual one goes before."""
    task_id: str | None = None
