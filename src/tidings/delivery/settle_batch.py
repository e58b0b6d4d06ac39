# SPDX-License-Identifier: MIT
"""The transaction that settles a batch: attempts, deliveries ended or rescheduled, health, operational events."""

from collections.abc import Sequence
from typing import Final

from tidings.core.health_recorder import HealthEvent, HealthEventKind, HealthRecorder
from tidings.core.rollups import REOPENED_AFTER_MS
from tidings.delivery.outcome import SendResult
from tidings.ids import ATTEMPT, first_at, timestamp_of
from tidings.model.attempt import MessageStatus
from tidings.model.rollup import hour_of
from tidings.storage.drivers.database import OneStatement, Write
from tidings.storage.tables import deliveries, rollups, settlement
from tidings.storage.tables.bucket_index import BucketIndexCache
from tidings.storage.tables.settlement import AttemptRow

_FAIL: Final = int(MessageStatus.FAIL)


class SettleWriter:
    """Writes batches of results in open transactions."""

    def __init__(self, health: HealthRecorder) -> None:
        self._health = health
        self._bucket_cache = BucketIndexCache()
        self._late = LateAttempts()

    async def write(self, tx: Write, batch: Sequence[SendResult], now: int) -> set[str]:
        """Write a batch; return the ids of endpoints with a delivery that is due now.

        A delivery is due now if a manual send was requested while its send was in flight. All endpoints that have one
        are in the set; an endpoint that has none may be, too.
        """
        attempts = [result.attempt for result in batch if result.attempt is not None]
        if attempts:
            await settlement.add_attempts(tx, attempts, self._bucket_cache)
            late = self._late.among(attempts, now)
            if late:
                await rollups.reopen(tx, late)
        due = await _end_delivered(tx, [result for result in batch if result.delivered], now)
        undelivered = [result for result in batch if not result.delivered]
        events = self._health_events(batch)
        if undelivered:
            events += self._suspected_runs(batch, now)
        if events:
            await self._health.write(tx, events, now)
        if undelivered:
            due |= await _end_undelivered(tx, undelivered, now)
        return due

    def has_late(self, batch: Sequence[SendResult], now: int) -> bool:
        """Return whether an attempt of a batch belongs to an hour that may be closed, so the batch is not plain."""
        return bool(self._late.among([result.attempt for result in batch if result.attempt is not None], now))

    def leases_of_plain(self, batch: Sequence[SendResult]) -> list[int] | None:
        """Return the leases of a plain batch: automatic sends that succeeded, without a health event. Else None."""
        plain = [result.delivered and not result.delivery.manual for result in batch]
        if not all(plain) or self._health_events(batch):
            return None
        return [result.delivery.lease for result in batch]

    async def write_small(self, statement: OneStatement, batch: Sequence[SendResult], leases: Sequence[int]) -> None:
        """Write a plain batch in one statement. Raises `Declined`, with nothing written, if a delivery has changed."""
        attempts = [result.attempt for result in batch if result.attempt is not None]
        await settlement.add_small(statement, attempts, leases, cache=self._bucket_cache)

    def _health_events(self, batch: Sequence[SendResult]) -> list[HealthEvent]:
        """Return the health events of a batch; a success counts only if it ends a failure record."""
        events = [event for result in batch if result.health_events for event in result.health_events]
        failing = self._health.failing
        if failing:
            works = {each.delivery.receiver for each in batch if each.delivered and not each.canceled}
            events += [HealthEvent(HealthEventKind.SUCCEEDED, each) for each in works if each.id in failing]
        runs = self._health.runs
        if runs:
            for result in batch:
                if result.delivered:
                    runs.end(result.delivery.receiver.id)
        return events

    def _suspected_runs(self, batch: Sequence[SendResult], now: int) -> list[HealthEvent]:
        """Count the attempts of a batch with failures; return the endpoints that may have failed ten times in a row."""
        ended = [
            (result.delivery.receiver, result.delivered)
            for result in batch
            if result.delivered or (result.attempt is not None and result.attempt.status == _FAIL)
        ]
        suspects = self._health.runs.count(ended, now)
        return [HealthEvent(HealthEventKind.FAILED_IN_A_ROW, receiver) for receiver in suspects]


class LateAttempts:
    """Finds attempts of hours that may be closed; see `tasks/kinds/rollup.py`. It compares one id per attempt."""

    __slots__ = ("_first", "_hour")

    def __init__(self) -> None:
        self._hour = 0
        self._first = ""

    def among(self, attempts: Sequence[AttemptRow], now: int) -> list[rollups.Reopened]:
        """Return the hours and endpoints of late attempts, each with one of its attempts."""
        hour = hour_of(now - REOPENED_AFTER_MS)
        if hour != self._hour:
            self._hour, self._first = hour, first_at(ATTEMPT, hour)
        first = self._first
        late = [row for row in attempts if row.id < first]
        found = {(hour_of(timestamp_of(row.id)), row.endpoint_id): row.id for row in late}
        return [(*key, attempt_id) for key, attempt_id in found.items()]


async def is_written(tx: Write, batch: Sequence[SendResult]) -> bool:
    """Return whether a batch has been written; a batch is written whole or not at all."""
    attempt = next((each.attempt for each in batch if each.attempt is not None), None)
    return attempt is not None and await settlement.is_recorded(tx, attempt)


async def _end_delivered(tx: Write, delivered: Sequence[SendResult], now: int) -> set[str]:
    """End successful deliveries; return the endpoints as `SettleWriter.write` does."""
    if not delivered:
        return set()
    settled = [result.settled() for result in delivered]
    is_any_due = await deliveries.settle_delivered(tx, settled, now)
    again = [result.pair for result in delivered if result.delivery.manual]
    if again:
        await settlement.note_delivered(tx, again)
    return {each.endpoint_id for each in settled} if is_any_due else set()


async def _end_undelivered(tx: Write, undelivered: Sequence[SendResult], now: int) -> set[str]:
    """Reschedule, return or end other deliveries; return the endpoints as `SettleWriter.write` does."""
    due: set[str] = set()
    aborted = [each.settled() for each in undelivered if each.aborted]
    if aborted:
        await deliveries.end_retry_schedule(tx, aborted)
    failed = [each.settled() for each in undelivered if each.attempt is not None]
    if failed and await deliveries.settle_failed(tx, failed, now):
        due.update(each.endpoint_id for each in failed)
    returned = [each.settled() for each in undelivered if each.attempt is None and not each.discarded]
    if returned:
        await deliveries.return_unsent(tx, returned, now)
    discarded = [each.settled() for each in undelivered if each.discarded]
    if discarded:
        await deliveries.discard(tx, discarded)
    return due
