# SPDX-License-Identifier: MIT
"""The hot route, `POST /api/v1/app/{app}/msg`, answered before any framework is reached.

One decode with the payload left as it came, one look-up for the token, one call, and an answer put together by hand:
every text in it has been checked to need no escaping. It is reached in two ways: `answer`, a coroutine, for any
request; and `begin`, which does without one and serves `api.hot` for the requests that need no waiting before the
batch. Whatever is out of the ordinary takes the ordinary ways.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec

from tidings.api import query
from tidings.api.context import Context
from tidings.api.http import App, ClientGone, Receive, Scope, Send, answer_of, read_body, respond
from tidings.api.location import below_mount, has_encoded_slash
from tidings.api.messages import ContentQuery, MessageIn, told
from tidings.api.wire import decode, encode, refusal
from tidings.clock import rfc3339
from tidings.core import apps, repeats
from tidings.core.idempotency import Answer, scoped_key
from tidings.core.services import Outcome
from tidings.errors import REPLAYABLE, AppError, ErrorKind, Fault, forbidden, invalid
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


@dataclass(slots=True, eq=False)
class Ask:
    """What a request says before its body is read: who asks, and how it wants to be answered."""

    caller: Principal
    ref: str
    with_content: bool
    idempotency_key: str | None


class Intake:
    """Answers the hot route and passes everything else on."""

    __slots__ = ("_context", "_decoder", "_rest")

    def __init__(self, context: Context, rest: App) -> None:
        self._context = context
        self._rest = rest
        self._decoder = msgspec.json.Decoder(MessageIn)

    @property
    def max_body_bytes(self) -> int:
        """The largest body that is read."""
        return self._context.max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        scope = below_mount(scope)
        ref = app_of(scope["path"]) if scope["method"] == "POST" and not has_encoded_slash(scope) else None
        if ref is None:
            await self._rest(scope, receive, send)
            return
        headers = dict(scope["headers"])
        asked = self.ask(ref, scope["path"], scope["query_string"], headers)
        if isinstance(asked, Ask):
            try:
                answer = await self.answer(asked, await read_body(headers, receive, self._context.max_body_bytes))
            except ClientGone:
                return
            except AppError as error:
                answer = await self._refused(asked, error)
        else:
            answer = asked
        await respond(scope, send, answer, (_ORIGIN,) if b"origin" in headers else ())

    def ask(self, ref: str, path: str, asked: bytes, headers: Mapping[bytes, bytes]) -> Ask | Answer:
        """Check a request by its head, before its body is read; return what it asks for, or its refusal."""
        try:
            ask = self._asked(ref, path, asked, headers)
            limiter = self._context.limiter
            if limiter is not None:
                limiter.admit(ask.caller)
        except Exception as error:  # noqa: BLE001 - the caller is answered in any case
            return answer_of(error, _DOING)
        return ask

    def begin(self, ask: Ask, body: bytes, tell: Callable[[Answer], None]) -> bool:
        """Begin to accept a message without waiting for anything; `tell` gets the answer, at once if it is a refusal.

        Returns False where something must be waited for first: then the request takes the other way, as if nothing
        had been tried.
        """
        try:
            message = decode(self._decoder, body)
            if message.application is not None:
                return False
            draft = message.drafted(self._context.services.clock)
            with_content = ask.with_content

            def told(outcome: Outcome) -> None:
                tell(_answer_to(outcome, with_content=with_content))

            return self._context.acceptor.offer(ask.caller.org_id, ask.ref, draft, ask.idempotency_key, told)
        except Exception as error:  # noqa: BLE001 - the caller is told something whatever happens
            if ask.idempotency_key is not None and _is_replayable(error):
                return False
            tell(answer_of(error, _DOING))
            return True

    async def answer(self, ask: Ask, body: bytes) -> Answer:
        """Accept a message, waiting for whatever it takes; never raises."""
        try:
            message = decode(self._decoder, body)
            accepted = await self._accepted(ask.caller, ask.ref, message, ask.idempotency_key)
        except Exception as error:  # noqa: BLE001 - the caller is told something whatever happens
            return await self._refused(ask, error)
        return _answer_to(accepted, with_content=ask.with_content)

    async def _refused(self, ask: Ask, error: Exception) -> Answer:
        """Return the stored response of a used idempotency key, else the refusal."""
        if ask.idempotency_key is not None and _is_replayable(error):
            try:
                outcome = await repeats.find(self._context.services, ask.idempotency_key)
            except Exception as other:  # noqa: BLE001 - the caller is answered in any case
                return answer_of(other, _DOING)
            if outcome is not None:
                return _answer_to(outcome, with_content=ask.with_content)
        return answer_of(error, _DOING)

    def _asked(self, ref: str, path: str, asked: bytes, headers: Mapping[bytes, bytes]) -> Ask:
        with_content = query.decode(ContentQuery, asked).with_content if asked else True
        caller = self._context.gatekeeper.principal(headers.get(b"authorization"))
        if caller.app_id is not None:
            raise forbidden()
        if not text.NAME.fullmatch(ref):
            raise invalid(Fault(("path", "app_id_or_uid", "__all__"), text.wrong_name(ref) or ""))
        key = headers.get(b"idempotency-key")
        idempotency_key = scoped_key(caller, "POST", path.rstrip("/"), asked, key) if key else None
        return Ask(caller, ref, with_content, idempotency_key)

    async def _accepted(self, caller: Principal, ref: str, body: MessageIn, idempotency_key: str | None) -> Accepted:
        draft = body.drafted(self._context.services.clock)
        try:
            return await self._context.acceptor.accept(caller.org_id, ref, draft, idempotency_key)
        except AppError as error:
            if error.kind is not ErrorKind.NOT_FOUND or body.application is None:
                raise
        await apps.have(self._context.services, caller.org_id, body.application.drafted_for(ref))
        return await self._context.acceptor.accept(caller.org_id, ref, draft, idempotency_key)


def _is_replayable(error: Exception) -> bool:
    return isinstance(error, AppError) and error.kind in REPLAYABLE


def app_of(path: str) -> str | None:
    """Return the id or uid of the application if a path is the hot one."""
    if not path.startswith(_PREFIX):
        return None
    ref, _, rest = path[len(_PREFIX) :].partition("/")
    return ref if ref and (rest == _SUFFIX or rest.rstrip("/") == _SUFFIX) else None


def _answer_to(outcome: Outcome, *, with_content: bool) -> Answer:
    """Return what the caller is told, once its message has come or gone."""
    try:
        if isinstance(outcome, AppError):
            return refusal(outcome)
        return Answer(202, _shown(outcome, with_content=with_content))
    except Exception as error:  # noqa: BLE001 - the caller is told something whatever happens
        return answer_of(error, _DOING)


def _shown(accepted: Accepted, *, with_content: bool) -> bytes:
    if accepted.extras is not None:
        return encode(told(accepted, accepted.extras, with_content=with_content))
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
