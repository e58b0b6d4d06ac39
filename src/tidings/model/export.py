# SPDX-License-Identifier: MIT
"""Exports: the limits of the archive, and its signed link."""

import hashlib
import hmac
from typing import Final

from tidings.clock import DAY, SECOND

ARCHIVE_LIFETIME_MS: Final = DAY
EVENT_TYPES_MAX: Final = 5_000
BYTES_MAX: Final = 16 * 1024 * 1024
"""The size of the generated code of an archive, before compression."""
PIECE_BYTES_MAX: Final = 4 * 1024 * 1024
"""The size of the code generated from one event type."""
SCHEMA_BYTES_MAX: Final = 512 * 1024
"""The size of a schema from which models are generated."""
ENUM_MAX: Final = 5_000
"""The number of values of one enumeration, or of members of one list of alternatives."""
PATH: Final = "/api/v1/export/{id}?expires={expires}&signature={signature}"


class UnfitType(Exception):
    """No models can be generated from an event type: an error code and the reason."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code


def signature(secret: str, export_id: str, expires_at: int) -> str:
    """Return the signature of a link, which proves that the service created it."""
    signed_text = f"export\n{export_id}\n{expires_at // SECOND}".encode()
    return hmac.new(secret.encode(), signed_text, hashlib.sha256).hexdigest()


def link(secret: str, origin: str, export_id: str, expires_at: int) -> str:
    """Return the URL from which an export can be downloaded without a token until the link expires."""
    signed = signature(secret, export_id, expires_at)
    return origin + PATH.format(id=export_id, expires=expires_at // SECOND, signature=signed)


def is_genuine(secret: str, export_id: str, expires: int, given: str) -> bool:
    """Return, in constant time, whether the service created a link."""
    expected = signature(secret, export_id, expires * SECOND)
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))
