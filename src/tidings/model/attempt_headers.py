# SPDX-License-Identifier: MIT
"""The headers of an attempt that are recorded: the signature, the names of the endpoint's headers, and the response.

The value of a header that is configured at an endpoint is never recorded, not even if the receiver repeats it in a
response header. Response headers that hold credentials are masked. The number of bytes is bounded.

Recording costs each failed attempt time, so the headers of a response are stored as they arrived if nothing in them
looks like a secret, which is the usual case. They are split into names and values when they are read.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec

HEADERS_BYTES: Final = 1_024
"""The most bytes of response headers that are recorded; and the most of configured names."""
METHODS: Final = ("POST", "PUT", "PATCH")
"""The methods of requests. A script may choose another one than POST; headers are recorded then, for the method."""
MASK: Final = "***"
"""Replaces the value of a header that holds a secret."""
# Parts of the names of headers that hold secrets: `set-cookie`, `x-amz-security-token` and the like. In lower case: to
# ignore the case would take six times as long.
_SECRET_NAME: Final = re.compile(rb"cookie|authoriz|passw|secret|token|credential|session|api-?key|signature")
_SECRET_LEAST: Final = 4
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
    method: str = "POST"
    """The method of the request, one of `METHODS`."""

    def signed(self, msg_id: str) -> tuple[Header, ...]:
        """Return the signature headers as they were sent."""
        return (
            (f"{self.family}-id", msg_id),
            (f"{self.family}-timestamp", str(self.timestamp)),
            (f"{self.family}-signature", self.signature),
        )


@dataclass(frozen=True, slots=True)
class ConfiguredHeaders:
    """The names of an endpoint's own headers, and the values to look for in a response."""

    names: tuple[str, ...]
    secrets: tuple[bytes, ...]
    is_truncated: bool


@lru_cache(maxsize=1_024)
def configured(headers: tuple[Header, ...]) -> ConfiguredHeaders:
    """Return what recording needs to know about an endpoint's own headers."""
    names, is_truncated = fitting((name, "") for name, _ in headers)
    values = [value.strip() for _, value in headers]
    # Of `Bearer abc`, the receiver may repeat `abc` alone.
    found = {each for value in values for each in (value, value.split(" ")[-1]) if len(each) >= _SECRET_LEAST}
    return ConfiguredHeaders(tuple(name for name, _ in names), tuple(each.encode() for each in found), is_truncated)


def is_plain(block: bytes, secrets: tuple[bytes, ...]) -> bool:
    """Return whether response headers are short, and nothing in them looks like a secret."""
    if len(block) > HEADERS_BYTES:
        return False
    is_secret = _SECRET_NAME.search(block.lower()) is not None
    return not (is_secret or (secrets and any(secret in block for secret in secrets)))


def fitting(headers: Iterable[Header], most: int = HEADERS_BYTES) -> tuple[tuple[Header, ...], bool]:
    """Return the headers that fit into a number of bytes, and whether some do not; a long one is left out alone."""
    kept: list[Header] = []
    is_truncated = False
    for name, value in headers:
        size = len(f"{name}: {value}\r\n".encode())
        if size > most:
            is_truncated = True
            continue
        most -= size
        kept.append((name, value))
    return tuple(kept), is_truncated


def masked(headers: Iterable[Header], secrets: tuple[bytes, ...]) -> Iterable[Header]:
    """Mask the values of headers that hold secrets, by their name or because they repeat a configured value."""
    for name, value in headers:
        given = value.encode()
        is_secret = _SECRET_NAME.search(name.lower().encode()) or any(secret in given for secret in secrets)
        yield name, MASK if is_secret else value


def block_of(headers: Iterable[Header]) -> str:
    """Return headers as lines."""
    return "\r\n".join(f"{name}: {value}" for name, value in headers)


_Stored = tuple[str, int, str, tuple[str, ...], str, int]
_decoder: Final = msgspec.json.Decoder(_Stored)
_encode: Final = msgspec.json.Encoder().encode


def encoded(  # noqa: PLR0913 - the parts of the stored form
    family: str,
    timestamp: int,
    signature: str,
    names: tuple[str, ...],
    block: str,
    *,
    is_truncated: bool,
    method: str = "POST",
) -> str:
    """Return headers as stored: a JSON array. `block` has the lines of the response's headers.

    The last number has the method: it is 2 times the place in `METHODS`, negative unless headers were left out, and
    then one more. Nodes of 0.1.0 know 1 for headers that were left out, and read any other positive number like it.
    """
    place = 2 * METHODS.index(method)
    return _encode((family, timestamp, signature, names, block, place + 1 if is_truncated else -place)).decode()


def to_text(headers: AttemptHeaders) -> str:
    """Return headers as they are stored."""
    names, block = headers.configured, block_of(headers.response)
    return encoded(
        headers.family,
        headers.timestamp,
        headers.signature,
        names,
        block,
        is_truncated=headers.is_truncated,
        method=headers.method,
    )


def from_text(text: str | None) -> AttemptHeaders | None:
    """Read stored headers; None if there are none."""
    if text is None:
        return None
    family, timestamp, signature, names, block, last = _decoder.decode(text)
    method = METHODS[min(abs(last) // 2, len(METHODS) - 1)]
    return AttemptHeaders(family, timestamp, signature, names, _headers_in(block), last > 0, method)


def _headers_in(block: str) -> tuple[Header, ...]:
    """Split lines into names and values; a line that begins with a space continues the one before."""
    parts = (line.partition(":") for line in block.replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n"))
    return tuple((name.strip(), value.strip(" \t\r")) for name, colon, value in parts if colon)
