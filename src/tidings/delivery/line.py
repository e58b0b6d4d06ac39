# SPDX-License-Identifier: MIT
"""One endpoint's deliveries in memory: those that wait, live ones apart from replays, and those under way."""

from collections import deque
from typing import Final, Protocol

from tidings.model.routing import Receiver, Send

_REPLAY_TURN: Final = 10
"""Which send is one of a task, counted from its last, while live ones wait."""


class Cancellable(Protocol):
    """A send under way."""

    def cancel(self) -> None:
        """Stop it; its reply is never handed back."""
        ...


class Line:
    """One endpoint's deliveries in memory."""

    __slots__ = (
        "answers",
        "behind",
        "concurrency",
        "has_more",
        "is_narrow",
        "live_turns",
        "receiver",
        "replays",
        "unanswered",
        "under_way",
        "waiting",
    )

    def __init__(self, receiver: Receiver, concurrency: int) -> None:
        self.receiver = receiver
        self.concurrency = concurrency
        self.waiting: deque[Send] = deque()
        self.replays: deque[Send] = deque()
        """What waits because a task asked for it."""
        self.live_turns = 0
        self.under_way: dict[Send, Cancellable] = {}
        self.behind = False
        self.has_more = False
        """Whether rows that tasks asked for wait in the database."""
        self.is_narrow = False
        self.answers = False
        """Whether the last send that ended got an answer."""
        self.unanswered = 0
        """Sends in a row that got no answer."""

    @property
    def held(self) -> int:
        """How many deliveries wait here or are under way."""
        return len(self.waiting) + len(self.replays) + len(self.under_way)

    @property
    def is_half_empty(self) -> bool:
        """Whether it is time to ask for more of what waits in the database: a claim takes as long as some sends."""
        return len(self.waiting) + len(self.replays) < self.concurrency

    def add(self, send: Send) -> None:
        """Let a delivery wait."""
        (self.waiting if send.task_id is None else self.replays).append(send)

    def next(self) -> Send:
        """Take out the delivery whose turn it is; there must be one."""
        if self.replays and (not self.waiting or self.live_turns >= _REPLAY_TURN - 1):
            self.live_turns = 0
            return self.replays.popleft()
        self.live_turns += 1
        return self.waiting.popleft()

    def emptied(self, left: int = 0) -> list[Send]:
        """Take out what waits, the latest first, until so many are left."""
        found = []
        for deliveries in (self.replays, self.waiting):
            while deliveries and len(self.waiting) + len(self.replays) > left:
                found.append(deliveries.pop())
        return found
