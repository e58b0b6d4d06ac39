# SPDX-License-Identifier: MIT
"""Replays of an endpoint's messages: the request, and the stored arguments of its task."""

from dataclasses import dataclass, field
from enum import StrEnum

from tidings.clock import CLOCK_SKEW
from tidings.errors import Fault, invalid
from tidings.ids import EndpointId
from tidings.model.attempt import MessageStatus, StatusCodeClass
from tidings.model.message import MessageFilter


class ReplayScope(StrEnum):
    """The messages that a replay sends: those without an attempt (missing), or those with one (sent)."""

    MISSING = "missing"
    SENT = "sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayFilters:
    """Filters. A filter that is None is not set.

    `status` and `code_class` apply to the latest attempt of a message at the endpoint. A failed attempt with another
    one scheduled is `sending`.
    """

    messages: MessageFilter = field(default_factory=MessageFilter)
    status: MessageStatus | None = None
    code_class: StatusCodeClass | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRequest:
    """A request to replay messages from `since` to before `until` to an endpoint (id or uid)."""

    scope: ReplayScope
    endpoint_ref: str
    since: int
    until: int | None
    filters: ReplayFilters
    created_by: str
    rate_limit: int | None = None
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResendArgs:
    """Resend messages to an endpoint: the range from `since` to before `until`, in milliseconds.

    Without `until` the range ends at the high-water mark; None if it is not known at creation.
    """

    endpoint_id: EndpointId
    since: int
    until: int | None = None
    high_water_mark: str | None = None
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayArgs(ResendArgs):
    """The arguments of a replay, a range of message ids."""

    filters: ReplayFilters = field(default_factory=ReplayFilters)


def checked_window(since: int, until: int | None, now: int) -> int | None:
    """Refuse a time range that is reversed or in the future; return its end, None for now.

    A range that starts in the future, by at most the clock skew, is empty: it ends at its start.
    """
    if since > now + CLOCK_SKEW:
        raise invalid(Fault(("body", "since"), "'since' must not be in the future"))
    if until is not None and since > until:
        raise invalid(Fault(("body", "since"), "'since' must not be later than 'until'"))
    if since > now:
        return since
    # A closed range ends in the past: later messages are not known yet.
    return until if until is not None and until < now else None
