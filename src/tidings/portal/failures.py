# SPDX-License-Identifier: MIT
"""Pages about errors: the cause and the next step, never a traceback."""

from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from tidings.asgi.http import AsgiScope
from tidings.asgi.location import base_path
from tidings.errors import AppError, ErrorKind
from tidings.portal import rendering
from tidings.portal.context import PortalContext
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
_NOT_FOUND: Final = "It was deleted, or its address is incomplete, or you may not see it."
_FORBIDDEN: Final = "Your access does not include it. Ask for another link or key."


def page(context: PortalContext, scope: AsgiScope, error: AppError | None) -> Answer:
    """Return the page about an error; None for an unexpected one, which the log has with the request's id."""
    is_console = scope["path"].startswith("/console")
    if error is not None and error.kind is ErrorKind.UNAUTHORIZED and is_console and scope["method"] == "GET":
        query = urlencode({"next": scope["path"], **({} if error.code == "no_session" else {"why": "ended"})})
        return Redirect(f"{base_path(scope)}/console/sign-in?{query}")
    title, detail, status = _words(error)
    is_ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    text = rendering.render(
        "failure.html",
        base=base_path(scope),
        branding=context.branding,
        title=title,
        detail=detail,
        faults=() if error is None else error.faults,
        request_id=scope.get("tidings.request_id", b"").decode("latin-1") if is_ours else "",
        home="/console" if is_console else "",
    )
    return Html(text, status, ((b"retry-after", b"1"),) if status == HTTPStatus.TOO_MANY_REQUESTS else ())


def _words(error: AppError | None) -> tuple[str, str, int]:
    if error is None:
        return "Something went wrong", "It is not your fault. Try again; the log has the details.", 500
    detail = error.detail
    if error.kind is ErrorKind.UNAUTHORIZED:
        detail = _PORTAL_ENDED
    elif error.kind is ErrorKind.NOT_FOUND:
        detail = _NOT_FOUND
    elif error.kind is ErrorKind.FORBIDDEN and error.code not in ("stale_form", "foreign_form"):
        detail = _FORBIDDEN
    return _TITLES[error.kind], detail, _STATUS[error.kind]
