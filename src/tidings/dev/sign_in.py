# SPDX-License-Identifier: MIT
"""Sign-in links that work once and soon expire.

A link holds 256 random bits, of which only the digest is kept, in memory. Its holder gets what the process prints
anyway, a session of the organization, so no link outlives the process.
"""

import hashlib
import hmac
import secrets
from typing import Final

from tidings.clock import MINUTE, Clock

LIFETIME_MS: Final = 10 * MINUTE
_BYTES: Final = 32
_PENDING_MAX: Final = 10


class OneTimeCodes:
    """The codes of links that were not used yet."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pending: dict[bytes, int] = {}

    def issue(self) -> str:
        """Return a new code; of more than ten unused ones the oldest expires."""
        code = secrets.token_urlsafe(_BYTES)
        while len(self._pending) >= _PENDING_MAX:
            del self._pending[next(iter(self._pending))]
        self._pending[_digest(code)] = self._clock.now() + LIFETIME_MS
        return code

    def redeem(self, code: str) -> bool:
        """Return whether a code is valid, and use it up."""
        given = _digest(code)
        found = None
        for digest in self._pending:  # each one is compared, in constant time
            if hmac.compare_digest(digest, given):
                found = digest
        return found is not None and self._pending.pop(found) > self._clock.now()


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode(errors="replace")).digest()
