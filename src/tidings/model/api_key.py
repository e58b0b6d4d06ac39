# SPDX-License-Identifier: MIT
"""API keys: their text, and what a key permits.

A key is `tidings_`, 43 characters of base 62 for 256 random bits, and six for the CRC-32 of what precedes them. The
prefix lets secret scanners find a leaked key, and the checksum refuses a mistyped one without a query. It is no
protection: the inventor of a key can compute it.

The database has the SHA-256 of a key. A slow hash protects secrets that can be guessed; 256 random bits cannot, and a
slow hash would only let strangers use up the CPU.
"""

import hashlib
import hmac
import secrets
import zlib
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tidings.clock import DAY
from tidings.ids import AppId, OrgId
from tidings.model.text import NAME
from tidings.model.token import ALL, FOREVER, VIEW_ONLY, KeyName, Principal

PREFIX: Final = "tidings_"
NAME_LENGTH_MAX: Final = 256
"""The most characters of a key's name."""
LIFETIME_MAX_MS: Final = 3_650 * DAY
SECRET_BYTES: Final = 32
ENDED_KEPT_MS: Final = 90 * DAY
"""How long an expired or revoked key stays in the list, and an error says which of the two it is."""

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_LENGTH: Final = 43
_CHECKSUM_LENGTH: Final = 6
_LENGTH: Final = len(PREFIX) + _SECRET_LENGTH + _CHECKSUM_LENGTH
_SHOWN: Final = 4


class KeyScope(Enum):
    """Whose data a key reaches."""

    OPERATOR = "operator"
    """The installation: its nodes, its settings, its keys. No data of an organization."""
    ORGANIZATION = "organization"
    """One organization, like its token."""
    APPLICATION = "application"
    """One application, like its token."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as it is stored; timestamps in milliseconds since the Unix epoch."""

    id: str
    org_id: OrgId
    """The organization; the management organization for an operator's key."""
    app_id: AppId | None
    scope: KeyScope
    is_read_only: bool
    name: str
    hint: str
    """The last characters of the key, by which people recognize it."""
    created_by: str
    """The id of the key, the application or the organization that created it, or `cli`."""
    created_at: int
    expires_at: int | None
    """When the key becomes invalid: its expiry, or its revocation if that is earlier."""
    revoked_at: int | None
    """When it was revoked; a revocation may take effect later."""
    last_used_at: int | None
    """The last use, to the minute."""
    version: int
    """Incremented by each change, so that nodes notice it."""
    integration_id: str | None = None
    """The integration whose key it is."""
    feature_flags: tuple[str, ...] = ()
    """The feature flags of that integration."""

    @property
    def principal(self) -> Principal:
        """The caller that the key identifies."""
        return Principal(
            self.org_id,
            self.app_id,
            frozenset(self.feature_flags),
            capabilities=VIEW_ONLY if self.is_read_only else ALL,
            until=FOREVER if self.expires_at is None else self.expires_at - 1,
            key=KeyName(self.id, self.version),
            is_operator=self.scope is KeyScope.OPERATOR,
            is_read_only=self.is_read_only,
        )

    @property
    def censored(self) -> str:
        """The key without its secret part."""
        return f"{PREFIX}…{self.hint}"

    def has_ended(self, now: int) -> bool:
        """Return whether the key is expired, or its revocation has taken effect."""
        return self.expires_at is not None and self.expires_at <= now


def name_error(name: str) -> str | None:
    """Return an error message for an invalid name of a key: it is shown on terminals."""
    if not 1 <= len(name) <= NAME_LENGTH_MAX or not name.isprintable() or not name.strip():
        return f"name must have 1 to {NAME_LENGTH_MAX} printable characters"
    return None


def is_reference(reference: str) -> bool:
    """Return whether a text can be the id or the uid of an application."""
    return NAME.fullmatch(reference) is not None


def new_text() -> str:
    """Return the text of a new key."""
    return text_of(secrets.token_bytes(SECRET_BYTES))


def text_of(secret: bytes) -> str:
    """Return the text of the key with these 32 secret bytes."""
    content = PREFIX + _encoded(int.from_bytes(secret), _SECRET_LENGTH)
    return content + _checksum(content)


def is_well_formed(text: str) -> bool:
    """Return whether a text has the form and the checksum of a key."""
    if len(text) != _LENGTH or not text.startswith(PREFIX) or not text.isascii():
        return False
    return hmac.compare_digest(text[-_CHECKSUM_LENGTH:], _checksum(text[:-_CHECKSUM_LENGTH]))


def hash_of(text: str) -> str:
    """Return the hash under which a key is stored."""
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def hint_of(text: str) -> str:
    """Return the part of a key that is shown in lists: from the checksum, so it reveals nothing of the secret."""
    return text[-_SHOWN:]


def _checksum(content: str) -> str:
    return _encoded(zlib.crc32(content.encode("ascii")), _CHECKSUM_LENGTH)


def _encoded(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
