# SPDX-License-Identifier: MIT
"""The verdict of a receiver about a request: whether the endpoint's key signed it, and recently. Pure."""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final

from tidings.clock import SECOND
from tidings.model.signature import TOLERANCE_SECONDS, Key, is_fresh, verify

FAMILIES: Final = ("svix", "webhook")
"""The prefixes of the three signature headers; the first family that a request has counts."""
_DIGITS_MAX: Final = 12


class SignatureVerdict(Enum):
    """What a receiver concludes from the signature headers; the value is a sentence for people."""

    VALID = "The signature is valid: the service sent this, and it arrived unchanged."
    MISMATCH = "The signature does not match the endpoint's secret."
    STALE = f"The timestamp differs from now by more than {TOLERANCE_SECONDS // 60} minutes: this may be a replay."
    UNSIGNED = "There is no signature: the service did not send this."
    NO_KEY = "The endpoint of the inbox was deleted; start `tidings dev` again to create it."

    @property
    def is_valid(self) -> bool:
        """Whether a receiver may trust the request."""
        return self is SignatureVerdict.VALID


def signed_id(headers: Mapping[str, str]) -> str:
    """Return the message id in the signature headers, or an empty text; names are in lower case."""
    return next((headers[name] for name in (f"{family}-id" for family in FAMILIES) if name in headers), "")


def judge(headers: Mapping[str, str], body: bytes, keys: Iterable[Key], now: int) -> SignatureVerdict:
    """Judge a request as a receiver does; `now` is in milliseconds, and names of headers are in lower case."""
    given = next((_signed(headers, family) for family in FAMILIES if f"{family}-signature" in headers), None)
    if given is None:
        return SignatureVerdict.UNSIGNED
    msg_id, timestamp, signature = given
    keys = tuple(keys)
    if not keys:
        return SignatureVerdict.NO_KEY
    if timestamp is None or not msg_id.isascii():
        return SignatureVerdict.MISMATCH
    if not verify(keys, msg_id, timestamp, body, signature.encode()):
        return SignatureVerdict.MISMATCH
    return SignatureVerdict.VALID if is_fresh(timestamp, now // SECOND) else SignatureVerdict.STALE


def _signed(headers: Mapping[str, str], family: str) -> tuple[str, int | None, str]:
    text = headers.get(f"{family}-timestamp", "")
    is_number = text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
    return headers.get(f"{family}-id", ""), int(text) if is_number else None, headers[f"{family}-signature"]
