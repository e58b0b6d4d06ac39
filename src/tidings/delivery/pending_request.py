# SPDX-License-Identifier: MIT
"""One request in flight, from the call until its reply is returned."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from tidings.delivery.wheel import TimerWheel

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Reply:
    """What came of a request.

    `status` is 0 if no HTTP answer came, and `error` then says why. With a status, `error` says that the peer broke off
    inside the body, of which `body` has what came. A body that we broke off (too long, too slow) is no error.
    `is_invalid` says that the head cannot be read beyond its status, which then says nothing about the message.
    Headers are given as they came, undecodable bytes replaced.
    """

    status: int
    body: bytes
    duration_ms: int
    error: str | None = None
    timed_out: bool = False
    retry_after: str | None = None
    webhook_delivery: str | None = None
    is_invalid: bool = False


class RequestOwner(Protocol):
    """Where a request is: in a queue, at a dial, or on a connection."""

    def partial_reply(self) -> Reply | None:
        """Return what has come of the answer, if its head has."""
        ...

    def drop(self, request: "PendingRequest") -> None:
        """Let go of a request that waits for no answer any more."""
        ...

    def dial_errors(self) -> str:
        """Return what has failed so far, or nothing."""
        ...


class PendingRequest:
    """A request and who waits for its reply. It ends once: by its reply, its deadline or its cancellation."""

    __slots__ = ("_done", "_ends_at", "_slot", "_wheel", "body", "data", "is_ended", "owner", "started_at")

    def __init__(
        self,
        data: bytes,
        done: Callable[[Reply], None],
        wheel: TimerWheel,
        started_at: float,
        head_by: float,
        ends_at: float,
    ) -> None:
        self.data = data
        self.body = b""
        """What follows the request on the wire, where that is the head alone."""
        self.started_at = started_at
        self.owner: RequestOwner | None = None
        self.is_ended = False
        self._done = done
        self._wheel = wheel
        self._ends_at = ends_at
        self._slot = wheel.add(head_by, self)

    @property
    def ends_at(self) -> float:
        """The timestamp, on the monotonic clock, by which all is over."""
        return self._ends_at

    def cancel(self) -> None:
        """Drop the request; its reply is never handed back. The receiver may have seen it all the same."""
        if not self.is_ended:
            self._leave()
            self._end()

    def expire(self) -> None:
        """Act on the deadline: that of the head first, then that of the body."""
        if self.is_ended:
            return
        partial = self.owner.partial_reply() if self.owner is not None else None
        if partial is not None and monotonic() < self._ends_at:
            self._slot = self._wheel.add(self._ends_at, self)
            return
        dial_errors = self.owner.dial_errors() if self.owner is not None else ""
        self._leave()
        late = f"request timed out; {dial_errors}" if dial_errors else "request timed out"
        self.finish(partial or self.failure(late, timed_out=True))

    def finish(self, reply: Reply) -> None:
        """Hand the reply back. What goes wrong over there is logged, and stays there."""
        self._end()
        try:
            self._done(reply)
        except Exception:
            logger.exception("a reply's receiver failed")

    def failure(self, error: str, *, timed_out: bool = False) -> Reply:
        """Return the reply of a request that got no answer."""
        return Reply(0, b"", int((monotonic() - self.started_at) * 1000), error, timed_out)

    def _end(self) -> None:
        self.is_ended = True
        self.owner = None
        self._wheel.drop(self._slot, self)

    def _leave(self) -> None:
        if self.owner is not None:
            self.owner.drop(self)
