# SPDX-License-Identifier: MIT
"""Sign in and out: a portal link becomes a cookie of its application, a key becomes a cookie of the console.

A portal link keeps its token after `#`, which browsers send nowhere. The page at the link reads it by a script, sends
it as a form and clears the address; without JavaScript the user pastes the link into the same form.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from tidings.asgi.http import AsgiScope
from tidings.asgi.location import base_path, base_url
from tidings.clock import SECOND
from tidings.core import access, sessions
from tidings.errors import AppError, ErrorKind, not_found, unauthorized
from tidings.model.token import FOREVER, Principal
from tidings.portal import rendering
from tidings.portal.branding import LINK_VALUES, look_of
from tidings.portal.context import PortalContext
from tidings.portal.request import CONSOLE, PORTAL, Form
from tidings.portal.response import Answer, Html, Redirect
from tidings.portal.sessions import CONSOLE_COOKIE, LOOK_COOKIE, PORTAL_COOKIE, CookieTerms, cookie_value, fits_cookie

LINK: Final = "/app-portal"
"""The path of portal links, as in the Svix API."""
_KEY: Final = "key="
_HTTPS: Final = "https"
_PLAIN: Final = re.compile(r"[0-9A-Za-z_]{1,64}")
_PATH: Final = re.compile(r"[!-\[\]-~]{1,2048}")
"""Visible ASCII without a backslash: the text becomes a header."""
_FRAMES: Final = (b"iframe", b"frame")


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """A request for a page that needs no session."""

    context: PortalContext
    scope: AsgiScope
    base: str
    query: Form
    form: Form

    def page(self, template: str, *, status: int = 200, **values: object) -> Html:
        """Render a template of a page without a session."""
        return Html(rendering.render(template, base=self.base, branding=self.context.branding, **values), status)


OpenHandler = Callable[[OpenRequest], Awaitable[Answer]]


def is_secure(context: PortalContext, scope: AsgiScope) -> bool:
    """Return whether the browser uses https, so that cookies can be limited to it."""
    return (context.portal_url or base_url(scope)).startswith("https:")


def origins(context: PortalContext, scope: AsgiScope) -> frozenset[str]:
    """Return the origins at which this server is reached, for the check of `Origin`.

    Where it is reached over https, a page over http is another site: anyone on the way could have written it. A proxy
    that ends TLS may say nothing about it, so https counts where http is all that this server knows of.
    """
    base = urlsplit(base_url(scope))
    hosts = {base.netloc, dict(scope["headers"]).get(b"host", b"").decode("latin-1")}
    secure = {base.netloc} if base.scheme == _HTTPS else set()
    if context.portal_url:
        public = urlsplit(context.portal_url)
        hosts.add(public.netloc)
        secure |= {public.netloc} if public.scheme == _HTTPS else set()
    found = {f"{_HTTPS}://{host}" for host in hosts if host} | {f"http://{host}" for host in hosts - secure if host}
    return frozenset(each.lower() for each in found)


def cookie(context: PortalContext, scope: AsgiScope, shell: str, path: Mapping[str, str]) -> CookieTerms:
    """Return the terms of the session's cookie on a page of a shell."""
    secure = is_secure(context, scope)
    if shell == CONSOLE:
        return CookieTerms(CONSOLE_COOKIE, "/" if secure else f"{base_path(scope)}/console", secure)
    is_embedded = bool(context.branding.frame_ancestors)
    return CookieTerms(PORTAL_COOKIE, f"{base_path(scope)}/portal/{path['app_id']}", secure, is_embedded)


def look(context: PortalContext, scope: AsgiScope, shell: str, path: Mapping[str, str]) -> str | None:
    """Return the look that the link of a portal asked for, from its cookie; None in the console."""
    if shell == CONSOLE:
        return None
    return cookie_value(dict(scope["headers"]), _look_cookie(context, scope, path).full_name)


def _look_cookie(context: PortalContext, scope: AsgiScope, path: Mapping[str, str]) -> CookieTerms:
    return replace(cookie(context, scope, PORTAL, path), name=LOOK_COOKIE)


async def portal_page(request: OpenRequest) -> Answer:
    """Show the page at a portal link, whose script signs in."""
    return request.page("sign_in_portal.html", problem="", look_values=LINK_VALUES)


async def sign_in_portal(request: OpenRequest) -> Answer:
    """Exchange the token of a portal link for a cookie."""
    token = _token_in(request.form["key"])
    try:
        principal = await _caller(request, token)
        if principal.app_id is None:
            raise unauthorized("The link is not one of an application's portal.")
        await access.application(request.context.services, principal, principal.app_id)
    except AppError as error:
        if error.kind not in (ErrorKind.UNAUTHORIZED, ErrorKind.NOT_FOUND, ErrorKind.BAD_REQUEST):
            raise
        problem = "This link is not valid any more."
        return request.page("sign_in_portal.html", status=401, problem=problem, look_values=LINK_VALUES)
    path = {"app_id": principal.app_id}
    terms, seconds = cookie(request.context, request.scope, PORTAL, path), _seconds_left(request, principal)
    look_terms, found = _look_cookie(request.context, request.scope, path), look_of(_look_values(request.form))
    kept = look_terms.set_cookie(found, seconds) if found else look_terms.delete_cookie()
    headers, home = (terms.set_cookie(token, seconds), kept), f"{request.base}/portal/{principal.app_id}"
    if dict(request.scope["headers"]).get(b"sec-fetch-dest") in _FRAMES:
        return Redirect(f"{home}/arrive", headers, HTTPStatus.TEMPORARY_REDIRECT)
    return Redirect(home, headers)


async def arrive(request: OpenRequest) -> Answer:
    """Check in a frame that the browser kept the cookie, and offer a new tab if it did not.

    The browser sends the form with the key a second time, because only the key opens the portal in another tab.
    """
    path = {"app_id": request.scope["path_params"]["app_id"]}
    if not _PLAIN.fullmatch(path["app_id"]):
        raise not_found()
    terms = cookie(request.context, request.scope, PORTAL, path)
    if cookie_value(dict(request.scope["headers"]), terms.full_name) is not None:
        return Redirect(f"{request.base}/portal/{path['app_id']}")
    token = _token_in(request.form["key"])
    if not fits_cookie(token):
        raise unauthorized()
    return request.page("sign_in_blocked.html", key=token, look=_look_values(request.form))


def _token_in(text: str) -> str:
    """Return the token in a portal link, or the text itself."""
    return text.partition(_KEY)[2].partition("&")[0] if _KEY in text else text


def _look_values(form: Form) -> dict[str, str]:
    """Return the values that a portal link has beside its key, from their fields or from a link that was pasted."""
    pasted = dict(parse_qsl(form["key"].partition("#")[2]))
    return {name: form[name] or pasted.get(name, "") for name in LINK_VALUES}


async def _caller(request: OpenRequest, token: str) -> Principal:
    if not fits_cookie(token):
        raise unauthorized()
    principal = await request.context.authenticate(b"Bearer " + token.encode())
    await sessions.require_live(request.context.services, principal)
    return principal


def _seconds_left(request: OpenRequest, principal: Principal) -> int | None:
    if principal.until >= FOREVER:
        return None
    return max(0, (principal.until - request.context.services.clock.now()) // SECOND)


def console_form(  # noqa: PLR0913 - the parts of one page
    request: OpenRequest,
    *,
    problem: str = "",
    notice: str = "",
    target: str = "",
    status: int = HTTPStatus.OK,
    is_key_given: bool = False,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> Html:
    """Return the sign-in page of the console, with a problem or a notice; `target` is where the browser goes next."""
    provider = request.context.provider
    page = request.page(
        "sign_in_console.html",
        problem=problem,
        notice=notice,
        next=target,
        provider="" if provider is None else provider.host,
        is_key_given=is_key_given,
    )
    return Html(page.text, status, headers)


async def console_page(request: OpenRequest) -> Answer:
    """Show the sign-in page of the console."""
    problem = "Your access has ended. Sign in again." if request.query["why"] == "ended" else ""
    notice = "You are signed out." if request.query["done"] == "signed_out" else ""
    return console_form(request, problem=problem, notice=notice, target=request.query["next"])


async def sign_in_console(request: OpenRequest) -> Answer:
    """Exchange a key or token for a cookie of the console."""
    token, target = request.form["key"], request.form["next"]
    try:
        principal = await _caller(request, token)
        problem = "" if principal.app_id is None else "This key belongs to one application; the console needs another."
    except AppError as error:
        if error.kind not in (ErrorKind.UNAUTHORIZED, ErrorKind.BAD_REQUEST):
            raise
        problem = "This key or token is not valid."
    if problem:
        return console_form(request, problem=problem, target=target, status=HTTPStatus.UNAUTHORIZED, is_key_given=True)
    header = cookie(request.context, request.scope, CONSOLE, {}).set_cookie(token)
    return Redirect(request.base + (target if inside(target) else "/console"), (header,))


def inside(target: str) -> bool:
    """Return whether a text is the path of a page of the console, and no address elsewhere."""
    return target.startswith("/console/") and "//" not in target and _PATH.fullmatch(target) is not None


async def sign_out_console(request: OpenRequest) -> Answer:
    """Delete the console's cookie, and end the session of a person; a key itself stays valid."""
    terms = cookie(request.context, request.scope, CONSOLE, {})
    token = cookie_value(dict(request.scope["headers"]), terms.full_name)
    if token is not None:
        await request.context.page_sessions.end(token)
    return Redirect(f"{request.base}/console/sign-in?done=signed_out", (terms.delete_cookie(),))


ROUTES: Final[dict[str, dict[str, OpenHandler]]] = {
    LINK: {"GET": portal_page},
    "/portal/sign-in": {"POST": sign_in_portal},
    "/portal/{app_id}/arrive": {"POST": arrive},
    "/console/sign-in": {"GET": console_page, "POST": sign_in_console},
    "/console/sign-out": {"POST": sign_out_console},
}
"""The pages that need no session, by path and method."""
