# SPDX-License-Identifier: MIT
"""When to look for due deliveries again, and which endpoints to leave out until then.

There is no polling. The claimer sleeps until a known time (the next due row, the next lease expiry, the next tokens
of an endpoint with a limit), until it is woken (a manual send, an endpoint queue that has capacity again), or, on
PostgreSQL, until the heartbeat query reports work.

Three kinds of endpoints are deferred although they have due rows: those whose limit allows no send yet, those that do
not answer, and those whose payloads do not fit into memory. Each has its own time for the next claim, and does not wake
the claimer before it. Those that wait for memory are claimed for earlier, as soon as enough bytes are freed.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Final

from tidings.clock import SECOND, Clock
from tidings.delivery.tuning import DeliveryTuning

_MIN_PAUSE_MS: Final = 50
_MAX_DEFERRED: Final = 10_000


class ClaimSchedule:
    """The time of the next claim, and the endpoints that are deferred beyond it."""

    def __init__(self, clock: Clock, tuning: DeliveryTuning = DeliveryTuning()) -> None:
        self._clock = clock
        self._max_sleep_seconds = tuning.claim_max_sleep_seconds
        self._next_at: int | None = None
        self._is_now = True  # rows of an earlier process may be due
        self._changed = asyncio.Event()
        self._deferred_until: dict[str, float] = {}
        self.is_closed = False

    def wake(self) -> None:
        """Claim now."""
        self._is_now = True
        self._changed.set()

    def wake_for(self, endpoint_ids: Iterable[str]) -> None:
        """Claim now, or when the first of these endpoints is not deferred any more.

        A claim that found no due row of a deferred endpoint has removed the time at which its deferral ends.
        """
        now = self._clock.monotonic()
        left = min((self._deferred_until.get(endpoint_id, now) - now for endpoint_id in endpoint_ids), default=None)
        if left is not None and left <= 0:
            self.wake()
        elif left is not None:
            self.due_at(self._clock.now() + int(left * SECOND) + 1)

    def due_at(self, timestamp: int) -> None:
        """Claim no later than the given time."""
        if self._next_at is None or timestamp < self._next_at:
            self._next_at = timestamp
            self._changed.set()

    def due_in(self, seconds: float) -> None:
        """Claim no later than after the given time."""
        self.due_at(self._clock.now() + int(seconds * SECOND))

    def pause(self, seconds: float) -> None:
        """Claim after the given time, unless woken."""
        self._next_at = self._clock.now() + int(seconds * SECOND)

    def close(self) -> None:
        """Stop claiming."""
        self.is_closed = True
        self._changed.set()

    async def wait(self) -> bool:
        """Wait until it is time to claim; return False if closed."""
        while not self.is_closed and (seconds := self._seconds()) > 0:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
        return not self.is_closed

    def begin(self) -> None:
        """Begin a claim, which finds out the time of the next one."""
        self._is_now = False
        self._next_at = None

    def end(self) -> None:
        """End a claim; the next one is not immediate unless woken.

        An expired lease whose row another transaction locks must not cause a busy loop.
        """
        if self._next_at is not None:
            self._next_at = max(self._next_at, self._clock.now() + _MIN_PAUSE_MS)

    def end_deferrals(self) -> None:
        """Remove the deferrals that are over."""
        if self._deferred_until:
            now = self._clock.monotonic()
            self._deferred_until = {each: until for each, until in self._deferred_until.items() if until > now}

    def end_deferral(self, endpoint_ids: Iterable[str]) -> None:
        """Claim now for these endpoints, deferred or not."""
        for endpoint_id in endpoint_ids:
            self._deferred_until.pop(endpoint_id, None)
        self.wake()

    def is_deferred(self, endpoint_id: str) -> bool:
        """Return whether an endpoint is deferred."""
        return endpoint_id in self._deferred_until

    def defer(self, endpoint_id: str, seconds: float) -> None:
        """Defer an endpoint, and claim for it after that."""
        if len(self._deferred_until) > _MAX_DEFERRED:
            self._deferred_until.clear()
        self._deferred_until[endpoint_id] = self._clock.monotonic() + seconds
        self.due_at(self._clock.now() + int(seconds * SECOND) + 1)

    def keep_deferred(self, endpoint_id: str) -> None:
        """Claim for a deferred endpoint when its time has come."""
        left = self._deferred_until[endpoint_id] - self._clock.monotonic()
        self.due_at(self._clock.now() + int(left * SECOND) + 1)

    def _seconds(self) -> float:
        """Return the seconds until the next claim."""
        if self._is_now:
            return 0
        if self._next_at is None:
            return self._max_sleep_seconds
        return min((self._next_at - self._clock.now()) / SECOND, self._max_sleep_seconds)
