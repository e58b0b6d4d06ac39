# SPDX-License-Identifier: MIT
"""Recoveries of failed messages: the checks of the request, and the stored arguments of the task."""

from dataclasses import dataclass
from typing import Final

from tidings.clock import CLOCK_SKEW, DAY
from tidings.errors import Fault, invalid
from tidings.model.resending import ResendArgs

LONGEST_MS: Final = 14 * DAY + CLOCK_SKEW
"""Fourteen days, with a tolerance for callers with a slow clock or connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverArgs(ResendArgs):
    """The arguments of a recovery, a range of attempt ids."""


def checked_until(since: int, until: int | None, now: int) -> int | None:
    """Refuse a time range that is reversed, too long or in the future; return its end, None for now.

    A range that starts in the future, by at most the clock skew, is empty: it ends at its start.
    """
    end = max(since, now) if until is None else until
    if since > now + CLOCK_SKEW:
        raise invalid(Fault(("body", "since"), "'since' must not be in the future"))
    if since > end:
        raise invalid(Fault(("body", "since"), "'since' must not be later than 'until'"))
    if since < end - LONGEST_MS:
        raise invalid(Fault(("body", "since"), "Cannot recover more than 14 days of messages"))
    if since > now:
        return since
    # A closed range ends in the past: later attempts are not known yet.
    return until if until is not None and until < now else None
