# SPDX-License-Identifier: MIT
"""One connection to a receiver: writes a request, waits for the response, and decides whether it is reusable."""

import os
import ssl
from asyncio import Protocol as StreamProtocol
from asyncio import Transport
from dataclasses import dataclass
from time import monotonic
from typing import Protocol, cast

from tidings.delivery.pending_request import PendingRequest, Reply
from tidings.delivery.response_reader import ResponseError, ResponseReader


class ConnectionOwner(Protocol):
    """The owner of connections, which decides how they are used."""

    def release(self, connection: "ReceiverConnection") -> None:
        """Take back a connection that can carry another request."""
        ...

    def retire(self, connection: "ReceiverConnection") -> None:
        """Remove a connection that cannot carry another request."""
        ...

    def resend(self, request: PendingRequest) -> None:
        """Send a request again on a new connection, because this one closed before it was read."""
        ...

    def opened(self, connection: "ReceiverConnection") -> None:
        """Register a connection whose socket is open."""
        ...

    def closed(self, connection: "ReceiverConnection") -> None:
        """Unregister a connection whose socket is closed."""
        ...


@dataclass(frozen=True, slots=True)
class ReceiverConnectionLimits:
    """The bytes of a response body that are read, and the age at which a connection is closed."""

    max_body_bytes: int
    max_age_seconds: float


class ReceiverConnection(StreamProtocol):
    """A transport with at most one request at a time; the first is written when the transport is connected."""

    __slots__ = (
        "_born_at",
        "_is_open",
        "_is_used",
        "_max_age_seconds",
        "_owner",
        "_request",
        "_response",
        "_transport",
        "_write",
    )

    def __init__(self, owner: ConnectionOwner, limits: ReceiverConnectionLimits, first: PendingRequest) -> None:
        self._owner = owner
        self._max_age_seconds = limits.max_age_seconds
        self._transport: Transport | None = None
        self._request: PendingRequest | None = first
        self._response = ResponseReader(limits.max_body_bytes)
        self._born_at = self._response.head_at
        self._is_open = True
        self._is_used = False

    @property
    def idle_since(self) -> float:
        return self._response.head_at

    def is_usable(self) -> bool:
        """Return whether another request can be written."""
        return self._is_open and self._transport is not None and not self._transport.is_closing()

    def start(self, request: PendingRequest) -> None:
        """Write a request, and own it until it ends."""
        self._request = request
        request.owner = self
        self._response.reset()
        self._write(request.data)
        if request.body:
            self._write(request.body)

    def close(self) -> None:
        """Close gracefully; for a connection without a request."""
        self._is_open = False
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close immediately; a request on the connection gets no reply."""
        self._is_open = False
        self._request = None
        if self._transport is not None:
            self._transport.abort()

    def abandon(self) -> None:
        """Close a connection whose dial failed: the event loop may never call `connection_lost` for it."""
        self.abort()
        self._owner.retire(self)
        self._owner.closed(self)
        self._response.close()

    # RequestOwner.

    def partial_reply(self) -> Reply | None:
        request = self._request
        if request is None or not self._response.status:
            return None
        return self._response.reply(request.started_at, None)

    def drop(self, request: PendingRequest) -> None:  # noqa: ARG002 (there is only one)
        self._retire()

    def dial_errors(self) -> str:
        return ""

    # Called by the event loop.

    def connection_made(self, transport: object) -> None:
        self._transport = cast("Transport", transport)
        self._write = self._transport.write
        first = self._request
        if first is None:  # the dial has failed in the meantime
            self._transport.abort()
            return
        self._owner.opened(self)
        if first.is_ended:
            self._retire()
            return
        self._born_at = monotonic()
        self.start(first)

    def data_received(self, data: bytes) -> None:
        request = self._request
        if request is None:
            self._retire()  # unrequested data: it could be mistaken for the response to the next request
            return
        try:
            is_complete = self._response.feed(data)
        except ResponseError as error:
            self._fail(request, str(error), error.status)
            return
        if is_complete:
            self._finish(request, None)

    def eof_received(self) -> None:
        if self._is_open:
            self._handle_end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_open:
            self._handle_end(exc)
        self._owner.closed(self)
        self._response.close()

    # The result of a request.

    def _finish(self, request: PendingRequest, error: str | None) -> None:
        """Pass the reply on, after returning the connection to the pool so that the next request can use it."""
        reply = self._response.reply(request.started_at, error)
        self._request = None
        if self._can_carry_another():
            self._is_used = True
            self._owner.release(self)
        else:
            self._retire()
        request.finish(reply)

    def _can_carry_another(self) -> bool:
        transport = self._transport
        return (
            self._response.is_reusable
            and self._is_open
            and transport is not None
            and self._response.head_at - self._born_at < self._max_age_seconds
            and not transport.get_write_buffer_size()  # the receiver answered before it read the whole request
            and not transport.is_closing()
        )

    def _fail(self, request: PendingRequest, error: str, status: int = 0) -> None:
        """End the request with an error, and with the partial response if its head was received.

        The status of a response with an invalid head is recorded, but never means success.
        """
        if self._response.status:
            self._finish(request, f"Error reading response body: {error}")
            return
        self._request = None
        self._retire()
        reply = request.failure(f"error making request: {error}")
        reply.status, reply.is_invalid = status, status > 0
        request.finish(reply)

    def _handle_end(self, exc: Exception | None) -> None:
        """Handle the end of the connection by the receiver."""
        request = self._request
        if request is None:
            self._retire()
        elif self._response.status and exc is None and not self._response.is_framed:
            self._finish(request, None)  # the end of the connection ends the body
        elif self._is_used and not self._response.received:
            # The receiver closed an idle connection just as the request was written, and has most likely not read it.
            # The new connection is not "used" yet, so a request is sent again at most once.
            self._owner.resend(request)
            self._retire()
        else:
            cause = cause_of(exc) if exc is not None else "connection closed before the response was complete"
            self._fail(request, cause)

    def _retire(self) -> None:
        """Close immediately and leave the pool, unless the connection is closed already."""
        if self._is_open:
            self.abort()
            self._owner.retire(self)


def cause_of(error: BaseException) -> str:
    """Return why a connection failed, for the owner of the endpoint: without addresses or internal names."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS certificate not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or 'handshake failed').lower().replace('_', ' ')}"
    if isinstance(error, OSError) and error.errno is not None:
        return _errno_text(error.errno)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return "connection closed" if isinstance(error, ConnectionError) else type(error).__name__


def _errno_text(number: int) -> str:
    return os.strerror(number).lower()
