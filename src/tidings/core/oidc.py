# SPDX-License-Identifier: MIT
"""A provider of OpenID Connect: where a person signs in, and who it says that person is (OpenID Connect Core 1.0).

The authorization code flow with PKCE (RFC 7636). The provider's document and its keys are read on first use and again
after an hour; a token with an unknown key makes them be read again, at most once a minute. After a failure nothing is
asked for some seconds, so that requests of strangers do not become load on a provider in trouble.
"""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote_plus, urlencode, urlsplit

import msgspec

from tidings.clock import Clock
from tidings.core import id_tokens
from tidings.core.id_tokens import Claims, Expected, InvalidToken, UnknownKey
from tidings.errors import ExternalError, too_many, unavailable
from tidings.observe import failure

_WELL_KNOWN: Final = "/.well-known/openid-configuration"
_KEPT_SECONDS: Final = 3_600.0
_KEYS_AGAIN_SECONDS: Final = 60.0
_REST_SECONDS: Final = 5.0
_EXCHANGES_MAX: Final = 16
"""The most codes that this process exchanges at a time."""
_URL_MAX: Final = 2_048
_HTTP_OK: Final = 200
_BASIC: Final = "client_secret_basic"
_POST: Final = "client_secret_post"
_DOWN: Final = "The sign-in provider did not respond as expected. Try again in a minute, or sign in with a key."


class FetchError(ExternalError):
    """A request to the provider failed; the text has the reason."""


class SignInRefused(Exception):
    """The provider, or a check of its response, refuses the sign-in; the text is for the log."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A response of the provider."""

    status: int
    body: bytes


class Fetch(Protocol):
    """Sends one request, bounded in bytes and time, to an address that the policy allows."""

    async def __call__(self, url: str, headers: Mapping[str, str], form: bytes | None = None) -> Fetched:
        """Get a URL, or post a form to it; raise `FetchError` without a complete response. Redirects are results."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcTerms:
    """The registration of this service at the provider."""

    issuer: str
    client_id: str
    client_secret: str
    scopes: tuple[str, ...]
    groups_claim: str


@dataclass(frozen=True, slots=True)
class Person:
    """Who signed in, as the provider says; `email` is verified."""

    email: str
    groups: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeExchange:
    """What turns a code into an ID token."""

    code: str
    verifier: str
    nonce: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class _Document:
    """The provider's description of itself, as far as it is used."""

    authorization_url: str
    token_url: str
    keys_url: str
    sends_secret_in_body: bool


class _Kept:
    """A value that is fetched at most once at a time, kept for a while, and not fetched just after a failure."""

    def __init__(self, load: Callable[[], Awaitable[Any]], clock: Clock) -> None:
        self._load = load
        self._clock = clock
        self._lock = asyncio.Lock()
        self._value: Any = None
        self._loaded_at = float("-inf")
        self._failed_at = float("-inf")

    async def get(self, older_than: float = _KEPT_SECONDS) -> Any:  # noqa: ANN401 - as it was loaded
        """Return the value; load it if it is older than some seconds. Raises `AppError` if that fails."""
        async with self._lock:
            now = self._clock.monotonic()
            if now - self._loaded_at <= older_than:
                return self._value
            if now - self._failed_at < _REST_SECONDS:
                raise unavailable(_DOWN)
            try:
                self._value = await self._load()
            except (FetchError, InvalidToken, SignInRefused) as error:
                self._failed_at = self._clock.monotonic()
                failure("reading about the sign-in provider", FetchError(str(error)))
                raise unavailable(_DOWN) from error
            self._loaded_at = now
            return self._value


class OidcProvider:
    """One provider, for one process."""

    def __init__(self, terms: OidcTerms, fetch: Fetch, clock: Clock) -> None:
        self._terms = terms
        self._fetch = fetch
        self._clock = clock
        self._document = _Kept(self._load_document, clock)
        self._keys = _Kept(self._load_keys, clock)
        self._exchanges = 0

    @property
    def issuer(self) -> str:
        return self._terms.issuer

    @property
    def host(self) -> str:
        """The name of the provider for people."""
        return urlsplit(self._terms.issuer).netloc

    async def authorization_url(self, *, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Return the address at which a person signs in. Raises `AppError` if the provider does not respond."""
        document: _Document = await self._document.get()
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._terms.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(dict.fromkeys(("openid", *self._terms.scopes))),
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        url = document.authorization_url
        return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(query)}"

    async def identify(self, exchange: CodeExchange) -> Person:
        """Exchange a code, and return the person. Raises `SignInRefused`, or `AppError` without a usable response."""
        if self._exchanges >= _EXCHANGES_MAX:
            raise too_many("Many people are signing in right now. Try again in a minute.")
        self._exchanges += 1
        try:
            token = await self._id_token(exchange)
            claims = await self._verified(token, exchange.nonce)
        except FetchError as error:
            failure("exchanging a code at the sign-in provider", error)
            raise unavailable(_DOWN) from error
        except InvalidToken as error:
            raise SignInRefused(str(error)) from error
        finally:
            self._exchanges -= 1
        email = claims.get("email")
        if claims.get("email_verified") is not True or not isinstance(email, str):
            raise SignInRefused("the provider does not say that the e-mail address is verified")
        return Person(email, id_tokens.groups_in(claims, self._terms.groups_claim))

    async def _id_token(self, exchange: CodeExchange) -> str:
        document: _Document = await self._document.get()
        terms, headers = self._terms, {"accept": "application/json"}
        form = {
            "grant_type": "authorization_code",
            "code": exchange.code,
            "redirect_uri": exchange.redirect_uri,
            "code_verifier": exchange.verifier,
        }
        if document.sends_secret_in_body:
            form |= {"client_id": terms.client_id, "client_secret": terms.client_secret}
        else:
            # Both are encoded before they are joined (RFC 6749, 2.3.1).
            pair = f"{quote_plus(terms.client_id)}:{quote_plus(terms.client_secret)}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        reply = await self._fetch(document.token_url, headers, urlencode(form).encode())
        found = _json(reply.body)
        if reply.status != _HTTP_OK or not isinstance(found, dict):
            raise SignInRefused(f"the token endpoint responded with {reply.status}")
        token = found.get("id_token")
        if not isinstance(token, str):
            raise SignInRefused("the token endpoint returned no ID token")
        return token

    async def _verified(self, token: str, nonce: str) -> Claims:
        """Return the claims of a token; read the provider's keys again if it has another one."""
        expected = Expected(issuer=self._terms.issuer, client_id=self._terms.client_id, nonce=nonce)
        try:
            return id_tokens.verified(token, await self._keys.get(), expected, self._clock.now())
        except UnknownKey:
            keys = await self._keys.get(older_than=_KEYS_AGAIN_SECONDS)
            return id_tokens.verified(token, keys, expected, self._clock.now())

    async def _load_document(self) -> _Document:
        found = await self._get_json(self._terms.issuer.rstrip("/") + _WELL_KNOWN)
        if not isinstance(found, dict) or found.get("issuer") != self._terms.issuer:
            raise FetchError("the document of the provider names another issuer than oidc_issuer")
        methods = found.get("token_endpoint_auth_methods_supported", [_BASIC])
        return _Document(
            self._url_in(found, "authorization_endpoint"),
            self._url_in(found, "token_endpoint"),
            self._url_in(found, "jwks_uri"),
            sends_secret_in_body=isinstance(methods, list) and _BASIC not in methods and _POST in methods,
        )

    async def _load_keys(self) -> tuple[Claims, ...]:
        document: _Document = await self._document.get()
        return id_tokens.keys_of(await self._get_json(document.keys_url))

    async def _get_json(self, url: str) -> object:
        reply = await self._fetch(url, {"accept": "application/json"})
        if reply.status != _HTTP_OK:
            raise FetchError(f"{urlsplit(url).netloc} responded with {reply.status}")
        return _json(reply.body)

    def _url_in(self, document: Mapping[str, object], name: str) -> str:
        """Return a URL of the document: over https, unless the issuer itself is not."""
        url = document.get(name)
        schemes = ("https://",) if self._terms.issuer.startswith("https://") else ("https://", "http://")
        is_url = isinstance(url, str) and url.startswith(schemes) and len(url) <= _URL_MAX
        if not is_url or not isinstance(url, str) or not url.isascii() or not url.isprintable() or "#" in url:
            raise FetchError(f"the document of the provider has no valid {name}")
        return url


def _json(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise FetchError("the response is not JSON") from error
