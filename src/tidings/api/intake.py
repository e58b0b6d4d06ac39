# SPDX-License-Identifier: MIT
"""The hot route, `POST /api/v1/app/{app}/msg`, served without a web framework.

The body is decoded once, with the payload kept as its source text. The caller's token costs one lookup, and the
response is formatted by hand: every text in it has been validated and needs no escaping. The route has two entry
points: `respond`, a coroutine, serves any request; `try_begin` needs none and serves the requests of `api.hot` that can
join a batch immediately. Unusual requests take the general code paths.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

import msgspec

from tidings.api import query
from tidings.api.auth import KeyLookup
from tidings.api.context import Context
from tidings.api.http import error_response, respond
from tidings.api.messages import ContentQuery, MessageIn, render_accepted
from tidings.api.request_id import NAME
from tidings.api.request_log import RequestObservers, record_of, recorded
from tidings.api.wire import decode, encode, refusal
from tidings.asgi.http import AsgiApp, AsgiReceive, AsgiScope, AsgiSend, ClientGone, read_body
from tidings.asgi.location import below_mount, has_encoded_slash
from tidings.clock import rfc3339
from tidings.core import apps, repeats
from tidings.core.idempotency import Response, scoped_key
from tidings.core.services import AcceptResult, HotRequest
from tidings.errors import REPLAYABLE, AppError, ErrorKind, Fault, forbidden, invalid, unauthorized
from tidings.ids import timestamp_of
from tidings.model import text
from tidings.model.message import AcceptedMessage
from tidings.model.token import Principal

ROUTE: Final = "/api/v1/app/{app_id}/msg"
_PREFIX: Final = "/api/v1/app/"
_SUFFIX: Final = "msg"
_ORIGIN: Final = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", NAME),
)
_OPERATION: Final = "v1.message.create"
_RANDOM_LENGTH: Final = 19
"""The number of characters at the end of an id that do not encode its timestamp."""


class Intake:
    """Responds to the hot route and passes every other request on."""

    __slots__ = ("_context", "_decoder", "_rest")

    def __init__(self, context: Context, rest: AsgiApp) -> None:
        self._context = context
        self._rest = rest
        self._decoder = msgspec.json.Decoder(MessageIn)

    @property
    def max_body_bytes(self) -> int:
        """The size limit of request bodies, in bytes."""
        return self._context.max_body_bytes

    @property
    def observers(self) -> RequestObservers | None:
        """Those who are notified of each request."""
        return self._context.observers

    async def __call__(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        if scope["type"] == "http":
            await recorded(self._serve, scope, receive, send, self._context.observers)
        else:
            await self._rest(scope, receive, send)

    async def _serve(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        record, scope = record_of(scope), below_mount(scope)
        ref = app_of(scope["path"]) if scope["method"] == "POST" and not has_encoded_slash(scope) else None
        if ref is None:
            await self._rest(scope, receive, send)
            return
        headers = {**dict(scope["headers"]), NAME: record.id}
        request = await self._checked_head(ref, scope, headers)
        record.route = ROUTE
        if isinstance(request, HotRequest):
            record.fields |= {"org": request.org_id, "app": request.app_ref}
            try:
                body = await read_body(headers, receive, self._context.max_body_bytes)
                response = await self.respond(request, body, headers)
            except ClientGone:
                return
            except AppError as error:
                response = await self._refuse(request, error)
        else:
            response = request
        await respond(scope, send, response, _ORIGIN if b"origin" in headers else ())

    def check_head(
        self,
        ref: str,
        path: str,
        query_string: bytes,
        headers: Mapping[bytes, bytes],
        caller: Principal | None = None,
    ) -> HotRequest | Response | None:
        """Check the head of a request before its body is read; return the request, or the error response.

        The headers have a valid `x-request-id`. None means that the caller's API key has to be looked up first: then
        call this again with the caller.
        """
        try:
            return self._parse_head(ref, path, query_string, headers, caller)
        except KeyLookup:
            return None
        except Exception as error:  # noqa: BLE001 - every request gets a response
            return error_response(error, _OPERATION, request_id=headers[NAME].decode())

    async def _checked_head(self, ref: str, scope: AsgiScope, headers: Mapping[bytes, bytes]) -> HotRequest | Response:
        """Check the head like `check_head`, and look up the caller's API key if that is needed."""
        parts = ref, scope["path"], scope["query_string"], headers
        request = self.check_head(*parts)
        if request is not None:
            return request
        try:
            caller = await self._context.gatekeeper.authenticate(headers.get(b"authorization"))
        except Exception as error:  # noqa: BLE001 - every request gets a response
            return error_response(error, _OPERATION)
        return self.check_head(*parts, caller) or error_response(unauthorized(), _OPERATION)

    def org_of(self, headers: Mapping[bytes, bytes]) -> str | None:
        """Return the organization of a caller that is known to be valid, for the record of a refused request."""
        try:
            return self._context.gatekeeper.principal(headers.get(b"authorization")).org_id
        except (AppError, KeyLookup):
            return None

    def is_current(self, headers: Mapping[bytes, bytes]) -> bool:
        """Return whether the caller is still known to be valid, after a body that took long to arrive."""
        try:
            self._context.gatekeeper.principal(headers.get(b"authorization"))
        except (AppError, KeyLookup):
            return False
        return True

    def try_begin(self, request: HotRequest, body: bytes, respond_with: Callable[[Response], None]) -> bool:
        """Begin to accept a message without waiting; return False if that is not possible.

        `respond_with` receives the response: before this method returns if the body is refused, otherwise when the
        batch has ended. After False, nothing has happened, and the caller passes the request to `respond`.
        """
        try:
            message = decode(self._decoder, body)
            if message.application is not None:
                return False
            draft = message.drafted(self._context.services.clock)
            with_content = request.with_content

            def report(outcome: AcceptResult) -> None:
                respond_with(_accept_response(outcome, with_content=with_content))

            return self._context.acceptor.offer(request, draft, report)
        except Exception as error:  # noqa: BLE001 - every request gets a response
            if request.idempotency_key is not None and _is_replayable(error):
                return False
            respond_with(error_response(error, _OPERATION, **_fields(request)))
            return True

    async def respond(self, request: HotRequest, body: bytes, headers: Mapping[bytes, bytes] | None = None) -> Response:
        """Accept a message, and return the response, also for an error; never raises.

        With `headers`, the caller is checked again: its API key may have been revoked while the body arrived.
        """
        try:
            if headers is not None:
                await self._context.gatekeeper.authenticate(headers.get(b"authorization"))
            message = decode(self._decoder, body)
            accepted = await self._accept(request, message)
        except Exception as error:  # noqa: BLE001 - every request gets a response
            return await self._refuse(request, error)
        return _accept_response(accepted, with_content=request.with_content)

    async def _refuse(self, request: HotRequest, error: Exception) -> Response:
        """Return the stored response of a repeated idempotency key, or else the error response."""
        if request.idempotency_key is not None and _is_replayable(error):
            try:
                outcome = await repeats.find(self._context.services, request.idempotency_key)
            except Exception as other:  # noqa: BLE001 - every request gets a response
                return error_response(other, _OPERATION, **_fields(request))
            if outcome is not None:
                return _accept_response(outcome, with_content=request.with_content)
        return error_response(error, _OPERATION, **_fields(request))

    def _parse_head(
        self, ref: str, path: str, query_string: bytes, headers: Mapping[bytes, bytes], caller: Principal | None
    ) -> HotRequest:
        with_content = query.decode(ContentQuery, query_string).with_content if query_string else True
        if caller is None:
            caller = self._context.gatekeeper.principal(headers.get(b"authorization"))
        if not caller.creates_messages:
            raise forbidden()
        if not text.NAME.fullmatch(ref):
            raise invalid(Fault(("path", "app_id_or_uid", "__all__"), text.name_error(ref) or ""))
        key = headers.get(b"idempotency-key")
        idempotency_key = scoped_key(caller, "POST", path.rstrip("/"), query_string, key) if key else None
        if self._context.limiter is not None:
            self._context.limiter.admit(caller)
        return HotRequest(caller.org_id, ref, idempotency_key, with_content, headers[NAME])

    async def _accept(self, request: HotRequest, body: MessageIn) -> AcceptedMessage:
        draft = body.drafted(self._context.services.clock)
        acceptor = self._context.acceptor
        try:
            return await acceptor.accept(request, draft)
        except AppError as error:
            if error.kind is not ErrorKind.NOT_FOUND or body.application is None:
                raise
        await apps.get_or_create(self._context.services, request.org_id, body.application.drafted_for(request.app_ref))
        return await acceptor.accept(request, draft)


def _fields(request: HotRequest) -> dict[str, object]:
    """Return the fields of log lines about a request."""
    return {"request_id": request.id.decode(), "org": request.org_id, "app": request.app_ref}


def _is_replayable(error: Exception) -> bool:
    return isinstance(error, AppError) and error.kind in REPLAYABLE


def app_of(path: str) -> str | None:
    """Return the id or uid of the application if a path is that of the hot route."""
    if not path.startswith(_PREFIX):
        return None
    ref, _, rest = path[len(_PREFIX) :].partition("/")
    return ref if ref and (rest == _SUFFIX or rest.rstrip("/") == _SUFFIX) else None


def _accept_response(outcome: AcceptResult, *, with_content: bool) -> Response:
    """Return the response to a message that was accepted or refused."""
    try:
        if isinstance(outcome, AppError):
            return refusal(outcome)
        return Response(202, _render(outcome, with_content=with_content))
    except Exception as error:  # noqa: BLE001 - every request gets a response
        return error_response(error, _OPERATION)


def _render(accepted: AcceptedMessage, *, with_content: bool) -> bytes:
    if accepted.extras is not None:
        return encode(render_accepted(accepted, with_content=with_content))
    event_id, channels = accepted.event_id, accepted.channels
    return b'{"eventId":%b,"eventType":"%b","payload":%b,"channels":%b,"id":"%b","timestamp":"%b"}' % (
        b"null" if event_id is None else b'"%b"' % event_id.encode(),
        accepted.event_type.encode(),
        accepted.payload if with_content else b"{}",
        b"null" if channels is None else msgspec.json.encode(channels),
        accepted.id.encode(),
        _timestamp(accepted.id[:-_RANDOM_LENGTH]),
    )


@lru_cache(maxsize=64)
def _timestamp(head: str) -> bytes:
    """Format the timestamp of an id; ids of the same millisecond share their head, so the result is cached."""
    return rfc3339(timestamp_of(head + "0" * _RANDOM_LENGTH)).encode()
