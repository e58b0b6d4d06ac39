# SPDX-License-Identifier: MIT
"""The headers of an attempt that are recorded: the signature, the names of the endpoint's headers, and the response.

The value of a header that is configured at an endpoint is never recorded, not even if the receiver repeats it in a
response header. Response headers that hold credentials are masked. The number of bytes is bounded.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

HEADERS_BYTES: Final = 1_024
"""The most bytes of response headers that are recorded, names and values; and the most of configured names."""
MASK: Final = "***"
"""Replaces the value of a header that holds a secret."""
# By their names: `set-cookie`, `authorization`, `x-api-key`, `x-amz-security-token` and the like.
_SECRET_NAME: Final = re.compile(
    r"cookie|authoriz|passw|secret|token|credential|session|api-?key|signature", re.IGNORECASE
)
_VALUE_LEAST: Final = 4
"""A shorter configured value is not searched for: it would mask values that only contain it by chance."""

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class AttemptHeaders:
    """The recorded headers of one attempt."""

    family: str
    """The prefix of the signature headers: `svix` or `webhook`."""
    timestamp: int
    """The signed timestamp, in seconds."""
    signature: str
    configured: tuple[str, ...]
    """The names of the endpoint's own headers."""
    response: tuple[Header, ...]
    """The headers of the response, in their order; secrets are masked."""
    is_truncated: bool
    """Whether names or response headers were left out."""

    def signed(self, msg_id: str) -> tuple[Header, ...]:
        """Return the signature headers as they were sent."""
        return (
            (f"{self.family}-id", msg_id),
            (f"{self.family}-timestamp", str(self.timestamp)),
            (f"{self.family}-signature", self.signature),
        )


def fitting(headers: Iterable[Header], most: int = HEADERS_BYTES) -> tuple[tuple[Header, ...], bool]:
    """Return the headers that fit into a number of bytes, and whether some do not; a long one is left out alone."""
    kept: list[Header] = []
    is_truncated = False
    for name, value in headers:
        size = len(name.encode()) + len(value.encode())
        if size > most:
            is_truncated = True
            continue
        most -= size
        kept.append((name, value))
    return tuple(kept), is_truncated


def masked(headers: Iterable[Header], configured: Sequence[Header]) -> Iterable[Header]:
    """Mask the values of headers that hold secrets, by their name or because they repeat a configured value."""
    values = [value.strip() for _, value in configured]
    # Of `Bearer abc`, the receiver may repeat `abc` alone.
    secrets = [each for value in values for each in {value, value.split(" ")[-1]} if len(each) >= _VALUE_LEAST]
    for name, value in headers:
        is_secret = _SECRET_NAME.search(name) is not None or any(secret in value for secret in secrets)
        yield name, MASK if is_secret else value


_Stored = tuple[str, int, str, tuple[str, ...], tuple[Header, ...], int]
_decoder: Final = msgspec.json.Decoder(_Stored)
_encoder: Final = msgspec.json.Encoder()


def to_text(headers: AttemptHeaders) -> str:
    """Return headers as stored: a JSON array without names of members."""
    each = headers
    stored = (each.family, each.timestamp, each.signature, each.configured, each.response, int(each.is_truncated))
    return _encoder.encode(stored).decode()


def from_text(text: str | None) -> AttemptHeaders | None:
    """Read stored headers; None if there are none."""
    if text is None:
        return None
    family, timestamp, signature, configured, response, is_truncated = _decoder.decode(text)
    return AttemptHeaders(family, timestamp, signature, configured, response, is_truncated > 0)
