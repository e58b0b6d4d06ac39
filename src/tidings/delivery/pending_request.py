# SPDX-License-Identifier: MIT
"""A pending request: its data, its deadlines, and the callback for its reply."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

from tidings.delivery.wheel import TimerWheel
from tidings.observe import failure


@dataclass(slots=True)
class Reply:
    """The result of a request.

    Without an HTTP response, `status` is 0 and `error` has the reason. With a status, `error` means that the receiver
    closed the connection inside the body, and `body` has the received part. A body that the client cut off (too long
    or too slow) is not an error. `is_invalid` means that only the status of the head was readable: such a response
    never counts as success. Header values are unchanged, except that undecodable bytes are replaced.
    """

    status: int
    body: bytes
    duration_ms: int
    error: str | None = None
    timed_out: bool = False
    retry_after: str | None = None
    webhook_delivery: str | None = None
    is_invalid: bool = False
    head: bytes = field(default=b"", compare=False)
    """The head of the response as it was received, and possibly bytes of the body after it."""


class RequestOwner(Protocol):
    """The current owner of a request: the queue of a pool, a dial, or a connection."""

    def partial_reply(self) -> Reply | None:
        """Return the response so far if its head has been received, else None."""
        ...

    def drop(self, request: "PendingRequest") -> None:
        """Drop a request that was canceled or has expired."""
        ...

    def dial_errors(self) -> str:
        """Return the connect errors so far, or an empty string."""
        ...


class PendingRequest:
    """A request and the callback for its reply. It ends once: by its reply, its deadline or its cancellation."""

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
        """The body, if `data` has the head alone."""
        self.started_at = started_at
        self.owner: RequestOwner | None = None
        self.is_ended = False
        self._done = done
        self._wheel = wheel
        self._ends_at = ends_at
        self._slot = wheel.add(head_by, self)

    @property
    def ends_at(self) -> float:
        """The last deadline, on the monotonic clock."""
        return self._ends_at

    def cancel(self) -> None:
        """Cancel the request; its reply is never reported. The receiver may already have processed it."""
        if not self.is_ended:
            self._drop_from_owner()
            self._end()

    def expire(self) -> None:
        """Handle a deadline: first that of the head, then that of the body."""
        if self.is_ended:
            return
        partial = self.owner.partial_reply() if self.owner is not None else None
        if partial is not None and monotonic() < self._ends_at:
            self._slot = self._wheel.add(self._ends_at, self)
            return
        dial_errors = self.owner.dial_errors() if self.owner is not None else ""
        self._drop_from_owner()
        late = f"request timed out; {dial_errors}" if dial_errors else "request timed out"
        self.finish(partial or self.failure(late, timed_out=True))

    def finish(self, reply: Reply) -> None:
        """End the request and report its reply; an exception of the callback is logged, not raised."""
        self._end()
        try:
            self._done(reply)
        except Exception as error:  # noqa: BLE001 - the callbacks of other requests must still run
            failure("the callback for a reply", error)

    def failure(self, error: str, *, timed_out: bool = False) -> Reply:
        """Return the reply for a request without a response."""
        return Reply(0, b"", int((monotonic() - self.started_at) * 1000), error, timed_out)

    def _end(self) -> None:
        self.is_ended = True
        self.owner = None
        self._wheel.drop(self._slot, self)

    def _drop_from_owner(self) -> None:
        if self.owner is not None:
            self.owner.drop(self)
