# SPDX-License-Identifier: MIT
"""How tokens are signed, and how their signatures are checked: by one algorithm, which is ours to choose.

HS256, HS384 and HS512 need a secret text; RS256, RS384, RS512 and EdDSA a key in PEM. With a public key a server can
check tokens and not make them. The algorithm that a token names is never asked, only held to be the one chosen.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Final

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from tidings.errors import unavailable

_HMAC: Final = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
_PARTS: Final = 3

Private = RSAPrivateKey | Ed25519PrivateKey
Public = RSAPublicKey | Ed25519PublicKey


class _Head(msgspec.Struct):
    alg: str


_head: Final = msgspec.json.Decoder(_Head)


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
        if self._public is not None:
            try:
                return bytes(self._jws.decode(token, self._public, algorithms=[self._algorithm]))
            except jwt.PyJWTError as error:
                raise ValueError(str(error)) from error
        parts = token.split(b".")
        if len(parts) != _PARTS:
            raise ValueError("a token has three parts")
        signed = hmac.digest(self._secret, parts[0] + b"." + parts[1], self._digest)
        fits = hmac.compare_digest(_unpacked(parts[2]), signed)
        if not fits or _head.decode(_unpacked(parts[0])).alg != self._algorithm:
            raise ValueError("the signature is another")
        return _unpacked(parts[1])

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


def _unpacked(text: bytes) -> bytes:
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _packed(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
