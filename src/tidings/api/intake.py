# SPDX-License-Identifier: MIT
"""The hot route, `POST /api/v1/app/{app}/msg`, answered before any framework is reached.

One decode with the payload left as it came, one look-up for the token, one call, and an answer put together by hand:
every text in it has been checked to need no escaping. Whatever is out of the ordinary takes the ordinary ways.
"""

from functools import lru_cache
from typing import Final

import msgspec

from tidings.api import query
from tidings.api.context import Context
from tidings.api.http import JSON, App, ClientGone, Receive, Scope, Send, answer_of, read_body, respond
from tidings.api.messages import ContentQuery, MessageIn
from tidings.api.wire import decode
from tidings.clock import rfc3339
from tidings.core import apps
from tidings.core.receipts import Answer, receipt_key
from tidings.errors import AppError, Fault, Kind, forbidden, invalid
from tidings.ids import moment_of
from tidings.model import text
from tidings.model.message import Accepted
from tidings.model.token import Principal

_PREFIX: Final = "/api/v1/app/"
_SUFFIX: Final = "msg"
_ORIGIN: Final = (b"access-control-allow-origin", b"*")
_DOING: Final = "v1.message.create"
_FREE: Final = 19
"""Characters at the end of an id that say nothing of its moment."""


class Intake:
    """Answers the hot route and passes everything else on."""

    __slots__ = ("_context", "_decoder", "_rest")

    def __init__(self, context: Context, rest: App) -> None:
        self._context = context
        self._rest = rest
        self._decoder = msgspec.json.Decoder(MessageIn)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ref = _app_of(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if ref is None:
            await self._rest(scope, receive, send)
            return
        headers = dict(scope["headers"])
        try:
            answer = await self._answer(ref, scope, headers, receive)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 - the caller is told something whatever happens
            answer = answer_of(error, _DOING)
        if b"origin" in headers:
            await respond(send, answer, (_ORIGIN,))
            return
        body = answer.body
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [JSON, (b"content-length", b"%d" % len(body))],
            }
        )
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, ref: str, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Answer:
        context, asked = self._context, scope["query_string"]
        with_content = query.decode(ContentQuery, asked).with_content if asked else True
        caller = context.gatekeeper.principal(headers.get(b"authorization"))
        if caller.app_id is not None:
            raise forbidden()
        if not text.NAME.fullmatch(ref):
            raise invalid(Fault(("path", "app_id_or_uid", "__all__"), text.wrong_name(ref) or ""))
        body = decode(self._decoder, await read_body(headers, receive, context.max_body_bytes))
        key = headers.get(b"idempotency-key")
        receipt = receipt_key(caller, "POST", scope["path"].rstrip("/"), asked, key) if key else None
        accepted = await self._accepted(caller, ref, body, receipt)
        return Answer(202, _shown(accepted, with_content=with_content))

    async def _accepted(self, caller: Principal, ref: str, body: MessageIn, receipt: str | None) -> Accepted:
        draft = body.drafted()
        try:
            return await self._context.acceptor.accept(caller.org_id, ref, draft, receipt)
        except AppError as error:
            if error.kind is not Kind.NOT_FOUND or body.application is None:
                raise
        await apps.have(self._context.desk, caller.org_id, body.application.drafted_for(ref))
        return await self._context.acceptor.accept(caller.org_id, ref, draft, receipt)


def _app_of(path: str) -> str | None:
    """Return the id or uid of the application if a path is the hot one."""
    if not path.startswith(_PREFIX):
        return None
    ref, _, rest = path[len(_PREFIX) :].partition("/")
    return ref if rest == _SUFFIX or rest.rstrip("/") == _SUFFIX else None


def _shown(accepted: Accepted, *, with_content: bool) -> bytes:
    event_id, channels = accepted.event_id, accepted.channels
    return b'{"eventId":%b,"eventType":"%b","payload":%b,"channels":%b,"id":"%b","timestamp":"%b"}' % (
        b"null" if event_id is None else b'"%b"' % event_id.encode(),
        accepted.event_type.encode(),
        accepted.payload if with_content else b"{}",
        b"null" if channels is None else msgspec.json.encode(channels),
        accepted.id.encode(),
        _moment(accepted.id[:-_FREE]),
    )


@lru_cache(maxsize=64)
def _moment(head: str) -> bytes:
    """Write the moment of an id of ours: its head never straddles two, so the messages of one moment share it."""
    return rfc3339(moment_of(head + "0" * _FREE)).encode()
