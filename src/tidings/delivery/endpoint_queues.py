# SPDX-License-Identifier: MIT
"""The deliveries in this process's memory: one bounded queue per endpoint, and the sends in flight.

A queue starts sends while it has free slots. It hands back deliveries that have waited too long, so that no lease
expires before its delivery is sent. When a queue is full, or live rows of its endpoint are due in the database, it is
*spilled*: new deliveries also stay in the database and are claimed in the order in which they became due.

Replays (deliveries that a task resends) never delay live ones. They have their own queue, get one send in ten while
live deliveries wait, and do not spill the endpoint when they are due in the database. While live messages arrive,
one replay starts per loop iteration, within the background budget.

Only a few sends start per loop iteration. In the next one, each waiting queue starts one, so that a thousand queues
that fill together do not block the event loop. The total number of sends in flight is bounded; above half of that
bound, each queue may have only a few. `SendSlots` chooses the queue that starts the next send.

An endpoint that did not answer ten sends in a row gets *reduced concurrency*: four sends in flight and a short queue,
which a timer refills. So a dead endpoint with many due retries uses few resources. One answer restores it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from tidings.clock import Clock
from tidings.delivery.background_budget import BackgroundBudget
from tidings.delivery.budget import MemoryBudget, MemoryLimits
from tidings.delivery.endpoint_queue import Cancellable, EndpointQueue
from tidings.delivery.send_slots import SendSlots
from tidings.delivery.tuning import DeliveryTuning
from tidings.model.delivery import Delivery
from tidings.model.routing import Receiver

_SWEEP_SECONDS: Final = 0.25
_QUEUES_KEPT: Final = 4_096
_EVICTED_SECONDS: Final = 60.0
"""How long an eviction is kept: longer than a delivery waits in memory."""
_UNANSWERED_LIMIT: Final = 10
"""Consecutive sends without an answer after which an endpoint's concurrency is reduced."""
_REDUCED_CONCURRENCY: Final = 4
"""Sends in flight to an endpoint with reduced concurrency."""
_REDUCED_LENGTH: Final = 24
"""The maximum number of waiting deliveries of an endpoint with reduced concurrency."""
_BUDGET_RETRY_SECONDS: Final = 0.002
"""How long to wait before checking the background budget again."""


class EndpointQueues:
    """The endpoint queues of one process.

    `start` starts a send and never raises; the caller calls `finish` when the send has ended. `hand_back` receives
    deliveries that are returned unsent. `request_claim` is called when there is capacity for rows in the database.
    """

    def __init__(
        self,
        limits: MemoryLimits,
        clock: Clock,
        *,
        start: Callable[[Delivery], Cancellable],
        hand_back: Callable[[list[Delivery]], None],
        request_claim: Callable[[], None],
        tuning: DeliveryTuning = DeliveryTuning(),
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._start = start
        self._hand_back = hand_back
        self._request_claim = request_claim
        self._queues: dict[str, EndpointQueue] = {}
        self._evicted_at: dict[str, float] = {}
        self.budget = MemoryBudget(limits.memory, limits.memory_bytes)
        self._slots = SendSlots(limits.in_flight, limits.memory, tuning)
        self._turn: asyncio.Handle | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None
        self._is_short = self._closed = False
        self._background_budget = BackgroundBudget()
        self._replaying: dict[EndpointQueue, None] = {}
        """Queues with replays to start, in order."""
        self._replayer: asyncio.Handle | None = None

    @property
    def held(self) -> int:
        """The number of deliveries in memory."""
        return self.budget.held

    def reserve(self, endpoint_id: str) -> bool:
        """Reserve capacity for a new delivery of an endpoint; return whether it succeeded."""
        if not self.has_capacity(endpoint_id):
            return False
        self.budget.reserved += 1
        return True

    def oldest_start(self) -> float | None:
        """Return the start of the oldest send in flight, on the monotonic clock, or None."""
        found = (getattr(request, "started_at", None) for queue in self.all() for request in queue.in_flight.values())
        return min((at for at in found if at is not None), default=None)

    def has_capacity(self, endpoint_id: str) -> bool:
        """Return whether a new delivery of an endpoint may be enqueued now."""
        if self._closed or self.budget.free <= 0:
            return False
        queue = self._queues.get(endpoint_id)
        if queue is None:
            return self.capacity_for_unanswered > 0
        if not queue.answers and self.capacity_for_unanswered <= 0:
            return False
        most = _REDUCED_LENGTH if queue.is_reduced else self._limits.queue_length
        return not queue.is_spilled and len(queue.waiting) < most

    @property
    def capacity_for_unanswered(self) -> int:
        """The number of deliveries to endpoints that do not answer for which memory has capacity."""
        return self._slots.capacity_for_unanswered - self.budget.reserved

    def claim_capacity(self, endpoint_id: str) -> int:
        """Return how many rows of an endpoint a claim may take."""
        if self._closed:
            return 0
        queue = self._queues.get(endpoint_id)
        held = 0 if queue is None else queue.held
        most = _REDUCED_LENGTH if queue is not None and queue.is_reduced else 3 * self._limits.concurrency
        return max(0, most - held)

    def note_memory_full(self) -> None:
        """Note that due rows did not fit into memory: request a claim once memory is half empty."""
        self._is_short = True

    def answers(self, endpoint_id: str) -> bool:
        """Return whether the last send to an endpoint got an answer."""
        queue = self._queues.get(endpoint_id)
        return queue is not None and queue.answers

    def is_reduced(self, endpoint_id: str) -> bool:
        """Return whether an endpoint has reduced concurrency."""
        queue = self._queues.get(endpoint_id)
        return queue is not None and queue.is_reduced

    def free_slots(self, endpoint_id: str) -> int:
        """Return how many deliveries of an endpoint would start immediately if they were enqueued now."""
        if self._closed:
            return 0
        queue = self._queues.get(endpoint_id)
        if queue is None:
            return self._limits.concurrency
        return max(0, queue.concurrency - queue.held)

    def is_crowded(self, endpoint_id: str) -> bool:
        """Return whether half or more of an endpoint's slots are taken, or its concurrency is reduced."""
        queue = self._queues.get(endpoint_id)
        return queue is not None and (queue.is_reduced or 2 * len(queue.in_flight) >= queue.concurrency)

    def enqueue(self, deliveries: Iterable[Delivery]) -> None:
        """Enqueue committed deliveries and start the sends that may start; when closed, hand them back."""
        if self._closed:
            self._hand_back(list(deliveries))
            return
        touched: dict[str, EndpointQueue] = {}
        for delivery in self._current(deliveries) if self._evicted_at else deliveries:
            queue = self._queue_of(delivery.receiver)
            queue.receiver = delivery.receiver
            queue.add(delivery)
            touched[delivery.receiver.id] = queue
            self.budget.add(delivery)
            self._slots.add(queue)
        if any(queue.waiting for queue in touched.values()):
            self._background_budget.note_foreground()
        for queue in touched.values():
            self._start_sends(queue)
        if self._sweeper is None and self.budget.held:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)

    def spill(self, endpoint_ids: Iterable[str]) -> None:
        """Note that live rows of these endpoints are due in the database."""
        for endpoint_id in endpoint_ids:
            queue = self._queues.get(endpoint_id)
            if queue is not None:
                queue.is_spilled = True

    def note_replay_backlog(self, endpoint_id: str) -> bool:
        """Note that replays of an endpoint are due in the database; return whether its queue will request a claim.

        It does once it is half empty, unless it is half empty already or is refilled by a timer.
        """
        queue = self._queues.get(endpoint_id)
        if queue is None:
            return False
        queue.has_replay_backlog = True
        return not queue.is_half_empty and not queue.is_reduced and not queue.receiver.limits

    def end_backlog(self, endpoint_id: str, *, has_replays: bool = False) -> None:
        """Note that no rows of an endpoint are due in the database, or with `has_replays` no live ones."""
        queue = self._queues.get(endpoint_id)
        if queue is not None:
            queue.is_spilled = False
            queue.has_replay_backlog = has_replays

    def finish(self, delivery: Delivery, *, unanswered: bool = False) -> bool:
        """Remove a send that has ended, and start the next; return whether it reduced the endpoint's concurrency."""
        queue = self._queues[delivery.receiver.id]
        if queue.in_flight.pop(delivery, None) is not None:
            self._slots.end(queue)
            self._remove(queue, delivery)
        has_become_reduced = False
        if queue.answers is unanswered:
            self._slots.set_answers(queue, answers=not unanswered)
        if unanswered:
            has_become_reduced = self._count_unanswered(queue)
        elif queue.unanswered:
            self._restore(queue)
        self._start_sends(queue)
        self._schedule_others()
        if self._emptied is not None and not self.budget.held:
            self._emptied.set()
        if self._is_short and self.budget.is_half_empty:
            self._is_short = False
            self._request_claim()
        return has_become_reduced

    def _remove(self, queue: EndpointQueue, delivery: Delivery) -> None:
        self.budget.remove_and_clear(delivery)
        self._slots.remove(queue)

    def _count_unanswered(self, queue: EndpointQueue) -> bool:
        queue.unanswered += 1
        if queue.unanswered < _UNANSWERED_LIMIT or queue.is_reduced:
            return False
        self._reduce(queue)
        self._return_sends(queue, queue.take_waiting(_REDUCED_LENGTH))
        self._request_claim()
        return True

    def _reduce(self, queue: EndpointQueue) -> None:
        queue.is_reduced = True
        queue.unanswered = max(queue.unanswered, 1)
        queue.concurrency = min(_REDUCED_CONCURRENCY, self._limits.concurrency)

    def _restore(self, queue: EndpointQueue) -> None:
        queue.unanswered = 0
        queue.is_reduced = False
        queue.concurrency = self._limits.concurrency

    def evict(self, endpoint_id: str) -> None:
        """Hand back the waiting deliveries of an endpoint that was disabled, deleted or changed."""
        self._evicted_at[endpoint_id] = self._clock.monotonic()
        queue = self._queues.get(endpoint_id)
        if queue is not None:
            self._return_sends(queue, queue.take_waiting())

    def _current(self, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """Hand back deliveries that were leased before their endpoint changed, and return the others.

        The transaction that leased them may have read the endpoint before the change and committed after it.
        """
        latest = self._clock.monotonic() - _EVICTED_SECONDS
        self._evicted_at = {endpoint_id: at for endpoint_id, at in self._evicted_at.items() if at > latest}
        current: list[Delivery] = []
        stale: list[Delivery] = []
        for delivery in deliveries:
            is_stale = delivery.leased_at <= self._evicted_at.get(delivery.receiver.id, -1.0)
            (stale if is_stale else current).append(delivery)
        if stale:
            self.spill({delivery.receiver.id for delivery in stale})
            self._hand_back(stale)
            self._request_claim()
        return current

    def close(self) -> list[Delivery]:
        """Start no more sends; return the waiting deliveries, which the caller hands back."""
        self._closed = True
        for timer in (self._sweeper, self._replayer, self._turn):
            if timer is not None:
                timer.cancel()
        waiting = []
        for queue in self._queues.values():
            for delivery in queue.take_waiting():
                self._remove(queue, delivery)
                waiting.append(delivery)
        return waiting

    async def wait_empty(self, seconds: float) -> None:
        """Wait until memory is empty, for at most this many seconds."""
        self._emptied = asyncio.Event()
        if self.budget.held:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), seconds)

    def cancel_all(self) -> list[Delivery]:
        """Cancel and return all sends in flight; they record no attempt and are sent again."""
        canceled = []
        for queue in self._queues.values():
            for delivery, request in queue.in_flight.items():
                request.cancel()
                self._remove(queue, delivery)
                canceled.append(delivery)
            queue.in_flight.clear()
        self._slots.clear()
        return canceled

    def all(self) -> Iterator[EndpointQueue]:
        """Iterate over the queues."""
        return iter(self._queues.values())

    def _queue_of(self, receiver: Receiver) -> EndpointQueue:
        queue = self._queues.get(receiver.id)
        if queue is None:
            if len(self._queues) >= _QUEUES_KEPT:
                self._remove_idle()
            queue = self._queues[receiver.id] = EndpointQueue(receiver, self._limits.concurrency)
            if receiver.is_failing:  # it has a failure record: one answer restores full concurrency
                self._reduce(queue)
        return queue

    def remove(self, endpoint_id: str) -> None:
        """Remove the queue of a disabled or deleted endpoint, unless it holds deliveries."""
        queue = self._queues.get(endpoint_id)
        if queue is not None and not queue.held:
            del self._queues[endpoint_id]

    def _remove_idle(self) -> None:
        for endpoint_id in [key for key, queue in self._queues.items() if not queue.held]:
            if not (self._queues[endpoint_id].is_spilled or self._queues[endpoint_id].has_replay_backlog):
                del self._queues[endpoint_id]

    def _start_sends(self, queue: EndpointQueue) -> None:
        if self._closed:
            return
        while queue.waiting and len(queue.in_flight) < self._slots.concurrency(queue):
            if not self._slots.may_start(queue):
                self._slots.defer(queue)
                break
            self._start_next(queue)
        self._start_replays(queue)

    def _start_replays(self, queue: EndpointQueue) -> None:
        """Schedule a queue's replays, and refill it, after its live deliveries have started."""
        if queue.replays and len(queue.in_flight) < self._slots.concurrency(queue):
            self._replaying[queue] = None
            if self._replayer is None:
                self._replayer = asyncio.get_running_loop().call_soon(self._replay)
        self._refill(queue)

    def _schedule_others(self) -> None:
        """Schedule the queues that wait for a loop iteration or for another queue's send to end."""
        if self._closed:
            return
        if self._slots.has_next and self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._run_turn)
        if self._replaying and self._replayer is None and self._next_replaying() is not None:
            self._replayer = asyncio.get_running_loop().call_soon(self._replay)

    def _run_turn(self) -> None:
        """Start the next sends, round-robin over the queues."""
        self._turn = None
        self._slots.started = 0
        while not self._closed and (queue := self._slots.next()) is not None:
            if queue.waiting and len(queue.in_flight) < self._slots.concurrency(queue):
                self._start_next(queue)
            if queue.waiting and len(queue.in_flight) < self._slots.concurrency(queue):
                self._slots.defer(queue)
            self._start_replays(queue)
        self._schedule_others()

    def _replay(self) -> None:
        """Start one replay if the background budget allows it, and reschedule while there are more."""
        self._replayer = None
        if self._closed or (queue := self._next_replaying()) is None:
            return  # the next send that ends reschedules this
        is_allowed = self._background_budget.allows_work()
        if is_allowed:
            del self._replaying[queue]
            if queue.replays and len(queue.in_flight) < self._slots.concurrency(queue):
                self._start_next(queue)
                self._start_sends(queue)
        if self._replaying and self._replayer is None:
            loop = asyncio.get_running_loop()
            self._replayer = (
                loop.call_soon(self._replay) if is_allowed else loop.call_later(_BUDGET_RETRY_SECONDS, self._replay)
            )

    def _next_replaying(self) -> EndpointQueue | None:
        return next((each for each in self._replaying if self._slots.has_slot(answers=each.answers)), None)

    def _refill(self, queue: EndpointQueue) -> None:
        """Request a claim for a queue that is half empty while rows of its endpoint are due in the database."""
        if (queue.is_spilled or queue.has_replay_backlog) and queue.is_half_empty:
            self._request_unless_timed(queue)

    def _request_unless_timed(self, queue: EndpointQueue) -> None:
        """Request a claim, unless a timer refills the queue."""
        if not queue.is_reduced and not queue.receiver.limits:
            self._request_claim()

    def _start_next(self, queue: EndpointQueue) -> None:
        delivery = queue.pop()
        delivery.receiver = queue.receiver
        if self._slots.start(queue) and self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._run_turn)
        queue.in_flight[delivery] = self._start(delivery)

    def _sweep(self) -> None:
        """Hand back deliveries that have waited too long; runs only while memory holds any."""
        self._sweeper = None
        latest = self._clock.monotonic() - self._limits.max_wait
        for queue in self._queues.values():
            late = []
            for deliveries in (queue.waiting, queue.replays):
                while deliveries and deliveries[0].leased_at < latest:
                    late.append(deliveries.popleft())
            self._return_sends(queue, late)
        if self.budget.held and not self._closed:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)

    def _return_sends(self, queue: EndpointQueue, deliveries: list[Delivery]) -> None:
        if deliveries:
            queue.is_spilled = True
            for delivery in deliveries:
                self._remove(queue, delivery)
            self._hand_back(deliveries)
