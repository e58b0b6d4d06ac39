# SPDX-License-Identifier: MIT
"""A transformed send in flight: first its script, then its request."""

import asyncio
from typing import Protocol

from tidings.delivery.endpoint_queue import Cancellable
from tidings.model.delivery import Delivery
from tidings.sandbox.run_queues import ScriptRun


class SendOwner(Protocol):
    """Knows the sends whose request is not made yet."""

    def forget(self, send: "TransformedSend") -> None:
        """Forget a canceled send."""
        ...


class TransformedSend:
    """A send in flight. At most one of its task, its run, its place among the parked sends, and its request is set."""

    __slots__ = ("_owner", "delivery", "is_resumed", "parked_as", "request", "run", "started_at", "task", "timer")

    def __init__(self, owner: SendOwner, delivery: Delivery, started_at: float) -> None:
        self._owner = owner
        self.delivery = delivery
        self.started_at = started_at
        """On the monotonic clock."""
        self.task: asyncio.Task[None] | None = None
        """Reads the script."""
        self.run: ScriptRun | None = None
        self.request: Cancellable | None = None
        self.timer: asyncio.Handle | None = None
        """The time-out, which calls the owner; the owner cancels it."""
        self.parked_as: str | None = None
        """The name under which it waits for memory."""
        self.is_resumed = False
        """Whether there was memory for its payload when its script last began."""

    @property
    def is_running(self) -> bool:
        """Whether a process has its script."""
        return self.run is not None and self.run.has_begun

    def took_ms(self, now: float) -> int:
        """Return the milliseconds since the start."""
        return max(0, round((now - self.started_at) * 1_000))

    def cancel(self) -> None:
        """Cancel the send; its result is never reported."""
        if self.request is not None:
            self.request.cancel()
            return
        if self.task is not None:
            self.task.cancel()
        if self.run is not None:
            self.run.cancel()
        self._owner.forget(self)
