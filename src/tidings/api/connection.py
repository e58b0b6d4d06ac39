# SPDX-License-Identifier: MIT
"""One HTTP/1.1 connection: uvicorn's protocol, made to follow RFC 9112 and limited in bytes, number and time.

This module depends on a small, pinned part of uvicorn: the parser callbacks, `on_response_complete`,
`_start_asgi_task`, `shutdown`, the cycle's `disconnected` and `message_event`, and the two methods of the timer that
closes idle connections. That timer is set once and moved when it fires, not once per request.
"""

import asyncio
import resource
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tidings.api import framing
from tidings.api.http import RETRY_SOON
from tidings.api.stream import ABORT
from tidings.api.tuning import ApiTuning
from tidings.api.wire import HttpErrorOut, json_response
from tidings.core.idempotency import Response
from tidings.observe import count, log

HEAD_MAX: Final = 64 * 1024
"""Maximum bytes of a request line and its headers."""
WIRE_BYTES: Final = 64 * 1024 * 1024
"""Maximum bytes of one request, discarded bytes included, before its connection is aborted."""
_DISCARD_MAX: Final = 1024 * 1024
"""Maximum bytes that are read and discarded after a malformed request."""
_LINGER_SECONDS: Final = 5.0
"""How long the server keeps reading from a connection that it closes, so that the client can read the last response."""
_REFUSED_MAX: Final = 256
"""The number of connections over the limit that get a response; further ones are aborted."""
_BUSY_STATUS: Final = 503
_OTHER_FILES: Final = 4_096
"""Open files besides the connections to the API: to receivers and to the database."""

CLOSE: Final = b"connection: close\r\n"
STATUS_LINES: Final = {
    each.value: b"HTTP/1.1 %d %b\r\n" % (each.value, each.phrase.encode("ascii")) for each in HTTPStatus
}
STATUS_LINES[429] += b"%b: %b\r\n" % RETRY_SOON

HEAD_TOO_LARGE: Final = json_response(
    431,
    HttpErrorOut(code="headers_too_large", detail=f"The request target and headers must be at most {HEAD_MAX} bytes."),
)
TOO_MANY_CONNECTIONS: Final = json_response(
    _BUSY_STATUS,
    HttpErrorOut(code="unavailable", detail="The process has reached its connection limit. Retry in one second."),
)
NO_MEMORY: Final = json_response(
    _BUSY_STATUS,
    HttpErrorOut(
        code="unavailable", detail="Other requests use all the memory for request bodies. Retry in one second."
    ),
)


@dataclass(slots=True, eq=False)
class ConnectionLimits:
    """Limits on the connections of one process, and the bytes that they use together."""

    connections: int = 4_096
    request_memory: int = 256 * 1024 * 1024
    """Maximum bytes of requests that have started to arrive and have no response yet."""
    wire_bytes: int = WIRE_BYTES
    held: int = 0
    """The bytes in use."""


def allow_open_files(connections: int) -> None:
    """Raise this process's limit on open files as far as its connections need and the system permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + _OTHER_FILES
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < connections:
        log.warning("max_connections is %d, and the system permits %d open files", connections, allowed)


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


class ServerConnection(HttpToolsProtocol):
    """One connection of a client to the API."""

    tuning: ApiTuning
    bounds: ConnectionLimits
    default_headers: DefaultHeaders

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own, passed on
        super().__init__(*args, **kwargs)
        self._is_receiving = self._in_head = self._offers_upgrade = False
        self._is_ending = False
        """Whether further input is discarded."""
        self._last: Response | None = None
        """The response after which the connection ends, while earlier requests still need theirs."""
        self._received = 0
        self._discard_budget = _DISCARD_MAX
        """The number of bytes that may still be discarded."""
        self._held = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._idle_since: float | None = None
        self._closing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        over = len(self.connections) - self.bounds.connections
        if over > _REFUSED_MAX:
            transport.abort()
        elif over > 0:
            count("connections.refused")
            self._end(TOO_MANY_CONNECTIONS)
        else:
            self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        self._release()
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_ending:
            self._discard(len(data))
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(memoryview(data)[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse_malformed(error)
        if self._is_receiving and not self._is_ending:
            self._await_rest(len(data))

    def eof_received(self) -> bool:  # type: ignore[override]
        """Respond to complete requests after the client has closed its side of the connection (RFC 9112, section 9.6).

        A client that has closed both sides looks the same until data is written to it. So the wait is limited in time,
        and a response that has begun ends here.
        """
        if self._is_ending or self._is_receiving or not self._is_busy() or self._has_begun_response():
            return False
        self._is_ending = True
        self._deadline = self.loop.call_later(_LINGER_SECONDS, self.transport.close)
        return True

    def _ignore_upgrade(self, rest: memoryview) -> None:
        """Parse a request that offers another protocol as if it did not, then parse the rest of the input."""
        while not self._is_ending:
            method, version = self.parser.get_method(), self.parser.get_http_version()
            head = framing.without_upgrade(method, version, self.url, self.headers)
            self._offers_upgrade = False
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            try:
                self.parser.feed_data(head)
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
            except httptools.HttpParserError as error:
                self._refuse_malformed(error)
            else:
                return

    def _refuse_malformed(self, error: httptools.HttpParserError) -> None:
        count("requests.malformed")
        self._end(framing.refusal_of(error))

    def _await_rest(self, size: int) -> None:
        """Limit the size of a partly received request; the read in which its head began is not counted."""
        self._received = 0 if self._received < 0 else self._received + size
        if self._deadline is None:
            self._start_deadline()
        if self._in_head:
            if self._received > HEAD_MAX:
                self._end(HEAD_TOO_LARGE)
        elif self._received > self.bounds.wire_bytes:
            self.transport.abort()
        elif not self._is_answered():
            self._held += size
            self.bounds.held += size
            if self.bounds.held > self.bounds.request_memory:
                count("requests.no_memory")
                self._end(NO_MEMORY)

    def _release(self) -> None:
        self.bounds.held -= self._held
        self._held = 0

    def on_message_begin(self) -> None:
        self._is_receiving = self._in_head = True
        self._idle_since = None
        self._received = -1
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # trailers are not headers (RFC 9110, section 6.5.1)
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        url, headers = self.url, self.headers
        framing.check(self.parser.get_method(), self.parser.get_http_version(), url, headers)
        if self.parser.should_upgrade():
            self._offers_upgrade = True
            return
        url = framing.origin_form(url)
        self._in_head = False
        super().on_message_begin()
        self.url = url
        self.headers.extend(headers)
        self.scope["extensions"] = {ABORT: {"call": self.transport.abort}}
        self.expect_100_continue = any(
            name == b"expect" and value.lower() == b"100-continue" for name, value in headers
        )
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self._offers_upgrade:
            return
        self._is_receiving = False
        if self._deadline is not None:
            self._stop_deadline()
        if self._is_answered():
            self._idle_since = self.loop.time()
        else:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Finish a request: start the next one, or close the connection if none arrives in time."""
        self.server_state.total_requests += 1
        if self._held:
            self._release()
        if self.transport.is_closing():
            return
        if self.flow.write_paused:
            self.flow.pause_reading()  # a client that does not read its responses would fill the memory with them
        else:
            self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._is_ending:
            self._send_last(self._last)
        elif self._is_receiving and not self._in_head and self._has_unclear_end():
            self._discard_budget = self.bounds.wire_bytes
            self._linger()
        else:
            self._idle_since = self.loop.time()
            if self._closing is None:
                self._closing = self.loop.call_later(self.timeout_keep_alive, self._close_if_idle)

    def _has_unclear_end(self) -> bool:
        """Return whether the rest of an answered request may never arrive, or may have trailers of any size."""
        return self.expect_100_continue or any(name == b"transfer-encoding" for name, _ in self.headers)

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.pipeline:
            self.flow.resume_reading()
        if self._idle_since is not None:
            self._idle_since = self.loop.time()  # the connection was busy with responses until now

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None

    def _close_if_idle(self) -> None:
        """Close an idle connection; one with unread responses stays open for at least a minute.

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

    def _is_busy(self) -> bool:
        """Return whether an earlier request still needs its response."""
        return self.cycle is not None and not self.cycle.response_complete

    def _has_begun_response(self) -> bool:
        """Return whether the current response has been written in part."""
        return self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete

    def _is_answered(self) -> bool:
        """Return whether the request that is being received, past its head, already has its response."""
        return self.cycle is not None and self.cycle.response_complete

    def _end(self, last: Response) -> None:
        """Respond to the request that is being received, after those before it, and read nothing more."""
        self._is_ending = True
        self._stop_deadline()
        if self._is_receiving and not self._in_head:
            if self._is_answered():
                self._linger()
                return
            if self._cancel_handler():
                self._send_last(last)
                return
        if self._is_busy():
            self._last = last
        else:
            self._send_last(last)

    def _cancel_handler(self) -> bool:
        """Cancel the handler of the current request; return whether its response was the next one to send."""
        cycle = self.cycle
        cycle.disconnected = True
        cycle.message_event.set()
        if cycle.response_started:
            self.transport.abort()
        if self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
            self.cycle = self.pipeline[0][0] if self.pipeline else self.cycle
            return False
        return True

    def _send_last(self, last: Response | None) -> None:
        if last is None:  # the client has closed its side and has its responses
            self.transport.close()
        if last is None or self.transport.is_closing():
            return
        self._write(last, b"retry-after: 1\r\nconnection: close\r\n" if last.status == _BUSY_STATUS else CLOSE)
        self._linger()

    def _write(self, given: Response, more: bytes) -> None:
        body, defaults = given.body, self.default_headers.encoded(self.server_state.default_headers)
        self.transport.write(
            b"%bcontent-type: application/json\r\ncontent-length: %d\r\n%b%b\r\n%b"
            % (STATUS_LINES[given.status], len(body), defaults, more, body)
        )

    def _linger(self) -> None:
        """Close the connection after the client has had time to read.

        With unread input, an immediate close makes TCP drop the response.
        """
        self._is_ending = True
        self._release()
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
