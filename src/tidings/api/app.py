# SPDX-License-Identifier: MIT
"""The API as one ASGI application, built from the table of routes.

A request passes these layers, from the outside in: `Intake` responds to the hot route itself; the CORS middleware adds
headers; trailing slashes are removed; the router finds the path; `_Resource` checks the request and calls its handler.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route as PathRoute
from starlette.routing import Router

from tidings.api import authentication, docs, query, request_id
from tidings.api.context import Context
from tidings.api.dry_run import context_for
from tidings.api.http import JSON, NOT_ALLOWED, NOT_FOUND, error_response, respond
from tidings.api.intake import Intake
from tidings.api.openapi import document
from tidings.api.request_log import record_of
from tidings.api.routes import PREFIX, Access, AnyRoute, Call
from tidings.api.unserved import OF_SDKS, UNSERVED, route_of
from tidings.api.wire import encode, read
from tidings.asgi.http import AsgiApp, AsgiReceive, AsgiScope, AsgiSend, ClientGone, read_body
from tidings.asgi.location import base_path, base_url, has_encoded_slash
from tidings.asgi.response_buffer import send_body
from tidings.asgi.stream import Stream
from tidings.core import access, sessions
from tidings.core.idempotency import Response, scoped_key
from tidings.errors import REPLAYABLE, AppError, forbidden, not_found
from tidings.model.token import Principal

_CORS_SECONDS: Final = 600
_HTML: Final = (b"content-type", b"text/html; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Pages:
    """Another application, and the first segments of the paths that it serves."""

    app: AsgiApp
    paths: tuple[str, ...]


def build(context: Context, table: tuple[AnyRoute, ...], pages: Pages | None = None) -> Intake:
    """Build the API of one process, with the pages beside it."""
    routes = [_NotedRoute(path, _Resource(context, group)) for path, group in _by_path(table).items()]
    routes += [
        _NotedRoute(f"{PREFIX}/openapi.json", _StaticResponse(200, lambda: encode(document(table)), JSON)),
        _NotedRoute("/docs", _StaticResponse(200, lambda: docs.page(table), _HTML)),
        _NotedRoute("/", _StaticResponse(307, bytes, location="/docs")),
    ]
    router = Router(routes, redirect_slashes=False, default=_not_found)
    shared = CORSMiddleware(
        _without_slashes(router),
        allow_origins=("*",),
        allow_methods=("*",),
        allow_headers=("*",),
        expose_headers=(request_id.NAME.decode(),),
        max_age=_CORS_SECONDS,
    )
    return Intake(context, shared if pages is None else _beside(shared, pages))


def _beside(api: AsgiApp, pages: Pages) -> AsgiApp:
    """Return an application that serves the pages and the API, which other origins may call, on one port."""

    async def chosen(scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        first = "/" + scope["path"].split("/", 2)[1] if scope["type"] == "http" and scope["path"] != "/" else ""
        if first in pages.paths:
            record_of(scope).route = first
            await pages.app(scope, receive, send)
        else:
            await api(scope, receive, send)

    return chosen


def _by_path(table: Iterable[AnyRoute]) -> dict[str, list[AnyRoute]]:
    """Group the routes by path, so that a literal segment precedes a parameter that would match it."""
    placed = [(PREFIX + route.path, route) for route in table]
    placed += [(each.path, route_of(each)) for each in (*UNSERVED, *OF_SDKS)]
    groups: dict[str, list[AnyRoute]] = {}
    for path, route in sorted(placed, key=lambda each: [segment.startswith("{") for segment in each[0].split("/")]):
        groups.setdefault(path, []).append(route)
    return groups


def _without_slashes(app: AsgiApp) -> AsgiApp:
    async def stripped(scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        if scope["type"] == "http" and has_encoded_slash(scope):
            await respond(scope, send, NOT_FOUND)
            return
        if scope["type"] == "http":
            scope = {**scope, "path": scope["path"].rstrip("/") or "/"}
        await app(scope, receive, send)

    return stripped


async def _not_found(scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
    del receive
    if scope["type"] == "http":
        await respond(scope, send, NOT_FOUND)


class _NotedRoute(PathRoute):
    """A route that notes its path in the record of the request."""

    async def handle(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        record_of(scope).route = self.path
        await super().handle(scope, receive, send)


class _StaticResponse:
    """A response that never changes, built on its first request."""

    __slots__ = ("_body", "_headers", "_location", "_make", "_status")

    def __init__(
        self, status: int, make: Callable[[], bytes], *headers: tuple[bytes, bytes], location: str = ""
    ) -> None:
        self._status = status
        self._make = make
        self._headers = headers
        self._location = location
        self._body: bytes | None = None

    async def __call__(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        del receive
        if scope["method"] not in ("GET", "HEAD"):
            await respond(scope, send, NOT_ALLOWED, [(b"allow", b"GET, HEAD")])
            return
        if self._body is None:
            self._body = self._make()
        headers = [*self._headers, (b"content-length", b"%d" % len(self._body))]
        if self._location:
            headers.append((b"location", (base_path(scope) + self._location).encode()))
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send_body(scope, send, self._body)


class _Resource:
    """The operations at one path."""

    __slots__ = ("_allow", "_by_method", "_context")

    def __init__(self, context: Context, routes: Iterable[AnyRoute]) -> None:
        self._context = context
        self._by_method = {route.method: route for route in routes}
        if "GET" in self._by_method:
            self._by_method["HEAD"] = self._by_method["GET"]
        self._allow = (b"allow", ", ".join(sorted(self._by_method)).encode())

    async def __call__(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        route = self._by_method.get(scope["method"])
        if route is None:
            await respond(scope, send, NOT_ALLOWED, [self._allow])
            return
        try:
            response = await self._respond(route, scope, receive)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 - every request gets a response
            response = error_response(error, route.operation)
        if isinstance(response, Stream):
            await response.run(scope, receive, send)
        else:
            await respond(scope, send, response)

    async def _respond(self, route: AnyRoute, scope: AsgiScope, receive: AsgiReceive) -> Response:
        """Check a request in the order that callers may rely on, then handle it."""
        context, headers = self._context, dict(scope["headers"])
        params = query.decode(route.query, scope["query_string"])
        path = _require_storable(scope["path_params"])
        caller = None if route.access is Access.OPEN else await self._admitted(route, headers)
        if context.limiter is not None and caller is not None:
            context.limiter.admit(caller)
        if caller is not None:
            record_of(scope).note_caller(caller, path)
            await sessions.require_live(context.services, caller)
            if not caller.may(route.needs):
                raise forbidden()
        idempotency_key = _idempotency_key(scope, headers, caller)
        try:
            return await self._handle(route, scope, receive, params, path, caller, idempotency_key)
        except AppError as error:
            if idempotency_key is None or error.kind not in REPLAYABLE or route.tag == authentication.TAG:
                raise
            stored = await context.services.idempotency.find(idempotency_key)
            if stored is None:
                raise
            agent = headers.get(b"user-agent", b"").decode("latin-1")
            return stored if route.repeat is None else route.repeat(context, agent, stored)

    async def _admitted(self, route: AnyRoute, headers: Mapping[bytes, bytes]) -> Principal:
        """Return the caller; raise `AppError` if it is unknown, or may not use this route."""
        caller = await self._context.gatekeeper.authenticate(headers.get(b"authorization"))
        if not route.admits(caller):
            raise forbidden()
        return caller

    async def _handle(  # noqa: PLR0913, PLR0917 - the results of the checks
        self,
        route: AnyRoute,
        scope: AsgiScope,
        receive: AsgiReceive,
        params: query.Query,
        path: Mapping[str, str],
        caller: Principal | None,
        idempotency_key: str | None,
    ) -> Response:
        """Handle the request of an authorized caller."""
        context, headers = self._context, dict(scope["headers"])
        found = None
        if caller is not None and route.has_app:
            found = await access.application(context.services, caller, path["app_id"])
        body = b"{}"
        if route.has_body:
            body = await read_body(headers, receive, context.max_body_bytes)
            if caller is not None and caller.key is not None:  # the body may arrive long after the head
                await context.gatekeeper.authenticate(headers.get(b"authorization"))
        call = Call(
            context=context_for(params, context),
            query=params,
            body=read(route.decoder, body),
            path=path,
            agent=headers.get(b"user-agent", b"").decode("latin-1"),
            idempotency_key=idempotency_key,
            caller=caller,
            found=found,
            last_event_id=headers.get(b"last-event-id", b"").decode("latin-1"),
            base_url=partial(base_url, scope),
        )
        return await route.handler(call)


def _require_storable(path: Mapping[str, str]) -> Mapping[str, str]:
    """Raise "not found" if a parameter contains characters that no database stores: no row can match it."""
    for value in path.values():
        if "\0" in value or not _is_unicode(value):
            raise not_found()
    return path


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _idempotency_key(scope: AsgiScope, headers: Mapping[bytes, bytes], caller: Principal | None) -> str | None:
    key = headers.get(b"idempotency-key")
    if scope["method"] != "POST" or not key or caller is None:
        return None
    return scoped_key(caller, scope["method"], scope["path"], scope["query_string"], key)
