# SPDX-License-Identifier: MIT
"""The types of ASGI, and the bodies of requests within a size limit."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from tidings.errors import too_large

AsgiScope = MutableMapping[str, Any]
AsgiReceive = Callable[[], Awaitable[MutableMapping[str, Any]]]
AsgiSend = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[AsgiScope, AsgiReceive, AsgiSend], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]


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
