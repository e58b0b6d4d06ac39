# SPDX-License-Identifier: MIT
"""Usage statistics: the stored arguments of their tasks."""

from dataclasses import dataclass

from tidings.clock import CLOCK_SKEW
from tidings.errors import Fault, invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsArgs:
    """Count the attempts from `since` to `until`, of all applications up to `high_water_mark`, or of some."""

    since: int
    until: int
    app_ids: tuple[str, ...] | None = None
    high_water_mark: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrgArgs:
    """All applications up to `high_water_mark`, the greatest id, where it is known at once."""

    high_water_mark: str | None = None


def checked_range(since: int, until: int, now: int) -> int:
    """Refuse a time range that runs backwards or has not begun; return its end, now at the latest.

    A range that begins within the clock skew ahead is empty: it ends before it begins.
    """
    if since > now + CLOCK_SKEW:
        raise invalid(Fault(("body", "since"), "'since' must not be in the future"))
    if since > until:
        raise invalid(Fault(("body", "since"), "'since' must not be later than 'until'"))
    return min(until, now)
