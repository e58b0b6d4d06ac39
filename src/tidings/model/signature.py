# SPDX-License-Identifier: MIT
"""Standard Webhooks signatures: what a receiver checks to know that a message is ours, whole and fresh.

What is signed is `<id>.<timestamp>.<body>`, with the body exactly as it goes over the wire. A signature is one entry
per key, `v1,<base64>`, the entries joined by single spaces. During a rotation a message carries an entry for the new
key and for each old key that has not run out, so a receiver that holds any one of them is content. The receiver skips
entries of versions it does not know; that is the room in which a second algorithm fits.

Callers hold `Key`s and never look inside: parsing decides which algorithm a secret belongs to by its prefix, and the
key knows the version it signs with. An asymmetric key is one more class and one more prefix in `parse_secret`.
"""

import base64
import binascii
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

SYMMETRIC_PREFIX: Final = "whsec_"
SHORTEST: Final = 24
LONGEST: Final = 75
TOLERANCE_SECONDS: Final = 300


class Key(Protocol):
    """A key that signs with one version of the scheme."""

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
            raise ValueError("secret length invalid")

    def __repr__(self) -> str:
        return "SymmetricKey(...)"

    @property
    def text(self) -> str:
        """The secret as users see it and as `parse_secret` reads it."""
        return SYMMETRIC_PREFIX + base64.b64encode(self.raw).decode("ascii")

    def sign(self, content: bytes) -> bytes:
        return _entry(self.raw, content)

    def matches(self, content: bytes, entry: bytes) -> bool:
        return hmac.compare_digest(_entry(self.raw, content), entry)


def parse_secret(text: str) -> SymmetricKey:
    """Read a secret as a user gives it: prefix and padded standard base64; ValueError says what is wrong with it."""
    if not text.startswith(SYMMETRIC_PREFIX):
        raise ValueError("secret prefix invalid")
    encoded = text[len(SYMMETRIC_PREFIX) :]
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("secret is not valid base64") from None
    if base64.b64encode(raw).decode("ascii") != encoded:  # stray bits in the last character: it would read back changed
        raise ValueError("secret is not valid base64")
    return SymmetricKey(raw)


def generate() -> SymmetricKey:
    """Make a fresh secret."""
    return SymmetricKey(secrets.token_bytes(SHORTEST))


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
    return b"%b.%d.%b" % (msg_id.encode("ascii"), timestamp, body)


def _entry(raw: bytes, content: bytes) -> bytes:
    return b"v1," + binascii.b2a_base64(hmac.digest(raw, content, "sha256"), newline=False)
