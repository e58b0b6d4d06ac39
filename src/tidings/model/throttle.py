# SPDX-License-Identifier: MIT
"""How a rate becomes timestamps at which one delivery may be sent. Pure.

Theory: the generic cell rate algorithm with no burst. A limit is one number, its theoretical arrival time: the first
free timestamp. To take a token is to take that timestamp, or now if it has passed, and to move the number
on by a step. Tokens are taken for timestamps up to a horizon ahead, so that a process asks the database a few times a
second and not for each delivery.

A token counts from its timestamp for a little while, and is lost then: no store of old tokens is ever spent at once.
So whatever is sent within a window of ten seconds used tokens of at most that window and the little while before it,
and the step is longer than the rate alone would have it by just that part. That holds for one process and for many,
which share the number, and for one that dies: what it took and did not use is nobody's.

With two limits (an endpoint's and its application's) a delivery takes a token of each; both must count when it is
sent, so tokens whose timestamps lie too far apart are not taken.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

SECOND_US: Final = 1_000_000
WINDOW_US: Final = 10 * SECOND_US
"""The window over which no rate is ever exceeded."""
HORIZON_US: Final = SECOND_US
"""How far ahead tokens are taken."""
COUNTS_US: Final = SECOND_US // 4
"""How long a token counts from its timestamp."""
APART_US: Final = COUNTS_US // 2
"""How far the timestamps of two tokens for one delivery may lie apart."""
SOONEST_US: Final = SECOND_US // 20
"""How soon after asking for tokens somebody asks for more."""
STEP_FACTOR: Final = (WINDOW_US + COUNTS_US) / WINDOW_US


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A rate limit of the deliveries that share its key, in deliveries per second."""

    key: str
    rate: int


@dataclass(frozen=True, slots=True)
class Slot:
    """When a delivery may be sent, in microseconds."""

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

    If they are fewer than requested, `short` is the key whose limit says so, and `again` when to ask for more.
    """

    slots: list[Slot]
    short: str | None = None
    again: int = 0


def step_of(rate: int) -> float:
    """Return how far apart tokens are, in microseconds."""
    return SECOND_US * STEP_FACTOR / rate


def bounded(tat: int, rate: int, now: int) -> int:
    """Return a limit's number as it may be at a timestamp: further ahead it was only by a clock that has gone back."""
    return min(tat, now + HORIZON_US + math.ceil(step_of(rate)))


def allocate(
    requests: Sequence[TokenRequest], tats: Mapping[str, int], now: int
) -> tuple[list[TokenAllocation], dict[str, int]]:
    """Take tokens for each request in rotation, so that a limit is shared evenly; return the new numbers, too."""
    # Relative to now: a float holds the microseconds since 1970 with a fraction of two bits only, and a step that is
    # rounded to a quarter lets one delivery too many into a window.
    ahead = {
        limit.key: float(max(bounded(tats.get(limit.key, 0), limit.rate, now), now) - now)
        for request in requests
        for limit in request.limits
    }
    found = [TokenAllocation([]) for _ in requests]
    open_ones = [index for index, request in enumerate(requests) if request.count > 0]
    while open_ones:
        open_ones = [index for index in open_ones if _took(requests[index], found[index], ahead, now)]
    return found, {key: now + math.ceil(at) for key, at in ahead.items()}


def _took(request: TokenRequest, found: TokenAllocation, ahead: dict[str, float], now: int) -> bool:
    """Take one token of each limit; tell whether more may be wanted."""
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
