# SPDX-License-Identifier: MIT
"""Pages about errors: the cause and the next step, never a traceback."""

from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlencode

from tidings.asgi.http import AsgiScope
from tidings.asgi.location import base_path
from tidings.errors import AppError, ErrorKind
from tidings.ids import APP
from tidings.portal import rendering, sign_in
from tidings.portal.branding import Branding
from tidings.portal.context import PortalContext
from tidings.portal.people import NOT_ALLOWED
from tidings.portal.request import PORTAL
from tidings.portal.response import Answer, Html, Redirect

_STATUS: Final = {
    ErrorKind.BAD_REQUEST: HTTPStatus.BAD_REQUEST,
    ErrorKind.UNAUTHORIZED: HTTPStatus.UNAUTHORIZED,
    ErrorKind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    ErrorKind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorKind.CONFLICT: HTTPStatus.CONFLICT,
    ErrorKind.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorKind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorKind.TOO_MANY: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorKind.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorKind.NOT_IMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
}
_TITLES: Final = {
    ErrorKind.BAD_REQUEST: "This request cannot be carried out",
    ErrorKind.UNAUTHORIZED: "Please open your link again",
    ErrorKind.FORBIDDEN: "You may not do this",
    ErrorKind.NOT_FOUND: "This page does not exist",
    ErrorKind.CONFLICT: "The present state does not allow this",
    ErrorKind.INVALID: "Some values are not valid",
    ErrorKind.TOO_LARGE: "This is too large",
    ErrorKind.TOO_MANY: "Too many requests",
    ErrorKind.UNAVAILABLE: "The service is not available right now",
    ErrorKind.NOT_IMPLEMENTED: "This is not available",
}
_PORTAL_ENDED: Final = (
    "Your access has ended, or this browser has not signed in. Open the portal again from the product that sent you"
    " here."
)
_STREAMS: Final = ("/live", "/changes")
"""The ends of paths of streams. Followed to the sign-in page, a browser would take that for a stream that ended."""
_NOT_FOUND: Final = "It was deleted, or its address is incomplete, or you may not see it."
_EXPLAINED: Final = ("stale_form", "foreign_form", NOT_ALLOWED)
"""The codes of refusals whose detail is for the user."""
_FORBIDDEN: Final = "Your access does not include it. Ask for another link or key."


def page(context: PortalContext, scope: AsgiScope, error: AppError | None) -> Answer:
    """Return the page about an error; None for an unexpected one, which the log has with the request's id."""
    is_console = scope["path"].startswith("/console")
    is_page = scope["method"] == "GET" and not scope["path"].endswith(_STREAMS)
    if error is not None and error.kind is ErrorKind.UNAUTHORIZED and is_console and is_page:
        query = urlencode({"next": scope["path"], **({} if error.code == "no_session" else {"why": "ended"})})
        return Redirect(f"{base_path(scope)}/console/sign-in?{query}")
    app_id = _portal_of(scope["path"])
    home = "/console" if is_console else ""
    if app_id is not None and (error is None or error.kind is not ErrorKind.UNAUTHORIZED):
        home = f"/portal/{quote(app_id, safe='')}"
    title, detail, status = _words(error)
    is_ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    text = rendering.render(
        "failure.html",
        base=base_path(scope),
        branding=_branding(context, scope, app_id),
        title=title,
        detail=detail,
        faults=() if error is None else error.faults,
        request_id=scope.get("tidings.request_id", b"").decode("latin-1") if is_ours else "",
        home=home,
        home_name="To the console" if is_console else "To the overview",
    )
    return Html(text, status, ((b"retry-after", b"1"),) if status == HTTPStatus.TOO_MANY_REQUESTS else ())


def _portal_of(path: str) -> str | None:
    """Return the application in the path of a portal, or None."""
    parts = path.split("/")
    is_portal = len(parts) > 2 and parts[1] == "portal" and parts[2].startswith(APP)  # noqa: PLR2004 - "", portal, id
    return parts[2] if is_portal and _is_text(parts[2]) else None


def _is_text(text: str) -> bool:
    """Return whether an address can contain a text: the path of a request may contain lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _branding(context: PortalContext, scope: AsgiScope, app_id: str | None) -> Branding:
    if app_id is None:
        return context.branding
    return context.branding.with_look(sign_in.look(context, scope, PORTAL, {"app_id": app_id}))


def _words(error: AppError | None) -> tuple[str, str, int]:
    if error is None:
        return "Something went wrong", "It is not your fault. Try again; the log has the details.", 500
    detail = error.detail
    if error.kind is ErrorKind.UNAUTHORIZED:
        detail = _PORTAL_ENDED
    elif error.kind is ErrorKind.NOT_FOUND:
        detail = _NOT_FOUND
    elif error.kind is ErrorKind.FORBIDDEN and error.code not in _EXPLAINED:
        detail = _FORBIDDEN
    return _TITLES[error.kind], detail, _STATUS[error.kind]
