# SPDX-License-Identifier: MIT
"""Rate limits: they allocate the times at which deliveries may be sent. Pure.

The algorithm is the generic cell rate algorithm (GCRA) without bursts. The state of a limit is one number, its
theoretical arrival time (TAT): the first free time. Taking a token reserves that time, or now if it has passed, and
advances the TAT by one step. A process takes tokens up to a horizon in advance, so it queries the database a few times
a second and not for each delivery.

A token is valid for `COUNTS_US` from its timestamp, and then expires, so unused tokens never add up to a burst. The
deliveries of any ten seconds use tokens of that window and of the `COUNTS_US` before it. The step is longer than the
rate requires by the same proportion, so no window exceeds the rate. This holds for one process, for many that share the
TAT, and for a process that dies: the tokens that it took and did not use expire.

A delivery with two limits (of its endpoint and of its application) takes one token of each. Both must be valid when the
delivery is sent, so tokens whose timestamps are more than `APART_US` apart are not taken.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

SECOND_US: Final = 1_000_000
WINDOW_US: Final = 10 * SECOND_US
"""The window in which no rate is exceeded."""
HORIZON_US: Final = SECOND_US
"""How far in advance tokens are taken."""
COUNTS_US: Final = SECOND_US // 4
"""How long a token is valid from its timestamp."""
APART_US: Final = COUNTS_US // 2
"""The largest difference between the timestamps of two tokens for one delivery."""
SOONEST_US: Final = SECOND_US // 20
"""The shortest time between two requests for tokens."""
STEP_FACTOR: Final = (WINDOW_US + COUNTS_US) / WINDOW_US


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A rate limit of the deliveries that share its key, in deliveries per second."""

    key: str
    rate: int


@dataclass(frozen=True, slots=True)
class Slot:
    """The time range in which a delivery may be sent, in microseconds."""

    since: int
    until: int


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A number of deliveries to send, and the rate limits that apply to them."""

    limits: tuple[RateLimit, ...]
    count: int


@dataclass(slots=True)
class TokenAllocation:
    """The slots of one token request, in order.

    If there are fewer than requested, `short` is the key of the limiting rate, and `again` is when to request more.
    """

    slots: list[Slot]
    short: str | None = None
    again: int = 0


def step_of(rate: int) -> float:
    """Return the interval between tokens, in microseconds."""
    return SECOND_US * STEP_FACTOR / rate


def bounded(tat: int, rate: int, now: int) -> int:
    """Return a TAT that is at most one horizon and one step ahead; it is larger only after a clock was set back."""
    return min(tat, now + HORIZON_US + math.ceil(step_of(rate)))


def allocate(
    requests: Sequence[TokenRequest], tats: Mapping[str, int], now: int
) -> tuple[list[TokenAllocation], dict[str, int]]:
    """Take tokens for the requests in rotation, so that they share a limit evenly; return the new TATs too."""
    # Positions are relative to now. A float holds microseconds since 1970 with two bits of fraction only, and a step
    # rounded to a quarter of a microsecond would let one delivery too many into a window.
    ahead = {
        limit.key: float(max(bounded(tats.get(limit.key, 0), limit.rate, now), now) - now)
        for request in requests
        for limit in request.limits
    }
    found = [TokenAllocation([]) for _ in requests]
    open_ones = [index for index, request in enumerate(requests) if request.count > 0]
    while open_ones:
        open_ones = [index for index in open_ones if _take_token(requests[index], found[index], ahead, now)]
    return found, {key: now + math.ceil(at) for key, at in ahead.items()}


def _take_token(request: TokenRequest, found: TokenAllocation, ahead: dict[str, float], now: int) -> bool:
    """Take one token of each limit; return whether the request needs more."""
    last = max(request.limits, key=lambda limit: ahead[limit.key])
    first = min(ahead[limit.key] for limit in request.limits)
    since = ahead[last.key]
    if since >= HORIZON_US or since > first + APART_US:
        found.short = last.key
        near = HORIZON_US // 2 if since >= HORIZON_US else math.ceil(since) - APART_US
        found.again = now + max(near, SOONEST_US)
        return False
    found.slots.append(Slot(now + math.ceil(since), now + math.floor(first) + COUNTS_US))
    for limit in request.limits:
        ahead[limit.key] += step_of(limit.rate)
    return len(found.slots) < request.count
