# SPDX-License-Identifier: MIT
"""Claim: lease due rows from the database into memory, and schedule the next claim.

There is no polling. The claimer sleeps until a known time (the next due row, the next lease expiry, the next tokens
of an endpoint with a limit), until it is woken (a manual send, an endpoint queue that has capacity again), or, on
PostgreSQL, until the heartbeat query reports work.

Two kinds of endpoints are deferred although they have due rows: those whose limit allows no send yet, and those that
do not answer. Each has its own time for the next claim, and does not wake the claimer before it.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tidings.clock import SECOND, Clock
from tidings.core.routing import RoutingCache
from tidings.delivery.budget import fair_shares
from tidings.delivery.endpoint_queues import EndpointQueues
from tidings.delivery.outcome import SendResult
from tidings.delivery.payloads import payloads_of
from tidings.delivery.settle import SettleBatcher
from tidings.delivery.throttle import Pacer, SendWindow, Throttle, TokenReservation, split
from tidings.delivery.tuning import DeliveryTuning
from tidings.model.delivery import Delivery, Lane
from tidings.model.lease import Leases
from tidings.model.routing import Receiver
from tidings.observe import count, failure
from tidings.storage.drivers.database import Database, Row, StorageError, Write
from tidings.storage.tables import deliveries
from tidings.storage.tables.deliveries import SettledDelivery

_EXPIRED_BATCH: Final = 500
_DISCARD_BATCH: Final = 1_000
_REPLAY_SHARE: Final = 10
"""While the live lane has work, one claimed row in this many is for the replay lane."""
_MAX_PACED: Final = 1_000
"""The maximum number of deliveries in memory for one endpoint with a limit."""
_MAX_DEFERRED: Final = 10_000
_FEW_ROWS: Final = 8
"""Rows claimed for an endpoint whose last payloads did not fit into memory."""
_MIN_PAUSE_MS: Final = 50


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """The tokens of the leases of one process, and their duration."""

    leases: Leases
    lease_ms: int


@dataclass(frozen=True, slots=True)
class ClaimDestinations:
    """The destinations of claimed deliveries: queues for now, the pacer for later, the settler for discarded ones."""

    queues: EndpointQueues
    pacer: Pacer
    settler: SettleBatcher


@dataclass(frozen=True, slots=True)
class _ClaimedBatch:
    """The result of claiming one batch."""

    sends: list[Delivery]
    paced: list[tuple[Delivery, SendWindow]]
    discarded: list[Delivery]
    drained: list[str]
    spilled: list[str]
    only_replays: list[str]
    unavailable: list[str]
    more: bool


@dataclass(slots=True)
class _ClaimPlan:
    """The number of rows that one batch may claim."""

    allocations: list[tuple[str, int]]
    """The number of rows by endpoint id."""
    total: int
    """The number of rows over all endpoints, reserved until they are in memory, as are the bytes of payloads."""
    is_cut: bool
    """Whether memory has capacity for another batch with the rows that this one leaves."""
    payload_bytes: int = 0
    reservation: TokenReservation | None = None


class Claimer:
    """Fills one process's memory with due deliveries from the database."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        routing: RoutingCache,
        destinations: ClaimDestinations,
        lease_terms: LeaseTerms,
        tuning: DeliveryTuning = DeliveryTuning(),
    ) -> None:
        self._tuning = tuning
        self._db = db
        self._clock = clock
        self._routing = routing
        self._queues = destinations.queues
        self._settler = destinations.settler
        self._pacer = destinations.pacer
        self._throttle = Throttle(clock)
        self._deferred_until: dict[str, float] = {}
        self._large: set[str] = set()
        """Endpoints with payloads that did not fit into memory."""
        self._lease_terms = lease_terms
        self._work = asyncio.Event()
        self._next_at: int | None = None
        self._after = ""
        self._urgent = True  # rows of an earlier process may be due
        self._closed = False

    def wake(self) -> None:
        """Claim now."""
        self._urgent = True
        self._work.set()

    def wake_for(self, endpoint_ids: Iterable[str]) -> None:
        """Claim now, unless all of these endpoints are deferred."""
        now = self._clock.monotonic()
        if any(self._deferred_until.get(endpoint_id, now) <= now for endpoint_id in endpoint_ids):
            self.wake()

    def due_at(self, timestamp: int) -> None:
        """Claim no later than the given time."""
        if self._next_at is None or timestamp < self._next_at:
            self._next_at = timestamp
            self._work.set()

    def close(self) -> None:
        """Stop claiming."""
        self._closed = True
        self._work.set()

    async def run(self) -> None:
        """Claim until closed."""
        while not self._closed:
            wait = self._wait()
            if wait > 0:
                await self._sleep(wait)
                continue
            self._urgent = False
            try:
                await self._claim_all_due()
            except Exception as error:  # noqa: BLE001 - an error in one claim must not end the loop
                failure("claiming deliveries", error)
                self._next_at = self._clock.now() + int(self._tuning.claim_error_pause_seconds * SECOND)

    def _wait(self) -> float:
        """Return the seconds until the next claim."""
        if self._urgent:
            return 0
        if self._next_at is None:
            return self._tuning.claim_max_sleep_seconds
        return min((self._next_at - self._clock.now()) / SECOND, self._tuning.claim_max_sleep_seconds)

    async def _sleep(self, seconds: float) -> None:
        self._work.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._work.wait()
        except TimeoutError:
            return

    async def _claim_all_due(self) -> None:
        """Claim batches until all due rows that fit are in memory, and schedule the next claim.

        The next claim is at the earliest time that any batch reports: later batches do not see the endpoints that
        earlier ones deferred.
        """
        self._next_at = None
        is_whole = not self._after
        while not self._closed:
            async with self._db.read() as read:
                outlook = await deliveries.outlook(read, self._clock.now())
            if outlook.next_at is not None:
                self.due_at(outlook.next_at)
            if not outlook.due:
                return
            claimed = await self._claim_batch()
            self._distribute(claimed)
            if not claimed.more and not is_whole:  # the last run failed half-way, and this one resumed there
                is_whole = True
            elif not claimed.more:
                # An expired lease whose row another transaction locks must not cause a busy loop.
                if self._next_at is not None:
                    self._next_at = max(self._next_at, self._clock.now() + _MIN_PAUSE_MS)
                return

    def _distribute(self, claimed: _ClaimedBatch) -> None:
        """Pass claimed deliveries to their destinations, and update the queues."""
        self._queues.enqueue(claimed.sends)
        for delivery, _ in claimed.paced:
            self._queues.budget.add(delivery)
        if claimed.paced:
            self._pacer.take(claimed.paced)
        for delivery in claimed.discarded:
            self._settler.add(SendResult(delivery, discarded=True))
        for endpoint_id in claimed.drained:
            self._queues.end_backlog(endpoint_id)
        for endpoint_id in claimed.only_replays:
            self._queues.end_backlog(endpoint_id, has_replays=True)
        self._queues.spill(claimed.spilled)
        for endpoint_id in claimed.unavailable:
            self._queues.remove(endpoint_id)

    async def _claim_batch(self) -> _ClaimedBatch:
        now = self._clock.now()
        leased_at = self._clock.monotonic()  # before reading endpoints: a later change of one makes its sends stale
        plan = _ClaimPlan([], 0, is_cut=False)
        try:
            async with self._db.write(background=True, synced=False) as tx:
                expired = await deliveries.return_expired(tx, before=now, now=now, limit=_EXPIRED_BATCH)
                found = await deliveries.due_endpoints(tx, now, after=self._after, limit=self._tuning.claim_endpoints)
                self._after = found[-1][0] if len(found) == self._tuning.claim_endpoints else ""
                receivers, unavailable, has_discarded = await self._read_receivers(tx, found)
                await self._make_plan(tx, receivers, plan)
                rows, lease = await self._lease(tx, plan, now)
                taken = Counter(row["endpoint_id"] for row in rows)
                windows = {} if plan.reservation is None else await self._throttle.spend(tx, plan.reservation, taken)
                sends, discarded, large = await self._load(tx, plan, rows, receivers, lease, leased_at)
        finally:
            self._queues.budget.release(plan.total, plan.payload_bytes)
        count("deliveries.claimed", len(sends))
        drained = [each for each, room in plan.allocations if taken[each] < room and each not in large]
        unfinished = [each for each in receivers if each not in drained]
        self._large = (self._large - taken.keys()) | large
        self._defer([receivers[each] for each in unfinished], plan.reservation, large)
        # An endpoint that was given all its capacity needs no other batch: its queue requests a claim when it drains.
        more = bool(expired) or has_discarded or self._after != "" or (plan.is_cut and bool(rows))
        plain, paced = split(sends, windows)
        live = Counter(row["endpoint_id"] for row in rows if row["lane"] == Lane.LIVE)
        rooms = dict(plan.allocations)
        waiting = {each for each, _, is_live in found if is_live and live[each] >= rooms.get(each, 0)} | large
        only_replays, spilled = (
            [each for each in unfinished if each not in waiting],
            [each for each in unfinished if each in waiting],
        )
        return _ClaimedBatch(plain, paced, discarded, drained, spilled, only_replays, unavailable, more)

    async def _make_plan(self, tx: Write, receivers: Mapping[str, Receiver], plan: _ClaimPlan) -> None:
        """Plan the rows to claim by endpoint, within memory and rate limits, and reserve memory for them."""
        now = self._clock.monotonic()
        if self._deferred_until:
            self._deferred_until = {each: until for each, until in self._deferred_until.items() if until > now}
        eligible = [each for each in receivers.values() if each.id not in self._deferred_until]
        most = self._queues.budget.free
        rooms = [(each.id, room) for each in eligible if not each.limits and (room := self._capacity(each.id))]
        plan.allocations = self._divide(rooms)
        taken = sum(n for _, n in plan.allocations)
        if len(plan.allocations) < len(rooms) or taken < sum(n for _, n in rooms):
            plan.is_cut = taken >= self._tuning.claim_rows
            if not plan.is_cut:
                self._queues.request_claim_when_half_empty()
                # Reservations fill the rest of memory, and no ending send will report their release.
                if self._queues.budget.is_half_empty:
                    self.due_at(self._clock.now() + int(self._tuning.claim_defer_seconds * SECOND))
        paced = [(each, n) for each in eligible if each.limits and (n := self._paced_capacity(each, taken))]
        # Replays keep a minimum even if live rows use all capacity; capacities of endpoints with a limit may overlap.
        plan.total = max(
            0, min(most, taken + sum(_min_replays(n) for _, n in plan.allocations) + sum(n for _, n in paced))
        )
        self._queues.budget.reserved += plan.total
        if not paced:
            return
        random.shuffle(paced)  # else one endpoint of an application would always get its shared limit first
        plan.reservation = await self._throttle.reserve(tx, paced)
        plan.allocations += [(each.id, n) for each, _ in paced if (n := plan.reservation.granted(each.id))]

    def _divide(self, rooms: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """Divide free memory among endpoints, at most one batch; endpoints that do not answer share a part of it."""
        others = [each for each in rooms if not self._queues.capacity.answers(each[0])]
        allocations = [each for each in rooms if self._queues.capacity.answers(each[0])]
        allocations += fair_shares(others, self._queues.capacity.for_unanswered)
        return fair_shares(allocations, min(self._queues.budget.free, self._tuning.claim_rows))

    def _capacity(self, endpoint_id: str) -> int:
        """Return how many rows of an endpoint fit; few if its last payloads did not fit into memory."""
        room = self._queues.capacity.for_claim(endpoint_id)
        return min(room, _FEW_ROWS) if endpoint_id in self._large else room

    def _paced_capacity(self, receiver: Receiver, taken: int) -> int:
        """Return how many rows to claim for an endpoint with a limit: each must find a free slot when it is sent."""
        waiting = self._pacer.held_for(receiver.id)
        spare = self._queues.capacity.free_slots(receiver.id)
        most = spare if self._queues.capacity.is_crowded(receiver.id) else _MAX_PACED
        return max(0, min(most - waiting, self._queues.budget.free - taken))

    def _defer(
        self, unfinished: Iterable[Receiver], reservation: TokenReservation | None, large: Container[str]
    ) -> None:
        """Defer endpoints with more due rows than their limit or memory allows, each to a known time."""
        now = self._clock.monotonic()
        if len(self._deferred_until) > _MAX_DEFERRED:
            self._deferred_until.clear()
        for receiver in unfinished:
            if receiver.id in self._deferred_until:
                wait = self._deferred_until[receiver.id] - now
            elif reservation is not None and receiver.id in reservation.allocations:
                wait = reservation.retry_in(receiver.id)
            elif receiver.limits or receiver.id in large or self._queues.capacity.is_reduced(receiver.id):
                wait = self._tuning.claim_defer_seconds
            else:
                continue
            self._deferred_until[receiver.id] = now + wait
            self.due_at(self._clock.now() + int(wait * SECOND) + 1)

    async def _read_receivers(
        self, tx: Write, found: Sequence[tuple[str, str, bool]]
    ) -> tuple[dict[str, Receiver], list[str], bool]:
        """Return receivers, unavailable endpoints, and whether deliveries to those were discarded (one batch each)."""
        receivers = {}
        unavailable: list[str] = []
        discarded = 0
        for endpoint_id, app_id, _ in found:
            try:
                receiver = await self._routing.receiver(endpoint_id, app_id, tx)
            except StorageError:
                raise
            except Exception as error:  # noqa: BLE001 - an endpoint that cannot be read must not block the others
                failure(f"reading endpoint {endpoint_id}", error)
                continue
            if receiver is None:
                unavailable.append(endpoint_id)
                discarded += await deliveries.discard_waiting(tx, endpoint_id, limit=_DISCARD_BATCH)
            else:
                receivers[endpoint_id] = receiver
        count("deliveries.discarded", discarded)
        return receivers, unavailable, discarded > 0

    async def _lease(self, tx: Write, plan: _ClaimPlan, now: int) -> tuple[list[Row], int]:
        """Lease live rows first; replays get the remaining capacity of each endpoint, and always a minimum.

        The capacity of an endpoint with a limit is exact, so there the replay lane takes its share first.
        """
        lease, until = self._lease_terms.leases.next(), now + self._lease_terms.lease_ms
        rows: list[Row] = []
        taken: Counter[str] = Counter()
        limited: Container[str] = {} if plan.reservation is None else plan.reservation.allocations

        async def claim(lane: Lane, rooms: Iterable[tuple[str, int]]) -> None:
            left = plan.total - len(rows)
            open_rooms = []
            for each, room in rooms:
                if (room := min(room, left)) > 0:
                    open_rooms.append((each, room))
                    left -= room
            if not open_rooms:
                return
            claimed = await deliveries.claim(tx, open_rooms, lane=lane, lease=lease, now=now, until=until)
            taken.update(row["endpoint_id"] for row in claimed)
            rows.extend(sorted(claimed, key=_order))

        await claim(Lane.REPLAY, [(each, _replay_share(room)) for each, room in plan.allocations if each in limited])
        await claim(Lane.LIVE, [(each, room - taken[each]) for each, room in plan.allocations])
        least = {each: 0 if each in limited else _min_replays(room) for each, room in plan.allocations}
        await claim(Lane.REPLAY, [(each, max(room - taken[each], least[each])) for each, room in plan.allocations])
        return rows, lease

    async def _load(
        self, tx: Write, plan: _ClaimPlan, rows: list[Row], receivers: dict[str, Receiver], lease: int, leased_at: float
    ) -> tuple[list[Delivery], list[Delivery], set[str]]:
        """Join rows with their payloads; return sends, discarded sends, and endpoints with payloads that do not fit.

        A delivery whose payload was deleted is discarded. Rows whose payload does not fit into memory are handed back.
        """
        payloads = await payloads_of(tx, self._queues.budget, rows, receivers)
        plan.payload_bytes = payloads.reserved
        sends: list[Delivery] = []
        discarded: list[Delivery] = []
        back: list[SettledDelivery] = []
        for row in rows:
            msg_id, endpoint_id = row["msg_id"], row["endpoint_id"]
            if (msg_id, endpoint_id) in payloads.too_large:
                back.append(SettledDelivery(msg_id, endpoint_id, lease, row["due_at"]))
                continue
            payload = payloads.found.get(msg_id)
            delivery = Delivery(
                receivers[endpoint_id],
                msg_id,
                payload or b"",
                lease,
                leased_at,
                row["attempts"],
                bool(row["manual"]),
                row["retry_at"],
                row["task_id"],
            )
            (discarded if payload is None else sends).append(delivery)
        if back:
            await deliveries.hand_back(tx, back, 0)
        return sends, discarded, {each.endpoint_id for each in back}


def _min_replays(room: int) -> int:
    """Return the number of replays that a capacity always includes, however many live rows are due."""
    return -(-room // _REPLAY_SHARE)


def _order(row: Row) -> tuple[int, str]:
    return row["due_at"], row["msg_id"]


def _replay_share(room: int) -> int:
    """Return the replay lane's share of a capacity, randomly rounded up or down."""
    return int(room / _REPLAY_SHARE + random.random())  # noqa: S311 - fairness, not secrecy
