# SPDX-License-Identifier: MIT
"""Read the responses of one connection, one after the other, within bounds in bytes."""

from contextlib import suppress
from time import monotonic
from typing import Final

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpResponseParser

from tidings.delivery.framing import REPLIED, FramingError, amend
from tidings.delivery.pending_request import Reply
from tidings.observe import failure

MAX_HEAD_BYTES: Final = 65_536
# Most bytes on the wire for each byte of body: a chunk of one byte takes six, and trailers are bounded.
WIRE_FACTOR: Final = 8
FIRST_STATUS: Final = 100
FIRST_FINAL_STATUS: Final = 200
NO_CONTENT: Final = 204
FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


class ResponseError(Exception):
    """A response that cannot be read; `status` is from a head that is otherwise invalid, or 0."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class _StopParsing(Exception):
    """Raised in a parser callback to stop reading the response."""


class _IrregularHead(Exception):
    """Raised in a parser callback for a head that `amend` must rewrite, although the parser accepts it."""


class ResponseReader:
    """Reads a response at a time; the parser calls a method for each part of it.

    Such a method never passes the reply on: the caller may send its next request on the connection, which must not
    happen while the parser runs.
    """

    __slots__ = (
        "_chunks",
        "_early",
        "_head",
        "_headers",
        "_is_complete",
        "_max_body_bytes",
        "_must_close",
        "_parser",
        "_room",
        "_wire_limit",
        "head_at",
        "is_framed",
        "is_reusable",
        "received",
        "status",
    )

    def __init__(self, max_body_bytes: int) -> None:
        self._max_body_bytes = max_body_bytes
        self._wire_limit = MAX_HEAD_BYTES + WIRE_FACTOR * max_body_bytes
        self._parser = self._new_parser()
        self.head_at = monotonic()
        """When the last head was complete; before the first one, when the reader was created."""
        self.reset()

    def reset(self) -> None:
        """Prepare for the next response."""
        self.status = 0
        """The status, or 0 while the head is incomplete."""
        self.received = 0
        """Bytes of this response, as on the wire."""
        self.is_framed = False
        """Whether the head gives the end of the body; otherwise the body ends with the connection."""
        self.is_reusable = False
        """Whether the connection can carry another response after this one."""
        self._early = b""
        self._head = b""
        """The head as it was received, and possibly bytes of the body."""
        self._must_close = False
        self._is_complete = False
        self._room = self._max_body_bytes
        self._chunks: list[bytes] = []
        self._headers: dict[bytes, bytes] = {}

    def close(self) -> None:
        """Read no more; this breaks the reference cycle of parser and reader. Repeated calls do nothing."""
        with suppress(AttributeError):
            del self._parser

    def feed(self, data: bytes) -> bool:
        """Read bytes; return whether the response is complete or cut off at a bound. Raises ResponseError."""
        self.received += len(data)
        if not self.status:
            self._head = self._early + data
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self._is_complete:
                return self._amend(data, error)
            self.is_reusable = False
        return self._is_complete or self._is_cut_off(data)

    def reply(self, started_at: float, error: str | None) -> Reply:
        """Return the reply to a request that was sent at `started_at`, with the part of the body that was read."""
        duration_ms = int((self.head_at - started_at) * 1000)
        reply = Reply(self.status, b"".join(self._chunks), duration_ms, error)
        reply.head = self._head
        if self._is_complete:
            self._head = b""  # an idle connection keeps no bytes
        if self._headers:
            reply.retry_after = _text(self._headers.get(b"retry-after"))
            reply.webhook_delivery = _text(self._headers.get(b"webhook-delivery"))
        return reply

    def _is_cut_off(self, data: bytes) -> bool:
        """Keep the bytes of an incomplete head; return whether an incomplete body exceeds its bound."""
        if self.status:
            return self.received > self._wire_limit
        self._early += data
        if self.received > MAX_HEAD_BYTES:
            raise ResponseError("response headers are too long")
        return False

    def _amend(self, data: bytes, error: Exception) -> bool:
        """Read a response that the parser rejects, with an amended head on a new parser; return what `feed` does."""
        if self.status:
            raise ResponseError(_parser_text(error)) from None
        self._early += data
        try:
            amended = amend(self._early)
        except FramingError as found:
            raise ResponseError(f"invalid HTTP response: {found}", found.status) from None
        if amended is None:
            return self._is_cut_off(b"")
        received, head = self.received, self._early
        self.reset()
        self.received, self._must_close, self._head = received, amended.must_close, head
        self._parser = self._new_parser()
        try:
            self._parser.feed_data(amended.data)
        except (HttpParserError, HttpParserUpgrade) as again:
            if not self._is_complete:
                raise ResponseError(_parser_text(again)) from None
            self.is_reusable = False
        return self._is_complete or self._is_cut_off(b"")

    def _new_parser(self) -> HttpResponseParser:
        parser = HttpResponseParser(self)
        parser.set_dangerous_leniencies(lenient_headers=True, lenient_optional_cr_before_lf=True)
        return parser

    # Called by the parser.

    def on_message_begin(self) -> None:
        if self._is_complete:
            raise _StopParsing  # bytes after the end of the response

    def on_header(self, name: bytes, value: bytes) -> None:
        key = name.lower()
        if key in FRAMING:
            if key == b"transfer-encoding" and not self.status and not self._is_plainly_chunked(value):
                raise _IrregularHead
            self.is_framed = value != b"0"
        elif key in REPLIED and not self.status:  # trailers are ignored
            self._headers[key] = value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < FIRST_STATUS:
            raise _StopParsing
        if status >= FIRST_FINAL_STATUS:
            self.status = status
            self.head_at = monotonic()
            if status == NO_CONTENT and self.is_framed:
                self._must_close = True  # a 204 has no body, but the receiver may send one

    def on_body(self, chunk: bytes) -> None:
        if len(chunk) > self._room:
            self._chunks.append(chunk[: self._room])
            self._is_complete = True
            raise _StopParsing
        self._room -= len(chunk)
        self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        if self.status:
            self._is_complete = True
            self.is_reusable = self._parser.should_keep_alive() and not self._must_close
        else:
            self._headers.clear()  # headers of an interim response
            self.is_framed = False

    def _is_plainly_chunked(self, value: bytes) -> bool:
        return value.lower() == b"chunked" and self._parser.get_http_version() != "1.0"


def _parser_text(error: Exception) -> str:
    if isinstance(error, HttpParserCallbackError):
        if not isinstance(error.__context__, _StopParsing):
            failure("reading a response", error)
        return "invalid HTTP response"
    if isinstance(error, HttpParserUpgrade):
        return "invalid HTTP response: the receiver switches protocols"
    return f"invalid HTTP response: {error}"


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
