# SPDX-License-Identifier: MIT
"""Encryption of endpoint secrets and headers at rest, with the key from the setting `main_secret`, or none.

A stored secret is a marker byte followed by the key. The marker is 1 for a symmetric and 2 for an asymmetric key; its
high bit is set if the key is encrypted. A secret of 24 bytes is a symmetric key without a marker, from older versions
of the format. The format is that of svix-server, so imported databases need no conversion.

The cipher is XChaCha20-Poly1305 with a random nonce of 24 bytes, which precedes the ciphertext. The key is the
HMAC-SHA256 of `main` under the main secret. `cryptography` has only ChaCha20-Poly1305, with nonces of 12 bytes.
XChaCha20 derives a key for each nonce with HChaCha20, from the first 16 bytes of the nonce. HChaCha20 is a block of
ChaCha20 without the final addition of the input. The input is known, so `hchacha20` subtracts it; tests check the
published vectors.

Headers are stored as JSON, or as a prefix and the base64 of the encrypted JSON. JSON starts with a brace, so the two
forms are distinct.

A secret that cannot be decrypted (the main secret is missing or wrong) becomes an `UndecryptableKey`. It refuses to
sign, with an error that names the setting; every other operation on its endpoint works.
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
"""Associated data that binds a ciphertext to its column: an encrypted secret cannot be decrypted as headers."""
_ENCRYPTED_PREFIX: Final = "xchacha20poly1305:"
_NO_HEADERS: Final = "{}"
_PROOF_TEXT: Final = b"main_secret"
_CONSTANTS: Final = struct.unpack("<4I", b"expand 32-byte k")


class DecryptionError(ValueError):
    """A secret that cannot be decrypted with the current main secret."""


@dataclass(frozen=True, slots=True)
class UndecryptableKey:
    """A key that cannot be decrypted, with the reason; it refuses to sign."""

    reason: str

    @property
    def public_text(self) -> str:
        raise DecryptionError(self.reason)

    def sign(self, content: bytes) -> bytes:
        del content
        raise DecryptionError(self.reason)

    def matches(self, content: bytes, entry: bytes) -> bool:
        del content, entry
        return False


@dataclass(frozen=True, slots=True)
class Encryption:
    """Encrypts and decrypts stored secrets and headers, and generates secrets of the default type."""

    main_secret: str | None = field(default=None, repr=False)
    default: SignatureType = SignatureType.HMAC256

    def generate_key(self) -> AnyKey:
        """Generate a secret of the default type."""
        return generate_of(self.default)

    def encode_key(self, key: AnyKey) -> bytes:
        """Return the stored form of a key, encrypted if there is a main secret."""
        marker = _SYMMETRIC if isinstance(key, SymmetricKey) else _ASYMMETRIC
        if not self.main_secret:
            return bytes((marker,)) + key.raw
        return bytes((marker | _ENCRYPTED,)) + encrypt(_key_of(self.main_secret), key.raw)

    def decode_key(self, stored: bytes) -> Key:
        """Return a stored key; an `UndecryptableKey` if it cannot be decrypted."""
        if len(stored) == _LEGACY_BYTES:
            return SymmetricKey(stored)
        marker, raw = stored[0], stored[1:]
        if marker & _ENCRYPTED:
            if not self.main_secret:
                return UndecryptableKey("the endpoint's secret is encrypted; set main_secret to decrypt it")
            try:
                raw = decrypt(_key_of(self.main_secret), raw)
            except InvalidTag:
                return UndecryptableKey("the endpoint's secret was encrypted under another main_secret; set that one")
        return SymmetricKey(raw) if marker & ~_ENCRYPTED == _SYMMETRIC else AsymmetricKey(raw)

    def is_plaintext(self, stored: bytes) -> bool:
        """Return whether a stored secret is not encrypted."""
        return len(stored) == _LEGACY_BYTES or not stored[0] & _ENCRYPTED

    def encrypt_stored(self, stored: bytes) -> bytes:
        """Return a stored secret encrypted under the main secret, or unchanged if it is encrypted or there is none."""
        key = self.decode_key(stored) if self.main_secret and self.is_plaintext(stored) else None
        return self.encode_key(key) if isinstance(key, SymmetricKey | AsymmetricKey) else stored

    def encode_headers(self, headers: Mapping[str, str]) -> str:
        """Return the stored form of headers, encrypted if there is a main secret."""
        text = json.dumps(dict(headers))
        if not self.main_secret or text == _NO_HEADERS:
            return text
        ciphertext = encrypt(_key_of(self.main_secret), text.encode(), data=_HEADERS)
        return _ENCRYPTED_PREFIX + base64.b64encode(ciphertext).decode("ascii")

    def decode_headers(self, stored: str) -> dict[str, str]:
        """Return stored headers; raises `DecryptionError` if they cannot be decrypted."""
        if stored.startswith(_ENCRYPTED_PREFIX):
            if not self.main_secret:
                raise DecryptionError("the endpoint's headers are encrypted; set main_secret to decrypt them")
            try:
                raw = base64.b64decode(stored.removeprefix(_ENCRYPTED_PREFIX))
                stored = decrypt(_key_of(self.main_secret), raw, data=_HEADERS).decode()
            except InvalidTag as error:
                raise DecryptionError(
                    "the endpoint's headers were encrypted under another main_secret; set that one"
                ) from error
        found: dict[str, str] = json.loads(stored)
        return found

    def create_proof(self) -> str | None:
        """Return a ciphertext that `verify_proof` verifies after a restart; None without a main secret."""
        if not self.main_secret:
            return None
        return base64.b64encode(encrypt(_key_of(self.main_secret), _PROOF_TEXT)).decode("ascii")

    def verify_proof(self, proof: str | None) -> None:
        """Raise `DecryptionError` if a proof was made with another main secret."""
        if proof is None:
            return
        if not self.main_secret:
            raise DecryptionError(
                "main_secret is not set, but the endpoint secrets in this database are encrypted; set main_secret"
            )
        try:
            decrypt(_key_of(self.main_secret), base64.b64decode(proof))
        except InvalidTag as error:
            raise DecryptionError(
                "main_secret is not the one that encrypted the endpoint secrets in this database; set that one"
            ) from error


NO_ENCRYPTION: Final = Encryption()
"""Encryption turned off: secrets are stored as they are."""


def _key_of(main_secret: str) -> bytes:
    return hmac.digest(main_secret.encode(), b"main", "sha256")


def encrypt(key: bytes, text: bytes, *, nonce: bytes | None = None, data: bytes | None = None) -> bytes:
    """Encrypt with XChaCha20-Poly1305; the result starts with the nonce, which is random by default."""
    nonce = os.urandom(_NONCE) if nonce is None else nonce
    return nonce + _cipher(key, nonce).encrypt(_rest(nonce), text, data)


def decrypt(key: bytes, ciphertext: bytes, *, data: bytes | None = None) -> bytes:
    """Decrypt a result of `encrypt`; raises `InvalidTag` if the key is wrong or the text was modified."""
    nonce = ciphertext[:_NONCE]
    if len(nonce) < _NONCE:
        raise InvalidTag
    return _cipher(key, nonce).decrypt(_rest(nonce), ciphertext[_NONCE:], data)


def _cipher(key: bytes, nonce: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(hchacha20(key, nonce[:16]))


def _rest(nonce: bytes) -> bytes:
    return bytes(4) + nonce[16:]


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """Return the key that HChaCha20 derives; the 16 bytes of `nonce` replace the counter and nonce of ChaCha20."""
    block = Cipher(ChaCha20(key, nonce), mode=None).encryptor().update(bytes(_BLOCK))
    words = struct.unpack("<16I", block)
    given = struct.unpack("<4I", nonce)
    head = ((word - before) & 0xFFFFFFFF for word, before in zip(words[:4], _CONSTANTS, strict=True))
    tail = ((word - before) & 0xFFFFFFFF for word, before in zip(words[12:], given, strict=True))
    return struct.pack("<8I", *head, *tail)
