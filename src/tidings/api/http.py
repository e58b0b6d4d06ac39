# SPDX-License-Identifier: MIT
"""The use of ASGI: headers, bodies within a size limit, and responses."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from tidings import observe
from tidings.api import request_id
from tidings.api.response_buffer import PART, ResponseBuffer
from tidings.api.wire import HttpErrorOut, json_response, refusal
from tidings.core.idempotency import Response
from tidings.core.services import as_app_error
from tidings.errors import too_large

AsgiScope = MutableMapping[str, Any]
AsgiReceive = Callable[[], Awaitable[MutableMapping[str, Any]]]
AsgiSend = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[AsgiScope, AsgiReceive, AsgiSend], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

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


class ClientGone(Exception):
    """The client disconnected before its request was complete, so no response is possible."""


async def read_body(headers: dict[bytes, bytes], receive: AsgiReceive, limit: int) -> bytes:
    """Return a request's body; raise `too_large` as soon as its length or its bytes exceed the limit."""
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > limit:
        raise too_large()
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if message["type"] == "http.disconnect":
            raise ClientGone
        if len(body) > limit:
            raise too_large()
        return body
    return await _read_rest(body, receive, limit)


async def _read_rest(first: bytes, receive: AsgiReceive, limit: int) -> bytes:
    chunks, size, more = [first], len(first), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise too_large()
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


_response_buffer: Final = ResponseBuffer()


async def send_body(scope: AsgiScope, send: AsgiSend, body: bytes) -> None:
    """Send the body of a response that has begun: in one piece, or in parts if it is large."""
    if len(body) > PART:
        await _response_buffer.send(scope, send, body)
    else:
        await send({"type": "http.response.body", "body": body})


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
