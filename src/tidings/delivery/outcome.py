# SPDX-License-Identifier: MIT
"""What a reply means: delivered or not, what is kept of it, and when the next attempt is. Pure."""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Flag
from typing import Final

from tidings.clock import SECOND
from tidings.core.health_recorder import FAILING_AFTER, HealthEventKind
from tidings.model.routing import Send

GONE: Final = 410
KEPT_BYTES: Final = 20_000
OVERLOAD_WAIT_SECONDS: Final = 60
JITTER: Final = 0.2
"""Part of a wait by which it is made longer or shorter, so that retries of one burst do not coincide again."""


@dataclass(frozen=True, slots=True)
class RetryHint:
    """What a failed attempt says about the next one."""

    timed_out: bool = False
    retry_after: str | None = None


class ReceiverDirective(Flag):
    """An instruction in the `webhook-delivery` header of a receiver's response."""

    NONE = 0
    ABORT_MESSAGE = 1
    """Do not send this message to this endpoint again."""
    DISABLE = 2
    """Disable the endpoint."""
    GONE = 4
    """The same, given by the status 410 instead of the header."""


_DIRECTIVES: Final = {"abort-message": ReceiverDirective.ABORT_MESSAGE, "disable": ReceiverDirective.DISABLE}


def parse_directive(header: str | None) -> ReceiverDirective:
    """Parse the header; unknown words are ignored."""
    directive = ReceiverDirective.NONE
    for word in (header or "").lower().split(","):
        directive |= _DIRECTIVES.get(word.strip(), ReceiverDirective.NONE)
    return directive


def health_event_kinds(
    send: Send, directive: ReceiverDirective, *, delivered: bool, is_last: bool
) -> tuple[HealthEventKind, ...]:
    """Return the kinds of health events of an attempt. A manual attempt has none, except for a directive."""
    kinds: list[HealthEventKind] = []
    if not send.manual:
        if delivered:
            kinds += [HealthEventKind.RECOVERED] if send.attempts >= FAILING_AFTER else []
        elif is_last:
            kinds += [HealthEventKind.ABORTED if directive else HealthEventKind.EXHAUSTED]
        elif send.attempts == FAILING_AFTER - 1:
            kinds += [HealthEventKind.FAILING]
    if ReceiverDirective.DISABLE in directive:
        kinds += [HealthEventKind.DISABLE_REQUESTED]
    elif ReceiverDirective.GONE in directive:
        kinds += [HealthEventKind.GONE]
    return tuple(kinds)


def is_delivered(status: int) -> bool:
    """Return whether an HTTP status means that the receiver accepted the message; 0 means no answer."""
    return 200 <= status <= 299  # noqa: PLR2004 - the class of success, RFC 9110 section 15.3


def response_text(body: bytes) -> str:
    """Return a response body as it is stored: its text, or base64 where it is no text a database can hold."""
    kept = body[:KEPT_BYTES]
    try:
        text = kept.decode()
    except UnicodeDecodeError:
        return base64.b64encode(kept).decode()
    return base64.b64encode(kept).decode() if "\0" in text else text


def next_wait_ms(schedule: Sequence[int], attempts: int, refusal: RetryHint, *, now: int, chance: float) -> int | None:
    """Return how long to wait after a failed automatic attempt, in milliseconds, or None when it was the last.

    `schedule` holds seconds, `attempts` counts those made before this one, `chance` is uniform in [0, 1). A
    receiver that timed out gets at least a minute; one that names a time gets that, between once and twice the
    scheduled wait.
    """
    if attempts >= len(schedule):
        return None
    wait: float = schedule[attempts]
    if refusal.timed_out:
        wait = max(wait, OVERLOAD_WAIT_SECONDS)
    requested = None if refusal.retry_after is None else retry_after_seconds(refusal.retry_after, now=now)
    if requested is not None:
        wait = min(max(requested, wait), 2 * wait)
    return round(wait * SECOND * (1 - JITTER + 2 * JITTER * chance))


def retry_after_seconds(value: str, *, now: int) -> int | None:
    """Read a `Retry-After` header: a date, or seconds, of which a fraction is rounded up. None if it is neither.

    Source: RFC 9110 section 10.2.3; fractions are the contract's leniency.
    """
    text = value.strip()
    try:
        seconds = float(text)
    except ValueError:
        return _seconds_until(text, now)
    return math.ceil(seconds) if math.isfinite(seconds) and seconds >= 0 else None


def _seconds_until(date: str, now: int) -> int | None:
    try:
        parsed = parsedate_to_datetime(date)
    except (ValueError, IndexError, OverflowError):
        return None
    if parsed.tzinfo is None:  # "-0000": a timestamp in UTC of an unknown place, RFC 5322 section 3.3
        return None
    return max(0, math.ceil(parsed.timestamp() - now / SECOND))
