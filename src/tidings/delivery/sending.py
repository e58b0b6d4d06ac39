# SPDX-License-Identifier: MIT
"""One request under way, from the moment it is handed in until its reply is handed back."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from tidings.delivery.wheel import Wheel

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Reply:
    """What came of a request.

    `status` is 0 if no HTTP answer came, and `error` then says why. With a status, `error` says that the peer broke off
    inside the body, of which `body` has what came. A body that we broke off (too long, too slow) is no error.
    Headers are given as they came, undecodable bytes replaced.
    """

    status: int
    body: bytes
    duration_ms: int
    error: str | None = None
    timed_out: bool = False
    retry_after: str | None = None
    webhook_delivery: str | None = None


class Carrier(Protocol):
    """Where a sending is: in a queue, at a dial, or on a connection."""

    def partial(self) -> Reply | None:
        """Return what has come of the answer, if its head has."""
        ...

    def drop(self, sending: "Sending") -> None:
        """Let go of a sending that waits for no answer any more."""
        ...


class Sending:
    """A request and who waits for its reply. It ends once: by its reply, its deadline or its cancellation."""

    __slots__ = ("_done", "_ends_at", "_slot", "_wheel", "carrier", "is_ended", "is_resent", "request", "started_at")

    def __init__(
        self, request: bytes, done: Callable[[Reply], None], wheel: Wheel, head_by: float, ends_at: float
    ) -> None:
        self.request = request
        self.started_at = monotonic()
        self.carrier: Carrier | None = None
        self.is_ended = False
        self.is_resent = False
        self._done = done
        self._wheel = wheel
        self._ends_at = ends_at
        self._slot = wheel.add(head_by, self)
