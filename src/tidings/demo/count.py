# SPDX-License-Identifier: MIT
"""Count the result of the demo from the requests that the receiver got. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

Seen = tuple[str, str, bool, int]
"""One request in the receiver's report: svix-id, svix-timestamp, whether the signature is valid, response status."""

_SUCCESS: Final = range(200, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """The result of the demo: how many messages were accepted, delivered, recovered, duplicated and lost."""

    accepted: int
    first_time: int
    """Delivered by the first attempt."""
    failed: int
    """Failed at least once before they were delivered, if they were."""
    recovered: int
    """Failed, and delivered later."""
    duplicates: dict[str, int]
    """Deliveries beyond the first one, by message."""
    lost: tuple[str, ...]
    """Accepted and never delivered."""
    unknown: int
    """Requests for messages that were never accepted."""
    invalid_signatures: int
    """Requests whose signature was invalid."""


def result_of(accepted: Sequence[str], seen: Iterable[Seen]) -> DemoResult:
    """Compare the accepted messages with the requests that arrived, in the order of arrival."""
    delivered: Counter[str] = Counter()
    failed: set[str] = set()
    unknown = invalid = 0
    known = set(accepted)
    for msg_id, _, is_valid, status in seen:
        invalid += not is_valid
        unknown += msg_id not in known
        if status in _SUCCESS:
            delivered[msg_id] += 1
        elif msg_id not in delivered:
            failed.add(msg_id)
    return DemoResult(
        accepted=len(known),
        first_time=len(delivered.keys() - failed),
        failed=len(failed),
        recovered=len(delivered.keys() & failed),
        duplicates={msg_id: times - 1 for msg_id, times in delivered.items() if times > 1},
        lost=tuple(msg_id for msg_id in accepted if msg_id not in delivered),
        unknown=unknown,
        invalid_signatures=invalid,
    )
