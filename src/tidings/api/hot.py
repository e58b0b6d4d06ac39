# SPDX-License-Identifier: MIT
"""The HTTP protocol of the server: uvicorn's, with a short way for the hot route.

A request that creates a message and has nothing odd about it (a content length within bounds, no expectations, nothing
else under way on its connection) is answered from here: no ASGI scope, no task, and its answer in one write, where the
long way takes two system calls. Everything else is uvicorn's, untouched. What this leans on in uvicorn is small and
pinned: the parser callbacks, `on_response_complete`, `_start_asgi_task`, `shutdown`, and the two methods of the timer
that closes idle connections. That timer is set once and moved when it rings, not anew for every request.
"""

import asyncio
import urllib.parse
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from tidings.api.http import RETRY_SOON
from tidings.api.intake import Intake, app_of
from tidings.api.stream import ABORT
from tidings.core.receipts import Answer

_ODD: Final = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"origin"})
_HEAD_MAX: Final = 64 * 1024
"""Bytes of a request's line and headers."""
_REQUEST_SECONDS: Final = 60.0
"""How long a request may take to come in whole; a caller who drips bytes holds a connection no longer."""
_STATUS_LINES: Final = {
    each.value: b"HTTP/1.1 %d %b\r\n" % (each.value, each.phrase.encode("ascii")) for each in HTTPStatus
}
_STATUS_LINES[429] += b"%b: %b\r\n" % RETRY_SOON


class _Usual:
    """The headers that uvicorn puts into every answer, as bytes; it makes a new list of them every second."""

    def __init__(self) -> None:
        self._fields: list[tuple[bytes, bytes]] | None = None
        self._text = b""

    def of(self, fields: list[tuple[bytes, bytes]]) -> bytes:
        if fields is not self._fields:
            self._text = b"".join([b"%b: %b\r\n" % field for field in fields])
            self._fields = fields
        return self._text


class HotProtocol(HttpToolsProtocol):
    """One connection."""

    intake: Intake
    usual: _Usual

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own, passed on
        super().__init__(*args, **kwargs)
        self._ref: str | None = None
        self._path = ""
        self._query = b""
        self._body = b""
        self._fields: dict[bytes, bytes] = {}
        self._is_answering = False
        self._keeps_alive = True
        self._is_coming = self._in_head = False
        self._came = 0
        self._late: asyncio.TimerHandle | None = None
        self._idle_since: float | None = None
        self._closing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._hurry()

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_come()
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_coming:
            self._came += len(data) if self._in_head else 0
            if self._came > _HEAD_MAX:
                self.transport.abort()
            elif self._late is None:
                self._hurry()

    def on_message_begin(self) -> None:
        self._is_coming = self._in_head = True
        self._came = 0
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._is_hot():
            self._body = b""
            return
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        self.headers.extend(headers)
        self.scope["extensions"] = {ABORT: {"call": self.transport.abort}}
        self.expect_100_continue = any(
            name == b"expect" and value.lower() == b"100-continue" for name, value in headers
        )
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._ref is None:
            super().on_body(body)
        else:
            self._body += body

    def on_message_complete(self) -> None:
        self._is_coming = False
        if self._late is not None:
            self._has_come()
        if self._ref is None:
            super().on_message_complete()
            return
        ref, self._ref = self._ref, None
        self._keeps_alive = self.parser.should_keep_alive()
        self._is_answering = True
        if not self.intake.begin(ref, self._path, self._query, self._fields, self._body, self._answer):
            waiting = self.loop.create_task(self._wait(ref))
            self.tasks.add(waiting)
            waiting.add_done_callback(self.tasks.discard)

    async def _wait(self, ref: str) -> None:
        """Answer a request that has to wait for something before it can come into a batch."""
        answer = await self.intake.answer(ref, self._path, self._query, self._fields, self._body, begun=True)
        self._answer(answer)

    def on_response_complete(self) -> None:
        """Note that a request is answered: the next one may come, and if none does, the connection is closed."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.flow.write_paused:
            self.flow.pause_reading()  # whoever does not read answers is read no more: they would wait in memory
        else:
            self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self._closing is None:
            self._closing = self.loop.call_later(self.timeout_keep_alive, self._close_if_idle)

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.pipeline:
            self.flow.resume_reading()
        if self._idle_since is not None:
            self._idle_since = self.loop.time()  # until now it was busy with answers

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None

    def _close_if_idle(self) -> None:
        """Close a connection on which nothing comes; one whose answers are still to be read gets a minute at least.

        What its caller has sent meanwhile is not read: to close it would take back answers that are on their way.
        """
        self._closing = None
        if self._idle_since is None:
            return
        idle = self.loop.time() - self._idle_since
        if self.flow.write_paused and idle >= _REQUEST_SECONDS:
            self.transport.abort()  # closed, it would wait for its answers to be read
        elif self.flow.write_paused or idle < self.timeout_keep_alive:
            left = self.timeout_keep_alive - (0 if self.flow.write_paused else idle)
            self._closing = self.loop.call_later(left, self._close_if_idle)
        else:
            self.timeout_keep_alive_handler()

    def shutdown(self) -> None:
        if self._is_answering:
            self._keeps_alive = False
        else:
            super().shutdown()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401
        """Keep a request that was sent before the answer to the last one behind that answer."""
        if self._is_answering:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, app))
        else:
            super()._start_asgi_task(cycle, app)

    def _is_hot(self) -> bool:
        busy = self._is_answering or (self.cycle is not None and not self.cycle.response_complete)
        if busy or self.parser.get_method() != b"POST" or self.parser.get_http_version() != "1.1":
            return False
        path, _, self._query = self.url.partition(b"?")
        text = path.decode("ascii", "replace")
        if "%" in text:
            if "%2f" in text.lower():
                return False
            text = urllib.parse.unquote(text)
        self._path = text
        ref = app_of(self._path)
        if ref is None:
            return False
        self._fields = dict(self.headers)
        length = self._fields.get(b"content-length", b"")
        if not length.isdigit() or int(length) > self.intake.max_body_bytes or not _ODD.isdisjoint(self._fields):
            return False
        self._ref = ref
        return True

    def _hurry(self) -> None:
        """Give the request that is coming, or the first one, so much time and no more."""
        self._late = self.loop.call_later(_REQUEST_SECONDS, self.transport.abort)

    def _has_come(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _answer(self, answer: Answer) -> None:
        self._is_answering = False
        if self.transport.is_closing():
            return
        body = answer.body
        extra = self.usual.of(self.server_state.default_headers)
        closing = b"" if self._keeps_alive else b"connection: close\r\n"
        self.transport.write(
            b"%bcontent-type: application/json\r\ncontent-length: %d\r\n%b%b\r\n%b"
            % (_STATUS_LINES[answer.status], len(body), extra, closing, body)
        )
        if not self._keeps_alive:
            self.transport.close()
            return
        self.on_response_complete()


def protocol_of(intake: Intake) -> type[asyncio.Protocol]:
    """Return the protocol class for uvicorn to make one of for each connection."""
    return type("Hot", (HotProtocol,), {"intake": intake, "usual": _Usual()})
