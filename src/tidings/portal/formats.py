# SPDX-License-Identifier: MIT
"""Texts in pages: times, durations, numbers, sizes and JSON."""

import re
import secrets
from collections.abc import Callable
from typing import Any, Final

from markupsafe import Markup, escape

from tidings.clock import DAY, HOUR, MINUTE, SECOND, rfc3339
from tidings.portal.json_text import indented

_UNITS: Final = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"))
NOTHING: Final = "\N{EN DASH}"
"""The text for a value that does not exist."""
_RFC3339: Final = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_KIB: Final = 1_024


def duration(ms: float) -> str:
    """Return a duration with its largest two units: `2 h 5 min`, `45 s`, `320 ms`."""
    if ms < SECOND:
        return f"{round(ms)} ms"
    parts: list[str] = []
    rest = round(ms)
    for size, unit in _UNITS:
        if rest >= size and len(parts) < 2 and (size >= MINUTE or rest >= SECOND):  # noqa: PLR2004 - two units
            parts.append(f"{rest // size} {unit}")
            rest %= size
        elif parts:
            break
    return " ".join(parts)


def time(ms: int | None, now: int | None = None) -> Markup:
    """Return a `<time>` element: relative to now if that is given, with the exact time as its title."""
    if ms is None:
        return escape(NOTHING)
    exact = rfc3339(ms)
    if now is None:
        return Markup('<time datetime="{}" title="{}">{}</time>').format(exact, _readable(exact), _readable(exact))
    relation = Markup('<time datetime="{}" title="{}" data-relative>{}</time>')
    return relation.format(exact, _readable(exact), relative(ms, now))


def _readable(exact: str) -> str:
    return f"{exact[:10]} {exact[11:19]} UTC"


def readable_times(text: str) -> str:
    """Return a sentence of the service with its times as pages show them."""
    return _RFC3339.sub(lambda found: _readable(found[0]), text)


def local_time(ms: object) -> str:
    """Return a time in UTC as the value of a `datetime-local` field; empty for none."""
    return rfc3339(ms).removesuffix("Z") if isinstance(ms, int) else ""


def relative(ms: int, now: int) -> str:
    """Return a time as people say it: `just now`, `5 min ago`, `in 2 h`."""
    distance = abs(now - ms)
    if distance < 5 * SECOND:
        return "just now" if ms <= now else "now"
    size, unit = next(each for each in _UNITS if distance >= each[0])
    text = f"{distance // size} {unit}"
    return f"{text} ago" if ms <= now else f"in {text}"


def number(value: float | None) -> str:
    """Return a number with separators of thousands."""
    return NOTHING if value is None else f"{value:,}"


def percent(value: float | None) -> str:
    """Return a share as a percentage that is 100 % only for the whole and 0 % only for nothing."""
    if value is None:
        return NOTHING
    if 0 < value < 1:
        value = min(max(value, 0.001), 0.999)
    return f"{value * 100:.1f}".removesuffix(".0") + " %"


def size(value: int | None) -> str:
    """Return a number of bytes: `512 B`, `1.5 KiB`."""
    if value is None:
        return NOTHING
    amount, unit = float(value), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if amount < _KIB:
            break
        amount, unit = amount / _KIB, larger
    return f"{amount:.1f}".removesuffix(".0") + f" {unit}"


def pretty(text: str | bytes | None) -> str:
    """Return JSON with indentation; other text unchanged; both cut at 64 KiB: see `json_text.py`."""
    if text is None:
        return ""
    return indented(text if isinstance(text, bytes) else text.encode("utf-8", "replace"))


def decapitalized(text: str) -> str:
    """Return a sentence as it continues another one."""
    return text[:1].lower() + text[1:]


def new_once() -> str:
    """Return the value that makes a form effective once."""
    return secrets.token_urlsafe(12)


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "bytes": size,
    "decapitalized": decapitalized,
    "duration": duration,
    "number": number,
    "percent": percent,
    "pretty": pretty,
    "readable_times": readable_times,
    "time": time,
}
