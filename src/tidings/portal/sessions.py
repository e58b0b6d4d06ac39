# SPDX-License-Identifier: MIT
"""Sessions of browsers, and the tokens of forms.

A session is a cookie that holds the token or the key with which its user signed in; every request checks it as the API
does, so its end, its revocation and its capabilities hold at once, and this server stores nothing. The cookie of a
portal has the path of its application: the portals of two customers in two tabs stay apart. No cookie counts on `/api`.

A form carries an HMAC of the session and of the form's target, and the browser must say that the form comes from this
server (`Origin`, or `Sec-Fetch-Site`), so another site can neither build a form nor send one.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tidings.errors import AppError, ErrorKind

CONSOLE_COOKIE: Final = "tidings_console"
PORTAL_COOKIE: Final = "tidings_portal"
LOOK_COOKIE: Final = "tidings_look"
"""The look that a portal link asks for."""
_TOKEN_MAX: Final = 3_800
"""Browsers refuse cookies beyond 4,096 bytes, name and attributes included."""
_FORM_TOKEN_BYTES: Final = 18
_LABEL: Final = b"tidings form token v1"


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser."""

    token: str
    """The token or key in the cookie; never shown on a page."""
    form_key: bytes
    is_proxied: bool = False
    """Whether a proxy signs the person in; then there is no cookie, and nothing to sign out of here."""

    def form_token(self, target: str) -> str:
        """Return the token of a form that is sent to this path."""
        text = f"{self.token}\n{target}".encode()
        digest = hmac.new(self.form_key, text, hashlib.sha256).digest()[:_FORM_TOKEN_BYTES]
        return base64.urlsafe_b64encode(digest).decode()

    def is_form_token(self, given: str, target: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.form_token(target).encode())


class SharedPart(Session):
    """Replaces the session in parts of pages that several sessions share."""

    def form_token(self, target: str) -> str:
        """Raise: another session would read the token."""
        message = f"a part that sessions share has no form: {target}"
        raise RuntimeError(message)


SHARED_PART: Final = SharedPart("", b"")


def form_key(secret: str) -> bytes:
    """Derive the key of form tokens from the secret that signs tokens: every node has the same one."""
    return hmac.new(secret.encode(), _LABEL, hashlib.sha256).digest()


@dataclass(frozen=True, slots=True)
class CookieTerms:
    """The attributes of a session's cookie."""

    name: str
    path: str
    is_secure: bool
    is_embedded: bool = False
    """Whether another site may show the page in a frame; only over https."""

    @property
    def full_name(self) -> str:
        """The name with the prefix that lets a browser refuse the same cookie from another host or over http."""
        if not self.is_secure:
            return self.name
        return f"__Host-{self.name}" if self.path == "/" else f"__Secure-{self.name}"

    def set_cookie(self, token: str, seconds: int | None = None) -> tuple[bytes, bytes]:
        """Return the header that stores a token for a time, or while the browser is open."""
        lifetime = "" if seconds is None else f"; Max-Age={seconds}"
        return b"set-cookie", f"{self.full_name}={token}; {self._attributes}{lifetime}".encode()

    def delete_cookie(self) -> tuple[bytes, bytes]:
        """Return the header that ends the session in the browser."""
        return b"set-cookie", f"{self.full_name}=; {self._attributes}; Max-Age=0".encode()

    @property
    def _attributes(self) -> str:
        site = "Strict" if self.name == CONSOLE_COOKIE else "Lax"
        if self.is_embedded and self.is_secure:
            site = "None; Partitioned"
        return f"Path={self.path}; HttpOnly; SameSite={site}{'; Secure' if self.is_secure else ''}"


def cookie_value(headers: Mapping[bytes, bytes], name: str) -> str | None:
    """Return the value of a cookie; of two with one name, the first, whose path is the longer one (RFC 6265, 5.4)."""
    for part in headers.get(b"cookie", b"").decode("latin-1").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name and value:
            return value
    return None


def fits_cookie(token: str) -> bool:
    """Return whether a token can be the value of a cookie: visible ASCII of limited length, without separators."""
    return 0 < len(token) <= _TOKEN_MAX and token.isascii() and all(c.isalnum() or c in "._~+/=-" for c in token)


def require_same_site(headers: Mapping[bytes, bytes], origins: frozenset[str]) -> None:
    """Raise `AppError` unless the browser says that a form comes from this server.

    `origins` are the schemes and names, with ports, at which this server is reached. An `Origin` of `null` is refused.
    """
    origin = headers.get(b"origin")
    if origin is not None:
        if origin.decode("latin-1").lower() in origins:
            return
        raise _foreign()
    if headers.get(b"sec-fetch-site", b"same-origin") not in (b"same-origin", b"none"):
        raise _foreign()


def _foreign() -> AppError:
    return AppError(
        ErrorKind.FORBIDDEN, "foreign_form", "The form was sent by another site. Open this page again and repeat it."
    )


def stale_form() -> AppError:
    """Return the error for a form whose token does not belong to this session."""
    return AppError(
        ErrorKind.FORBIDDEN,
        "stale_form",
        "This page is out of date: you signed in again since it was opened. Open it again and repeat the change.",
    )
