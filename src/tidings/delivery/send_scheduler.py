# SPDX-License-Identifier: MIT
"""Start the sends of all endpoint queues: live deliveries first, then replays, few in one loop iteration.

In the next loop iteration, each waiting queue starts one, so that a thousand queues that fill together do not block
the event loop. `SendSlots` chooses the queue that starts the next send.
"""

import asyncio

from tidings.delivery.endpoint_queue import EndpointQueue
from tidings.delivery.protocols import ClaimRequests, SendStarter
from tidings.delivery.replay_scheduler import ReplayScheduler
from tidings.delivery.send_slots import SendSlots


class SendScheduler:
    """Starts the next sends of queues while there are slots, and requests a claim for queues that run empty."""

    __slots__ = ("_claims", "_is_closed", "_next_run", "_sender", "_slots", "replays")

    def __init__(self, slots: SendSlots, sender: SendStarter, claims: ClaimRequests) -> None:
        self._slots = slots
        self._sender = sender
        self._claims = claims
        self._next_run: asyncio.Handle | None = None
        self._is_closed = False
        self.replays = ReplayScheduler(slots, self._start_replay)

    def start(self, queue: EndpointQueue) -> None:
        """Start the sends of a queue that may start now, and schedule the others."""
        if self._is_closed:
            return
        slots = self._slots
        while queue.waiting and len(queue.in_flight) < slots.concurrency(queue):
            if not slots.may_start(queue):
                slots.defer(queue)
                break
            self._start_next(queue)
        self._start_replays(queue)

    def resume(self) -> None:
        """Schedule the queues that wait for a loop iteration or for another queue's send to end."""
        if self._is_closed:
            return
        if self._slots.has_next and self._next_run is None:
            self._next_run = asyncio.get_running_loop().call_soon(self._run)
        self.replays.resume()

    def close(self) -> None:
        """Start no more sends."""
        self._is_closed = True
        self.replays.close()
        if self._next_run is not None:
            self._next_run.cancel()

    def _run(self) -> None:
        """Start the next sends, round-robin over the queues."""
        self._next_run = None
        self._slots.started = 0
        while (queue := self._slots.next()) is not None:
            if queue.waiting and len(queue.in_flight) < self._slots.concurrency(queue):
                self._start_next(queue)
            if queue.waiting and len(queue.in_flight) < self._slots.concurrency(queue):
                self._slots.defer(queue)
            self._start_replays(queue)
        self.resume()

    def _start_next(self, queue: EndpointQueue) -> None:
        delivery = queue.pop()
        delivery.receiver = queue.receiver
        if self._slots.start(queue) and self._next_run is None:
            self._next_run = asyncio.get_running_loop().call_soon(self._run)
        queue.in_flight[delivery] = self._sender.start(delivery)

    def _start_replays(self, queue: EndpointQueue) -> None:
        """Schedule a queue's replays, and refill it, after its live deliveries have started."""
        if queue.replays and len(queue.in_flight) < self._slots.concurrency(queue):
            self.replays.add(queue)
        if queue.needs_refill:
            self._claims.wake()

    def _start_replay(self, queue: EndpointQueue) -> None:
        if queue.replays and len(queue.in_flight) < self._slots.concurrency(queue):
            self._start_next(queue)
            self.start(queue)
