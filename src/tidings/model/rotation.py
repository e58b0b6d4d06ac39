# SPDX-License-Identifier: MIT
"""Rotation of an endpoint's secret: the old secret signs in addition to the new one until it expires. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidings.clock import SECOND, rfc3339
from tidings.errors import bad_request

OLD_MAX: Final = 10
GRACE_DEFAULT: Final = 24 * 60 * 60
GRACE_MAX: Final = 7 * 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class OldSecret:
    """A stored secret that was replaced, and the time until which it signs."""

    expires_at: int
    stored: bytes


def rotated(old: Sequence[OldSecret], current: bytes, now: int, grace_seconds: int) -> tuple[OldSecret, ...]:
    """Return the old secrets after a rotation, in the order in which they expire; raises `limit_reached`.

    Without a grace period the replaced secret stops signing immediately.
    """
    left = [each for each in old if each.expires_at > now]
    if grace_seconds:
        if len(left) >= OLD_MAX:
            soonest = rfc3339(min(each.expires_at for each in left))
            raise bad_request(
                "limit_reached",
                f"You can only rotate a key {OLD_MAX} times; please wait for old keys to expire."
                f" Your next key expires at {soonest}.",
            )
        left.append(OldSecret(now + grace_seconds * SECOND, current))
    return tuple(sorted(left, key=lambda each: each.expires_at))
