# SPDX-License-Identifier: MIT
"""Endpoint URLs, read by the one parser of the WHATWG URL standard that the API and the delivery share."""

import re
from typing import Final
from urllib.parse import unquote

import can_ada

_SCHEMES: Final = ("http:", "https:")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_START: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[/\\]*([^/\\?#]*)")
_HOST: Final = re.compile(r"(?:[0-9a-z_-]{1,63}\.)*[0-9a-z_-]{1,63}\.?|\[[0-9a-f:]+\]")
_LONGEST: Final = 65_536
_HOST_LONGEST: Final = 1_024
"""A name in DNS has 253 characters. The time to convert an international one grows with the square of its length."""
# IDNA 2003 maps these characters to others, IDNA 2008 keeps them: one name could resolve to two different hosts.
_AMBIGUOUS: Final = frozenset("\u00df\u03c2\u200c\u200d")


class InvalidUrl(ValueError):
    """A URL that cannot be used; `is_scheme` if only its scheme is wrong."""

    def __init__(self, message: str, *, is_scheme: bool = False) -> None:
        super().__init__(message)
        self.is_scheme = is_scheme


def parse_url(url: str) -> can_ada.URL:
    """Return the parts of an http or https URL in their normal form; raises `InvalidUrl`.

    The standard removes line breaks and tabs; here they are refused, as are hosts that a resolver could read otherwise.
    """
    if _CONTROL.search(url):
        raise InvalidUrl("invalid URL: control characters")
    start = _START.match(url)
    if start is None:
        raise InvalidUrl("invalid URL: relative URL without a base")
    host = unquote(start[1].rpartition("@")[2])
    if len(host) > _HOST_LONGEST:
        raise InvalidUrl("invalid URL: too long a host")
    try:
        parts = can_ada.parse(url)
    except (ValueError, TypeError):  # the second for half of a surrogate pair
        raise InvalidUrl("invalid URL: invalid host or port number") from None
    if parts.protocol not in _SCHEMES:
        raise InvalidUrl("Endpoint URL schemes must be http or https", is_scheme=True)
    if _AMBIGUOUS.intersection(host):
        raise InvalidUrl("invalid URL: write this international domain name in its ASCII form (xn--)")
    if not _HOST.fullmatch(parts.hostname):
        raise InvalidUrl("invalid URL: invalid domain character")
    return parts


def host_of(url: str) -> str:
    """Return the host of a stored URL, without user, port and path; empty if it is not valid any more."""
    try:
        return str(parse_url(url).hostname)
    except InvalidUrl:
        return ""


def normalize_url(url: str) -> str:
    """Return an http or https URL in its normal form; raises `InvalidUrl`.

    The scheme and the host are lower case, a default port is removed, an empty path becomes `/`, dot segments of the
    path are resolved, and characters that are not valid in a URL are percent-encoded. The path keeps its case.
    """
    if len(url) > _LONGEST:
        raise InvalidUrl("invalid URL: too long")
    return parse_url(url.strip(" ")).href
