# SPDX-License-Identifier: MIT
"""Standard Webhooks signatures: receivers use them to verify the origin, integrity and freshness of a message.

The signed content is `<id>.<timestamp>.<body>`, with the body byte for byte as sent. A signature has one entry per key,
`v1,<base64>`, separated by single spaces. During a rotation a message has an entry for the new key and for each old key
that has not expired, so a receiver can verify it with any one of them. Receivers ignore entries of unknown versions,
which permits a second algorithm.

Callers treat a `Key` as opaque: the prefix of a secret selects the algorithm, and the key selects the version of its
entries. A symmetric secret (`whsec_`, HMAC-SHA256, entries `v1,`) is shared with the receiver. An asymmetric secret
(`whsk_`, Ed25519, entries `v1a,`) remains in the service; its receiver gets the public key, `whpk_`. A `KeyRing` holds
the signing keys of one endpoint: the current key, and the old keys that have not expired.
"""

import base64
import binascii
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SYMMETRIC_PREFIX: Final = "whsec_"
SECRET_PREFIX: Final = "whsk_"  # noqa: S105 - only the prefix of a secret
PUBLIC_PREFIX: Final = "whpk_"
_ASYMMETRIC: Final = b"v1a,"
SHORTEST: Final = 24
LONGEST: Final = 75
SEED: Final = 32
TOLERANCE_SECONDS: Final = 300
_LENGTH: Final = "secret length invalid"
_UNPAIRED: Final = "Invalid key, failed signing test msg"
RULES: Final = (_LENGTH, _UNPAIRED)
"""The error messages for secrets that are valid base64."""


class SignatureType(Enum):
    """The signature algorithms, as named in the settings."""

    HMAC256 = "hmac256"
    ED25519 = "ed25519"


class Key(Protocol):
    """A key that signs with one version of the scheme."""

    @property
    def public_text(self) -> str:
        """The text of the key with which the receiver verifies signatures."""
        ...

    def sign(self, content: bytes) -> bytes:
        """Return one signature entry, which starts with its version."""
        ...

    def matches(self, content: bytes, entry: bytes) -> bool:
        """Return, in constant time, whether the entry is this key's signature of the content."""
        ...


@dataclass(frozen=True, slots=True)
class SymmetricKey:
    """A secret that the sender and the receiver share."""

    raw: bytes

    def __post_init__(self) -> None:
        if not SHORTEST <= len(self.raw) <= LONGEST:
            raise ValueError(_LENGTH)

    def __repr__(self) -> str:
        return "SymmetricKey(...)"

    @property
    def text(self) -> str:
        """The secret as responses show it and as `parse_secret` reads it."""
        return SYMMETRIC_PREFIX + base64.b64encode(self.raw).decode("ascii")

    @property
    def public_text(self) -> str:
        return self.text

    def sign(self, content: bytes) -> bytes:
        return _entry(self.raw, content)

    def matches(self, content: bytes, entry: bytes) -> bool:
        return hmac.compare_digest(_entry(self.raw, content), entry)


@dataclass(frozen=True, slots=True)
class AsymmetricKey:
    """A private key, which only the sender has, and its public key: 32 bytes each."""

    raw: bytes
    _private: Ed25519PrivateKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.raw) != 2 * SEED:
            raise ValueError(_LENGTH)
        private = Ed25519PrivateKey.from_private_bytes(self.raw[:SEED])
        if _public_bytes(private) != self.raw[SEED:]:
            raise ValueError(_UNPAIRED)
        object.__setattr__(self, "_private", private)

    def __repr__(self) -> str:
        return "AsymmetricKey(...)"

    @property
    def text(self) -> str:
        """The secret as requests contain it and as `parse_secret` reads it."""
        return SECRET_PREFIX + base64.b64encode(self.raw).decode("ascii")

    @property
    def public_text(self) -> str:
        return PUBLIC_PREFIX + base64.b64encode(self.raw[SEED:]).decode("ascii")

    def sign(self, content: bytes) -> bytes:
        return _ASYMMETRIC + binascii.b2a_base64(self._private.sign(content), newline=False)

    def matches(self, content: bytes, entry: bytes) -> bool:
        return _is_signed(self._private.public_key(), content, entry)


AnyKey = SymmetricKey | AsymmetricKey


def parse_secret(text: str) -> AnyKey:
    """Parse a secret: an optional prefix and padded standard base64; raises ValueError with a message for the user.

    A secret without a prefix is symmetric. Base64 has no underscore, so a text with one has an unknown prefix.
    """
    if text.startswith(SYMMETRIC_PREFIX):
        return SymmetricKey(_unpacked(text[len(SYMMETRIC_PREFIX) :]))
    if text.startswith(SECRET_PREFIX):
        return AsymmetricKey(_unpacked(text[len(SECRET_PREFIX) :]))
    if "_" in text:
        raise ValueError("secret prefix invalid")
    return SymmetricKey(_unpacked(text))


def _unpacked(encoded: str) -> bytes:
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("secret is not valid base64") from None
    if base64.b64encode(raw).decode("ascii") != encoded:  # unused bits in the last character are lost
        raise ValueError("secret is not valid base64")
    return raw


def generate() -> SymmetricKey:
    """Generate a symmetric secret."""
    return SymmetricKey(secrets.token_bytes(SHORTEST))


def generate_pair() -> AsymmetricKey:
    """Generate an asymmetric secret."""
    private = Ed25519PrivateKey.generate()
    return AsymmetricKey(private.private_bytes_raw() + _public_bytes(private))


def generate_of(kind: SignatureType) -> AnyKey:
    """Generate a secret for an algorithm."""
    return generate() if kind is SignatureType.HMAC256 else generate_pair()


def _public_bytes(private: Ed25519PrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


@dataclass(frozen=True, slots=True)
class OldKey:
    """A replaced key, and the time until which it signs, in milliseconds since the epoch."""

    expires_at: int
    key: Key


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The signing keys of one endpoint; `old` is in the order of expiry."""

    current: Key
    old: tuple[OldKey, ...] = ()
    _keyed: hmac.HMAC | None = field(init=False, repr=False, compare=False)
    """The HMAC state of a single symmetric key: precomputed, because almost every endpoint has just one."""

    def __post_init__(self) -> None:
        alone = not self.old and isinstance(self.current, SymmetricKey)
        keyed = hmac.new(self.current.raw, digestmod="sha256") if alone else None  # type: ignore[attr-defined]
        object.__setattr__(self, "_keyed", keyed)

    def sign(self, msg_id: str, timestamp: int, body: bytes) -> bytes:
        """Sign with every key that is valid at the timestamp (Unix seconds)."""
        if self._keyed is not None:
            mac = self._keyed.copy()
            mac.update(signed_content(msg_id, timestamp, body))
            return b"v1," + binascii.b2a_base64(mac.digest(), newline=False)
        now = timestamp * 1_000
        keys = [self.current, *(each.key for each in self.old if each.expires_at > now)]
        return sign_all(keys, msg_id, timestamp, body)


def sign(key: bytes, msg_id: str, timestamp: int, body: bytes) -> bytes:
    """Sign with one raw symmetric key; `timestamp` is in Unix seconds."""
    return _entry(key, signed_content(msg_id, timestamp, body))


def sign_all(keys: Iterable[Key], msg_id: str, timestamp: int, body: bytes) -> bytes:
    """Return the entries of each key in the given order: the current key, then old keys in the order of expiry."""
    content = signed_content(msg_id, timestamp, body)
    return b" ".join([key.sign(content) for key in keys])


def verify(keys: Iterable[Key], msg_id: str, timestamp: int, body: bytes, signature: bytes) -> bool:
    """Return whether any entry of the signature is valid for any key; `is_fresh` checks the timestamp."""
    content = signed_content(msg_id, timestamp, body)
    entries = signature.split(b" ")
    return any(key.matches(content, entry) for key in keys for entry in entries)


def is_valid_for(secret: str, msg_id: str, timestamp: int, body: bytes, signature: bytes) -> bool:
    """Return whether a signature is valid for a secret or public key, as its receiver has it.

    Raises ValueError with a message for the user if the text is neither.
    """
    if not secret.startswith(PUBLIC_PREFIX):
        return verify([parse_secret(secret)], msg_id, timestamp, body, signature)
    raw = _unpacked(secret[len(PUBLIC_PREFIX) :])
    if len(raw) != SEED:
        raise ValueError(_LENGTH)
    public, content = Ed25519PublicKey.from_public_bytes(raw), signed_content(msg_id, timestamp, body)
    return any(_is_signed(public, content, entry) for entry in signature.split(b" "))


def _is_signed(public: Ed25519PublicKey, content: bytes, entry: bytes) -> bool:
    """Return whether an entry is the signature of the content by a public key's owner."""
    if not entry.startswith(_ASYMMETRIC):
        return False
    try:
        public.verify(base64.b64decode(entry.removeprefix(_ASYMMETRIC)), content)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def is_fresh(timestamp: int, now: int, tolerance_seconds: int = TOLERANCE_SECONDS) -> bool:
    """Return whether a receiver accepts a timestamp, by its distance to now (both in Unix seconds)."""
    return abs(now - timestamp) <= tolerance_seconds


def signed_content(msg_id: str, timestamp: int, body: bytes) -> bytes:
    """Return the signed bytes, as Standard Webhooks defines them."""
    return b"%b.%d.%b" % (msg_id.encode("ascii"), timestamp, body)


def _entry(raw: bytes, content: bytes) -> bytes:
    return b"v1," + binascii.b2a_base64(hmac.digest(raw, content, "sha256"), newline=False)
