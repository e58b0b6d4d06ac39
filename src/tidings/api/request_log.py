# SPDX-License-Identifier: MIT
"""The request id of each response, and the fields of the log lines about a request."""

from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from tidings import observe
from tidings.api import request_id
from tidings.api.http import INTERNAL, respond
from tidings.asgi.http import AsgiApp, AsgiReceive, AsgiScope, AsgiSend
from tidings.logs import belonging_to
from tidings.measures import responses
from tidings.model.token import Principal

_KEY: Final = "tidings.request"


@dataclass(slots=True)
class RequestRecord:
    """One request while it is handled."""

    id: bytes
    fields: dict[str, object] = field(default_factory=dict)
    """The fields of its log lines, completed on the way."""

    def __post_init__(self) -> None:
        """Make the id the first field."""
        self.fields["request_id"] = self.id.decode()

    def note_caller(self, caller: Principal, path: Mapping[str, str]) -> None:
        """Add the organization and the application of a request to its log lines."""
        self.fields |= {"org": caller.org_id, "app": caller.app_id or path.get("app_id")}


def record_of(scope: AsgiScope) -> RequestRecord:
    """Return the record of the request with this scope."""
    found: RequestRecord = scope[_KEY]
    return found


async def recorded(app: AsgiApp, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
    """Handle a request: its response and its log lines get its id, and an unexpected error is a 500."""
    given = [value for name, value in scope["headers"] if name == request_id.NAME]
    identifier = request_id.request_id(given[0] if len(given) == 1 else None)
    record, has_begun = RequestRecord(identifier), False

    async def sending(message: MutableMapping[str, Any]) -> None:
        nonlocal has_begun
        if message["type"] == "http.response.start":
            has_begun = True
            responses[message["status"]] += 1
            message = {**message, "headers": [*message.get("headers", ()), (request_id.NAME, identifier)]}
        await send(message)

    scope = {**scope, _KEY: record, request_id.KEY: identifier}
    with belonging_to(record.fields):
        try:
            await app(scope, receive, sending)
        except Exception as error:  # noqa: BLE001 - every request gets a response
            observe.failure("answering a request", error)
            if not has_begun:
                with suppress(OSError):
                    await respond(scope, sending, INTERNAL)
