# SPDX-License-Identifier: MIT
"""Detection of a wall clock that is set back, and rescheduling of the work that it would delay.

Retries that were scheduled while the clock was ahead would otherwise wait until the wall clock reaches that time again.
The comparison with the monotonic clock reveals the step. The id of a delivery's last attempt contains the timestamp
from which its due time was computed; without an attempt, the id of its message does. A delivery that was scheduled by
the fast clock keeps its delay, counted from now. Other deliveries do not change.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from tidings import ids, observe
from tidings.clock import MINUTE, SECOND, Clock
from tidings.logs import log
from tidings.model.throttle import SECOND_US, WINDOW_US
from tidings.storage.drivers.database import Database
from tidings.storage.tables import nodes
from tidings.storage.tables.nodes import ScheduledDelivery

_CHECK_SECONDS: Final = 5.0
_STEP_MS: Final = SECOND
"""A step of at most this size is ignored, because it delays work by no more than a second."""
_TASK_MS: Final = 5 * MINUTE
"""The longest delay before the next slice of a task."""
_CHUNK: Final = 1_000


class ClockWatch:
    """Compares the wall clock with the monotonic clock, and reschedules work when the wall clock is set back."""

    def __init__(self, db: Database, clock: Clock, *, repaired: Callable[[], None]) -> None:
        """`repaired` is called after rescheduling, because deliveries and tasks may have become due."""
        self._db = db
        self._clock = clock
        self._repaired = repaired
        self._offset = self._now_offset()

    async def run(self) -> None:
        """Compare the clocks every few seconds; this needs no query while the wall clock is right."""
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            try:
                await self.check()
            except Exception as error:  # noqa: BLE001 - the next check tries again
                observe.failure("rescheduling after the clock was set back", error)

    async def check(self) -> None:
        """Reschedule if the clock was set back since the last successful check."""
        offset = self._now_offset()
        back = self._offset - offset
        if back > _STEP_MS:
            moved = await reschedule(self._db, self._clock.now())
            log.warning(
                "clock.set_back",
                "the wall clock was set back; deliveries were rescheduled",
                seconds=round(back / SECOND, 1),
                deliveries=moved,
            )
            self._repaired()
        self._offset = offset

    def _now_offset(self) -> float:
        return self._clock.now() - self._clock.monotonic() * SECOND


async def reschedule(db: Database, now: int) -> int:
    """Reschedule the work that a fast clock scheduled too late; return the number of deliveries changed."""
    async with db.write() as tx:
        await nodes.cap_throttles(tx, now=now, tat=now * (SECOND_US // SECOND) + WINDOW_US)
        await nodes.cap_task_waits(tx, now=now, latest=now + _TASK_MS)
    moved = 0
    after: tuple[str, str] | None = ("", "")
    while after is not None:
        async with db.read() as read:
            found, after = await nodes.scheduled_deliveries(read, now=now, after=after, limit=_CHUNK)
        changes = [(each, *times) for each in found if (times := _times(each, now)) != (each.due_at, each.retry_at)]
        if changes:
            async with db.write() as tx:
                moved += await nodes.move_deliveries(tx, changes)
    return moved


def _times(delivery: ScheduledDelivery, now: int) -> tuple[int, int | None]:
    """Return the corrected due time of a delivery, and of its automatic retry if it has one."""
    if delivery.attempt_id is None:
        due_at = delivery.due_at if delivery.deliver_at is not None else now
        return (now if delivery.is_manual else due_at), delivery.retry_at
    ahead = max(0, ids.timestamp_of(delivery.attempt_id) - now)
    if ahead <= _STEP_MS:
        ahead = 0
    retry_at = None if delivery.retry_at is None else delivery.retry_at - ahead
    if delivery.is_manual:
        return now, retry_at
    due_at = delivery.due_at if delivery.next_at is None else min(delivery.due_at, delivery.next_at)
    return max(now, due_at - ahead), retry_at
