# SPDX-License-Identifier: MIT
"""One HTTP/1.1 connection: uvicorn's protocol, made to follow RFC 9112 and limited in bytes, number and time.

This module and `api.lifetime` depend on a small, pinned part of uvicorn: the parser callbacks, `on_response_complete`,
`_start_asgi_task`, `shutdown`, the cycle's `disconnected` and `message_event`, and the two methods of the timer that
closes idle connections.
"""

import asyncio
import resource
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import httptools

from tidings.api import framing
from tidings.api.lifetime import ConnectionLifetime
from tidings.api.wire import HttpErrorOut, json_response
from tidings.asgi.stream import ABORT
from tidings.core.idempotency import Response
from tidings.logs import log
from tidings.observe import count

HEAD_MAX: Final = 64 * 1024
"""Maximum bytes of a request line and its headers."""
WIRE_BYTES: Final = 64 * 1024 * 1024
"""Maximum bytes of one request, discarded bytes included, before its connection is aborted."""
_REFUSED_MAX: Final = 256
"""The number of connections over the limit that get a response; further ones are aborted."""
_OTHER_FILES: Final = 4_096
"""Open files besides the connections to the API: to receivers and to the database."""

HEAD_TOO_LARGE: Final = json_response(
    431,
    HttpErrorOut(code="headers_too_large", detail=f"The request target and headers must be at most {HEAD_MAX} bytes."),
)
TOO_MANY_CONNECTIONS: Final = json_response(
    HTTPStatus.SERVICE_UNAVAILABLE,
    HttpErrorOut(code="unavailable", detail="The process has reached its connection limit. Retry in one second."),
)
NO_MEMORY: Final = json_response(
    HTTPStatus.SERVICE_UNAVAILABLE,
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
        log.warning(
            "limits.files",
            "the system permits fewer open files than max_connections",
            max_connections=connections,
            open_files=allowed,
        )


class ServerConnection(ConnectionLifetime):
    """One connection of a client to the API."""

    bounds: ConnectionLimits

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own, passed on
        super().__init__(*args, **kwargs)
        self._is_receiving = self._in_head = self._offers_upgrade = False
        self._last: Response | None = None
        """The response after which the connection ends, while earlier requests still need theirs."""
        self._received = 0
        self._held = 0

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
        self._release()
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
        self._await_responses()
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
        is_next = not self._is_busy()
        if self._is_receiving and not self._in_head:
            if self._is_answered():
                self._linger()
                return
            is_next = self._cancel_handler()
        if is_next:
            self._release()
            self._send_last(last)
        else:
            self._last = last

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
