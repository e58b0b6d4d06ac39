# SPDX-License-Identifier: MIT
"""Timestamps on the command line: an age (`2h` is two hours ago), or RFC 3339."""

import re
from typing import Final

from tidings.cli.remote import BadArgumentError
from tidings.clock import DAY, HOUR, MINUTE, SECOND, Clock, parse_rfc3339, rfc3339

_AGO: Final = re.compile(r"(\d{1,9})\s*([smhdw])")
_UNITS: Final = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}


def parse_timestamp(text: str, option: str, clock: Clock) -> str:
    """Return an age or a timestamp as an RFC 3339 timestamp. Raises `BadArgumentError`, which names the option."""
    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        return rfc3339(max(0, clock.now() - int(ago[1]) * _UNITS[ago[2]]))
    try:
        return rfc3339(parse_rfc3339(text))
    except (ValueError, OverflowError) as error:
        raise BadArgumentError(
            f"{option} {text!r} is not a timestamp; use 2h, 30m, 7d or 2024-05-01T12:00:00Z"
        ) from error
