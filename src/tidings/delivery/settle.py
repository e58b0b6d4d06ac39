# SPDX-License-Identifier: MIT
"""Settle: record the attempts of many sends, and end or reschedule their deliveries, in one transaction.

A batch starts when the previous one is committed. A small batch first waits some milliseconds for more results: no
caller waits for it, and a transaction costs as much as a dozen messages. While the database is unavailable, results
stay in memory and are written later. If the process dies first, the leases expire and the messages are sent again.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tidings.clock import Clock
from tidings.core.health_recorder import HealthEvent, HealthEventKind, HealthRecorder
from tidings.failpoint import point
from tidings.model.delivery import Delivery
from tidings.observe import count, failure
from tidings.storage.drivers.database import Busy, Database, OutcomeUnknown, Unavailable, Write
from tidings.storage.tables import deliveries, settlement
from tidings.storage.tables.bucket_index import BucketIndexCache
from tidings.storage.tables.deliveries import SettledDelivery
from tidings.storage.tables.settlement import AttemptRow

BATCH: Final = 500
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
_FEW: Final = 64
"""Size below which a batch first waits for more results."""
_LINGER_SECONDS: Final = 0.005


@dataclass(slots=True, eq=False)
class SendResult:
    """The result of one send. Without an attempt, the delivery is handed back, or discarded if `discarded` is set."""

    delivery: Delivery
    attempt: AttemptRow | None = None
    delivered: bool = False
    next_at: int | None = None
    discarded: bool = False
    aborted: bool = False
    """Whether a receiver directive ended the delivery before its retry schedule did."""
    unanswered: bool = False
    health_events: tuple[HealthEvent, ...] = ()
    """The health events to record."""

    @property
    def pair(self) -> tuple[str, str]:
        """The ids of the message and the endpoint."""
        return self.delivery.msg_id, self.delivery.receiver.id

    def settled(self) -> SettledDelivery:
        """Return the key and the lease of the delivery, and the time of its next attempt."""
        return SettledDelivery(self.delivery.msg_id, self.delivery.receiver.id, self.delivery.lease, self.next_at)


class SettleBatcher:
    """Settles the sends of one process in batches.

    `due_at` receives the earliest time to which a batch rescheduled a delivery. `resend` receives the endpoints with
    deliveries that are due now, because a manual send was requested while one was in flight.
    """

    def __init__(
        self,
        db: Database,
        clock: Clock,
        health: HealthRecorder,
        due_at: Callable[[int], None],
        resend: Callable[[set[str]], None],
    ) -> None:
        self._db = db
        self._clock = clock
        self._health = health
        self._due_at = due_at
        self._resend = resend
        self._waiting: deque[SendResult] = deque()
        self._flushing: asyncio.Task[None] | None = None
        self._batch: list[SendResult] = []
        """The batch that is being written."""
        self._closing = False
        self._bucket_cache = BucketIndexCache()

    @property
    def waiting(self) -> int:
        """The number of results that wait for a batch."""
        return len(self._waiting)

    def oldest_attempt(self) -> str | None:
        """Return the lowest id of the attempts that are not written yet, or None."""
        found = (outcome.attempt[1] for outcome in (*self._batch, *self._waiting) if outcome.attempt is not None)
        return min(found, default=None)

    def add(self, outcome: SendResult) -> None:
        """Add a result to the next batch."""
        self._waiting.append(outcome)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())

    async def close(self) -> None:
        """Write all results, however long that takes; give up when the database stops making progress."""
        self._closing = True
        before = -1
        while self._flushing is not None and len(self._waiting) != before:
            before = len(self._waiting)
            await asyncio.wait([self._flushing], timeout=_LONGEST_PAUSE)
        if self._flushing is not None:
            self._flushing.cancel()
            await asyncio.wait([self._flushing])

    async def _flush(self) -> None:
        try:
            while self._waiting:
                if len(self._waiting) < _FEW and not self._closing:
                    await asyncio.sleep(_LINGER_SECONDS)
                self._batch = []
                await self._settle(self._batch)
        finally:
            self._flushing = None
            self._batch = []

    def _take_waiting(self) -> list[SendResult]:
        """Remove and return waiting results, at most one batch."""
        return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    async def _settle(self, batch: list[SendResult], *, is_unknown: bool = False) -> None:
        """Write a batch, retrying until it succeeds; an empty batch is filled with waiting results.

        `is_unknown` means that the response to its COMMIT was lost, so the whole batch may already be written.
        """
        pause = _FIRST_PAUSE
        is_rechecked = False
        while True:
            try:
                await self._commit(batch, is_unknown=is_unknown)
            except (Unavailable, Busy) as error:
                is_unknown = is_unknown or isinstance(error, OutcomeUnknown)
                if pause == _FIRST_PAUSE:
                    failure("settling deliveries", error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            except Exception as error:  # noqa: BLE001 - caused by one result; the others must not wait for it
                if is_unknown and not is_rechecked:
                    is_rechecked = True  # the lost COMMIT may have succeeded since: check once more
                    continue
                await self._settle_halves(batch or self._take_waiting(), error, is_unknown=is_unknown)
                return
            else:
                return

    async def _settle_halves(self, batch: list[SendResult], error: Exception, *, is_unknown: bool) -> None:
        if len(batch) == 1:
            # The delivery stays leased. When the lease expires, it is sent again and may be settled then.
            failure(f"settling {batch[0].delivery.msg_id}", error)
            return
        middle = len(batch) // 2
        await self._settle(batch[:middle], is_unknown=is_unknown)
        await self._settle(batch[middle:], is_unknown=is_unknown)

    async def _commit(self, batch: list[SendResult], *, is_unknown: bool) -> None:
        """Write a batch in one transaction; an empty batch is filled when the transaction has begun.

        If the outcome of an earlier COMMIT is unknown, the batch is written only if that COMMIT failed.
        """
        async with self._db.write(background=True, synced=False) as tx:
            now = self._clock.now()
            batch += [] if batch else self._take_waiting()
            if is_unknown and await _is_written(tx, batch):
                # The endpoints with due deliveries were lost with the COMMIT, so all endpoints count as due.
                due: set[str] = {each.delivery.receiver.id for each in batch}
            else:
                due = await self._write(tx, batch, now)
            point("settle.before_commit")
        point("settle.after_commit")
        delivered = sum(outcome.delivered for outcome in batch)
        count("deliveries.delivered", delivered)
        count("deliveries.failed", sum(outcome.attempt is not None for outcome in batch) - delivered)
        self._notify_due(batch, now)
        if due:
            self._resend(due)

    async def _write(self, tx: Write, batch: list[SendResult], now: int) -> set[str]:
        """Write a batch; return endpoints of which at least one has a delivery that is due again."""
        attempts = [outcome.attempt for outcome in batch if outcome.attempt is not None]
        if attempts:
            await settlement.add_attempts(tx, attempts, self._bucket_cache)
        delivered = [outcome.settled() for outcome in batch if outcome.delivered]
        due: set[str] = set()
        if delivered:
            if await deliveries.settle_delivered(tx, delivered, now):
                due.update(each.endpoint_id for each in delivered)
            again = [each.pair for each in batch if each.delivered and each.delivery.manual]
            if again:
                await settlement.note_delivered(tx, again)
        events = self._health_events(batch)
        if events:
            await self._health.write(tx, events, now)
        if len(delivered) < len(batch):
            due |= await _write_undelivered(tx, batch, now)
        return due

    def _health_events(self, batch: list[SendResult]) -> list[HealthEvent]:
        """Return the health events of a batch; a success counts only if it ends a failure record."""
        events = [event for outcome in batch if outcome.health_events for event in outcome.health_events]
        failing = self._health.failing
        if failing:
            works = {
                each.delivery.receiver for each in batch if each.delivered and each.delivery.receiver.id in failing
            }
            events += [HealthEvent(HealthEventKind.SUCCEEDED, receiver) for receiver in works]
        return events

    def _notify_due(self, batch: list[SendResult], now: int) -> None:
        """Notify the claimer of the earliest due time in a batch; handed-back deliveries are due now."""
        timestamps = []
        for outcome in batch:
            if outcome.attempt is None:
                timestamps.append(now)
            elif not outcome.delivered:
                timestamps.extend(
                    timestamp for timestamp in (outcome.next_at, outcome.delivery.retry_at) if timestamp is not None
                )
        if timestamps:
            self._due_at(min(timestamps))


async def _is_written(tx: Write, batch: list[SendResult]) -> bool:
    attempt = next((each.attempt for each in batch if each.attempt is not None), None)
    return attempt is not None and await settlement.is_recorded(tx, attempt)


async def _write_undelivered(tx: Write, batch: list[SendResult], now: int) -> set[str]:
    """Reschedule, hand back or end undelivered deliveries; return endpoints as `SettleBatcher._write` does."""
    due: set[str] = set()
    aborted = [each.settled() for each in batch if each.aborted]
    if aborted:
        await deliveries.end_retry_schedule(tx, aborted)
    failed = [each.settled() for each in batch if each.attempt is not None and not each.delivered]
    if failed and await deliveries.settle_failed(tx, failed, now):
        due.update(each.endpoint_id for each in failed)
    returned = [each.settled() for each in batch if each.attempt is None and not each.discarded]
    if returned:
        await deliveries.hand_back(tx, returned, now)
    discarded = [each.settled() for each in batch if each.discarded]
    if discarded:
        await deliveries.discard(tx, discarded)
    return due
