# SPDX-License-Identifier: MIT
"""The record of a request while it is handled: its id, the fields of its log lines, and the data for observers.

Observers, such as the access log, are notified of each request that got a response. Without observers a request costs
nothing for them.
"""

from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from tidings import observe
from tidings.api import request_id
from tidings.api.http import INTERNAL, respond
from tidings.asgi.http import AsgiApp, AsgiReceive, AsgiScope, AsgiSend
from tidings.asgi.notes import RECORD
from tidings.clock import Clock
from tidings.logs import belonging_to
from tidings.measures import responses
from tidings.model.token import Principal

TRACEPARENT: Final = b"traceparent"


@dataclass(slots=True)
class RequestRecord:
    """One request: first while it is handled, then for its observers."""

    id: bytes
    fields: dict[str, object] = field(default_factory=dict)
    """The fields of its log lines, completed on the way."""
    method: str | None = None
    """None if the response precedes the request, as for a malformed one."""
    route: str | None = None
    """The path of the route, with the names of its parameters in place of their values. None if no route was found."""
    client: str | None = None
    """The address of the other end of the connection."""
    traceparent: bytes | None = None
    """The caller's header of that name, unchecked."""
    began_at: float | None = None
    """When the head of the request was complete, on the monotonic clock."""
    status: int = 0
    """The status of the response; 0 as long as there is none."""
    size: int = 0
    """Bytes of the body of the response."""
    seconds: float | None = None
    """From the complete head to the end of the response; None if the response precedes the request."""

    def __post_init__(self) -> None:
        """Make the id the first field."""
        self.identify(self.id)

    def identify(self, identifier: bytes) -> None:
        """Set the id, also in the log lines."""
        self.id = identifier
        self.fields["request_id"] = identifier.decode()

    def note_caller(self, caller: Principal, path: Mapping[str, str]) -> None:
        """Add the organization and the application of a request to its log lines."""
        self.fields |= {"org": caller.org_id, "app": caller.app_id or path.get("app_id")}


RequestObserver = Callable[[RequestRecord], None]


@dataclass(frozen=True, slots=True)
class RequestObservers:
    """The observers of the requests of one process."""

    clock: Clock
    observers: tuple[RequestObserver, ...]

    def begin(self, record: RequestRecord) -> None:
        """Note that the head of a request is complete."""
        record.began_at = self.clock.monotonic()

    def end(self, record: RequestRecord) -> None:
        """Notify the observers of a request that has its response. Never raises."""
        if record.began_at is not None:
            record.seconds = self.clock.monotonic() - record.began_at
        for each in self.observers:
            try:
                each(record)
            except Exception as error:  # noqa: BLE001 - the request has its response, whatever an observer raises
                observe.failure("observing a request", error)


def record_of(scope: AsgiScope) -> RequestRecord:
    """Return the record of the request with this scope."""
    found: RequestRecord = scope[RECORD]
    return found


async def recorded(
    app: AsgiApp,
    scope: AsgiScope,
    receive: AsgiReceive,
    send: AsgiSend,
    observers: RequestObservers | None = None,
) -> None:
    """Handle a request: its response and its log lines get its id, and an unexpected error is a 500."""
    record = _new_record(scope)

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            record.status = message["status"]
            responses[record.status] += 1
            message = {**message, "headers": [*message.get("headers", ()), (request_id.NAME, record.id)]}
        elif record.method != "HEAD":
            record.size += len(message.get("body", b""))
        await send(message)

    if observers is not None:
        observers.begin(record)
    scope = {**scope, RECORD: record, request_id.KEY: record.id}
    with belonging_to(record.fields):
        try:
            await app(scope, receive, sending)
        except Exception as error:  # noqa: BLE001 - every request gets a response
            observe.failure("answering a request", error)
            if not record.status:
                with suppress(OSError):
                    await respond(scope, sending, INTERNAL)
        finally:
            if observers is not None and record.status:
                observers.end(record)


def _new_record(scope: AsgiScope) -> RequestRecord:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    ids = [value for name, value in headers if name == request_id.NAME]
    parents = [value for name, value in headers if name == TRACEPARENT]
    client = scope.get("client")
    return RequestRecord(
        request_id.request_id(ids[0] if len(ids) == 1 else None),
        method=scope["method"],
        client=None if client is None else client[0],
        traceparent=parents[0] if len(parents) == 1 else None,
    )
