# SPDX-License-Identifier: MIT
"""Sign in to the console at an OpenID Connect provider.

The browser keeps one random value in a cookie until it comes back; state, nonce and the verifier of PKCE derive from
it, so they belong to this browser and to this attempt. The cookie is deleted by the response, and each attempt counts
once. The session's cookie is `SameSite=Strict`, so the last response is a page of this site that leads on: a redirect
would still be a request of the provider's site, without the cookie.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from tidings.asgi.location import base_path, base_url
from tidings.clock import MINUTE, SECOND
from tidings.core.oidc import CodeExchange, OidcProvider, Person, SignInRefused
from tidings.errors import AppError, ErrorKind, not_found
from tidings.ids import MANAGEMENT_ORG
from tidings.logs import log
from tidings.portal.request import CONSOLE
from tidings.portal.response import Answer, Html, Redirect
from tidings.portal.sessions import CookieTerms, cookie_value
from tidings.portal.sign_in import OpenHandler, OpenRequest, console_form, cookie, inside, is_secure

START: Final = "/console/sign-in/oidc"
CALLBACK: Final = "/console/sign-in/oidc/callback"
COOKIE: Final = "tidings_sign_in"
_ATTEMPT_MS: Final = 10 * MINUTE
_SEED_BYTES: Final = 32
_CODE_MAX: Final = 4_096
_PARTS: Final = 4
_STATUSES: Final = {
    ErrorKind.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorKind.TOO_MANY: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorKind.FORBIDDEN: HTTPStatus.FORBIDDEN,
}
_AGAIN: Final = "This sign-in was not started in this browser, or took longer than ten minutes. Sign in again."
_REFUSED: Final = "The provider did not confirm the sign-in. Sign in again, or ask the administrator of the provider."
_DECLINED: Final = "The sign-in was declined at the provider."


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """One sign-in on its way through the provider."""

    text: str
    """A random value, when the attempt ends, and where the browser goes afterwards."""
    key: bytes

    @property
    def cookie(self) -> str:
        """The value of the cookie."""
        return f"{self.text}.{self.derived('cookie')}"

    @property
    def target(self) -> str:
        """Where the browser goes afterwards."""
        return _unpacked(self.text.split(".")[2])

    def derived(self, label: str) -> str:
        """Return a value that only this attempt has: its state, nonce or verifier."""
        digest = hmac.digest(self.key, f"sign-in {label}\n{self.text}".encode(), hashlib.sha256)
        return _packed(digest)


def new_attempt(key: bytes, now: int, target: str) -> SignInAttempt:
    """Return a new attempt; `now` is in milliseconds."""
    seed, ends_at = secrets.token_urlsafe(_SEED_BYTES), now + _ATTEMPT_MS
    return SignInAttempt(f"{seed}.{ends_at}.{_packed(target.encode())}", key)


def attempt_of(cookie_text: str, key: bytes, now: int) -> SignInAttempt | None:
    """Return the attempt in a cookie; None if it is forged or over."""
    text, _, mac = cookie_text.rpartition(".")
    attempt = SignInAttempt(text, key)
    if len(cookie_text.split(".")) != _PARTS or not _is_same(mac, attempt.derived("cookie")):
        return None
    return attempt if now < int(text.split(".")[1]) else None


async def start(request: OpenRequest) -> Answer:
    """Send the browser to the provider."""
    provider = _provider(request)
    target = request.query["next"]
    attempt = new_attempt(
        request.context.page_sessions.form_key, _now(request), target if inside(target) else "/console"
    )
    try:
        url = await provider.authorization_url(
            redirect_uri=_redirect_uri(request),
            state=attempt.derived("state"),
            nonce=attempt.derived("nonce"),
            verifier=attempt.derived("verifier"),
        )
    except AppError as error:
        return _failed(request, error, target)
    return Redirect(url, (_cookie(request).set_cookie(attempt.cookie, _ATTEMPT_MS // SECOND),))


async def finish(request: OpenRequest) -> Answer:
    """Exchange the code of the provider for a session."""
    provider, context = _provider(request), request.context
    attempt = await _own_attempt(request)
    if attempt is None:
        return console_form(request, problem=_AGAIN, status=HTTPStatus.UNAUTHORIZED)
    ended = (_cookie(request).delete_cookie(),)
    try:
        person = await _person(request, provider, attempt)
        session = context.people.admitted(person.email, person.groups, _now(request), context.people.session_ms)
    except SignInRefused as refusal:
        log.warning("sign_in.refused", "a sign-in to the console was refused", reason=str(refusal))
        problem = _DECLINED if request.query["error"] == "access_denied" else _REFUSED
        return console_form(
            request, problem=problem, target=attempt.target, status=HTTPStatus.UNAUTHORIZED, headers=ended
        )
    except AppError as error:
        return _failed(request, error, attempt.target, ended)
    org = None if session.org_id == MANAGEMENT_ORG else session.org_id
    log.info("sign_in.admitted", "a person signed in to the console", person=session.author, org=org)
    seconds = (session.until - session.issued_at) // SECOND
    kept = cookie(context, request.scope, CONSOLE, {}).set_cookie(context.page_sessions.issue(session), seconds)
    page = request.page("signed_in.html", target=request.base + attempt.target, author=session.author)
    return Html(page.text, page.status, (kept, *ended))


async def _own_attempt(request: OpenRequest) -> SignInAttempt | None:
    """Return the attempt that this browser started, if its state is the one in the address, on its first use."""
    context = request.context
    given = cookie_value(dict(request.scope["headers"]), _cookie(request).full_name) or ""
    attempt = attempt_of(given, context.page_sessions.form_key, _now(request))
    if attempt is None or not _is_same(request.query["state"], attempt.derived("state")):
        return None
    used = f"sign-in:{hashlib.sha256(attempt.text.encode()).hexdigest()}"
    return attempt if await context.page_sessions.use_once(used) else None


async def _person(request: OpenRequest, provider: OidcProvider, attempt: SignInAttempt) -> Person:
    query = request.query
    if query["iss"] and query["iss"] != provider.issuer:
        raise SignInRefused("the response is from another issuer")
    code = query["code"]
    if query["error"] or not 0 < len(code) <= _CODE_MAX:
        raise SignInRefused(f"the provider responded with {query['error'][:64]!r} in place of a code")
    return await provider.identify(
        CodeExchange(
            code=code,
            verifier=attempt.derived("verifier"),
            nonce=attempt.derived("nonce"),
            redirect_uri=_redirect_uri(request),
        )
    )


def _failed(
    request: OpenRequest, error: AppError, target: str, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Answer:
    """Show the sign-in page again with the reason; raise an error that is no failure of the sign-in."""
    if error.kind not in _STATUSES:
        raise error
    return console_form(request, problem=error.detail, target=target, status=_STATUSES[error.kind], headers=headers)


def _provider(request: OpenRequest) -> OidcProvider:
    if request.context.provider is None:
        raise not_found()
    return request.context.provider


def _redirect_uri(request: OpenRequest) -> str:
    return (request.context.portal_url or base_url(request.scope)) + CALLBACK


def _cookie(request: OpenRequest) -> CookieTerms:
    secure = is_secure(request.context, request.scope)
    return CookieTerms(COOKIE, "/" if secure else f"{base_path(request.scope)}{START}", secure)


def _now(request: OpenRequest) -> int:
    return request.context.services.clock.now()


def _is_same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def _packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unpacked(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, ValueError):
        return "/console"


ROUTES: Final[dict[str, dict[str, OpenHandler]]] = {START: {"GET": start}, CALLBACK: {"GET": finish}}
"""The pages of the sign-in at a provider."""
