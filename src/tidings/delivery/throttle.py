# SPDX-License-Identifier: MIT
"""Enforce rate limits: a claim takes tokens in its transaction, and the pacer sends each delivery in its window.

All deliveries to an endpoint with a limit (new ones, retries and manual sends) wait in the database until they are
claimed. So one row counts the tokens for all nodes, in the transaction that leases the deliveries. Only deliveries
that may be sent within a second are leased, in the order in which they became due. Endpoints without a limit bypass
this module.

The timestamps of tokens are those of the database clock, which all nodes share. A process reads that clock inside the
transaction, and its own monotonic clock before and after. The window of a token starts at its timestamp relative to
the later reading, and ends relative to the earlier one. So a slow query loses tokens, and never creates extra ones.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count as numbers
from typing import Final

from tidings.clock import SECOND, Clock
from tidings.delivery.protocols import PacedDeliveries
from tidings.model.delivery import Delivery
from tidings.model.routing import Receiver
from tidings.model.throttle import SECOND_US, Slot, TokenAllocation, TokenRequest, allocate
from tidings.observe import count
from tidings.storage.drivers.database import Write
from tidings.storage.tables import throttles
from tidings.storage.tables.throttles import ThrottleRow

_MIN_DELAY_SECONDS: Final = 0.002


@dataclass(frozen=True, slots=True)
class SendWindow:
    """The time in which a delivery may be sent, in seconds on this process's monotonic clock."""

    since: float
    until: float


_NEVER: Final = SendWindow(0.0, 0.0)
"""The window of a claimed delivery that got no token: it is returned unsent."""


@dataclass(slots=True)
class TokenReservation:
    """The tokens that the limits allow one claim, while their rows are locked."""

    token_requests: list[tuple[Receiver, TokenRequest]]
    locked: dict[str, ThrottleRow]
    """The rows of the limits, by key."""
    now: int
    before: float
    after: float
    allocations: dict[str, TokenAllocation] = field(default_factory=dict)

    def granted(self, endpoint_id: str) -> int:
        """Return how many deliveries of an endpoint may be claimed."""
        return len(self.allocations[endpoint_id].slots)

    def retry_in(self, endpoint_id: str) -> float:
        """Return the seconds after which to claim again for an endpoint with more due rows."""
        found = self.allocations[endpoint_id]
        return (found.again - self.now) / SECOND_US if found.short is not None else _AGAIN_SECONDS


_AGAIN_SECONDS: Final = 0.05
"""Seconds until the next claim for an endpoint that memory delayed, not by its limit."""


class Throttle:
    """Reserves and spends the tokens of rate limits, in the transaction of a claim."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # On SQLite one process owns the database. It reads the wall clock once, so that time never jumps while it runs.
        self._anchor = clock.now() * (SECOND_US // SECOND) - round(clock.monotonic() * SECOND_US)

    async def reserve(self, tx: Write, requests: Sequence[tuple[Receiver, int]]) -> TokenReservation:
        """Lock the limits of endpoints until the transaction ends, and return the tokens that they allow."""
        keys = sorted({limit.key for receiver, _ in requests for limit in receiver.limits})
        locked = await throttles.hold(tx, keys)
        before = self._clock.monotonic()
        now = await throttles.shared_now(tx)
        after = self._clock.monotonic()
        now = self._anchor + round(after * SECOND_US) if now is None else now
        token_requests = [(receiver, TokenRequest(receiver.limits, most)) for receiver, most in requests]
        found, _ = allocate(
            [request for _, request in token_requests], {key: each.tat for key, each in locked.items()}, now
        )
        allocations: dict[str, TokenAllocation] = {
            receiver.id: each for (receiver, _), each in zip(token_requests, found, strict=True)
        }
        return TokenReservation(token_requests, locked, now, before, after, allocations)

    async def spend(self, tx: Write, reservation: TokenReservation, taken: Counter[str]) -> dict[str, list[SendWindow]]:
        """Spend the tokens of claimed deliveries; return the windows of their sends by endpoint id."""
        spent = [TokenRequest(request.limits, taken[receiver.id]) for receiver, request in reservation.token_requests]
        found, tats = allocate(spent, {key: each.tat for key, each in reservation.locked.items()}, reservation.now)
        short = {
            each.short
            for receiver, _ in reservation.token_requests
            if (each := reservation.allocations[receiver.id]).short is not None
            and taken[receiver.id] == len(each.slots)
        }
        paid = {limit.key for request in spent if request.count for limit in request.limits}
        moved = {}
        for key, row in reservation.locked.items():
            tat = tats[key] if key in paid else row.tat
            after = ThrottleRow(tat, self._limited_since(row, reservation.now) if key in short else None)
            if after != row:
                moved[key] = after
        if moved:
            await throttles.move(tx, moved)
        pairs = zip(reservation.token_requests, found, strict=True)
        return {receiver.id: [_window(slot, reservation) for slot in each.slots] for (receiver, _), each in pairs}

    def _limited_since(self, row: ThrottleRow, now: int) -> int:
        """Return since when a limit delays deliveries, in milliseconds; a limit that was idle starts now."""
        if row.limited_since is not None and row.tat > now:
            return row.limited_since
        return now // (SECOND_US // SECOND)


def _window(slot: Slot, reservation: TokenReservation) -> SendWindow:
    since = reservation.after + (slot.since - reservation.now) / SECOND_US
    return SendWindow(since, reservation.before + (slot.until - reservation.now) / SECOND_US)


class Pacer:
    """Holds claimed deliveries until their windows. One that cannot be sent then is returned, and its token is lost."""

    def __init__(self, clock: Clock, queues: PacedDeliveries) -> None:
        self._clock = clock
        self._queues = queues
        self._heap: list[tuple[float, int, SendWindow, Delivery]] = []
        self._numbers = numbers()
        self._counts: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def held(self) -> int:
        """The number of deliveries that wait for their window."""
        return len(self._heap)

    def held_for(self, endpoint_id: str) -> int:
        """Return the number of deliveries of one endpoint that wait."""
        return self._counts[endpoint_id]

    def add(self, deliveries: Sequence[tuple[Delivery, SendWindow]]) -> None:
        """Add deliveries, and start those whose window has begun."""
        if self._closed:
            self._queues.return_paced([delivery for delivery, _ in deliveries])
            return
        for delivery, window in deliveries:
            heappush(self._heap, (window.since, next(self._numbers), window, delivery))
            self._counts[delivery.receiver.id] += 1
        self.start_due()

    def start_due(self) -> None:
        """Start the deliveries whose window has begun, return late ones unsent, and set the timer for the next."""
        late: list[Delivery] = []
        while self._heap and self._heap[0][0] <= self._clock.monotonic():
            _, _, window, delivery = heappop(self._heap)
            self._uncount(delivery)
            if self._clock.monotonic() > window.until or not self._queues.start_paced(delivery):
                late.append(delivery)
        if late:
            count("throttle.tokens_lost", len(late))
            self._queues.return_paced(late)
        self._arm()

    def evict(self, endpoint_id: str) -> None:
        """Return the waiting deliveries of an endpoint unsent; their tokens are lost."""
        if endpoint_id not in self._counts:
            return
        away = [each for *_, each in self._heap if each.receiver.id == endpoint_id]
        self._heap = [each for each in self._heap if each[-1].receiver.id != endpoint_id]
        heapify(self._heap)
        del self._counts[endpoint_id]
        count("throttle.tokens_lost", len(away))
        self._queues.return_paced(away)
        self._arm()

    def close(self) -> list[Delivery]:
        """Start no more sends; return the waiting deliveries."""
        self._closed = True
        left = [delivery for _, _, _, delivery in self._heap]
        self._heap.clear()
        self._counts.clear()
        self._arm()
        return left

    def _uncount(self, delivery: Delivery) -> None:
        self._counts[delivery.receiver.id] -= 1
        if not self._counts[delivery.receiver.id]:
            del self._counts[delivery.receiver.id]

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            delay = max(self._heap[0][0] - self._clock.monotonic(), _MIN_DELAY_SECONDS)
            self._timer = asyncio.get_running_loop().call_later(delay, self.start_due)


def split(
    deliveries: Iterable[Delivery], windows: Mapping[str, Sequence[SendWindow]]
) -> tuple[list[Delivery], list[tuple[Delivery, SendWindow]]]:
    """Separate deliveries without a limit from those with one, and pair each of these with its window."""
    if not windows:
        return list(deliveries), []
    left = {endpoint_id: iter(each) for endpoint_id, each in windows.items()}
    plain, paced = [], []
    for delivery in deliveries:
        mine = left.get(delivery.receiver.id)
        window = None if mine is None else next(mine, _NEVER)
        if window is None:
            plain.append(delivery)
        else:
            paced.append((delivery, window))
    return plain, paced
