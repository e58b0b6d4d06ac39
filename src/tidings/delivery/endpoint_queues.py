# SPDX-License-Identifier: MIT
"""The deliveries in this process's memory: one bounded queue per endpoint, and the sends in flight.

A queue starts sends while it has free slots (`SendScheduler`). It returns deliveries that have waited too long, so that
no lease expires before its delivery is sent.

**Spill.** When a queue is full, or live rows of its endpoint are due in the database, it is *spilled*: new deliveries
also stay in the database and are claimed in the order in which they became due. It ends when a claim has drained them.

**Refill.** A spilled queue that is half empty requests a claim, unless a timer refills it: that of its rate limit, or
that of an endpoint with reduced concurrency.

Replays (deliveries that a task resends) never delay live ones. They have their own queue, get one send in ten while
live deliveries wait, and do not spill the endpoint when they are due in the database.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from typing import Final

from tidings.clock import Clock
from tidings.delivery.budget import MemoryBudget, MemoryLimits
from tidings.delivery.endpoint_queue import EndpointQueue
from tidings.delivery.evictions import Evictions
from tidings.delivery.protocols import ClaimRequests, SendStarter, UnsentDeliveries
from tidings.delivery.queue_capacity import QueueCapacity
from tidings.delivery.reduced_concurrency import ReducedConcurrency
from tidings.delivery.send_scheduler import SendScheduler
from tidings.delivery.send_slots import SendSlots
from tidings.delivery.tuning import DeliveryTuning
from tidings.model.delivery import Delivery
from tidings.model.routing import Receiver

_SWEEP_SECONDS: Final = 0.25
_QUEUES_KEPT: Final = 4_096


class EndpointQueues:
    """The endpoint queues of one process. When a send has ended, its listener calls `finish`."""

    def __init__(
        self,
        limits: MemoryLimits,
        clock: Clock,
        sender: SendStarter,
        unsent: UnsentDeliveries,
        claims: ClaimRequests,
        tuning: DeliveryTuning = DeliveryTuning(),
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._unsent = unsent
        self._claims = claims
        self.budget = MemoryBudget(limits.memory, limits.memory_bytes)
        self.budget.on_settled = self._claim_if_half_empty
        self._queues: dict[str, EndpointQueue] = {}
        self._evictions = Evictions(clock)
        self._reduced = ReducedConcurrency(limits.concurrency, tuning)
        self._slots = SendSlots(limits.in_flight, limits.memory, tuning)
        self.capacity = QueueCapacity(limits, self.budget, self._queues, self._slots, self._reduced)
        self._scheduler = SendScheduler(self._slots, sender, claims)
        self._sweeper: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None
        self._is_claim_cut_short = False
        self._is_closed = False

    @property
    def held(self) -> int:
        """The number of deliveries in memory."""
        return self.budget.held

    @property
    def in_flight(self) -> int:
        """The number of sends in flight."""
        return self._slots.in_flight

    def oldest_start(self) -> float | None:
        """Return the start of the oldest send in flight, on the monotonic clock, or None."""
        found = (getattr(request, "started_at", None) for queue in self.all() for request in queue.in_flight.values())
        return min((at for at in found if at is not None), default=None)

    def request_claim_when_half_empty(self) -> None:
        """Request a claim once memory is half empty, because due rows did not fit."""
        self._is_claim_cut_short = True

    def enqueue(self, deliveries: Iterable[Delivery]) -> None:
        """Enqueue committed deliveries and start the sends that may start; when closed, return them unsent."""
        if self._is_closed:
            self._unsent.return_unsent(deliveries)
            return
        touched: dict[str, EndpointQueue] = {}
        for delivery in self._current(deliveries) if self._evictions else deliveries:
            queue = self._queue_of(delivery.receiver)
            queue.receiver = delivery.receiver
            queue.add(delivery)
            touched[delivery.receiver.id] = queue
            self.budget.add(delivery)
            self._slots.add(queue)
        if any(queue.waiting for queue in touched.values()):
            self._scheduler.replays.record_foreground()
        for queue in touched.values():
            self._scheduler.start(queue)
        if self._sweeper is None and self.budget.held:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)

    def start_paced(self, delivery: Delivery) -> bool:
        """Start a delivery that the pacer held; return False if its endpoint has no free slot."""
        if not self.capacity.free_slots(delivery.receiver.id):
            return False
        self.budget.remove(delivery)
        self.enqueue([delivery])
        return True

    def return_paced(self, deliveries: Iterable[Delivery]) -> None:
        """Return deliveries unsent that the pacer held."""
        deliveries = list(deliveries)
        for delivery in deliveries:
            self.budget.remove_and_clear(delivery)
        self._unsent.return_unsent(deliveries)

    def spill(self, endpoint_ids: Iterable[str]) -> None:
        """Keep new deliveries of these endpoints in the database, because live rows of them are due there."""
        for endpoint_id in endpoint_ids:
            queue = self._queues.get(endpoint_id)
            if queue is not None:
                queue.is_spilled = True

    def record_replay_backlog(self, endpoint_id: str) -> bool:
        """Record that replays of an endpoint are due in the database; return whether its queue will request a claim.

        It does once it is half empty, unless it is half empty already or is refilled by a timer.
        """
        queue = self._queues.get(endpoint_id)
        if queue is None:
            return False
        queue.has_replay_backlog = True
        return not queue.is_half_empty and not queue.is_refilled_by_timer

    def end_backlog(self, endpoint_id: str, *, has_replays: bool = False) -> None:
        """Record that no rows of an endpoint are due in the database, or with `has_replays` no live ones."""
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
            has_become_reduced = self._reduced.count_unanswered(queue)
            if has_become_reduced:
                self._return_waiting(queue, queue.take_waiting(self._reduced.max_held))
                self._claims.wake()
        elif queue.unanswered:
            self._reduced.restore(queue)
        self._scheduler.start(queue)
        self._scheduler.resume()
        if self._emptied is not None and not self.budget.held:
            self._emptied.set()
        self._claim_if_half_empty()
        return has_become_reduced

    def _claim_if_half_empty(self) -> None:
        """Request the claim that was cut short, once memory is half empty."""
        if self._is_claim_cut_short and self.budget.is_half_empty:
            self._is_claim_cut_short = False
            self._claims.wake()

    def _remove(self, queue: EndpointQueue, delivery: Delivery) -> None:
        self.budget.remove_and_clear(delivery)
        self._slots.remove(queue)

    def evict(self, endpoint_id: str) -> None:
        """Return the waiting deliveries of an endpoint unsent, because it was disabled, deleted or changed."""
        self._evictions.add(endpoint_id)
        queue = self._queues.get(endpoint_id)
        if queue is not None:
            self._return_waiting(queue, queue.take_waiting())

    def _current(self, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """Return the stale deliveries unsent, and those that are current to the caller."""
        current, stale = self._evictions.split(deliveries)
        if stale:
            self.spill({delivery.receiver.id for delivery in stale})
            self._unsent.return_unsent(stale)
            self._claims.wake()
        return current

    def close(self) -> list[Delivery]:
        """Start no more sends; return the waiting deliveries, which the caller returns unsent."""
        self._is_closed = True
        self.capacity.close()
        self._scheduler.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
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
                self._reduced.reduce(queue)
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

    def _sweep(self) -> None:
        """Return deliveries that have waited too long unsent; runs only while memory holds any."""
        self._sweeper = None
        latest = self._clock.monotonic() - self._limits.max_wait
        for queue in self._queues.values():
            self._return_waiting(queue, queue.take_late(latest))
        if self.budget.held and not self._is_closed:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)

    def _return_waiting(self, queue: EndpointQueue, deliveries: list[Delivery]) -> None:
        if deliveries:
            queue.is_spilled = True
            for delivery in deliveries:
                self._remove(queue, delivery)
            self._unsent.return_unsent(deliveries)
