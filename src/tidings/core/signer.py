# SPDX-License-Identifier: MIT
"""Signing and verification of tokens with one configured algorithm and key.

HS256, HS384 and HS512 need a secret text; RS256, RS384, RS512 and EdDSA need a key in PEM format. With a public key a
server can verify tokens but not issue them. A token's own algorithm header does not choose the algorithm: it must equal
the configured one.

Each token has one valid encoding. A logout revokes the digest of a token's text, so a second text with the same
signature would undo it. Each part must be base64url exactly as RFC 7515 encodes it: without padding, unused bits, `+`
or `/`. Headers with critical extensions (`crit`) or another token type are refused. Duplicate members are refused too,
because parsers disagree on which one counts.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from tidings.errors import unavailable

_HMAC: Final = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
_PARTS: Final = 3
_TYPES: Final = frozenset(("jwt", "at+jwt"))
_RSA_BITS: Final = 2_048
"""The minimum key size in RFC 7518, section 3.3."""

Private = RSAPrivateKey | Ed25519PrivateKey
Public = RSAPublicKey | Ed25519PublicKey


class WrongKey(ValueError):
    """The configured secret does not fit the configured algorithm."""


class Signer:
    """Signs and verifies tokens with one key."""

    __slots__ = ("_algorithm", "_digest", "_jws", "_private", "_public", "_secret")

    def __init__(self, secret: str, algorithm: str = "HS256") -> None:
        """Raise `WrongKey` if the secret does not fit the algorithm."""
        self._algorithm = algorithm
        self._secret = secret.encode()
        self._jws = jwt.PyJWS(algorithms=[algorithm])
        self._private: Private | None = None
        self._public: Public | None = None
        self._digest = _HMAC.get(algorithm, "")
        if not self._digest:
            # An environment variable may hold the PEM text in one line, with `\n` for line breaks.
            self._private, self._public = _keys(self._secret.replace(b"\\n", b"\n"), algorithm)

    def is_secret(self, token: bytes) -> bool:
        """Return whether a text is the HS256 secret itself, which a caller passed as a token."""
        given, held = hashlib.sha256(token).digest(), hashlib.sha256(self._secret).digest()
        return self._algorithm == "HS256" and hmac.compare_digest(given, held)

    def verified(self, token: bytes) -> bytes:
        """Return the claims of a token as JSON; raise ValueError unless the token is signed with this key."""
        header, claims, signature = _parts_of(token)
        if not self._is_signed(token, signature) or not _is_supported(header, self._algorithm):
            raise ValueError("the signature does not match")
        _members(claims)
        return claims

    def _is_signed(self, token: bytes, signature: bytes) -> bool:
        """Return whether the signature is valid for the configured key and algorithm."""
        if self._public is None:
            return hmac.compare_digest(signature, hmac.digest(self._secret, token.rpartition(b".")[0], self._digest))
        try:
            self._jws.decode(token, self._public, algorithms=[self._algorithm])
        except jwt.PyJWTError:
            return False
        return True

    def signed(self, claims: Mapping[str, object]) -> str:
        """Return a token with these claims; raise `unavailable` if only a public key is configured."""
        text = json.dumps(dict(claims), separators=(",", ":")).encode()
        if self._public is not None:
            if self._private is None:
                raise unavailable("Cannot issue a token: jwt_secret is a public key. Set it to the private key.")
            return self._jws.encode(text, self._private, algorithm=self._algorithm, headers={"typ": "JWT"})
        header = json.dumps({"alg": self._algorithm, "typ": "JWT"}, separators=(",", ":")).encode()
        content = _base64url(header) + b"." + _base64url(text)
        return (content + b"." + _base64url(hmac.digest(self._secret, content, self._digest))).decode("ascii")

    def derived(self, text: str) -> bytes | None:
        """Return 32 bytes that only a holder of the key can derive from a text; None if it is a public key.

        The result is repeatable, because every supported algorithm signs a text in one way.
        """
        if self._public is not None and self._private is None:
            return None
        return hashlib.sha256(self.signed({"derived": text}).encode()).digest()


def as_signer(key: Signer | str) -> Signer:
    """Return a signer; a text is the secret of an HS256 signer."""
    return Signer(key) if isinstance(key, str) else key


def _keys(pem: bytes, algorithm: str) -> tuple[Private | None, Public]:
    private, public = _loaded(pem)
    if not isinstance(public, Ed25519PublicKey if algorithm == "EdDSA" else RSAPublicKey):
        kind = "an Ed25519" if algorithm == "EdDSA" else "an RSA"
        raise WrongKey(f"jwt_algorithm {algorithm} needs a key: set jwt_secret to {kind} key in PEM format")
    if isinstance(public, RSAPublicKey) and public.key_size < _RSA_BITS:
        raise WrongKey(f"jwt_secret is an RSA key of {public.key_size} bits: {algorithm} needs at least {_RSA_BITS}")
    return private, public


def _loaded(pem: bytes) -> tuple[Private | None, object]:
    try:
        if b"PRIVATE KEY" not in pem:
            return None, load_pem_public_key(pem)
        private = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None, None
    if not isinstance(private, RSAPrivateKey | Ed25519PrivateKey):
        return None, None
    return private, private.public_key()


def _parts_of(token: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the decoded parts of a token; raise ValueError for any but their canonical encoding."""
    parts = token.split(b".")
    if len(parts) != _PARTS:
        raise ValueError("a token has three parts")
    header, claims, signature = map(_decoded, parts)
    return header, claims, signature


def _is_supported(header: bytes, algorithm: str) -> bool:
    """Return whether a header names the algorithm and requires no extension."""
    members = _members(header)
    kind = members.get("typ", "JWT")
    return (
        members.get("alg") == algorithm
        and isinstance(kind, str)
        and kind.lower().removeprefix("application/") in _TYPES
        and "crit" not in members
        and members.get("b64", True) is True
    )


def _members(text: bytes) -> dict[str, Any]:
    """Parse a JSON object; raise ValueError for duplicate members."""
    found = json.loads(text.decode(), object_pairs_hook=_distinct)
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004 - the value is wrong, not its Python type
    return found


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate member")
    return found


def _decoded(text: bytes) -> bytes:
    """Decode base64url; raise ValueError unless the text is the canonical encoding of RFC 7515."""
    try:
        data = base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if _base64url(data) != text:
        raise ValueError("not canonical base64url")
    return data


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
