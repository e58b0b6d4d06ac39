# SPDX-License-Identifier: MIT
"""The responses of the API: JSON and files, and the responses to errors."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from tidings import observe
from tidings.api import request_id
from tidings.api.wire import HttpErrorOut, json_response, refusal
from tidings.asgi.http import AsgiScope, AsgiSend, Headers
from tidings.asgi.response_buffer import send_body
from tidings.core.idempotency import Response
from tidings.core.services import as_app_error

JSON: Final = (b"content-type", b"application/json")
RETRY_SOON: Final = (b"retry-after", b"1")
INTERNAL: Final = json_response(500, HttpErrorOut(code="server_error", detail="Internal Server Error"))
NOT_FOUND: Final = json_response(
    404, HttpErrorOut(code="not_found", detail="No operation has this path. See /docs for the list of operations.")
)
NOT_ALLOWED: Final = json_response(
    405,
    HttpErrorOut(
        code="method_not_allowed",
        detail="This path does not support the method. The Allow header lists those that it supports.",
    ),
)


@dataclass(frozen=True, slots=True)
class File(Response):
    """A response that is a file to download: its media type and its name."""

    content_type: str = "application/octet-stream"
    name: str = "file"

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Headers that make a client save the file, and that keep caches from storing it."""
        return [
            (b"content-type", self.content_type.encode()),
            (b"content-disposition", f'attachment; filename="{self.name}"'.encode()),
            (b"cache-control", b"private, no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]


async def respond(scope: AsgiScope, send: AsgiSend, given: Response, extra: Headers = ()) -> None:
    """Send a response with or without a body. A 429 gets a `Retry-After` header, and a 5xx the id of the request."""
    given = request_id.with_id(given, scope.get(request_id.KEY))
    kind = given.headers if isinstance(given, File) else [JSON]
    headers = [*kind, (b"content-length", b"%d" % len(given.body))] if given.body else []
    if given.status == HTTPStatus.TOO_MANY_REQUESTS:
        headers.append(RETRY_SOON)
    await send({"type": "http.response.start", "status": given.status, "headers": [*headers, *extra]})
    await send_body(scope, send, given.body)


def error_response(error: Exception, operation: str, **fields: object) -> Response:
    """Return the response to an error. An unexpected error is logged with the fields, and is a plain 500."""
    refused = as_app_error(error)
    if refused is None:
        observe.failure(operation, error, **fields)
        return INTERNAL
    return refusal(refused)
