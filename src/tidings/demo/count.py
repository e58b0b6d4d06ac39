# SPDX-License-Identifier: MIT
"""What became of every message, counted from what the receiver saw. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

Seen = tuple[str, str, bool, int]
"""One request as the receiver tells it: svix-id, svix-timestamp, whether the signature is right, status answered."""

_GOOD: Final = range(200, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The bill at the end."""

    accepted: int
    first_time: int
    """Delivered at the first try."""
    failed: int
    """Refused by the receiver at least once before they got through, if they did."""
    repaired: int
    """Failed, and delivered later."""
    duplicates: dict[str, int]
    """By message, how often more than once it was delivered."""
    lost: tuple[str, ...]
    """Accepted and never delivered."""
    strangers: int
    """Requests for messages that were never accepted."""
    forged: int
    """Requests with a wrong signature."""


def outcome(accepted: Sequence[str], seen: Iterable[Seen]) -> Outcome:
    """Compare what was accepted with what came, request by request in the order of arrival."""
    delivered: Counter[str] = Counter()
    failed: set[str] = set()
    strangers = forged = 0
    known = set(accepted)
    for msg_id, _, genuine, status in seen:
        forged += not genuine
        strangers += msg_id not in known
        if status in _GOOD:
            delivered[msg_id] += 1
        elif msg_id not in delivered:
            failed.add(msg_id)
    return Outcome(
        accepted=len(known),
        first_time=len(delivered.keys() - failed),
        failed=len(failed),
        repaired=len(delivered.keys() & failed),
        duplicates={msg_id: times - 1 for msg_id, times in delivered.items() if times > 1},
        lost=tuple(msg_id for msg_id in accepted if msg_id not in delivered),
        strangers=strangers,
        forged=forged,
    )
