# SPDX-License-Identifier: MIT
"""Endpoint URLs, parsed and normalized by the rules of the WHATWG URL standard for http and https."""

import ipaddress
import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes


class InvalidUrl(ValueError):
    """A URL that cannot be used; `is_scheme` if only its scheme is wrong."""

    def __init__(self, message: str, *, is_scheme: bool = False) -> None:
        super().__init__(message)
        self.is_scheme = is_scheme


_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):(.*)", re.DOTALL)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_PORTS: Final = {"http": 80, "https": 443}
_PORT_MAX: Final = 65_535
_LONGEST: Final = 65_536
_BYTES: Final = 4
"""The number of parts of an IPv4 address."""
_HOST: Final = re.compile(r"[0-9a-z._-]+")
_PATH_SAFE: Final = "!$%&'()*+,-./:;=@[\\]^_|~"
_QUERY_SAFE: Final = "!$%&()*+,-./:;=?@[\\]^_`{|}~"
_FRAGMENT_SAFE: Final = "!#$%&'()*+,-./:;=?@[\\]^_{|}~"
_USER_SAFE: Final = "!$%&'()*+,-._~"
_DOTS: Final = re.compile(r"\.|%2e", re.IGNORECASE)
# IDNA 2003 maps these characters to others, IDNA 2008 keeps them: one name could resolve to two different hosts.
_AMBIGUOUS: Final = frozenset("\u00df\u03c2\u200c\u200d")


def normalize_url(url: str) -> str:
    """Return an http or https URL in its normal form; raises `InvalidUrl`.

    The scheme and the host are lower case, a default port is removed, an empty path becomes `/`, dot segments of the
    path are resolved, and characters that are not valid in a URL are percent-encoded. The path keeps its case.
    """
    text = url.strip(" ")
    if _CONTROL.search(text) or len(text) > _LONGEST:
        raise InvalidUrl("invalid URL: control characters, or too long")
    match = _SCHEME.fullmatch(text)
    if match is None:
        raise InvalidUrl("invalid URL: relative URL without a base")
    scheme = match[1].lower()
    if scheme not in _PORTS:
        raise InvalidUrl("Endpoint URL schemes must be http or https", is_scheme=True)
    rest, hash_, fragment = match[2].partition("#")
    rest, mark, query = rest.partition("?")
    authority, path = _split(rest.replace("\\", "/").lstrip("/"))
    result = f"{scheme}://{_authority(authority, _PORTS[scheme])}{_path(path)}"
    if mark:
        result += "?" + quote(query, safe=_QUERY_SAFE)
    return result + "#" + quote(fragment, safe=_FRAGMENT_SAFE) if hash_ else result


def _split(rest: str) -> tuple[str, str]:
    authority, slash, path = rest.partition("/")
    return authority, slash + path


def _authority(text: str, default_port: int) -> str:
    user, at, place = text.rpartition("@")
    name, colon, password = user.partition(":")
    credentials = quote(name, safe=_USER_SAFE) + (":" + quote(password, safe=_USER_SAFE) if colon and password else "")
    host, port = _host_and_port(place)
    shown = "" if port in ("", str(default_port)) else f":{port}"
    return (f"{credentials}@" if at and credentials else "") + host + shown


def _host_and_port(place: str) -> tuple[str, str]:
    if place.startswith("["):
        inner, bracket, rest = place[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise InvalidUrl("invalid URL: invalid IPv6 address")
        return f"[{_ipv6(inner)}]", _port(rest[1:])
    host, colon, port = place.partition(":")
    if not host or ":" in port:
        raise InvalidUrl("invalid URL: invalid host or port number")
    return _host(host), _port(port) if colon else ""


def _port(text: str) -> str:
    if not text:
        return ""
    if not (text.isascii() and text.isdigit()) or len(text.lstrip("0")) > len(str(_PORT_MAX)) or int(text) > _PORT_MAX:
        raise InvalidUrl("invalid URL: invalid port number")
    return str(int(text))


def _ipv6(text: str) -> str:
    if "%" in text:
        raise InvalidUrl("invalid URL: invalid IPv6 address")
    try:
        return ipaddress.IPv6Address(text).compressed
    except ValueError as error:
        raise InvalidUrl("invalid URL: invalid IPv6 address") from error


def _host(text: str) -> str:
    try:
        host = unquote_to_bytes(text).decode()
        if _AMBIGUOUS.intersection(host):
            raise InvalidUrl("invalid URL: write this international domain name in its ASCII form (xn--)")
        host = host.lower() if host.isascii() else host.encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise InvalidUrl("invalid URL: invalid international domain name") from error
    if not _HOST.fullmatch(host):
        raise InvalidUrl("invalid URL: invalid domain character")
    return _ipv4(host) or host


def _ipv4(host: str) -> str | None:
    """Return the IPv4 address of a host whose last part is a number (decimal, octal or hexadecimal), else None."""
    parts = host.removesuffix(".").split(".")
    if not re.fullmatch(r"[0-9]+|0x[0-9a-f]*", parts[-1]):
        return None
    try:
        *first, last = [_number(part) for part in parts]
    except ValueError as error:
        raise InvalidUrl("invalid URL: invalid IPv4 address") from error
    if len(parts) > _BYTES or last >= 256 ** (_BYTES + 1 - len(parts)) or max(first, default=0) >= 1 << 8:
        raise InvalidUrl("invalid URL: invalid IPv4 address")
    return str(ipaddress.IPv4Address(sum(part << (24 - 8 * index) for index, part in enumerate(first)) + last))


def _number(part: str) -> int:
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    if not (part.isascii() and part.isdigit()) or len(part) > len("4294967295"):
        raise ValueError(part)
    return int(part, 8) if part.startswith("0") and len(part) > 1 else int(part)


def _path(path: str) -> str:
    kept: list[str] = []
    segments = (path or "/").split("/")[1:]
    for position, segment in enumerate(segments):
        dots = _DOTS.sub(".", segment)
        if dots == "..":
            del kept[-1:]
        elif dots != ".":
            kept.append(quote(segment, safe=_PATH_SAFE))
        if dots in (".", "..") and position == len(segments) - 1:
            kept.append("")
    return "/" + "/".join(kept)
