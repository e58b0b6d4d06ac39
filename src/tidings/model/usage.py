# SPDX-License-Identifier: MIT
"""Usage statistics: the stored arguments of their tasks."""

from dataclasses import dataclass

from tidings.clock import CLOCK_SKEW
from tidings.errors import Fault, invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsArgs:
    """The arguments of a count of attempts from `since` to `until`, of the given applications or of all.

    `high_water_mark` is the greatest application id, None if not known at creation.
    """

    since: int
    until: int
    app_ids: tuple[str, ...] | None = None
    high_water_mark: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTypeStatsArgs:
    """The task's arguments; `high_water_mark` is the greatest application id, None if not known at creation."""

    high_water_mark: str | None = None


def checked_range(since: int, until: int, now: int) -> int:
    """Refuse a time range that is reversed or in the future; return its end, at most now.

    A range that starts in the future, by at most the clock skew, is empty: it ends before its start.
    """
    if since > now + CLOCK_SKEW:
        raise invalid(Fault(("body", "since"), "'since' must not be in the future"))
    if since > until:
        raise invalid(Fault(("body", "since"), "'since' must not be later than 'until'"))
    return min(until, now)
