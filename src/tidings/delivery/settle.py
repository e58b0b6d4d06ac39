# SPDX-License-Identifier: MIT
"""Settle: what came of many sends, in one transaction: their attempts, and what their deliveries wait for next.

A batch starts when the one before it has been committed; where there is little to write it waits some milliseconds for
more, since nobody waits for it and a transaction costs as much as a dozen messages. While the database is gone the
outcomes stay in memory and are written when it is back; if this process dies first, the leases expire and the messages
are sent again.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tidings.clock import Clock
from tidings.core.health_recorder import HealthEvent, HealthEventKind, HealthRecorder
from tidings.failpoint import point
from tidings.model.routing import Send
from tidings.observe import count, failure
from tidings.storage import deliveries, settlement
from tidings.storage.bucket_index import BucketIndexCache
from tidings.storage.database import Busy, Database, OutcomeUnknown, Unavailable, Write
from tidings.storage.deliveries import SettledDelivery
from tidings.storage.settlement import AttemptRow

BATCH: Final = 500
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
_FEW: Final = 64
"""Outcomes for which a transaction of their own is too much."""
_LINGER_SECONDS: Final = 0.005


@dataclass(slots=True, eq=False)
class SendResult:
    """The result of one send. Without an attempt it was not made; `discarded` says whether it never will be."""

    send: Send
    attempt: AttemptRow | None = None
    delivered: bool = False
    next_at: int | None = None
    discarded: bool = False
    aborted: bool = False
    """Whether the receiver wants no other attempt, whatever was scheduled."""
    unanswered: bool = False
    health_events: tuple[HealthEvent, ...] = ()
    """The health events to record."""

    @property
    def pair(self) -> tuple[str, str]:
        """The message and the endpoint."""
        return self.send.msg_id, self.send.receiver.id

    def settled(self) -> SettledDelivery:
        """Return the delivery's key, lease and next timestamp."""
        return SettledDelivery(self.send.msg_id, self.send.receiver.id, self.send.lease, self.next_at)


class SettleBatcher:
    """Settles the sends of one process. `due_at` is told the earliest timestamp that a batch has re-armed.

    `resend` gets endpoints with deliveries that are due now: a manual send was requested while one was in flight.
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
        """What is being written."""
        self._closing = False
        self._bucket_cache = BucketIndexCache()

    @property
    def waiting(self) -> int:
        """How many outcomes are not written yet."""
        return len(self._waiting)

    def oldest_attempt(self) -> str | None:
        """Return the least id of the attempts that are not written yet."""
        found = (outcome.attempt[1] for outcome in (*self._batch, *self._waiting) if outcome.attempt is not None)
        return min(found, default=None)

    def add(self, outcome: SendResult) -> None:
        """Take an outcome; it is written soon."""
        self._waiting.append(outcome)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())

    async def close(self) -> None:
        """Write everything that was handed in, however long that takes; give up when the database writes nothing."""
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

    def _taken(self) -> list[SendResult]:
        """Take what waits, as far as it fits into a batch."""
        return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    async def _settle(self, batch: list[SendResult], *, is_unknown: bool = False) -> None:
        """Write a batch, however long that takes; an empty one takes what waits.

        `is_unknown` says that a COMMIT of it was lost on the way: it may be written already, whole.
        """
        pause = _FIRST_PAUSE
        is_looked_for = False
        while True:
            try:
                await self._commit(batch, is_unknown=is_unknown)
            except (Unavailable, Busy) as error:
                is_unknown = is_unknown or isinstance(error, OutcomeUnknown)
                if pause == _FIRST_PAUSE:
                    failure("settling deliveries", error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            except Exception as error:  # noqa: BLE001 - one outcome's fault; the others must not wait for it
                if is_unknown and not is_looked_for:
                    is_looked_for = True  # it may have come through since: the next look tells
                    continue
                await self._settle_halves(batch or self._taken(), error, is_unknown=is_unknown)
                return
            else:
                return

    async def _settle_halves(self, batch: list[SendResult], error: Exception, *, is_unknown: bool) -> None:
        if len(batch) == 1:
            # It stays leased: when the lease expires, it is sent once more and may be written then.
            failure(f"settling {batch[0].send.msg_id}", error)
            return
        middle = len(batch) // 2
        await self._settle(batch[:middle], is_unknown=is_unknown)
        await self._settle(batch[middle:], is_unknown=is_unknown)

    async def _commit(self, batch: list[SendResult], *, is_unknown: bool) -> None:
        """Write a batch; an empty one is filled once the transaction is open, with what has come by then.

        One whose COMMIT was lost on the way is written whole or not at all, and not twice.
        """
        async with self._db.write(background=True, synced=False) as tx:
            now = self._clock.now()
            batch += [] if batch else self._taken()
            if is_unknown and await _is_written(tx, batch):
                due: set[str] = {
                    each.send.receiver.id for each in batch
                }  # what was found due then is not known any more
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
        """Write a batch; return the endpoints among which some have a delivery that is due again."""
        attempts = [outcome.attempt for outcome in batch if outcome.attempt is not None]
        if attempts:
            await settlement.add_attempts(tx, attempts, self._bucket_cache)
        delivered = [outcome.settled() for outcome in batch if outcome.delivered]
        due: set[str] = set()
        if delivered:
            if await deliveries.settle_delivered(tx, delivered, now):
                due.update(each.endpoint_id for each in delivered)
            again = [each.pair for each in batch if each.delivered and each.send.manual]
            if again:
                await settlement.note_delivered(tx, again)
        events = self._health_events(batch)
        if events:
            await self._health.write(tx, events, now)
        if len(delivered) < len(batch):
            due |= await _write_undelivered(tx, batch, now)
        return due

    def _health_events(self, batch: list[SendResult]) -> list[HealthEvent]:
        """Return the health events of a batch; a success counts only where it ends a failure record."""
        events = [event for outcome in batch if outcome.health_events for event in outcome.health_events]
        failing = self._health.failing
        if failing:
            works = {each.send.receiver for each in batch if each.delivered and each.send.receiver.id in failing}
            events += [HealthEvent(HealthEventKind.SUCCEEDED, receiver) for receiver in works]
        return events

    def _notify_due(self, batch: list[SendResult], now: int) -> None:
        """Tell the claimer when the first of what was re-armed is due; what was handed back is due now."""
        timestamps = []
        for outcome in batch:
            if outcome.attempt is None:
                timestamps.append(now)
            elif not outcome.delivered:
                timestamps.extend(
                    timestamp for timestamp in (outcome.next_at, outcome.send.retry_at) if timestamp is not None
                )
        if timestamps:
            self._due_at(min(timestamps))


async def _is_written(tx: Write, batch: list[SendResult]) -> bool:
    attempt = next((each.attempt for each in batch if each.attempt is not None), None)
    return attempt is not None and await settlement.is_recorded(tx, attempt)


async def _write_undelivered(tx: Write, batch: list[SendResult], now: int) -> set[str]:
    """Move on, hand back or end what was not delivered; return endpoints as `SettleBatcher._write` does."""
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
        await settlement.end_retries(tx, [each.pair for each in batch if each.discarded])
    return due
