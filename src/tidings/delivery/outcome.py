# SPDX-License-Identifier: MIT
"""Evaluate a reply: whether it is a success, the response text to store, and the time of the next attempt; pure."""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Flag
from typing import Final

from tidings.clock import SECOND
from tidings.core.health_recorder import FAILING_AFTER, HealthEvent, HealthEventKind
from tidings.delivery.framing import headers_of
from tidings.delivery.pending_request import Reply
from tidings.model.attempt_headers import ConfiguredHeaders, block_of, encoded, fitting, is_plain, masked
from tidings.model.delivery import Delivery
from tidings.storage.tables.deliveries import SettledDelivery
from tidings.storage.tables.settlement import AttemptRow

GONE: Final = 410
KEPT_BYTES: Final = 20_000
OVERLOAD_WAIT_SECONDS: Final = 60
FAILED: Final = ("3xx", "4xx", "5xx", "timeout", "no_response", "invalid_response", "transformation")
"""The classes of failed attempts: by status, without a response in time, without a valid one, or without a request."""
JITTER: Final = 0.2
"""Fraction by which a wait is randomly longer or shorter, so that retries of one burst spread out."""


@dataclass(slots=True, eq=False)
class SendResult:
    """The result of one send. Without an attempt, the delivery is returned unsent, or `discarded`."""

    delivery: Delivery
    attempt: AttemptRow | None = None
    delivered: bool = False
    """Whether the delivery has ended and is no failure: it was accepted, or `canceled`."""
    next_at: int | None = None
    discarded: bool = False
    aborted: bool = False
    """Whether a receiver directive ended the delivery before its retry schedule did."""
    unanswered: bool = False
    outcome: str = ""
    """The class of a failed attempt, one of `FAILED`."""
    health_events: tuple[HealthEvent, ...] = ()
    """The health events to record."""
    canceled: bool = False
    """Whether a transformation canceled the delivery, so there was no request."""

    @property
    def pair(self) -> tuple[str, str]:
        """The ids of the message and the endpoint."""
        return self.delivery.msg_id, self.delivery.receiver.id

    @property
    def is_exhausted(self) -> bool:
        """Whether the last attempt of the retry schedule failed. A receiver directive is not a failure."""
        is_last = self.attempt is not None and not self.delivered and self.next_at is None
        return is_last and not self.aborted and not self.delivery.manual

    def settled(self) -> SettledDelivery:
        """Return the key and the lease of the delivery, and the time of its next attempt."""
        delivery = self.delivery
        return SettledDelivery(delivery.msg_id, delivery.receiver.id, delivery.lease, self.next_at)


@dataclass(frozen=True, slots=True)
class RetryHint:
    """The properties of a failed attempt that change the wait before the next one."""

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
    """Disable the endpoint, as requested by the status 410."""


_FINAL: Final = tuple(b"HTTP/1.%d %d" % (minor, digit) for minor in (0, 1) for digit in range(2, 10))
"""The starts of responses that are no interim ones."""
_DIRECTIVES: Final = {"abort-message": ReceiverDirective.ABORT_MESSAGE, "disable": ReceiverDirective.DISABLE}


def parse_directive(header: str | None) -> ReceiverDirective:
    """Parse the header; unknown words are ignored."""
    directive = ReceiverDirective.NONE
    for word in (header or "").lower().split(","):
        directive |= _DIRECTIVES.get(word.strip(), ReceiverDirective.NONE)
    return directive


def health_event_kinds(
    delivery: Delivery, directive: ReceiverDirective, *, delivered: bool, is_last: bool
) -> tuple[HealthEventKind, ...]:
    """Return the kinds of health events of an attempt. A manual attempt has none, except for a directive."""
    kinds: list[HealthEventKind] = []
    if not delivery.manual:
        if delivered:
            kinds += [HealthEventKind.RECOVERED] if delivery.attempts >= FAILING_AFTER else []
        elif is_last:
            kinds += [HealthEventKind.ABORTED if directive else HealthEventKind.EXHAUSTED]
        elif delivery.attempts == FAILING_AFTER - 1:
            kinds += [HealthEventKind.FAILING]
    if ReceiverDirective.DISABLE in directive:
        kinds += [HealthEventKind.DISABLE_REQUESTED]
    elif ReceiverDirective.GONE in directive:
        kinds += [HealthEventKind.GONE]
    return tuple(kinds)


def is_delivered(status: int) -> bool:
    """Return whether an HTTP status means that the receiver accepted the message; 0 means no response."""
    return 200 <= status <= 299  # noqa: PLR2004 - the class of success, RFC 9110 section 15.3


def failed_class(status: int, *, timed_out: bool, is_invalid: bool) -> str:
    """Return the class of a failed attempt, one of `FAILED`."""
    if status == 0:
        return "timeout" if timed_out else "no_response"
    name = f"{status // 100}xx"
    return name if name in FAILED and not is_invalid else "invalid_response"


def response_text(body: bytes) -> str:
    """Return a response body for storage: as text, or in base64 if it is not UTF-8 or contains NUL."""
    kept = body[:KEPT_BYTES]
    try:
        text = kept.decode()
    except UnicodeDecodeError:
        return base64.b64encode(kept).decode()
    return base64.b64encode(kept).decode() if "\0" in text else text


def recorded_headers(
    own: ConfiguredHeaders, timestamp: int, signed: bytes, reply: Reply, family: str, *, method: str = "POST"
) -> str:
    """Return the headers of an attempt for storage: no configured values, no secrets, and bounded bytes.

    `own` are the headers of the endpoint and of its script, `timestamp` is in seconds, and `family` is the prefix of
    the signature headers. Without a response the request may not have been sent.
    """
    head = reply.head
    first, end = head.find(b"\r\n"), head.find(b"\r\n\r\n")
    block = head[first + 2 : end] if 0 <= first < end else b""
    is_truncated = own.is_truncated
    if block and head.startswith(_FINAL) and is_plain(block, own.secrets):
        text = block.decode(errors="replace")
    else:
        kept, has_more = fitting(masked(headers_of(head), own.secrets))
        text, is_truncated = block_of(kept), is_truncated or has_more
    return encoded(family, timestamp, signed.decode(), own.names, text, is_truncated=is_truncated, method=method)


def next_wait_ms(schedule: Sequence[int], attempts: int, hint: RetryHint, *, now: int, chance: float) -> int | None:
    """Return the milliseconds to wait after a failed automatic attempt, or None if it was the last.

    `schedule` is in seconds, `attempts` is the number of attempts before this one, and `chance` is uniform in [0, 1).
    After a timeout the wait is at least a minute. `Retry-After` is honored between once and twice the scheduled wait.
    """
    if attempts >= len(schedule):
        return None
    wait: float = schedule[attempts]
    if hint.timed_out:
        wait = max(wait, OVERLOAD_WAIT_SECONDS)
    requested = None if hint.retry_after is None else retry_after_seconds(hint.retry_after, now=now)
    if requested is not None:
        wait = min(max(requested, wait), 2 * wait)
    return round(wait * SECOND * (1 - JITTER + 2 * JITTER * chance))


def retry_after_seconds(value: str, *, now: int) -> int | None:
    """Parse a `Retry-After` header: a date or seconds, rounded up. Return None for any other value.

    RFC 9110 section 10.2.3 defines the header; the API contract also accepts fractions.
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
    if parsed.tzinfo is None:  # "-0000": the time zone is unknown, RFC 5322 section 3.3
        return None
    return max(0, math.ceil(parsed.timestamp() - now / SECOND))
