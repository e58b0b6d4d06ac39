# SPDX-License-Identifier: MIT
"""One connection: writes a request, reads the response within bounds, and decides whether it is reusable."""

import logging
import os
import ssl
from asyncio import Protocol as StreamProtocol
from asyncio import Transport
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol, cast

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpResponseParser

from tidings.delivery.framing import REPLIED, Amended, FramingError, amend
from tidings.delivery.pending_request import PendingRequest, Reply

MAX_HEAD_BYTES: Final = 65_536
# Most bytes on the wire for each byte of body: a chunk of one byte takes six, and trailers are bounded.
WIRE_FACTOR: Final = 8
FIRST_STATUS: Final = 100
FIRST_FINAL_STATUS: Final = 200
NO_CONTENT: Final = 204
FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})

logger = logging.getLogger(__name__)


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


class _StopParsing(Exception):
    """Raised in a parser callback to stop reading the response."""


class _IrregularHead(Exception):
    """Raised in a parser callback for a head that `amend` must rewrite, although the parser accepts it."""


class ReceiverConnection(StreamProtocol):
    """A transport with at most one request at a time; the first is written when the transport is connected.

    The parser calls a method for each part of a response. Such a method never passes the reply on: the caller may send
    its next request on this connection, which must not happen while the parser runs.
    """

    __slots__ = (
        "_born_at",
        "_chunks",
        "_early",
        "_head_at",
        "_headers",
        "_is_complete",
        "_is_framed",
        "_is_open",
        "_is_reusable",
        "_is_used",
        "_limits",
        "_must_close",
        "_owner",
        "_parser",
        "_received",
        "_request",
        "_room",
        "_status",
        "_transport",
        "_wire_limit",
        "_write",
    )

    def __init__(self, owner: ConnectionOwner, limits: ReceiverConnectionLimits, first: PendingRequest) -> None:
        self._owner = owner
        self._limits = limits
        self._wire_limit = MAX_HEAD_BYTES + WIRE_FACTOR * limits.max_body_bytes
        self._transport: Transport | None = None
        self._request: PendingRequest | None = first
        self._is_open = True
        self._is_used = False
        self._born_at = self._head_at = monotonic()
        self._parser = self._new_parser()
        self._status: int
        self._received: int
        self._room: int
        self._is_complete: bool
        self._is_framed: bool
        self._is_reusable: bool
        self._must_close: bool
        self._early: bytes
        self._chunks: list[bytes]
        self._headers: dict[bytes, bytes]
        self._reset()

    @property
    def idle_since(self) -> float:
        return self._head_at

    def is_usable(self) -> bool:
        """Return whether another request can be written."""
        return self._is_open and self._transport is not None and not self._transport.is_closing()

    def start(self, request: PendingRequest) -> None:
        """Write a request, and own it until it ends."""
        self._request = request
        request.owner = self
        self._reset()
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

    # RequestOwner.

    def partial_reply(self) -> Reply | None:
        request = self._request
        return self._reply(request, None) if request is not None and self._status else None

    def drop(self, request: PendingRequest) -> None:  # noqa: ARG002 (there is only one)
        self._discard()

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
            self._discard()
            return
        self._born_at = monotonic()
        self.start(first)

    def data_received(self, data: bytes) -> None:
        request = self._request
        if request is None:
            self._discard()  # unrequested data: it could be mistaken for the response to the next request
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self._is_complete:
                self._refused(request, data, error)
                return
            self._is_reusable = False
        if self._is_complete:
            self._finish(request, None)
        else:
            self._go_on(request, data)

    def _go_on(self, request: PendingRequest, data: bytes) -> None:
        """Wait for more of the response, unless a bound is exceeded."""
        if self._status:
            if self._received > self._wire_limit:
                self._finish(request, None)
        else:
            self._early += data
            if self._received > MAX_HEAD_BYTES:
                self._fail(request, "response headers are too long")

    def _refused(self, request: PendingRequest, data: bytes, error: Exception) -> None:
        """Handle a response that the parser rejects: amend its head, or fail the request."""
        if self._status:
            self._fail(request, _parser_text(error))
            return
        self._early += data
        try:
            amended = amend(self._early)
        except FramingError as found:
            self._fail_head(request, f"invalid HTTP response: {found}", found.status)
            return
        if amended is None:
            self._go_on(request, b"")
        else:
            self._take_amended(request, amended)

    def _take_amended(self, request: PendingRequest, amended: Amended) -> None:
        """Read the response with its amended head, on a new parser."""
        received = self._received
        self._reset()
        self._received, self._must_close = received, amended.must_close
        self._parser = self._new_parser()
        try:
            self._parser.feed_data(amended.data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self._is_complete:
                self._fail(request, _parser_text(error))
                return
            self._is_reusable = False
        if self._is_complete:
            self._finish(request, None)
        else:
            self._go_on(request, b"")

    def eof_received(self) -> None:
        if self._is_open:
            self._ended(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_open:
            self._ended(exc)
        self._owner.closed(self)
        del self._parser  # breaks the reference cycle of parser and connection

    # Called by the parser.

    def on_message_begin(self) -> None:
        if self._is_complete:
            raise _StopParsing  # bytes after the end of the response

    def on_header(self, name: bytes, value: bytes) -> None:
        key = name.lower()
        if key in FRAMING:
            if key == b"transfer-encoding" and not self._status and not self._is_plainly_chunked(value):
                raise _IrregularHead
            self._is_framed = value != b"0"
        elif key in REPLIED and not self._status:  # trailers are ignored
            self._headers[key] = value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < FIRST_STATUS:
            raise _StopParsing
        if status >= FIRST_FINAL_STATUS:
            self._status = status
            self._head_at = monotonic()
            if status == NO_CONTENT and self._is_framed:
                self._must_close = True  # a 204 has no body, but the receiver may send one

    def on_body(self, chunk: bytes) -> None:
        if len(chunk) > self._room:
            self._chunks.append(chunk[: self._room])
            self._is_complete = True
            raise _StopParsing
        self._room -= len(chunk)
        self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        if self._status:
            self._is_complete = True
            self._is_reusable = self._parser.should_keep_alive() and not self._must_close
        else:
            self._headers.clear()  # headers of an interim response
            self._is_framed = False

    def _is_plainly_chunked(self, value: bytes) -> bool:
        return value.lower() == b"chunked" and self._parser.get_http_version() != "1.0"

    # The result of a request.

    def _new_parser(self) -> HttpResponseParser:
        parser = HttpResponseParser(self)
        parser.set_dangerous_leniencies(lenient_headers=True, lenient_optional_cr_before_lf=True)
        return parser

    def _reset(self) -> None:
        self._status = 0
        self._received = 0
        self._early = b""
        self._must_close = False
        self._is_complete = False
        self._is_framed = False
        self._is_reusable = False
        self._room = self._limits.max_body_bytes
        self._chunks = []
        self._headers = {}

    def _reply(self, request: PendingRequest, error: str | None) -> Reply:
        duration_ms = int((self._head_at - request.started_at) * 1000)
        reply = Reply(self._status, b"".join(self._chunks), duration_ms, error)
        if self._headers:
            reply.retry_after = _text(self._headers.get(b"retry-after"))
            reply.webhook_delivery = _text(self._headers.get(b"webhook-delivery"))
        return reply

    def _finish(self, request: PendingRequest, error: str | None) -> None:
        """Pass the reply on, after returning the connection to the pool so that the next request can use it."""
        reply = self._reply(request, error)
        self._request = None
        if self._may_go_on():
            self._is_used = True
            self._owner.release(self)
        else:
            self._discard()
        request.finish(reply)

    def _may_go_on(self) -> bool:
        transport = self._transport
        return (
            self._is_reusable
            and self._is_open
            and transport is not None
            and self._head_at - self._born_at < self._limits.max_age_seconds
            and not transport.get_write_buffer_size()  # the receiver answered before it read the whole request
            and not transport.is_closing()
        )

    def _fail(self, request: PendingRequest, error: str) -> None:
        """End the request with an error, and with the partial response if its head was received."""
        if self._status:
            self._finish(request, f"Error reading response body: {error}")
            return
        self._fail_head(request, error, 0)

    def _fail_head(self, request: PendingRequest, error: str, status: int) -> None:
        """End the request with an error; the status of an invalid response is recorded but never means success."""
        self._request = None
        self._discard()
        reply = request.failure(f"error making request: {error}")
        reply.status, reply.is_invalid = status, status > 0
        request.finish(reply)

    def _ended(self, exc: Exception | None) -> None:
        """Handle the end of the connection by the receiver."""
        request = self._request
        if request is None:
            self._discard()
        elif self._status and exc is None and not self._is_framed:
            self._finish(request, None)  # the end of the connection ends the body
        elif self._is_used and not self._received:
            # The receiver closed an idle connection just as the request was written, and has most likely not read it.
            # The new connection is not "used" yet, so a request is sent again at most once.
            self._owner.resend(request)
            self._discard()
        else:
            cause = cause_of(exc) if exc is not None else "connection closed before the response was complete"
            self._fail(request, cause)

    def _discard(self) -> None:
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


def _parser_text(error: Exception) -> str:
    if isinstance(error, HttpParserCallbackError):
        if not isinstance(error.__context__, _StopParsing):
            logger.error("reading a response failed", exc_info=error)
        return "invalid HTTP response"
    if isinstance(error, HttpParserUpgrade):
        return "invalid HTTP response: the receiver switches protocols"
    return f"invalid HTTP response: {error}"


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
