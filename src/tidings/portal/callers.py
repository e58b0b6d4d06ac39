# SPDX-License-Identifier: MIT
"""Who sends a request for a page: by its cookie, or else by the header of a trusted proxy."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tidings.asgi.http import AsgiScope
from tidings.core import sessions
from tidings.core.page_sessions import PREFIX, PageSession
from tidings.errors import AppError, ErrorKind, unauthorized
from tidings.model.token import Principal
from tidings.portal.context import PortalContext
from tidings.portal.sessions import Session, cookie_value

Renew = Callable[[], Awaitable[Principal]]


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller and its session."""

    session: Session
    principal: Principal
    renew: Renew
    """Checks the session again and returns its present caller; raises `unauthorized` once it has ended."""


async def caller_of(context: PortalContext, scope: AsgiScope, cookie: str, *, is_console: bool) -> Caller:
    """Return the caller of a request, by the cookie with this name; raise `unauthorized` without one.

    An ended cookie does not lock out a person whom the proxy names.
    """
    token = cookie_value(dict(scope["headers"]), cookie)
    try:
        if token is None:
            raise unauthorized("You are not signed in.", code="no_session")
        return await _by_cookie(context, token)
    except AppError as error:
        is_over = error.kind in (ErrorKind.UNAUTHORIZED, ErrorKind.BAD_REQUEST)
        if not is_console or context.proxy is None or not is_over:
            raise
        session = context.proxy.session(scope, context.services.clock)
        if session is None:
            raise
    return _by_proxy(context, session)


async def _by_cookie(context: PortalContext, token: str) -> Caller:
    async def renew() -> Principal:
        if token.startswith(PREFIX):
            principal = await context.page_sessions.caller(token)
        else:
            principal = await context.authenticate(b"Bearer " + token.encode())
        await sessions.require_live(context.services, principal)
        return principal

    return Caller(Session(token, context.form_key), await renew(), renew)


def _by_proxy(context: PortalContext, session: PageSession) -> Caller:
    """Return the caller that the proxy names: there is no cookie, so form tokens depend on the name."""
    principal = session.principal

    async def renew() -> Principal:
        if context.services.clock.now() > principal.until:
            raise unauthorized()
        return principal

    form_key = context.page_sessions.form_key
    return Caller(Session(f"proxy {session.author}", form_key, is_proxied=True), principal, renew)
