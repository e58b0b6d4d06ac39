# SPDX-License-Identifier: MIT
"""The HTTP protocol of the server, with a fast path for the hot route.

This module responds to a request that creates a message and is ordinary: a content length within the limit, none of the
headers in `_ODD`, no repeated header, no other request in progress on its connection. The fast path needs no ASGI scope
and no task, and writes the response with one system call instead of two. The caller is checked once the head is
complete, so the body of a refused request is not stored. `api.connection` handles every other request.
"""

import asyncio
import urllib.parse
from collections.abc import Mapping
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from tidings.api import framing
from tidings.api.connection import ConnectionLimits, ServerConnection
from tidings.api.intake import ROUTE, Intake, app_of
from tidings.api.lifetime import CLOSE, DefaultHeaders
from tidings.api.request_id import NAME, new_ids, request_id, with_id
from tidings.api.request_log import TRACEPARENT, RequestObservers, RequestRecord
from tidings.api.tuning import ApiTuning
from tidings.core.idempotency import Response
from tidings.core.services import HotRequest

_ODD: Final = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"origin"})


class HotProtocol(ServerConnection):
    """One connection of a client to the API, with the fast path."""

    intake: Intake

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own, passed on
        super().__init__(*args, **kwargs)
        self._request: HotRequest | None = None
        self._host = b""
        self._path = ""
        self._query = b""
        self._parts: list[bytes] = []
        self._fields: dict[bytes, bytes] = {}
        self._is_answering = self._is_refused = False
        self._keeps_alive = True
        self._id = b""

    def on_headers_complete(self) -> None:
        ref = self._hot_ref()
        if ref is None:
            super().on_headers_complete()
            return
        given = self._fields.get(NAME)
        self._id = self._fields[NAME] = next(new_ids) if given is None else request_id(given)
        request = self.intake.check_head(ref, self._path, self._query, self._fields)
        if request is None:  # the caller's API key has to be looked up
            super().on_headers_complete()
            return
        self._in_head = False
        self._parts = []
        if isinstance(request, HotRequest):
            self._request = request
        else:
            self._refuse(request)

    def on_body(self, body: bytes) -> None:
        if self._request is not None:
            self._parts.append(body)
        elif not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._request is None:
            super().on_message_complete()
            self._is_refused = False
            return
        self._is_receiving = False
        is_late = self._deadline is not None
        if is_late:
            self._stop_deadline()
        request, self._request = self._request, None
        self._keeps_alive = self.parser.should_keep_alive()
        self._is_answering = True
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        headers = self._fields if is_late and not self.intake.is_current(self._fields) else None
        if headers is not None or not self.intake.try_begin(request, body, self._write_response):
            waiting = self.loop.create_task(self._respond_later(request, body, headers))
            self.tasks.add(waiting)
            waiting.add_done_callback(self.tasks.discard)

    async def _respond_later(self, request: HotRequest, body: bytes, headers: Mapping[bytes, bytes] | None) -> None:
        """Respond to a request that cannot join a batch immediately; with `headers`, check its caller again."""
        self._write_response(await self.intake.respond(request, body, headers))

    def shutdown(self) -> None:
        if self._is_answering:
            self._keeps_alive = False
        else:
            super().shutdown()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401
        """Queue a pipelined request until the current response is written."""
        if self._is_answering:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, app))
        else:
            super()._start_asgi_task(cycle, app)

    def _hot_ref(self) -> str | None:
        """Return the application's reference if the head is that of an ordinary request to the hot route."""
        if self._is_busy() or self.parser.get_method() != b"POST" or self.parser.get_http_version() != "1.1":
            return None
        if len(self.url) >= framing.TARGET_MAX:
            return None
        path, _, self._query = self.url.partition(b"?")
        text = path.decode("ascii", "replace")
        if "%" in text:
            if "%2f" in text.lower():
                return None
            text = urllib.parse.unquote(text)
        self._path = text
        ref = app_of(text)
        if ref is None:
            return None
        fields = self._fields = dict(self.headers)
        length = fields.get(b"content-length", b"")
        if not length.isdigit() or int(length) > self.intake.max_body_bytes or not _ODD.isdisjoint(fields):
            return None
        return ref if len(fields) == len(self.headers) and self._has_host(fields.get(b"host")) else None

    def _has_host(self, host: bytes | None) -> bool:
        """Return whether the Host header is valid; requests of a connection repeat it, so the last is cached."""
        if host is None or (host != self._host and not framing.is_host(host)):
            return False
        self._host = host
        return True

    def _is_busy(self) -> bool:
        return self._is_answering or (self.cycle is not None and not self.cycle.response_complete)

    def _is_answered(self) -> bool:
        return self._is_refused or (self._request is None and super()._is_answered())

    def _cancel_handler(self) -> bool:
        if self._request is None:
            return super()._cancel_handler()
        self._request = None
        self._parts = []
        return True

    def _refuse(self, response: Response) -> None:
        """Respond to a request before its body has arrived; the body is read and discarded."""
        self._is_refused = True
        self._keeps_alive = self.parser.should_keep_alive()
        self._write_response(response)

    def _write_response(self, response: Response) -> None:
        self._is_answering = False
        if self.transport.is_closing():
            return
        self._write(response, b"" if self._keeps_alive else CLOSE, self._id)
        if self._keeps_alive:
            self.on_response_complete()
        elif self._is_refused:
            self._discard_budget = self.intake.max_body_bytes
            self._linger()
        else:
            self.transport.close()


class ObservedHotProtocol(HotProtocol):
    """The protocol of a process with observers of its requests, which cost time for each message.

    It notifies them of the requests that it responds to itself; `api.request_log` does so for all others.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own, passed on
        super().__init__(*args, **kwargs)
        self._observers = cast("RequestObservers", self.intake.observers)
        self._record = RequestRecord(b"")
        self._last_id = b""

    def on_message_complete(self) -> None:
        request = self._request
        if request is not None:
            self._record.fields |= {"org": request.org_id, "app": request.app_ref}
        super().on_message_complete()

    def _hot_ref(self) -> str | None:
        ref = super()._hot_ref()
        if ref is not None:
            parent = self._fields.get(TRACEPARENT)
            self._record = RequestRecord(b"", method="POST", route=ROUTE, client=self._peer(), traceparent=parent)
            self._observers.begin(self._record)
        return ref

    def _refuse(self, response: Response) -> None:
        self._record.fields["org"] = self.intake.org_of(self._fields)
        super()._refuse(response)

    def _write_response(self, response: Response) -> None:
        record, identifier = self._record, self._id
        super()._write_response(response)
        self._end_record(record, response, identifier)

    def _send_last(self, last: Response | None) -> None:
        self._last_id = b""
        super()._send_last(last)
        if last is not None and self._last_id:
            self._end_record(RequestRecord(b"", client=self._peer()), last, self._last_id)

    def _id_of_ending(self) -> bytes:
        self._last_id = super()._id_of_ending()
        return self._last_id

    def _end_record(self, record: RequestRecord, response: Response, identifier: bytes) -> None:
        record.identify(identifier)
        record.status = response.status
        record.size = len(with_id(response, identifier).body)
        self._observers.end(record)

    def _peer(self) -> str | None:
        return None if self.client is None else self.client[0]


def protocol_of(
    intake: Intake, bounds: ConnectionLimits | None = None, tuning: ApiTuning = ApiTuning()
) -> type[asyncio.Protocol]:
    """Return the protocol class that uvicorn instantiates for each connection."""
    shared = {
        "intake": intake,
        "default_headers": DefaultHeaders(),
        "bounds": bounds or ConnectionLimits(),
        "tuning": tuning,
    }
    kind = HotProtocol if intake.observers is None else ObservedHotProtocol
    return type("Hot", (kind,), shared)
