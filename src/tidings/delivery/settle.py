# SPDX-License-Identifier: MIT
"""Settle: record the attempts of many sends, and end or reschedule their deliveries, in one transaction.

A batch starts when the previous one is committed. A small batch first waits some milliseconds for more results, and
then gives way to accept for a bounded time: no caller waits for it, and a transaction costs as much as a dozen
messages. While the database is unavailable, results
stay in memory and are written later. If the process dies first, the leases expire and the messages are sent again.

A batch that runs into a time limit, of a statement or for a lock, is written in parts, each planned for itself.
Its cost may grow with the square of its size, and a row that another transaction locks must not keep the other ones.
The next batches are as small, and a quarter larger after each success.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final

from tidings.clock import Clock
from tidings.core.health_recorder import HealthRecorder
from tidings.delivery import delivery_spans
from tidings.delivery.budget import MemoryBudget
from tidings.delivery.failure_summary import FailureSummary
from tidings.delivery.outcome import SendResult
from tidings.delivery.protocols import ClaimRequests
from tidings.delivery.settle_batch import SettleWriter, is_written
from tidings.delivery.tuning import DeliveryTuning
from tidings.failpoint import point
from tidings.model.delivery import Delivery
from tidings.observe import RepeatedWork, count, failure
from tidings.spans import spans
from tidings.storage.drivers.database import Busy, Database, Declined, OutcomeUnknown, Unavailable
from tidings.storage.drivers.store import Statements, statements
from tidings.storage.tables.index_order import plan_anew

_FIRST_PAUSE_SECONDS: Final = 0.05


class BatchSize:
    """The most results of a batch: fewer after one that ran into a time limit."""

    __slots__ = ("_full", "most")

    def __init__(self, full: int) -> None:
        self._full = full
        self.most = full

    @property
    def is_reduced(self) -> bool:
        """Whether a recent batch ran into a time limit."""
        return self.most < self._full

    def reduce(self, size: int) -> None:
        """Limit the next batches to half of the size of one that took too long, and to less than the full size."""
        self.most = max(1, min(self.most, size or self._full) // 2)

    def grow(self) -> None:
        """Allow a quarter more results after a success."""
        self.most = min(self._full, self.most + max(1, self.most // 4))


class SettleBatcher:
    """Settles the sends of one process in batches."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        health: HealthRecorder,
        claims: ClaimRequests,
        tuning: DeliveryTuning = DeliveryTuning(),
    ) -> None:
        self._db = db
        self._clock = clock
        self._claims = claims
        self._tuning = tuning
        self._writer = SettleWriter(health)
        self._failures = FailureSummary(tuning)
        self._statements = statements(db)
        self._size = BatchSize(tuning.settle_batch)
        self._budget = MemoryBudget(0, 0)
        self._waiting: deque[SendResult] = deque()
        self._flushing: asyncio.Task[None] | None = None
        self._batch: list[SendResult] = []
        """The batch that is being written."""
        self._written = 0
        """The results that this process has written: also the parts of a batch are progress."""
        self._closing = False
        self._work = RepeatedWork("settling deliveries")

    def count_in(self, budget: MemoryBudget) -> None:
        """Count results in a memory budget until they are settled, so that sends do not outrun the database."""
        self._budget = budget

    @property
    def waiting(self) -> int:
        """The number of results that wait for a batch."""
        return len(self._waiting)

    def oldest_attempt(self) -> str | None:
        """Return the lowest id of the attempts that are not written yet, or None."""
        found = (each.attempt.id for each in (*self._batch, *self._waiting) if each.attempt is not None)
        return min(found, default=None)

    def add(self, result: SendResult) -> None:
        """Add a result to the next batch."""
        self._waiting.append(result)
        self._budget.unsettled += 1
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())

    def return_unsent(self, deliveries: Iterable[Delivery]) -> None:
        """Make deliveries due again that leave memory without an attempt."""
        for delivery in deliveries:
            self.add(SendResult(delivery))

    async def close(self) -> None:
        """Write all results, however long that takes; give up when the database stops making progress."""
        self._closing = True
        before = (-1, -1)
        while self._flushing is not None and (len(self._waiting), self._written) != before:
            before = len(self._waiting), self._written
            await asyncio.wait([self._flushing], timeout=self._tuning.settle_longest_pause_seconds)
        if self._flushing is not None:
            self._flushing.cancel()
            await asyncio.wait([self._flushing])
        self._failures.flush()

    async def _flush(self) -> None:
        try:
            while self._waiting:
                if len(self._waiting) < self._tuning.settle_few and not self._closing:
                    await self._linger()
                self._batch = []
                await self._settle(self._batch)
        finally:
            self._flushing = None
            self._batch = []

    async def _linger(self) -> None:
        """Wait for more results, and then for a time in which accept does not write: callers wait for that."""
        await asyncio.sleep(self._tuning.settle_linger_seconds)
        await self._db.give_way(self._tuning.settle_give_way_seconds)

    def _take_waiting(self) -> list[SendResult]:
        """Remove and return waiting results, at most one batch."""
        return [self._waiting.popleft() for _ in range(min(self._size.most, len(self._waiting)))]

    async def _settle(self, batch: list[SendResult], *, is_unknown: bool = False) -> None:
        """Write a batch, retrying until it succeeds; an empty batch is filled with waiting results.

        `is_unknown` means that the response to its COMMIT was lost, so the whole batch may already be written.
        """
        pause = _FIRST_PAUSE_SECONDS
        is_rechecked = False
        while True:
            try:
                await self._commit(batch, is_unknown=is_unknown)
            except (Unavailable, Busy) as error:
                is_unknown = is_unknown or isinstance(error, OutcomeUnknown)
                self._work.failed(error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, self._tuning.settle_longest_pause_seconds)
                if isinstance(error, Busy):
                    self._size.reduce(len(batch))
                    if len(batch) > 1:
                        await self._settle_parts(batch, is_unknown=is_unknown)
                        return
            except Exception as error:  # noqa: BLE001 - caused by one result; the others must not wait for it
                if is_unknown and not is_rechecked:
                    is_rechecked = True  # the lost COMMIT may have succeeded since: check once more
                    continue
                await self._settle_halves(batch or self._take_waiting(), error, is_unknown=is_unknown)
                return
            else:
                self._work.passed()
                self._size.grow()
                return

    async def _settle_parts(self, batch: list[SendResult], *, is_unknown: bool) -> None:
        while batch:
            most = self._size.most
            part, batch = batch[:most], batch[most:]
            await self._settle(part, is_unknown=is_unknown)

    async def _settle_halves(self, batch: list[SendResult], error: Exception, *, is_unknown: bool) -> None:
        if len(batch) == 1:
            # The delivery stays leased. When the lease expires, it is sent again and may be settled then.
            receiver = batch[0].delivery.receiver
            failure(
                "settling a delivery",
                error,
                org=receiver.org_id,
                app=receiver.app_id,
                endpoint=receiver.id,
                message_id=batch[0].delivery.msg_id,
            )
            self._budget.settled(1)
            return
        middle = len(batch) // 2
        await self._settle(batch[:middle], is_unknown=is_unknown)
        await self._settle(batch[middle:], is_unknown=is_unknown)

    async def _commit(self, batch: list[SendResult], *, is_unknown: bool) -> None:
        """Write a batch in one transaction; an empty batch is filled when the transaction has begun.

        If the outcome of an earlier COMMIT is unknown, the batch is written only if that COMMIT failed.
        """
        few = len(self._waiting) <= self._tuning.settle_small and not self._size.is_reduced
        if not batch and self._statements is not None and few:
            batch += self._take_waiting()
            if await self._commit_small(self._statements, batch):
                return
        async with self._db.write(background=True, synced=False) as tx:
            if self._size.is_reduced:
                await plan_anew(tx)
            now = self._clock.now()
            batch += [] if batch else self._take_waiting()
            if is_unknown and await is_written(tx, batch):
                # The endpoints with due deliveries were lost with the COMMIT, so all endpoints count as due.
                due: set[str] = {each.delivery.receiver.id for each in batch}
            else:
                due = await self._writer.write(tx, batch, now)
            point("settle.before_commit")
        point("settle.after_commit")
        self._report(batch, due, now)

    async def _commit_small(self, statements: Statements, batch: list[SendResult]) -> bool:
        """Write a batch in one statement; return False, with nothing written, if it is not plain."""
        leases = self._writer.leases_of_plain(batch)
        if leases is None:
            return False
        async with statements(background=True) as statement:
            now = self._clock.now()
            if self._writer.has_late(batch, now):
                return False
            point("settle.before_commit")
            try:
                await self._writer.write_small(statement, batch, leases)
            except Declined:
                return False
            except OutcomeUnknown:  # perhaps too slow: the next ones are transactions, each planned for itself
                self._size.reduce(2 * len(batch))
                raise
        point("settle.after_commit")
        self._report(batch, set(), now)
        return True

    def _report(self, batch: list[SendResult], due: set[str], now: int) -> None:
        """Count the attempts of a committed batch, and request claims for the deliveries that it left."""
        self._budget.settled(len(batch))
        self._written += len(batch)
        if spans.recorder is not None:
            delivery_spans.record(spans.recorder, batch)
        delivered = sum([result.delivered and not result.canceled for result in batch])
        count("deliveries.delivered", delivered)
        if delivered < len(batch):
            self._failures.add(batch)
            for result in batch:
                if result.attempt is not None and not result.delivered:
                    count(f"attempts.{result.outcome}")
                    count("deliveries.exhausted", result.is_exhausted)
            timestamps = [timestamp for result in batch for timestamp in _next_timestamps(result, now)]
            if timestamps:
                self._claims.due_at(min(timestamps))
        if due:
            self._claims.wake_for(due)


def _next_timestamps(result: SendResult, now: int) -> list[int]:
    """Return the times at which a delivery may be due after its result; without an attempt it is due now."""
    if result.attempt is None:
        return [now]
    if result.delivered:
        return []
    return [timestamp for timestamp in (result.next_at, result.delivery.retry_at) if timestamp is not None]
