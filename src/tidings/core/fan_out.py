# SPDX-License-Identifier: MIT
"""The number of deliveries that messages create, which bounds a transaction and a request."""

from collections.abc import Sequence
from typing import Final

from tidings.core.tuning import CoreTuning
from tidings.errors import bad_request
from tidings.model.message import Draft
from tidings.model.routing import Routing

_FEW: Final = 8
"""For an application with at most this many endpoints, `fan_out` returns their number instead of a count."""


def fan_out(routing: Routing, draft: Draft) -> int:
    """Return the number of deliveries of a message; small numbers are an upper bound.

    Payload filters are left out: the bound also limits how many of them are evaluated.
    """
    endpoints = len(routing.receivers)
    if endpoints <= _FEW:
        return endpoints
    return len(routing.match(draft.event_type, draft.channels))


def fitting(routing: Routing, drafts: Sequence[Draft], tuning: CoreTuning) -> int:
    """Return how many of the messages of a request fit in one transaction; at least one.

    Raises `AppError` if all of them together would create too many deliveries.
    """
    fan_outs = [fan_out(routing, draft) for draft in drafts]
    _require_bounded(sum(fan_outs), tuning.request_fan_out)
    total = 0
    for index, deliveries in enumerate(fan_outs):
        total += deliveries
        if total > tuning.request_batch_fan_out and index:
            return index
    return len(drafts)


def _require_bounded(found: int, most: int) -> None:
    """Refuse a request with too many deliveries, because memory and one transaction hold them all."""
    if found > most:
        raise bad_request(
            "too_many_deliveries",
            f"The batch would create up to {found:,} deliveries, and one request creates at most {most:,}."
            " Send fewer messages in each batch.",
        )
