# SPDX-License-Identifier: MIT
"""Standard Webhooks signatures: what a receiver checks to know that a message is ours, whole and fresh.

What is signed is `<id>.<timestamp>.<body>`, with the body exactly as it goes over the wire. A signature is one entry
per key, `v1,<base64>`, the entries joined by single spaces. During a rotation a message carries an entry for the new
key and for each old key that has not run out, so a receiver that holds any one of them is content. The receiver skips
entries of versions it does not know; that is the room in which a second algorithm fits.

Callers hold `Key`s and never look inside: parsing decides which algorithm a secret belongs to by its prefix, and the
key knows the version it signs with. A symmetric secret (`whsec_`, HMAC-SHA256, entries `v1,`) is shared with the
receiver. An asymmetric one (`whsk_`, Ed25519, entries `v1a,`) stays here, and its receiver is shown the public half,
`whpk_`. A `KeyRing` is what signs for one endpoint: its current key and the old ones that have not run out.
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
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SYMMETRIC_PREFIX: Final = "whsec_"
SECRET_PREFIX: Final = "whsk_"  # noqa: S105 - the beginning of one
PUBLIC_PREFIX: Final = "whpk_"
SHORTEST: Final = 24
LONGEST: Final = 75
SEED: Final = 32
TOLERANCE_SECONDS: Final = 300
_LENGTH: Final = "secret length invalid"
_UNPAIRED: Final = "Invalid key, failed signing test msg"
RULES: Final = (_LENGTH, _UNPAIRED)
"""What is wrong with secrets that can be read."""


class SignatureType(Enum):
    """The algorithms, by the names that settings give them."""

    HMAC256 = "hmac256"
    ED25519 = "ed25519"


class Key(Protocol):
    """A key that signs with one version of the scheme."""

    @property
    def public_text(self) -> str:
        """What the receiver is shown to check signatures with."""
        ...

    def sign(self, content: bytes) -> bytes:
        """Return one entry, its version first."""
        ...

    def matches(self, content: bytes, entry: bytes) -> bool:
        """Tell in constant time whether the entry is this key's signature of the content."""
        ...


@dataclass(frozen=True, slots=True)
class SymmetricKey:
    """A secret that sender and receiver share."""

    raw: bytes

    def __post_init__(self) -> None:
        if not SHORTEST <= len(self.raw) <= LONGEST:
            raise ValueError(_LENGTH)

    def __repr__(self) -> str:
        return "SymmetricKey(...)"

    @property
    def text(self) -> str:
        """The secret as users see it and as `parse_secret` reads it."""
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
    """A secret that only the sender has, with the public key that goes with it: 32 bytes of each."""

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
        """The secret as users give it and as `parse_secret` reads it."""
        return SECRET_PREFIX + base64.b64encode(self.raw).decode("ascii")

    @property
    def public_text(self) -> str:
        return PUBLIC_PREFIX + base64.b64encode(self.raw[SEED:]).decode("ascii")

    def sign(self, content: bytes) -> bytes:
        return b"v1a," + binascii.b2a_base64(self._private.sign(content), newline=False)

    def matches(self, content: bytes, entry: bytes) -> bool:
        try:
            self._private.public_key().verify(base64.b64decode(entry.removeprefix(b"v1a,")), content)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return entry.startswith(b"v1a,")


AnyKey = SymmetricKey | AsymmetricKey


def parse_secret(text: str) -> AnyKey:
    """Read a secret as a user gives it: prefix and padded standard base64; ValueError says what is wrong with it.

    Without a prefix it is a symmetric one: base64 has no underscore, so what has one begins with another prefix.
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
    if base64.b64encode(raw).decode("ascii") != encoded:  # stray bits in the last character: it would read back changed
        raise ValueError("secret is not valid base64")
    return raw


def generate() -> SymmetricKey:
    """Make a fresh symmetric secret."""
    return SymmetricKey(secrets.token_bytes(SHORTEST))


def generate_pair() -> AsymmetricKey:
    """Make a fresh asymmetric secret."""
    private = Ed25519PrivateKey.generate()
    return AsymmetricKey(private.private_bytes_raw() + _public_bytes(private))


def generate_of(kind: SignatureType) -> AnyKey:
    """Make a fresh secret of a kind."""
    return generate() if kind is SignatureType.HMAC256 else generate_pair()


def _public_bytes(private: Ed25519PrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


@dataclass(frozen=True, slots=True)
class OldKey:
    """A key that was rotated out, and how long it still signs, in milliseconds since the epoch."""

    expires_at: int
    key: Key


@dataclass(frozen=True, slots=True)
class KeyRing:
    """What signs for one endpoint. `old` is in the order in which the keys run out."""

    current: Key
    old: tuple[OldKey, ...] = ()
    _keyed: hmac.HMAC | None = field(init=False, repr=False, compare=False)
    """The key, taken in already, where one symmetric key is all there is: the usual case, which must be quick."""

    def __post_init__(self) -> None:
        alone = not self.old and isinstance(self.current, SymmetricKey)
        keyed = hmac.new(self.current.raw, digestmod="sha256") if alone else None  # type: ignore[attr-defined]
        object.__setattr__(self, "_keyed", keyed)

    def sign(self, msg_id: str, timestamp: int, body: bytes) -> bytes:
        """Sign with every key that counts at a timestamp, which is in Unix seconds."""
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
    """Sign with each key, in the order given: the current one first, then the old ones, soonest to run out first."""
    content = signed_content(msg_id, timestamp, body)
    return b" ".join([key.sign(content) for key in keys])


def verify(keys: Iterable[Key], msg_id: str, timestamp: int, body: bytes, signature: bytes) -> bool:
    """Tell whether any entry of the signature is that of any of the keys. Freshness is `is_fresh`."""
    content = signed_content(msg_id, timestamp, body)
    entries = signature.split(b" ")
    return any(key.matches(content, entry) for key in keys for entry in entries)


def is_fresh(timestamp: int, now: int, tolerance_seconds: int = TOLERANCE_SECONDS) -> bool:
    """Tell whether a timestamp is near enough to now (both Unix seconds) for a receiver to accept it."""
    return abs(now - timestamp) <= tolerance_seconds


def signed_content(msg_id: str, timestamp: int, body: bytes) -> bytes:
    """Return the bytes that the signature covers, as Standard Webhooks defines them."""
    return b"%b.%d.%b" % (msg_id.encode("ascii"), timestamp, body)


def _entry(raw: bytes, content: bytes) -> bytes:
    return b"v1," + binascii.b2a_base64(hmac.digest(raw, content, "sha256"), newline=False)
