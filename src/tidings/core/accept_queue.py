# SPDX-License-Identifier: MIT
"""The messages that wait for their batch, and the idempotency keys that they use."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from tidings.core.fan_out import fan_out
from tidings.core.services import AcceptCallback, AcceptResult, HotRequest
from tidings.core.tuning import CoreTuning
from tidings.model.message import AcceptedMessage, Draft
from tidings.model.routing import Receiver, Routing, filtered


@dataclass(slots=True, eq=False)
class PendingMessage:
    """A message from the time when it is offered until its result is reported."""

    request: HotRequest
    draft: Draft
    routing: Routing
    callback: AcceptCallback
    offered_at: float
    """In seconds of the monotonic clock."""
    message: AcceptedMessage = field(init=False)
    """The message to store; set in each transaction that writes it."""
    result: AcceptResult = field(init=False)
    """The message that is stored, that of an earlier request with its key, or the error; set by the transaction."""
    others: list[asyncio.Future[AcceptedMessage]] | None = None
    """Requests with the same idempotency key that wait for this result."""
    filtered: tuple[tuple[Receiver, ...], tuple[Receiver, ...]] = field(init=False)
    """The endpoints that match by event type and channels, and those of them whose payload filters match.

    Set by `receivers` if a payload filter may decide.
    """

    def receivers(self) -> tuple[Receiver, ...]:
        """Return the endpoints that receive the message. A message that is written again is not parsed again."""
        draft = self.draft
        candidates = self.routing.match(draft.event_type, draft.channels)
        if not self.routing.is_filtered:
            return candidates
        known = getattr(self, "filtered", None)
        if known is None or known[0] is not candidates:
            known = self.filtered = candidates, filtered(candidates, draft.payload)
        return known[1]


class AcceptQueue:
    """The messages of one process that wait for a batch."""

    __slots__ = ("_batch", "_fan_out", "_waiting", "by_key")

    def __init__(self, tuning: CoreTuning) -> None:
        self._batch = tuning.accept_batch
        self._fan_out = tuning.accept_fan_out
        self._waiting: deque[PendingMessage] = deque()
        self.by_key: dict[str, PendingMessage] = {}
        """The messages with an idempotency key that have no result yet, also those in a batch."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, item: PendingMessage) -> None:
        """Add a message; no message in `by_key` may have its idempotency key."""
        idempotency_key = item.request.idempotency_key
        if idempotency_key is not None:
            self.by_key[idempotency_key] = item
        self._waiting.append(item)

    def is_small(self, deliveries: int) -> bool:
        """Return whether all waiting messages have at most this many deliveries; one without any counts as one."""
        if len(self._waiting) > deliveries:
            return False
        return sum([max(1, fan_out(each.routing, each.draft)) for each in self._waiting]) <= deliveries

    def take_batch(self, limit: int | None = None) -> list[PendingMessage]:
        """Remove and return the first messages, up to `limit` messages and deliveries, by default those of a batch."""
        waiting = self._waiting
        most, enough = min(limit or self._batch, len(waiting)), limit or self._fan_out
        deliveries = taken = 0
        while taken < most and deliveries < enough:
            deliveries += fan_out(waiting[taken].routing, waiting[taken].draft)
            taken += 1
        return [waiting.popleft() for _ in range(taken)]
