# SPDX-License-Identifier: MIT
"""One endpoint's deliveries in memory: waiting live deliveries, waiting replays, and sends in flight."""

from collections import deque
from typing import Final, Protocol

from tidings.model.delivery import Delivery
from tidings.model.routing import Receiver

_REPLAY_EVERY: Final = 10
"""While live deliveries wait, one send in this many is a replay."""


class Cancellable(Protocol):
    """A send in flight."""

    def cancel(self) -> None:
        """Cancel the send; its reply is never reported."""
        ...


class EndpointQueue:
    """Holds one endpoint's deliveries in memory, and its concurrency."""

    __slots__ = (
        "answers",
        "concurrency",
        "has_replay_backlog",
        "in_flight",
        "is_reduced",
        "is_spilled",
        "live_in_a_row",
        "receiver",
        "replays",
        "unanswered",
        "waiting",
    )

    def __init__(self, receiver: Receiver, concurrency: int) -> None:
        self.receiver = receiver
        self.concurrency = concurrency
        self.waiting: deque[Delivery] = deque()
        self.replays: deque[Delivery] = deque()
        """Waiting deliveries that a task resends."""
        self.live_in_a_row = 0
        """Live sends since the last replay."""
        self.in_flight: dict[Delivery, Cancellable] = {}
        self.is_spilled = False
        """Whether new deliveries stay in the database until its backlog is drained."""
        self.has_replay_backlog = False
        """Whether replays are due in the database."""
        self.is_reduced = False
        """Whether concurrency is reduced."""
        self.answers = False
        """Whether the last send that ended got an answer."""
        self.unanswered = 0
        """Consecutive sends that got no answer."""

    @property
    def held(self) -> int:
        """The number of deliveries that wait or are in flight."""
        return len(self.waiting) + len(self.replays) + len(self.in_flight)

    @property
    def is_half_empty(self) -> bool:
        """Whether fewer deliveries wait than may be in flight: request a claim now, because claims take time."""
        return len(self.waiting) + len(self.replays) < self.concurrency

    @property
    def is_refilled_by_timer(self) -> bool:
        """Whether the time of the next claim is known, so that a queue that runs empty requests none."""
        return self.is_reduced or bool(self.receiver.limits)

    @property
    def needs_refill(self) -> bool:
        """Whether to request a claim now: the queue is half empty, and rows of its endpoint are due in the database."""
        return (self.is_spilled or self.has_replay_backlog) and self.is_half_empty and not self.is_refilled_by_timer

    def add(self, delivery: Delivery) -> None:
        """Append a delivery."""
        (self.waiting if delivery.task_id is None else self.replays).append(delivery)

    def pop(self) -> Delivery:
        """Remove and return the delivery to send next; there must be one."""
        if self.replays and (not self.waiting or self.live_in_a_row >= _REPLAY_EVERY - 1):
            self.live_in_a_row = 0
            return self.replays.popleft()
        self.live_in_a_row += 1
        return self.waiting.popleft()

    def take_late(self, latest: float) -> list[Delivery]:
        """Remove and return waiting deliveries that were leased before `latest`."""
        found = []
        for deliveries in (self.waiting, self.replays):
            while deliveries and deliveries[0].leased_at < latest:
                found.append(deliveries.popleft())
        return found

    def take_waiting(self, keep: int = 0) -> list[Delivery]:
        """Remove and return waiting deliveries, the latest first, until `keep` are left."""
        found = []
        for deliveries in (self.replays, self.waiting):
            while deliveries and len(self.waiting) + len(self.replays) > keep:
                found.append(deliveries.pop())
        return found
