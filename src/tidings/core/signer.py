# SPDX-License-Identifier: MIT
"""How tokens are signed, and how their signatures are checked: by one algorithm, which is ours to choose.

HS256, HS384 and HS512 need a secret text; RS256, RS384, RS512 and EdDSA a key in PEM. With a public key a server can
check tokens and not make them. The algorithm that a token names is never asked, only held to be the one chosen.

A token has one spelling. Sessions end by the digest of a token's text, so a second text with the same signature would
undo a logout: each part must be base64url exactly as RFC 7515 writes it (no padding, no unused bits, no `+` or `/`).
A header that demands something unknown (`crit`), or names another type of token, is refused; so is a member that
comes twice, because another reader may take the other one.
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
"""The least that RFC 7518 section 3.3 allows."""

Private = RSAPrivateKey | Ed25519PrivateKey
Public = RSAPublicKey | Ed25519PublicKey


class WrongKey(ValueError):
    """The secret cannot be used with the algorithm."""


class Signer:
    """Signs and checks with one key."""

    __slots__ = ("_algorithm", "_digest", "_jws", "_private", "_public", "_secret")

    def __init__(self, secret: str, algorithm: str = "HS256") -> None:
        """Raises `WrongKey`."""
        self._algorithm = algorithm
        self._secret = secret.encode()
        self._jws = jwt.PyJWS(algorithms=[algorithm])
        self._private: Private | None = None
        self._public: Public | None = None
        self._digest = _HMAC.get(algorithm, "")
        if not self._digest:
            # A variable holds a key in one line, its line ends written out.
            self._private, self._public = _keys(self._secret.replace(b"\\n", b"\n"), algorithm)

    def is_secret(self, token: bytes) -> bool:
        """Tell whether somebody has taken the secret for a token."""
        given, held = hashlib.sha256(token).digest(), hashlib.sha256(self._secret).digest()
        return self._algorithm == "HS256" and hmac.compare_digest(given, held)

    def verified(self, token: bytes) -> bytes:
        """Return what a token says, as JSON; raises ValueError unless it is signed with this key."""
        head, claims, signature = _parts_of(token)
        if not self._fits(token, signature) or not _is_plain(head, self._algorithm):
            raise ValueError("the signature is another")
        _members(claims)
        return claims

    def _fits(self, token: bytes, signature: bytes) -> bool:
        """Check the signature with our key and our algorithm."""
        if self._public is None:
            return hmac.compare_digest(signature, hmac.digest(self._secret, token.rpartition(b".")[0], self._digest))
        try:
            self._jws.decode(token, self._public, algorithms=[self._algorithm])
        except jwt.PyJWTError:
            return False
        return True

    def signed(self, claims: Mapping[str, object]) -> str:
        """Return a token that says something; raises `unavailable` where there is only a public key."""
        text = json.dumps(dict(claims), separators=(",", ":")).encode()
        if self._public is not None:
            if self._private is None:
                raise unavailable("This server checks tokens and makes none: jwt_secret holds a public key.")
            return self._jws.encode(text, self._private, algorithm=self._algorithm, headers={"typ": "JWT"})
        head = json.dumps({"alg": self._algorithm, "typ": "JWT"}, separators=(",", ":")).encode()
        content = _packed(head) + b"." + _packed(text)
        return (content + b"." + _packed(hmac.digest(self._secret, content, self._digest))).decode("ascii")


def signer_of(key: Signer | str) -> Signer:
    """Return what signs; a text is the secret of the usual algorithm."""
    return Signer(key) if isinstance(key, str) else key


def _keys(pem: bytes, algorithm: str) -> tuple[Private | None, Public]:
    private, public = _loaded(pem)
    if not isinstance(public, Ed25519PublicKey if algorithm == "EdDSA" else RSAPublicKey):
        raise WrongKey(f"jwt_algorithm {algorithm} needs a key of its kind in PEM as jwt_secret")
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
    """Return the three parts of a token, unpacked; raises ValueError for any but the one spelling of each."""
    parts = token.split(b".")
    if len(parts) != _PARTS:
        raise ValueError("a token has three parts")
    head, claims, signature = map(_unpacked, parts)
    return head, claims, signature


def _is_plain(head: bytes, algorithm: str) -> bool:
    """Tell whether a header names the algorithm and asks for nothing that would need to be understood."""
    members = _members(head)
    kind = members.get("typ", "JWT")
    return (
        members.get("alg") == algorithm
        and isinstance(kind, str)
        and kind.lower().removeprefix("application/") in _TYPES
        and "crit" not in members
        and members.get("b64", True) is True
    )


def _members(text: bytes) -> dict[str, Any]:
    """Read a JSON object, in which no member may come twice."""
    found = json.loads(text.decode(), object_pairs_hook=_distinct)
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004 - it is the caller's text that is wrong
    return found


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member comes twice")
    return found


def _unpacked(text: bytes) -> bytes:
    """Read base64url; raises ValueError unless the text is the one that RFC 7515 writes for these bytes."""
    try:
        data = base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if _packed(data) != text:
        raise ValueError("not the base64url of these bytes")
    return data


def _packed(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
