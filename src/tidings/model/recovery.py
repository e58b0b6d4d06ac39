# SPDX-License-Identifier: MIT
"""Which failed attempts a recovery may ask for, and how the request is kept while it is worked on."""

from dataclasses import dataclass
from typing import Final

from tidings.clock import CLOCK_SKEW, DAY
from tidings.errors import Fault, invalid
from tidings.ids import EndpointId

LONGEST_MS: Final = 14 * DAY + CLOCK_SKEW
"""Fourteen days, and a little for a caller whose clock or connection is slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverArgs:
    """Recover the failed messages of an endpoint: attempts from `since` to before `until`, in milliseconds.

    Without `until` the range ends at the newest attempt when the task is created. On SQLite its id is known then:
    `high_water_mark`. On PostgreSQL it is known once every older transaction has ended.
    """

    endpoint_id: EndpointId
    since: int
    until: int | None = None
    high_water_mark: str | None = None
    force: bool = False


def checked_until(since: int, until: int | None, now: int) -> int | None:
    """Refuse a window that is too long or runs backwards; return its end, None for "now".

    A window that begins within the clock skew ahead is empty: it ends where it begins.
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
    # What has not happened yet cannot be part of a closed range.
    return until if until is not None and until < now else None
