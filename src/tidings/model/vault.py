# SPDX-License-Identifier: MIT
"""Endpoints' secrets at rest: in the clear, or encrypted under the setting `main_secret`.

A stored secret is a marker byte and the key: 1 is symmetric, 2 is asymmetric, and with the high bit set what follows
is encrypted. 24 bytes without a marker are a symmetric key from before there were markers. The format is the peer's,
so a database that is brought over from it reads the same.

Encryption is XChaCha20-Poly1305 with a random nonce of 24 bytes, which precedes the text; the key is the HMAC-SHA256
of `main` under the main secret. `cryptography` has ChaCha20-Poly1305 with nonces of 12 bytes only. XChaCha20 is that
with a key of its own for each nonce, made by HChaCha20 from the nonce's first 16 bytes; and HChaCha20 is a block of
ChaCha20 without the last addition, which is undone here: its input is known. The published vectors hold it to that.

Headers are JSON in the clear, or a prefix and the base64 of the same, encrypted; JSON begins with a brace.

A secret that cannot be opened (no main secret, or another) is a `Sealed` key: it refuses to sign, in words that name
the setting, and everything else about its endpoint works.
"""

import base64
import hmac
import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from tidings.model.signature import AnyKey, AsymmetricKey, Key, SignatureType, SymmetricKey, generate_of

_SYMMETRIC: Final = 1
_ASYMMETRIC: Final = 2
_ENCRYPTED: Final = 0x80
_LEGACY_BYTES: Final = 24
_NONCE: Final = 24
_BLOCK: Final = 64
_HEADERS: Final = b"headers"
"""What binds an encrypted text to its column: a secret put in the place of headers does not open."""
_SEALED_TEXT: Final = "xchacha20poly1305:"
_NO_HEADERS: Final = "{}"
_PROVEN: Final = b"main_secret"
_CONSTANTS: Final = struct.unpack("<4I", b"expand 32-byte k")


class SealedError(ValueError):
    """A secret is encrypted, and cannot be read with the main secret that there is."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A key that cannot be used; `reason` says why."""

    reason: str

    @property
    def public_text(self) -> str:
        raise SealedError(self.reason)

    def sign(self, content: bytes) -> bytes:
        del content
        raise SealedError(self.reason)

    def matches(self, content: bytes, entry: bytes) -> bool:
        del content, entry
        return False


@dataclass(frozen=True, slots=True)
class Vault:
    """How secrets are kept, and of which kind fresh ones are."""

    main_secret: str | None = field(default=None, repr=False)
    default: SignatureType = SignatureType.HMAC256

    def fresh(self) -> AnyKey:
        """Make a secret of the usual kind."""
        return generate_of(self.default)

    def packed(self, key: AnyKey) -> bytes:
        """Return a key as it is stored."""
        marker = _SYMMETRIC if isinstance(key, SymmetricKey) else _ASYMMETRIC
        if not self.main_secret:
            return bytes((marker,)) + key.raw
        return bytes((marker | _ENCRYPTED,)) + encrypted(_key_of(self.main_secret), key.raw)

    def opened(self, stored: bytes) -> Key:
        """Return the key that was stored."""
        if len(stored) == _LEGACY_BYTES:
            return SymmetricKey(stored)
        marker, raw = stored[0], stored[1:]
        if marker & _ENCRYPTED:
            if not self.main_secret:
                return Sealed("the endpoint's secret is encrypted, and the setting main_secret is not set")
            try:
                raw = decrypted(_key_of(self.main_secret), raw)
            except InvalidTag:
                return Sealed("the endpoint's secret was encrypted under another main_secret")
        return SymmetricKey(raw) if marker & ~_ENCRYPTED == _SYMMETRIC else AsymmetricKey(raw)

    def is_clear(self, stored: bytes) -> bool:
        """Tell whether a stored secret is in the clear."""
        return len(stored) == _LEGACY_BYTES or not stored[0] & _ENCRYPTED

    def sealed(self, stored: bytes) -> bytes:
        """Return a stored secret as it would be stored now: encrypted, where there is a main secret."""
        key = self.opened(stored) if self.main_secret and self.is_clear(stored) else None
        return self.packed(key) if isinstance(key, SymmetricKey | AsymmetricKey) else stored

    def packed_headers(self, headers: Mapping[str, str]) -> str:
        """Return an endpoint's headers as they are stored."""
        text = json.dumps(dict(headers))
        if not self.main_secret or text == _NO_HEADERS:
            return text
        sealed = encrypted(_key_of(self.main_secret), text.encode(), data=_HEADERS)
        return _SEALED_TEXT + base64.b64encode(sealed).decode("ascii")

    def opened_headers(self, stored: str) -> dict[str, str]:
        """Return the headers that were stored; raises `SealedError`."""
        if stored.startswith(_SEALED_TEXT):
            if not self.main_secret:
                raise SealedError("the endpoint's headers are encrypted, and the setting main_secret is not set")
            try:
                raw = base64.b64decode(stored.removeprefix(_SEALED_TEXT))
                stored = decrypted(_key_of(self.main_secret), raw, data=_HEADERS).decode()
            except InvalidTag as error:
                raise SealedError("the endpoint's headers were encrypted under another main_secret") from error
        found: dict[str, str] = json.loads(stored)
        return found

    def proof(self) -> str | None:
        """Return what shows later that the main secret is this one; None where there is none."""
        if not self.main_secret:
            return None
        return base64.b64encode(encrypted(_key_of(self.main_secret), _PROVEN)).decode("ascii")

    def check(self, proof: str | None) -> None:
        """Hold that a proof is of this main secret; raises `SealedError`."""
        if proof is None:
            return
        if not self.main_secret:
            raise SealedError("main_secret is not set, and the endpoints' secrets in this database are encrypted")
        try:
            decrypted(_key_of(self.main_secret), base64.b64decode(proof))
        except InvalidTag as error:
            raise SealedError("main_secret is not the one that this database's secrets are encrypted under") from error


PLAIN: Final = Vault()
"""Secrets in the clear."""


def _key_of(main_secret: str) -> bytes:
    return hmac.digest(main_secret.encode(), b"main", "sha256")


def encrypted(key: bytes, text: bytes, *, nonce: bytes | None = None, data: bytes | None = None) -> bytes:
    """Encrypt with XChaCha20-Poly1305; the nonce, random unless given, stands before the result."""
    nonce = os.urandom(_NONCE) if nonce is None else nonce
    return nonce + _cipher(key, nonce).encrypt(_rest(nonce), text, data)


def decrypted(key: bytes, sealed: bytes, *, data: bytes | None = None) -> bytes:
    """Decrypt what `encrypted` made; raises `InvalidTag` where the key is another or a bit has changed."""
    nonce = sealed[:_NONCE]
    if len(nonce) < _NONCE:
        raise InvalidTag
    return _cipher(key, nonce).decrypt(_rest(nonce), sealed[_NONCE:], data)


def _cipher(key: bytes, nonce: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(hchacha20(key, nonce[:16]))


def _rest(nonce: bytes) -> bytes:
    return bytes(4) + nonce[16:]


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """Return the key that HChaCha20 derives; `nonce` has 16 bytes, where ChaCha20 has its counter and its nonce."""
    block = Cipher(ChaCha20(key, nonce), mode=None).encryptor().update(bytes(_BLOCK))
    words = struct.unpack("<16I", block)
    given = struct.unpack("<4I", nonce)
    head = ((word - before) & 0xFFFFFFFF for word, before in zip(words[:4], _CONSTANTS, strict=True))
    tail = ((word - before) & 0xFFFFFFFF for word, before in zip(words[12:], given, strict=True))
    return struct.pack("<8I", *head, *tail)
