# SPDX-License-Identifier: MIT
"""Start replays (deliveries that a task resends) beside live deliveries, without delaying these.

While live messages arrive, one replay starts per loop iteration, within the background budget.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from tidings.delivery.background_budget import BackgroundBudget
from tidings.delivery.endpoint_queue import EndpointQueue
from tidings.delivery.send_slots import SendSlots

_BUDGET_RETRY_SECONDS: Final = 0.002
"""How long to wait before checking the background budget again."""


class ReplayScheduler:
    """The queues with replays to start, in order; the next one starts a replay when the background budget allows it."""

    __slots__ = ("_budget", "_handle", "_slots", "_start", "_waiting")

    def __init__(self, slots: SendSlots, start: Callable[[EndpointQueue], None]) -> None:
        """`start` starts a replay of a queue, which is added again if it has more."""
        self._slots = slots
        self._start = start
        self._budget = BackgroundBudget()
        self._waiting: dict[EndpointQueue, None] = {}
        self._handle: asyncio.Handle | None = None

    def add(self, queue: EndpointQueue) -> None:
        """Append a queue that has replays and a free slot."""
        self._waiting[queue] = None
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_soon(self._run)

    def record_foreground(self) -> None:
        """Record that live deliveries have arrived, which limits replays for a while."""
        self._budget.record_foreground()

    def resume(self) -> None:
        """Continue if a queue has found a slot since."""
        if self._waiting and self._handle is None and self._next() is not None:
            self._handle = asyncio.get_running_loop().call_soon(self._run)

    def close(self) -> None:
        """Start no more replays."""
        if self._handle is not None:
            self._handle.cancel()

    def _run(self) -> None:
        """Start one replay if the background budget allows it, and reschedule while there are more."""
        self._handle = None
        if (queue := self._next()) is None:
            return  # the next send that ends resumes
        is_allowed = self._budget.allows_work()
        if is_allowed:
            del self._waiting[queue]
            self._start(queue)
        if self._waiting and self._handle is None:
            loop = asyncio.get_running_loop()
            self._handle = (
                loop.call_soon(self._run) if is_allowed else loop.call_later(_BUDGET_RETRY_SECONDS, self._run)
            )

    def _next(self) -> EndpointQueue | None:
        return next((each for each in self._waiting if self._slots.has_slot(answers=each.answers)), None)
