# SPDX-License-Identifier: MIT
"""The URL of the inbox: reads a webhook, gives it to the inbox, and responds as the inbox decides.

Any page that the developer visits can make the browser post to this machine. Browsers name the page in such a request,
and senders of webhooks do not, so a request that names one is refused.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from tidings.asgi.http import AsgiReceive, AsgiScope, AsgiSend, ClientGone, read_body
from tidings.dev.inbox import FAILED, OK, Inbox
from tidings.errors import AppError
from tidings.model.signature import Key

BODY_MAX: Final = 4 * 1024 * 1024
"""The largest payload that the inbox verifies, in bytes; the service sends at most half of it."""
_FORBIDDEN: Final = 403
_NOT_ALLOWED: Final = 405
_TOO_LARGE: Final = 413
_OF_BROWSERS: Final = frozenset((b"origin", b"sec-fetch-site"))
_REASONS: Final = {
    OK: {"received": True},
    FAILED: {"error": "The inbox is set to fail. Switch it back to accepting in its page."},
    _FORBIDDEN: {"error": "Webhooks arrive from programs, not from pages in a browser."},
    _NOT_ALLOWED: {"error": "Webhooks arrive by POST."},
    _TOO_LARGE: {"error": "The payload is too large."},
}

Keys = Callable[[], Awaitable[Sequence[Key]]]
"""Returns the keys that may sign; none if the endpoint does not exist."""


class InboxReceiver:
    """The receiver as an ASGI application."""

    def __init__(self, inbox: Inbox, keys: Keys) -> None:
        self._inbox = inbox
        self._keys = keys

    async def __call__(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        """Respond to one request."""
        if scope["method"] != "POST":
            await _respond(send, _NOT_ALLOWED)
            return
        if any(name in _OF_BROWSERS for name, _ in scope["headers"]):
            await _respond(send, _FORBIDDEN)
            return
        try:
            body = await read_body(dict(scope["headers"]), receive, BODY_MAX)
        except ClientGone:
            return
        except AppError:
            await _respond(send, _TOO_LARGE)
            return
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        status = await self._inbox.receive(headers, body, await self._keys())
        # Without a response the sender has given up by now; for any other client this is an error of the server.
        await _respond(send, FAILED if status is None else status)


async def _respond(send: AsgiSend, status: int) -> None:
    body = msgspec.json.encode(_REASONS[status])
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
