# SPDX-License-Identifier: MIT
"""Use case: count an endpoint's attempts by status."""

from collections import Counter
from typing import Final

from tidings.clock import CLOCK_SKEW, DAY, HOUR, rfc3339
from tidings.core.services import Services
from tidings.errors import bad_request
from tidings.ids import ATTEMPT, STEP_MS, first_at
from tidings.model.app import App
from tidings.model.attempt import MessageStatus
from tidings.storage.tables import attempts, endpoints

LONGEST_MS: Final = 28 * DAY


async def of_endpoint(
    services: Services, app: App, ref: str, since: int | None, until: int | None
) -> Counter[MessageStatus]:
    """Count the attempts of an endpoint in a time range, by their status."""
    first, last = checked_range(since, until, services.clock.now())
    async with services.db.read() as read:
        endpoint = await endpoints.get(read, app.id, ref)
        return await attempts.counted(
            read, endpoint.id, first=first_at(ATTEMPT, first), below=first_at(ATTEMPT, last + STEP_MS)
        )


def in_hours(since: int | None, until: int | None) -> tuple[int | None, int | None]:
    """Round both timestamps down to the full hour."""
    return None if since is None else since // HOUR * HOUR, None if until is None else until // HOUR * HOUR


def checked_range(since: int | None, until: int | None, now: int) -> tuple[int, int]:
    """Return the range; raise `invalid_range` if it ends in the future or is longer than 28 days."""
    last = now if until is None else until
    if last > now + CLOCK_SKEW:
        raise bad_request("invalid_range", "'until' cannot be in the future")
    first = last - LONGEST_MS if since is None else since
    if last - first > LONGEST_MS + CLOCK_SKEW:
        raise bad_request("invalid_range", f"'since' cannot be more than 28 days prior to {rfc3339(last)}")
    return max(first, 0), max(last, 0)
