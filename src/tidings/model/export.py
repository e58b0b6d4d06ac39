# SPDX-License-Identifier: MIT
"""Exports: the stored arguments of the task, the lifetime of the archive, and its signed link."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from tidings.clock import DAY, SECOND

KEPT_MS: Final = DAY
EVENT_TYPES_MAX: Final = 5_000
BYTES_MAX: Final = 16 * 1024 * 1024
"""Of what is generated, before it is packed."""
PIECE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of what is generated from one event type."""
SCHEMA_BYTES_MAX: Final = 512 * 1024
"""Of the schema that models are generated from."""
ENUM_MAX: Final = 5_000
"""Values of one enumeration, and members of one list of alternatives."""
PATH: Final = "/api/v1/export/{id}?expires={expires}&signature={signature}"


class UnfitType(Exception):
    """No models are made of an event type: a code for machines, and the reason."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportArgs:
    """`origin` is how the caller reached the service: the link is to be read by the caller."""

    origin: str


def signature(secret: str, export_id: str, expires_at: int) -> str:
    """Return what proves that the service gave out a link."""
    signed_text = f"export\n{export_id}\n{expires_at // SECOND}".encode()
    return hmac.new(secret.encode(), signed_text, hashlib.sha256).hexdigest()


def link(secret: str, origin: str, export_id: str, expires_at: int) -> str:
    """Return the address under which an export may be fetched without a token, until it expires."""
    signed = signature(secret, export_id, expires_at)
    return origin + PATH.format(id=export_id, expires=expires_at // SECOND, signature=signed)


def is_genuine(secret: str, export_id: str, expires: int, given: str) -> bool:
    """Tell whether a link was given out by the service; takes as long for every wrong one."""
    expected = signature(secret, export_id, expires * SECOND)
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))
