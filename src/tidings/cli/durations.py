# SPDX-License-Identifier: MIT
"""Durations on the command line: `30d` is thirty days."""

import re
from typing import Final

from tidings.cli.remote import BadArgumentError
from tidings.clock import DAY, HOUR, MINUTE, SECOND
from tidings.model.api_key import LIFETIME_MAX_MS

_DURATION: Final = re.compile(r"(\d{1,9})\s*([smhdw])")
_UNITS: Final = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}


def parse_lifetime(text: str | None, option: str) -> int | None:
    """Return a lifetime in milliseconds, up to ten years; None for none. Raises `BadArgumentError`."""
    if text is None:
        return None
    found = _DURATION.fullmatch(text.strip())
    lifetime = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < lifetime <= LIFETIME_MAX_MS:
        raise BadArgumentError(f"{option} {text!r} is not a duration of up to ten years; use 90d, 12h or 30m")
    return lifetime
