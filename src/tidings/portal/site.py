# SPDX-License-Identifier: MIT
"""The pages as one ASGI application: finds the view of a path, checks the session, and renders errors.

A request passes these checks in this order: path and method; session; organization and application of the path;
capability; for a form its size, its origin and its token. Every response carries the security headers of
`security.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl

from starlette.routing import Route as PathRoute
from starlette.routing import Router

from tidings import observe
from tidings.asgi.http import AsgiApp, AsgiReceive, AsgiScope, AsgiSend, ClientGone, read_body
from tidings.asgi.location import base_path, base_url
from tidings.asgi.notes import note
from tidings.asgi.response_buffer import send_body
from tidings.asgi.stream import Stream
from tidings.core import access, lookup
from tidings.core.services import as_app_error
from tidings.errors import bad_request, forbidden, not_found
from tidings.ids import ORG, OrgId
from tidings.model.app import App
from tidings.model.token import Principal
from tidings.portal import assets, failures, images, security, sign_in
from tidings.portal.branding import theme
from tidings.portal.callers import caller_of
from tidings.portal.context import PortalContext
from tidings.portal.request import CONSOLE, PORTAL, Form, PageRequest
from tidings.portal.response import HTML, NO_STORE, Answer, Download, Html, Raw, Redirect
from tidings.portal.sessions import require_same_site, stale_form
from tidings.portal.view import PREFIXES, Scope, View

PATHS: Final = ("/portal", "/console", sign_in.LINK)
"""The first segments of the paths that this application serves."""
Headers = tuple[tuple[bytes, bytes], ...]
_FIELDS_MAX: Final = 10_000
_COLORS_MAX: Final = 200
_THEME_HEADERS: Final = (
    (b"content-type", b"text/css; charset=utf-8"),
    (b"cache-control", b"public, max-age=31536000, immutable"),
)
"""The address of a theme contains its colors."""


def build(
    context: PortalContext,
    views: Iterable[View],
    open_routes: Mapping[str, Mapping[str, sign_in.OpenHandler]] = sign_in.ROUTES,
) -> "Site":
    """Build the pages of one process. `open_routes` are the pages without a session, by path and method."""
    return Site(context, tuple(views), open_routes)


@dataclass(frozen=True, slots=True)
class _Place:
    """A view in one of its shells."""

    shell: str
    prefix: str
    view: View


class Site:
    """The pages of one process."""

    def __init__(
        self,
        context: PortalContext,
        views: tuple[View, ...],
        open_routes: Mapping[str, Mapping[str, sign_in.OpenHandler]],
    ) -> None:
        self._context = context
        groups: dict[str, dict[str, _Place]] = {}
        for view in views:
            for (scope, shell), prefix in PREFIXES.items():
                if scope is view.scope and view.shell in (None, shell):
                    groups.setdefault(prefix + view.path, {})[view.method] = _Place(shell, prefix, view)
        routes = [_Route(path, _Page(self, groups[path])) for path in sorted(groups, key=_literals_first)]
        fixed = [_Route(f"{assets.PATH}/{{name}}", _Asgi(self._asset))]
        fixed.append(_Route("/portal/theme.css", _Asgi(self._theme)))
        fixed.append(_Route(f"{images.PATH}/{{name}}", _Asgi(self._brand)))
        fixed += [_Route(path, _Open(self, by_method)) for path, by_method in open_routes.items()]
        self._router = Router([*fixed, *routes], redirect_slashes=False, default=self._unknown)

    @property
    def context(self) -> PortalContext:
        return self._context

    async def __call__(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        path = scope["path"].rstrip("/") or "/"
        await self._router({**scope, "path": path}, receive, send)

    async def _unknown(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        del receive
        await self.answer(scope, send, failures.page(self._context, scope, not_found()))

    async def _asset(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        del receive
        accepted = dict(scope["headers"]).get(b"accept-encoding", b"")
        found = assets.serve(scope["path_params"]["name"], accepted)
        await self.answer(scope, send, found or failures.page(self._context, scope, not_found()))

    async def _theme(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        del receive
        colors = dict(parse_qsl(scope["query_string"].decode("latin-1")[:_COLORS_MAX]))
        text = theme(colors.get("color", ""), colors.get("dark", ""))
        await self.answer(scope, send, Raw(text.encode(), _THEME_HEADERS))

    async def _brand(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        del receive
        found = self._context.branding.image(scope["path_params"]["name"])
        answer = failures.page(self._context, scope, not_found()) if found is None else found.answer
        await self.answer(scope, send, answer)

    async def answer(
        self, scope: AsgiScope, send: AsgiSend, answer: Answer, receive: AsgiReceive | None = None
    ) -> None:
        """Send what a handler returned."""
        always = security.headers(
            self._context.branding, is_portal=scope["path"].startswith(("/portal/", sign_in.LINK))
        )
        if isinstance(answer, Stream):
            assert receive is not None  # noqa: S101 - only pages stream
            await replace(answer, headers=_secured(answer.headers, always)).run(scope, receive, send)
            return
        status, headers, body = _parts(answer)
        headers = [*headers, *always, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send_body(scope, send, b"" if scope["method"] == "HEAD" else body)


class _Route(PathRoute):
    """A route that notes its path for the log."""

    async def handle(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        note(scope, self.path)
        await super().handle(scope, receive, send)


class _Asgi:
    """An ASGI application from a method, which a route would take for a function of Starlette's."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def __call__(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        await self._app(scope, receive, send)


def _literals_first(path: str) -> list[bool]:
    """Sort paths so that a literal segment precedes a parameter that would match it."""
    return [segment.startswith("{") for segment in path.split("/")]


def _secured(given: Headers, always: Headers) -> Headers:
    """Return the headers of a stream with those of every page, unless the stream has stricter ones of its own."""
    own = {name for name, _ in given}
    return (*given, *(each for each in always if each[0] not in own))


def _parts(answer: Html | Redirect | Download | Raw) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    match answer:
        case Html(text, status, headers):
            return status, [HTML, NO_STORE, *headers], text.encode("utf-8", "replace")
        case Redirect(location, headers, status):
            return status, [(b"location", location.encode()), NO_STORE, *headers], b""
        case Download(body, name, content_type):
            disposition = f'attachment; filename="{name}"'.encode()
            kind = (b"content-type", content_type.encode())
            return HTTPStatus.OK, [kind, (b"content-disposition", disposition), NO_STORE], body
        case Raw(body, headers, status):
            return status, list(headers), body


class _Endpoint:
    """The views at one path; turns every error into a page."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._context = site.context

    async def __call__(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        try:
            answer = await self._answer(scope, receive)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 - every request gets a page
            answer = self._failed(scope, error)
        await self._site.answer(scope, send, answer, receive)

    async def _answer(self, scope: AsgiScope, receive: AsgiReceive) -> Answer:
        raise NotImplementedError

    def _failed(self, scope: AsgiScope, error: Exception) -> Answer:
        known = as_app_error(error)
        if known is None:
            observe.failure("answering a page", error)
        return failures.page(self._context, scope, known)


class _Open(_Endpoint):
    """A page without a session."""

    def __init__(self, site: Site, by_method: Mapping[str, sign_in.OpenHandler]) -> None:
        super().__init__(site)
        self._by_method = by_method

    async def _answer(self, scope: AsgiScope, receive: AsgiReceive) -> Answer:
        handler = self._by_method.get("GET" if scope["method"] == "HEAD" else scope["method"])
        if handler is None:
            raise not_found()
        form = await _form(self._context, scope, receive, 16_384) if scope["method"] == "POST" else Form({})
        query = Form(_pairs(scope["query_string"]))
        return await handler(sign_in.OpenRequest(self._context, scope, base_path(scope), query, form))


class _Page(_Endpoint):
    """The views at one path that need a session."""

    def __init__(self, site: Site, by_method: dict[str, _Place]) -> None:
        super().__init__(site)
        self._by_method = by_method

    async def _answer(self, scope: AsgiScope, receive: AsgiReceive) -> Answer:
        place = self._by_method.get("GET" if scope["method"] == "HEAD" else scope["method"])
        if place is None:
            raise not_found()
        context, path = self._context, _storable(scope["path_params"])
        terms = sign_in.cookie(context, scope, place.shell, path)
        caller = await caller_of(context, scope, terms.full_name, is_console=place.shell == CONSOLE)
        principal = await self._admitted(place, caller.principal, path)
        if isinstance(principal, Redirect):
            return Redirect(base_path(scope) + principal.location)
        note(scope, org=principal.org_id, app=principal.app_id or path.get("app_id"))
        found = await self._app(place, principal, path)
        base = base_path(scope)
        page = PageRequest(
            context=context,
            session=caller.session,
            principal=principal,
            renew=caller.renew,
            shell=place.shell,
            base=base,
            prefix=base + place.prefix.format(**path),
            path=path,
            query=Form(_pairs(scope["query_string"])),
            found=found,
            is_part=b"hx-request" in dict(scope["headers"]),
            here=base + scope["path"],
            origin=context.portal_url or base_url(scope),
            cookie=terms,
            branding=context.branding.with_look(sign_in.look(context, scope, place.shell, path)),
        )
        if place.view.writes:
            page.form = await _form(context, scope, receive, place.view.form_bytes)
            if not caller.session.is_form_token(page.form["csrf"], scope["path"]):
                raise stale_form()
        return await place.view.handler(page)

    async def _admitted(self, place: _Place, caller: Principal, path: dict[str, str]) -> Principal | Redirect:
        """Return the caller within the organization of the path; raise `AppError` if it may not open the view."""
        self._context.admit(caller)
        view = place.view
        if place.shell == PORTAL and caller.app_id is None:
            raise forbidden()
        if place.shell == CONSOLE:
            if caller.app_id is not None:
                raise forbidden()
            if view.scope is Scope.INSTALLATION:
                return self._on_installation(view, caller)
            caller = await self._within(caller, path["org_id"])
        if (view.writes and not view.is_reading and caller.is_read_only) or not caller.may(view.needs):
            raise forbidden()
        return caller

    async def _within(self, caller: Principal, org_id: str) -> Principal:
        """Return the caller inside an organization: its own, or any for an operator, who then acts as that one."""
        if not caller.is_operator:
            if caller.org_id != org_id:
                raise not_found()
            return caller
        if not org_id.startswith(ORG):
            raise not_found()
        await lookup.require_organization(self._context.services, OrgId(org_id))
        return replace(caller, org_id=OrgId(org_id), is_operator=False, author=caller.creator)

    def _on_installation(self, view: View, caller: Principal) -> Principal | Redirect:
        if not caller.is_operator:
            if not view.path and not view.writes:
                return Redirect(f"/console/{caller.org_id}")
            raise forbidden()
        if view.writes and caller.is_read_only:
            raise forbidden()
        return caller

    async def _app(self, place: _Place, caller: Principal, path: dict[str, str]) -> App | None:
        if place.view.scope is not Scope.APPLICATION:
            return None
        return await access.application(self._context.services, caller, path["app_id"])


async def _form(context: PortalContext, scope: AsgiScope, receive: AsgiReceive, limit: int) -> Form:
    """Read a form; raise `AppError` if it is too large, malformed, or sent by another site."""
    headers = dict(scope["headers"])
    require_same_site(headers, sign_in.origins(context, scope))
    body = await read_body(headers, receive, limit)
    if not headers.get(b"content-type", b"").startswith(b"application/x-www-form-urlencoded"):
        raise bad_request("no_form", "The form could not be read.")
    return Form(_pairs(body))


def _pairs(text: bytes) -> dict[str, list[str]]:
    try:
        found = parse_qs(text.decode(), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_MAX)
    except (UnicodeDecodeError, ValueError) as error:
        raise bad_request("no_form", "The address or the form could not be read.") from error
    if any("\0" in value for values in found.values() for value in values):
        raise bad_request("no_form", "The address or the form contains a character that cannot be stored.")
    return found


def _storable(path: dict[str, Any]) -> dict[str, str]:
    """Raise "not found" if a parameter contains characters that no database stores."""
    for value in path.values():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise not_found() from error
        if "\0" in value:
            raise not_found()
    return path
