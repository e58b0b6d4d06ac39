# SPDX-License-Identifier: MIT
"""Choose the endpoints of a claim, and how many rows of each to lease, within memory and rate limits."""

import random
from collections.abc import Sequence
from typing import Final

from tidings.delivery.budget import LARGE, fair_shares
from tidings.delivery.claim_batch import ClaimBatch
from tidings.delivery.claim_schedule import ClaimSchedule
from tidings.delivery.endpoint_queues import EndpointQueues
from tidings.delivery.payload_waiters import PayloadWaiters
from tidings.delivery.throttle import Pacer, Throttle
from tidings.delivery.tuning import DeliveryTuning
from tidings.model.routing import Receiver
from tidings.storage.drivers.database import Write

_REPLAY_SHARE: Final = 10
"""While the live lane has work, one claimed row in this many is for the replay lane."""
_MAX_PACED: Final = 1_000
"""The maximum number of deliveries in memory for one endpoint with a limit."""
_FEW_ROWS: Final = 8
"""Rows claimed for an endpoint whose last payloads did not fit into memory."""


class ClaimPlanner:
    """Divides memory and tokens among the endpoints with due rows."""

    def __init__(
        self,
        queues: EndpointQueues,
        pacer: Pacer,
        throttle: Throttle,
        schedule: ClaimSchedule,
        tuning: DeliveryTuning = DeliveryTuning(),
    ) -> None:
        self._queues = queues
        self._pacer = pacer
        self._throttle = throttle
        self._schedule = schedule
        self._tuning = tuning
        self._too_large: dict[str, int] = {}
        """Endpoints with payloads that did not fit into memory, and the bytes that the next one needs."""
        self._waiters = PayloadWaiters(queues.budget, schedule.end_deferral)

    async def choose(self, tx: Write, batch: ClaimBatch) -> None:
        """Choose the number of rows to claim by endpoint, and reserve memory and tokens for them."""
        self._schedule.end_deferrals()
        eligible = [each for each in batch.receivers.values() if not self._schedule.is_deferred(each.id)]
        free = self._queues.budget.free
        taken = self._choose_unlimited(batch, eligible)
        paced = [(each, n) for each in eligible if each.limits and (n := self._paced_capacity(each, taken))]
        # Replays keep a minimum even if live rows use all capacity; capacities of endpoints with a limit may overlap.
        least = sum(min_replays(n) for _, n in batch.allocations)
        batch.total = max(0, min(free, taken + least + sum(n for _, n in paced)))
        self._queues.budget.reserved += batch.total
        if paced:
            random.shuffle(paced)  # else one endpoint of an application would always get its shared limit first
            batch.reservation = await self._throttle.reserve(tx, paced)
            batch.allocations += [(each.id, n) for each, _ in paced if (n := batch.reservation.granted(each.id))]

    def defer(self, batch: ClaimBatch, unfinished: Sequence[str]) -> None:
        """Defer endpoints with more due rows than their limit or memory allows, each to a known time."""
        self._wait_for_memory(batch, unfinished)
        for endpoint_id in unfinished:
            if self._schedule.is_deferred(endpoint_id):
                self._schedule.keep_deferred(endpoint_id)
            elif (seconds := self._deferral(batch, endpoint_id)) is not None:
                self._schedule.defer(endpoint_id, seconds)

    def _deferral(self, batch: ClaimBatch, endpoint_id: str) -> float | None:
        """Return for how long to defer an endpoint; None if its queue requests the next claim."""
        if batch.reservation is not None and endpoint_id in batch.reservation.allocations:
            return batch.reservation.retry_in(endpoint_id)
        if self._has_timer(batch.receivers[endpoint_id]):
            return self._tuning.claim_defer_seconds
        return (
            self._tuning.claim_memory_seconds if endpoint_id in self._too_large and batch.taken[endpoint_id] else None
        )

    def _has_timer(self, receiver: Receiver) -> bool:
        """Return whether an endpoint is claimed for at a rate of its own, whatever memory is free."""
        return bool(receiver.limits) or self._queues.capacity.is_reduced(receiver.id)

    def _choose_unlimited(self, batch: ClaimBatch, eligible: Sequence[Receiver]) -> int:
        """Choose rows of the endpoints without a limit; return their number."""
        capacities = [(each.id, n) for each in eligible if not each.limits and (n := self._capacity(each.id))]
        batch.allocations = self._divide(capacities)
        taken = sum(n for _, n in batch.allocations)
        if len(batch.allocations) < len(capacities) or taken < sum(n for _, n in capacities):
            batch.is_full = taken >= self._tuning.claim_rows
            if not batch.is_full:
                self._claim_again_for_memory()
        return taken

    def _claim_again_for_memory(self) -> None:
        """Claim again once memory is half empty."""
        self._queues.request_claim_when_half_empty()
        if self._queues.budget.is_half_empty:
            # Reservations fill the rest of memory, and no ending send will report their release.
            self._schedule.due_in(self._tuning.claim_defer_seconds)

    def _divide(self, capacities: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """Divide free memory among endpoints, at most one batch; endpoints that do not answer share a part of it."""
        queues = self._queues.capacity
        others = [each for each in capacities if not queues.answers(each[0])]
        allocations = [each for each in capacities if queues.answers(each[0])]
        allocations += fair_shares(others, queues.for_unanswered)
        return fair_shares(allocations, min(self._queues.budget.free, self._tuning.claim_rows))

    def _capacity(self, endpoint_id: str) -> int:
        """Return how many rows of an endpoint fit; few if its last payloads did not fit into memory."""
        capacity = self._queues.capacity.for_claim(endpoint_id)
        needed = self._too_large.get(endpoint_id)
        return capacity if needed is None else min(capacity, self._rows_that_fit(needed))

    def _rows_that_fit(self, needed: int) -> int:
        """Return how many payloads of a size fit into memory; if none does, a few rows, because some may be small."""
        return min(self._queues.budget.free_bytes // needed, _FEW_ROWS) or _FEW_ROWS

    def _wait_for_memory(self, batch: ClaimBatch, unfinished: Sequence[str]) -> None:
        """Let endpoints wait whose next payload does not fit into memory; the others are claimed for as usual."""
        if not self._too_large and not batch.too_large:
            return
        allocated, more = dict(batch.allocations), set(unfinished)
        large = {each.receiver.id for each in batch.deliveries if len(each.payload) > LARGE}
        for endpoint_id in batch.unavailable:
            self._stop_waiting(endpoint_id)
        for endpoint_id in batch.taken:
            if endpoint_id in batch.too_large:
                self._too_large[endpoint_id] = batch.too_large[endpoint_id]
            elif endpoint_id not in (large & more) or allocated[endpoint_id] >= _FEW_ROWS:
                self._stop_waiting(endpoint_id)
            if endpoint_id in self._too_large and not self._has_timer(batch.receivers[endpoint_id]):
                self._waiters.add(endpoint_id, self._too_large[endpoint_id])
        self._waiters.check()

    def _stop_waiting(self, endpoint_id: str) -> None:
        self._too_large.pop(endpoint_id, None)
        self._waiters.discard(endpoint_id)

    def _paced_capacity(self, receiver: Receiver, taken: int) -> int:
        """Return how many rows to claim for an endpoint with a limit: each must find a free slot when it is sent."""
        waiting = self._pacer.held_for(receiver.id)
        spare = self._queues.capacity.free_slots(receiver.id)
        most = spare if self._queues.capacity.is_crowded(receiver.id) else _MAX_PACED
        return max(0, min(most - waiting, self._queues.budget.free - taken))


def min_replays(capacity: int) -> int:
    """Return the number of replays that a capacity always includes, however many live rows are due."""
    return -(-capacity // _REPLAY_SHARE)


def replay_share(capacity: int) -> int:
    """Return the replay lane's share of a capacity, randomly rounded up or down."""
    return int(capacity / _REPLAY_SHARE + random.random())  # noqa: S311 - fairness, not secrecy
