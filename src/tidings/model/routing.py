# SPDX-License-Identifier: MIT
"""Routing of messages to the endpoints of an application, compiled once and used for every message.

One predicate decides whether an endpoint receives a message: `mismatch`. Its first part, event type and channels, is
the same for many messages, so its results are cached; its second part is the payload filter.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Protocol, TypeVar

from tidings.ids import AppId, EndpointId, OrgId
from tidings.model.json_document import JsonDocument
from tidings.model.payload_filter import PayloadFilter, document_of
from tidings.model.signature import KeyRing
from tidings.model.throttle import RateLimit

_CACHE_SIZE: Final = 512


class Mismatch(Enum):
    """Why the filters of an endpoint exclude a message."""

    EVENT_TYPE = auto()
    CHANNEL = auto()
    FILTER = auto()


class Filters(Protocol):
    """The filters of an endpoint: event types, channels and payload; None is not set."""

    @property
    def event_types(self) -> Collection[str] | None:
        """The event types that the endpoint receives."""

    @property
    def channels(self) -> Collection[str] | None:
        """The channels of which a message needs one."""

    @property
    def filter(self) -> PayloadFilter | None:
        """The conditions on the payload."""


FiltersT = TypeVar("FiltersT", bound=Filters)


def mismatch(
    filters: Filters, event_type: str, channels: tuple[str, ...] | None, document: JsonDocument | None
) -> Mismatch | None:
    """Return why the filters of an endpoint exclude a message, or None if they match it.

    `document` is the payload. None means an unknown payload, which may match every filter.
    """
    found = label_mismatch(filters, event_type, channels)
    if found is None and filters.filter is not None and document is not None and not filters.filter.matches(document):
        return Mismatch.FILTER
    return found


def label_mismatch(filters: Filters, event_type: str, channels: tuple[str, ...] | None) -> Mismatch | None:
    """Return why the event types or channels of an endpoint exclude a message, or None.

    An endpoint with channels excludes messages without channels.
    """
    if filters.event_types is not None and event_type not in filters.event_types:
        return Mismatch.EVENT_TYPE
    if filters.channels is not None and not any(each in filters.channels for each in channels or ()):
        return Mismatch.CHANNEL
    return None


def filtered(candidates: Collection[FiltersT], payload: bytes) -> tuple[FiltersT, ...]:
    """Return the candidates, which match by event type and channels, whose payload filter matches as well.

    The payload is parsed once, for the first filter. Equal filters are evaluated once.
    """
    document, known = document_of(payload, (each.filter for each in candidates)), dict[str, bool]()
    found: list[FiltersT] = []
    for each in candidates:
        if each.filter is None:
            found.append(each)
            continue
        is_match = known.get(each.filter.text)
        if is_match is None:
            is_match = known[each.filter.text] = each.filter.matches(document)
        if is_match:
            found.append(each)
    return tuple(found)


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
    filter: PayloadFilter | None = None
    is_transformed: bool = False
    """Whether a script changes each request to the endpoint."""


@dataclass(frozen=True, slots=True)
class Routing:
    """One version of an application and its endpoints."""

    app_id: AppId
    org_id: OrgId
    version: int
    receivers: tuple[Receiver, ...]
    is_filtered: bool = False
    """Whether an enabled endpoint has a payload filter."""
    _matched: dict[tuple[str, tuple[str, ...] | None], tuple[Receiver, ...]] = field(default_factory=dict, repr=False)

    def match(self, event_type: str, channels: tuple[str, ...] | None) -> tuple[Receiver, ...]:
        """Return the enabled endpoints whose event types and channels match a message.

        They receive it, unless `is_filtered`: then `filtered` returns those of them that do. Cached, because few
        combinations occur in most messages.
        """
        key = (event_type, channels)
        found = self._matched.get(key)
        if found is None:
            if len(self._matched) >= _CACHE_SIZE:
                self._matched.clear()
            found = self._matched[key] = tuple(
                each
                for each in self.receivers
                if not each.disabled and label_mismatch(each, event_type, channels) is None
            )
        return found

    def find(self, endpoint_id: str) -> Receiver | None:
        """Return the endpoint with an id, or None."""
        return next((each for each in self.receivers if each.id == endpoint_id), None)
