# SPDX-License-Identifier: MIT
"""When and how a connection to the API ends: its deadlines, its last response, and the input that is discarded.

The timer that closes idle connections is set once and moved when it fires, not once per request.
"""

import asyncio
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tidings.api import request_id
from tidings.api.http import RETRY_SOON
from tidings.api.tuning import ApiTuning
from tidings.core.idempotency import Response
from tidings.measures import responses

_DISCARD_MAX: Final = 1024 * 1024
"""Maximum bytes that are read and discarded after a malformed request."""
_LINGER_SECONDS: Final = 5.0
"""How long the server keeps reading from a connection that it closes, so that the client can read the last response."""

_SERVER_ERROR: Final = int(HTTPStatus.INTERNAL_SERVER_ERROR)
"""A plain number: the fast path compares it with each status."""
CLOSE: Final = b"connection: close\r\n"
STATUS_LINES: Final = {
    each.value: b"HTTP/1.1 %d %b\r\n" % (each.value, each.phrase.encode("ascii")) for each in HTTPStatus
}
STATUS_LINES[429] += b"%b: %b\r\n" % RETRY_SOON


class DefaultHeaders:
    """Uvicorn's default headers as bytes, encoded again only when uvicorn replaces its list, once a second."""

    def __init__(self) -> None:
        self._fields: list[tuple[bytes, bytes]] | None = None
        self._text = b""

    def encoded(self, fields: list[tuple[bytes, bytes]]) -> bytes:
        """Return the headers as bytes."""
        if fields is not self._fields:
            self._text = b"".join([b"%b: %b\r\n" % field for field in fields])
            self._fields = fields
        return self._text


class ConnectionLifetime(HttpToolsProtocol):
    """Uvicorn's protocol with rules for the end of a connection."""

    tuning: ApiTuning
    default_headers: DefaultHeaders

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own, passed on
        super().__init__(*args, **kwargs)
        self._is_ending = False
        """Whether further input is discarded."""
        self._discard_budget = _DISCARD_MAX
        """The number of bytes that may still be discarded."""
        self._deadline: asyncio.TimerHandle | None = None
        self._idle_since: float | None = None
        self._closing: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.pipeline:
            self.flow.resume_reading()
        if self._idle_since is not None:
            self._idle_since = self.loop.time()  # the connection was busy with responses until now

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None

    def _close_if_idle(self) -> None:
        """Close an idle connection; one with unread responses stays open for `unread_seconds`.

        Requests that the client sent in the meantime are not read: to close the connection would discard responses in
        transit.
        """
        self._closing = None
        if self._idle_since is None:
            return
        idle = self.loop.time() - self._idle_since
        if self.flow.write_paused and idle >= self.tuning.unread_seconds:
            self.transport.abort()  # `close` would wait for the responses to be read
        elif self.flow.write_paused or idle < self.timeout_keep_alive:
            left = self.timeout_keep_alive - (0 if self.flow.write_paused else idle)
            self._closing = self.loop.call_later(left, self._close_if_idle)
        else:
            self.timeout_keep_alive_handler()

    def _start_deadline(self) -> None:
        """Limit the time in which the current request, or the first one, must arrive."""
        self._deadline = self.loop.call_later(self.tuning.request_seconds, self.transport.abort)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _await_responses(self) -> None:
        """Read nothing more, and close the connection even if its responses take too long."""
        self._is_ending = True
        self._deadline = self.loop.call_later(_LINGER_SECONDS, self.transport.close)

    def _send_last(self, last: Response | None) -> None:
        if last is None:  # the client has closed its side and has its responses
            self.transport.close()
        if last is None or self.transport.is_closing():
            return
        identifier = self._id_of_ending()
        retry = b"retry-after: 1\r\n" if last.status == HTTPStatus.SERVICE_UNAVAILABLE else b""
        self._write(last, retry + CLOSE, identifier)
        self._linger()

    def _id_of_ending(self) -> bytes:
        """Return the request id for the last response: that of the request being received, if it has one yet."""
        given = [value for name, value in self.headers or () if name == request_id.NAME]
        return request_id.request_id(given[0] if len(given) == 1 else None)

    def _write(self, given: Response, more: bytes, identifier: bytes) -> None:
        responses[given.status] += 1
        if given.status >= _SERVER_ERROR:
            given = request_id.with_id(given, identifier)
        body, defaults = given.body, self.default_headers.encoded(self.server_state.default_headers)
        self.transport.write(
            b"%bcontent-type: application/json\r\ncontent-length: %d\r\nx-request-id: %b\r\n%b%b\r\n%b"
            % (STATUS_LINES[given.status], len(body), identifier, defaults, more, body)
        )

    def _linger(self) -> None:
        """Close the connection after the client has had time to read.

        With unread input, an immediate close makes TCP drop the response.
        """
        self._is_ending = True
        self._stop_deadline()
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        seconds = self.tuning.unread_seconds if self.flow.write_paused else _LINGER_SECONDS
        self._deadline = self.loop.call_later(seconds, self.transport.abort)
        self.flow.resume_reading()

    def _discard(self, size: int) -> None:
        self._discard_budget -= size
        if self._discard_budget < 0:
            self.transport.abort()
