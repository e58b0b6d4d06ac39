# SPDX-License-Identifier: MIT
"""Claim: lease due rows from the database into memory, and know when to look again.

There is no polling. The claimer sleeps until a known time (the next due row, the next lease expiry, the next tokens
of an endpoint with a limit), until it is woken (a manual send, an endpoint queue that has capacity again), or, on
PostgreSQL, until the heartbeat query reports work.

Two kinds of endpoints are put off although they have due rows: those whose limit allows nothing yet, and those where
nothing answers. They are looked at again at a timestamp of their own, and wake nobody before it.
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
from tidings.delivery.payloads import payloads_of
from tidings.delivery.settle import SendResult, SettleBatcher
from tidings.delivery.throttle import Pacer, SendWindow, Throttle, TokenReservation, split
from tidings.model.delivery import Lane
from tidings.model.lease import Leases
from tidings.model.routing import Receiver, Send
from tidings.observe import count, failure
from tidings.storage import deliveries
from tidings.storage.database import Database, Row, StorageError, Write
from tidings.storage.deliveries import SettledDelivery

_BATCH_ENDPOINTS: Final = 200
"""Endpoints looked at in one transaction."""
_EXPIRED_BATCH: Final = 500
_DISCARD_BATCH: Final = 1_000
_REPLAY_SHARE: Final = 10
"""One in so many claims is for the replay lane while the live lane has work."""
_MAX_PACED: Final = 1_000
"""Deliveries of one endpoint with a limit that are claimed at once."""
_DEFER_SECONDS: Final = 0.25
"""How long an endpoint is put off where nothing answers, or where a limit is in force and all places are taken."""
_MAX_DEFERRED: Final = 10_000
_BATCH_ROWS: Final = 2_000
"""Rows that one pass leases: what a pass does on the loop is a matter of milliseconds."""
_FEW_ROWS: Final = 8
"""Rows claimed of an endpoint whose payloads find no memory."""
_ERROR_PAUSE_SECONDS: Final = 1.0
_MIN_PAUSE_MS: Final = 50
_LONGEST_SLEEP: Final = 3600.0


@dataclass(frozen=True, slots=True)
class ClaimDestinations:
    """Where claimed deliveries go: to be sent soon, at their timestamp, or, if they cannot be sent, to be ended."""

    queues: EndpointQueues
    pacer: Pacer
    settler: SettleBatcher


@dataclass(frozen=True, slots=True)
class _ClaimedBatch:
    """What one pass took."""

    sends: list[Send]
    paced: list[tuple[Send, SendWindow]]
    discarded: list[Send]
    drained: list[str]
    spilled: list[str]
    only_replays: list[str]
    unavailable: list[str]
    more: bool


@dataclass(slots=True)
class _ClaimPlan:
    """How much one pass may take."""

    allocations: list[tuple[str, int]]
    """Rows of which endpoints."""
    total: int
    """Rows in all, reserved until they are in memory, as are the bytes of payloads."""
    is_cut: bool
    """Whether another pass finds room for what this one leaves."""
    payload_bytes: int = 0
    reservation: TokenReservation | None = None


class Claimer:
    """Keeps one process's memory filled from the database."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        routing: RoutingCache,
        destinations: ClaimDestinations,
        *,
        leases: Leases,
        lease_ms: int,
    ) -> None:
        self._db = db
        self._clock = clock
        self._routing = routing
        self._queues = destinations.queues
        self._settler = destinations.settler
        self._pacer = destinations.pacer
        self._throttle = Throttle(clock)
        self._deferred_until: dict[str, float] = {}
        self._large: set[str] = set()
        """Endpoints whose rows found no memory for their payloads."""
        self._leases = leases
        self._lease_ms = lease_ms
        self._work = asyncio.Event()
        self._next_at: int | None = None
        self._after = ""
        self._urgent = True  # rows of an earlier process may be due
        self._closed = False

    def wake(self) -> None:
        """Look now."""
        self._urgent = True
        self._work.set()

    def wake_for(self, endpoint_ids: Iterable[str]) -> None:
        """Look now, unless all of these endpoints are put off."""
        now = self._clock.monotonic()
        if any(self._deferred_until.get(endpoint_id, now) <= now for endpoint_id in endpoint_ids):
            self.wake()

    def due_at(self, timestamp: int) -> None:
        """Look no later than at a timestamp."""
        if self._next_at is None or timestamp < self._next_at:
            self._next_at = timestamp
            self._work.set()

    def close(self) -> None:
        """Claim nothing more."""
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
            except Exception as error:  # noqa: BLE001 - a fault in claiming must not end the claiming
                failure("claiming deliveries", error)
                self._next_at = self._clock.now() + int(_ERROR_PAUSE_SECONDS * SECOND)

    def _wait(self) -> float:
        """Return how long there is nothing to do, in seconds."""
        if self._urgent:
            return 0
        if self._next_at is None:
            return _LONGEST_SLEEP
        return min((self._next_at - self._clock.now()) / SECOND, _LONGEST_SLEEP)

    async def _sleep(self, seconds: float) -> None:
        self._work.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._work.wait()
        except TimeoutError:
            return

    async def _claim_all_due(self) -> None:
        """Claim everything that is due and fits, then learn when there is more.

        The timestamps of all passes count: what the first endpoints are put off to is not heard of among the last ones.
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
            if not claimed.more and not is_whole:  # the last look has failed half-way, and this one went on from there
                is_whole = True
            elif not claimed.more:
                # An expired lease that another transaction holds must not cause a busy loop.
                if self._next_at is not None:
                    self._next_at = max(self._next_at, self._clock.now() + _MIN_PAUSE_MS)
                return

    def _distribute(self, claimed: _ClaimedBatch) -> None:
        """Give what a pass has taken to whom it concerns."""
        self._queues.enqueue(claimed.sends)
        for send, _ in claimed.paced:
            self._queues.budget.add(send)
        if claimed.paced:
            self._pacer.take(claimed.paced)
        for send in claimed.discarded:
            self._settler.add(SendResult(send, discarded=True))
        for endpoint_id in claimed.drained:
            self._queues.end_backlog(endpoint_id)
        for endpoint_id in claimed.only_replays:
            self._queues.end_backlog(endpoint_id, has_replays=True)
        self._queues.spill(claimed.spilled)
        for endpoint_id in claimed.unavailable:
            self._queues.remove(endpoint_id)

    async def _claim_batch(self) -> _ClaimedBatch:
        now = self._clock.now()
        at = self._clock.monotonic()  # before any endpoint is read, so that a change while this goes on is seen
        plan = _ClaimPlan([], 0, is_cut=False)
        try:
            async with self._db.write(background=True, synced=False) as tx:
                expired = await deliveries.return_expired(tx, before=now, now=now, limit=_EXPIRED_BATCH)
                found = await deliveries.due_endpoints(tx, now, after=self._after, limit=_BATCH_ENDPOINTS)
                self._after = found[-1][0] if len(found) == _BATCH_ENDPOINTS else ""
                receivers, unavailable, has_discarded = await self._read_receivers(tx, found)
                await self._make_plan(tx, receivers, plan)
                rows, lease = await self._lease(tx, plan, now)
                taken = Counter(row["endpoint_id"] for row in rows)
                windows = {} if plan.reservation is None else await self._throttle.spend(tx, plan.reservation, taken)
                sends, discarded, large = await self._load(tx, plan, rows, receivers, lease, at)
        finally:
            self._queues.budget.release(plan.total, plan.payload_bytes)
        count("deliveries.claimed", len(sends))
        drained = [each for each, room in plan.allocations if taken[each] < room and each not in large]
        unfinished = [each for each in receivers if each not in drained]
        self._large = (self._large - taken.keys()) | large
        self._defer([receivers[each] for each in unfinished], plan.reservation, large)
        # Who got as much as there was room for asks again when there is more of it: the queue sees to that.
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
        """Plan how many rows of which endpoints there is room for, and what limits say to that; reserve the room."""
        now = self._clock.monotonic()
        if self._deferred_until:
            self._deferred_until = {each: until for each, until in self._deferred_until.items() if until > now}
        looked_at = [each for each in receivers.values() if each.id not in self._deferred_until]
        most = self._queues.budget.free
        rooms = [(each.id, room) for each in looked_at if not each.limits and (room := self._capacity(each.id))]
        plan.allocations = self._divide(rooms)
        taken = sum(n for _, n in plan.allocations)
        if len(plan.allocations) < len(rooms) or taken < sum(n for _, n in rooms):
            plan.is_cut = taken >= _BATCH_ROWS
            if not plan.is_cut:
                self._queues.note_memory_full()
                if self._queues.budget.is_half_empty:  # the rest is reserved, and nothing that ends will say when
                    self.due_at(self._clock.now() + int(_DEFER_SECONDS * SECOND))
        paced = [(each, n) for each in looked_at if each.limits and (n := self._paced_capacity(each, taken))]
        # A replay has its place where live rows take all of a room; rooms of endpoints with a limit may overlap.
        plan.total = max(
            0, min(most, taken + sum(_min_replays(n) for _, n in plan.allocations) + sum(n for _, n in paced))
        )
        self._queues.budget.reserved += plan.total
        if not paced:
            return
        random.shuffle(paced)  # whoever shares the limit of an application with others is not always the first
        plan.reservation = await self._throttle.reserve(tx, paced)
        plan.allocations += [(each.id, n) for each, _ in paced if (n := plan.reservation.granted(each.id))]

    def _divide(self, rooms: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """Divide what memory has left, and one pass takes, and what is left of it for endpoints that do not answer."""
        others = [each for each in rooms if not self._queues.answers(each[0])]
        allocations = [each for each in rooms if self._queues.answers(each[0])]
        allocations += fair_shares(others, self._queues.capacity_for_unanswered)
        return fair_shares(allocations, min(self._queues.budget.free, _BATCH_ROWS))

    def _capacity(self, endpoint_id: str) -> int:
        """Return how many rows of an endpoint fit: few where the last ones were too large for what memory had left."""
        room = self._queues.claim_capacity(endpoint_id)
        return min(room, _FEW_ROWS) if endpoint_id in self._large else room

    def _paced_capacity(self, receiver: Receiver, taken: int) -> int:
        """Return how many rows of an endpoint with a limit may be claimed: there must be room when they are sent."""
        waiting = self._pacer.held_for(receiver.id)
        spare = self._queues.free_slots(receiver.id)
        most = spare if self._queues.is_crowded(receiver.id) else _MAX_PACED
        return max(0, min(most - waiting, self._queues.budget.free - taken))

    def _defer(
        self, unfinished: Iterable[Receiver], reservation: TokenReservation | None, large: Container[str]
    ) -> None:
        """Put endpoints off that have more to send than they may, or than memory has room for: until when, is known."""
        now = self._clock.monotonic()
        if len(self._deferred_until) > _MAX_DEFERRED:
            self._deferred_until.clear()
        for receiver in unfinished:
            if receiver.id in self._deferred_until:
                wait = self._deferred_until[receiver.id] - now
            elif reservation is not None and receiver.id in reservation.allocations:
                wait = reservation.retry_in(receiver.id)
            elif receiver.limits or receiver.id in large or self._queues.is_reduced(receiver.id):
                wait = _DEFER_SECONDS
            else:
                continue
            self._deferred_until[receiver.id] = now + wait
            self.due_at(self._clock.now() + int(wait * SECOND) + 1)

    async def _read_receivers(
        self, tx: Write, found: Sequence[tuple[str, str, bool]]
    ) -> tuple[dict[str, Receiver], list[str], bool]:
        """Return who can be sent to and who cannot; what waits for those is removed, a chunk at a time."""
        receivers = {}
        unavailable: list[str] = []
        discarded = 0
        for endpoint_id, app_id, _ in found:
            try:
                receiver = await self._routing.receiver(endpoint_id, app_id, tx)
            except StorageError:
                raise
            except Exception as error:  # noqa: BLE001 - one endpoint that cannot be read must not starve the others
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
        """Lease live rows first; the replay lane gets what is left of each room, and never nothing.

        Where a limit is in force the room is exact: then the replay lane has its share before the live one.
        """
        lease, until = self._leases.next(), now + self._lease_ms
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
        self, tx: Write, plan: _ClaimPlan, rows: list[Row], receivers: dict[str, Receiver], lease: int, at: float
    ) -> tuple[list[Send], list[Send], set[str]]:
        """Join claimed rows with their payloads; a message whose payload is deleted can never be sent.

        Rows whose payload finds no memory are handed back as they were; their endpoints are returned.
        """
        payloads = await payloads_of(tx, self._queues.budget, rows, receivers)
        plan.payload_bytes = payloads.reserved
        sends: list[Send] = []
        discarded: list[Send] = []
        back: list[SettledDelivery] = []
        for row in rows:
            msg_id, endpoint_id = row["msg_id"], row["endpoint_id"]
            if (msg_id, endpoint_id) in payloads.too_large:
                back.append(SettledDelivery(msg_id, endpoint_id, lease, row["due_at"]))
                continue
            payload = payloads.found.get(msg_id)
            send = Send(
                receivers[endpoint_id],
                msg_id,
                payload or b"",
                lease,
                at,
                row["attempts"],
                bool(row["manual"]),
                row["retry_at"],
                row["task_id"],
            )
            (discarded if payload is None else sends).append(send)
        if back:
            await deliveries.hand_back(tx, back, 0)
        return sends, discarded, {each.endpoint_id for each in back}


def _min_replays(room: int) -> int:
    """Return how many replays have their place in a room, whatever live rows wait."""
    return -(-room // _REPLAY_SHARE)


def _order(row: Row) -> tuple[int, str]:
    return row["due_at"], row["msg_id"]


def _replay_share(room: int) -> int:
    """Return the replay lane's part of a room, by chance rounded up or down."""
    return int(room / _REPLAY_SHARE + random.random())  # noqa: S311 - fairness, not secrecy
