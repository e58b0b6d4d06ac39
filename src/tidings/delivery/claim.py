# SPDX-License-Identifier: MIT
"""Claim: lease due rows from the database into memory, in batches of one transaction each.

Each batch takes the same steps: look, choose endpoints, lease, load payloads, fill the queues, plan the next look.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tidings.clock import SECOND, Clock
from tidings.core.routing import RoutingCache
from tidings.delivery.claim_batch import Backlogs, ClaimBatch
from tidings.delivery.claim_planner import ClaimPlanner, min_replays, replay_share
from tidings.delivery.claim_schedule import ClaimSchedule
from tidings.delivery.endpoint_queues import EndpointQueues
from tidings.delivery.outcome import SendResult
from tidings.delivery.payloads import payloads_of
from tidings.delivery.settle import SettleBatcher
from tidings.delivery.throttle import Pacer, Throttle, split
from tidings.delivery.tuning import DeliveryTuning
from tidings.model.delivery import Delivery, Lane
from tidings.model.lease import Leases
from tidings.model.routing import Receiver
from tidings.observe import RepeatedWork, count, failure
from tidings.storage.drivers.database import Database, Row, StorageError, Write
from tidings.storage.tables import deliveries, intake
from tidings.storage.tables.deliveries import SettledDelivery
from tidings.storage.tables.index_order import use_index_order

_EXPIRED_BATCH: Final = 500
_DISCARD_BATCH: Final = 1_000


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """The tokens of the leases of one process, and their duration."""

    leases: Leases
    lease_ms: int


@dataclass(frozen=True, slots=True)
class ClaimParts:
    """The parts of delivery that a claim works with."""

    schedule: ClaimSchedule
    """When to claim."""
    queues: EndpointQueues
    """Take the deliveries to send now."""
    pacer: Pacer
    """Takes those of endpoints with a limit."""
    settler: SettleBatcher
    """Discards those without a payload."""


class Claimer:
    """Fills one process's memory with due deliveries from the database."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        routing: RoutingCache,
        parts: ClaimParts,
        lease_terms: LeaseTerms,
        tuning: DeliveryTuning = DeliveryTuning(),
    ) -> None:
        self._db = db
        self._clock = clock
        self._routing = routing
        self._queues = parts.queues
        self._pacer = parts.pacer
        self._settler = parts.settler
        self._lease_terms = lease_terms
        self._tuning = tuning
        self._throttle = Throttle(clock)
        self._schedule = parts.schedule
        self._planner = ClaimPlanner(self._queues, self._pacer, self._throttle, self._schedule, tuning)
        self._work = RepeatedWork("claiming deliveries")
        self._after = ""
        """The endpoint after which the next batch looks; empty if it starts with the first one."""

    async def run(self) -> None:
        """Claim until closed."""
        while await self._schedule.wait():
            self._schedule.begin()
            try:
                await self._claim_all_due()
            except Exception as error:  # noqa: BLE001 - an error in one claim must not end the loop
                self._work.failed(error)
                self._schedule.pause(self._tuning.claim_error_pause_seconds)
            else:
                self._work.passed()

    async def _claim_all_due(self) -> None:
        """Claim batches until all due rows that fit are in memory, and schedule the next claim.

        The next claim is at the earliest time that any batch reports: later batches do not see the endpoints that
        earlier ones deferred.
        """
        is_whole = not self._after
        while not self._schedule.is_closed and await self._is_any_due():
            if await self._claim_batch():
                continue
            if is_whole:
                self._schedule.end()
                return
            is_whole = True  # the last run failed half-way, and this one resumed there

    async def _is_any_due(self) -> bool:
        """Return whether rows are due or leases have expired, and schedule the claim for later ones."""
        async with self._db.read() as read:
            found = await deliveries.due_times(read, self._clock.now())
        if found.next_at is not None:
            self._schedule.due_at(found.next_at)
        return found.due

    async def _claim_batch(self) -> bool:
        """Claim one batch; return whether memory has capacity for more due rows."""
        batch = ClaimBatch(self._clock.now(), self._clock.monotonic())
        try:
            async with self._db.write(background=True, synced=False) as tx:
                await self._look(tx, batch)
                await self._planner.choose(tx, batch)
                await self._lease(tx, batch)
                await self._load_payloads(tx, batch)
        finally:
            self._queues.budget.release(batch.total, batch.payload_bytes)
        count("deliveries.claimed", len(batch.deliveries))
        backlogs = batch.backlogs()
        self._planner.defer(batch, [*backlogs.only_replays, *backlogs.spilled])
        self._fill(batch, backlogs)
        # An endpoint that was given all its capacity needs no other batch: its queue requests a claim when it drains.
        return bool(batch.returned or batch.dropped or self._after or (batch.is_full and batch.rows))

    async def _look(self, tx: Write, batch: ClaimBatch) -> None:
        """Return rows whose lease has expired, and find the endpoints with due rows."""
        await use_index_order(tx)
        batch.returned = await deliveries.return_expired(tx, before=batch.now, now=batch.now, limit=_EXPIRED_BATCH)
        limit = self._tuning.claim_endpoints
        found = await deliveries.due_endpoints(tx, batch.now, after=self._after, limit=limit)
        self._after = found[-1][0] if len(found) == limit else ""
        for endpoint_id, app_id, is_live in found:
            await self._read_receiver(tx, batch, endpoint_id, app_id)
            if is_live:
                batch.with_live.append(endpoint_id)
        count("deliveries.discarded", batch.dropped)

    async def _read_receiver(self, tx: Write, batch: ClaimBatch, endpoint_id: str, app_id: str) -> None:
        """Read an endpoint; discard rows of one that is unavailable."""
        try:
            receiver = await self._routing.receiver(endpoint_id, app_id, tx)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - an endpoint that cannot be read must not block the others
            failure("reading an endpoint", error, app=app_id, endpoint=endpoint_id)
            return
        if receiver is None:
            batch.unavailable.append(endpoint_id)
            batch.dropped += await deliveries.discard_waiting(tx, endpoint_id, limit=_DISCARD_BATCH)
        else:
            batch.receivers[endpoint_id] = receiver

    async def _lease(self, tx: Write, batch: ClaimBatch) -> None:
        """Lease live rows first; replays get the remaining capacity of each endpoint, and always a minimum.

        The capacity of an endpoint with a limit is exact, so there the replay lane takes its share first.
        """
        batch.lease = self._lease_terms.leases.next()
        capacities, taken, limited = batch.allocations, batch.taken, batch.limited
        await self._lease_lane(
            tx, batch, Lane.REPLAY, [(each, replay_share(capacity)) for each, capacity in capacities if each in limited]
        )
        await self._lease_lane(tx, batch, Lane.LIVE, [(each, capacity - taken[each]) for each, capacity in capacities])
        least = {each: 0 if each in limited else min_replays(capacity) for each, capacity in capacities}
        await self._lease_lane(
            tx, batch, Lane.REPLAY, [(each, max(capacity - taken[each], least[each])) for each, capacity in capacities]
        )
        if batch.reservation is not None:
            batch.windows = await self._throttle.spend(tx, batch.reservation, taken)

    async def _lease_lane(
        self, tx: Write, batch: ClaimBatch, lane: Lane, capacities: Iterable[tuple[str, int]]
    ) -> None:
        """Lease rows of one lane, within the number that is reserved."""
        left = batch.total - len(batch.rows)
        wanted = []
        for each, capacity in capacities:
            if (capacity := min(capacity, left)) > 0:
                wanted.append((each, capacity))
                left -= capacity
        if not wanted:
            return
        until = batch.now + self._lease_terms.lease_ms
        rows = await deliveries.claim(tx, wanted, lane=lane, lease=batch.lease, now=batch.now, until=until)
        batch.taken.update(row["endpoint_id"] for row in rows)
        batch.rows.extend(sorted(rows, key=_order))

    async def _load_payloads(self, tx: Write, batch: ClaimBatch) -> None:
        """Join rows with their payloads. Rows whose payload does not fit into memory are returned.

        A delivery whose payload was deleted is discarded.
        """
        payloads = await payloads_of(tx, self._queues.budget, batch.rows, batch.receivers)
        batch.payload_bytes = payloads.reserved
        unsent: list[SettledDelivery] = []
        for row in batch.rows:
            msg_id, endpoint_id = row["msg_id"], row["endpoint_id"]
            if (needed := payloads.too_large.get((msg_id, endpoint_id))) is not None:
                batch.too_large.setdefault(endpoint_id, needed)
                unsent.append(SettledDelivery(msg_id, endpoint_id, batch.lease, row["due_at"]))
                continue
            payload = payloads.found.get(msg_id)
            found = batch.discarded if payload is None else batch.deliveries
            found.append(_delivery(row, batch, batch.receivers[endpoint_id], payload or b""))
        if unsent:
            await deliveries.return_unsent(tx, unsent, 0)
        await _label(tx, batch.deliveries)

    def _fill(self, batch: ClaimBatch, backlogs: Backlogs) -> None:
        """Pass claimed deliveries to their destinations, and update the queues."""
        plain, paced = split(batch.deliveries, batch.windows)
        self._queues.enqueue(plain)
        for delivery, _ in paced:
            self._queues.budget.add(delivery)
        if paced:
            self._pacer.add(paced)
        for delivery in batch.discarded:
            self._settler.add(SendResult(delivery, discarded=True))
        for endpoint_id in backlogs.drained:
            self._queues.end_backlog(endpoint_id)
        for endpoint_id in backlogs.only_replays:
            self._queues.end_backlog(endpoint_id, has_replays=True)
        self._queues.spill(backlogs.spilled)
        for endpoint_id in batch.unavailable:
            self._queues.remove(endpoint_id)


def _delivery(row: Row, batch: ClaimBatch, receiver: Receiver, payload: bytes) -> Delivery:
    return Delivery(
        receiver,
        row["msg_id"],
        payload,
        batch.lease,
        batch.leased_at,
        row["attempts"],
        bool(row["manual"]),
        row["retry_at"],
        row["task_id"],
        batch.leased_at - max(0, batch.now - row["due_at"]) / SECOND,
    )


async def _label(tx: Write, batch: Sequence[Delivery]) -> None:
    """Give deliveries to transformed endpoints the event type and the channels: their scripts see them."""
    transformed = [each for each in batch if each.receiver.is_transformed]
    if transformed:
        labels = await intake.labels(tx, sorted({each.msg_id for each in transformed}))
        for each in transformed:
            each.labels = labels.get(each.msg_id)


def _order(row: Row) -> tuple[int, str]:
    return row["due_at"], row["msg_id"]
