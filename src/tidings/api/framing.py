# SPDX-License-Identifier: MIT
"""Checks that the HTTP parser leaves to the server: Host, transfer codings, target forms, upgrades (RFC 9112)."""

import re
from collections.abc import Iterable
from typing import Final

import httptools

from tidings.api.wire import HttpErrorOut, json_response
from tidings.core.idempotency import Response

_VERSIONS: Final = ("1.0", "1.1")
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
TARGET_MAX: Final = 64 * 1024
_NOT_HTTP: Final = "This is not an HTTP/1.1 request"


class Malformed(Exception):
    """A request that cannot be parsed as HTTP/1.1; `response` states why, and the connection ends."""

    def __init__(self, detail: str, status: int = 400, code: str = "bad_request") -> None:
        super().__init__(detail)
        self.response = json_response(status, HttpErrorOut(code=code, detail=detail))


def check(method: bytes, version: str, url: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raise `Malformed` if a request head breaks a rule or uses an unsupported feature."""
    if version not in _VERSIONS:
        raise Malformed(f"HTTP/{version} is not supported; use HTTP/1.1.")
    if method == b"CONNECT":
        raise Malformed("CONNECT is not supported: this server is not a proxy.")
    if len(url) >= TARGET_MAX:
        raise Malformed(f"The request target must be shorter than {TARGET_MAX} bytes.")
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        raise Malformed(f"A request must have one Host header; this one has {len(hosts)}.")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise Malformed("The Host header must be a host name or an IP address, optionally with a port.")
    for name, value in headers:
        if name == b"transfer-encoding":
            _check_coding(version, value)


def _check_coding(version: str, value: bytes) -> None:
    if version == "1.0":
        raise Malformed("Transfer-Encoding does not exist in HTTP/1.0; use HTTP/1.1.")
    if value.strip().lower() != b"chunked":
        raise Malformed("The only supported transfer coding is chunked.", 501, "not_implemented")


def is_host(value: bytes) -> bool:
    """Return whether a value is valid in a Host header."""
    return _HOST.fullmatch(value) is not None


def origin_form(url: bytes) -> bytes:
    """Return the path and query of a target in absolute form; any other target stays as it is."""
    if url.startswith(b"/") or url == b"*":
        return url
    parts = httptools.parse_url(url)
    return (parts.path or b"/") + (b"" if parts.query is None else b"?" + parts.query)


def without_upgrade(method: bytes, version: str, url: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a request head without its Upgrade header, which a server may ignore (RFC 9110, section 7.8)."""
    lines = [b"%b %b HTTP/%b\r\n" % (method, url, version.encode())]
    lines += [b"%b: %b\r\n" % (name, value) for name, value in headers if name != b"upgrade"]
    return b"".join(lines) + b"\r\n"


def refusal_of(error: httptools.HttpParserError) -> Response:
    """Return the response to input that the parser rejects."""
    reason = error.__context__
    if isinstance(reason, Malformed):
        return reason.response
    if isinstance(error, httptools.HttpParserInvalidURLError) or isinstance(
        reason, httptools.HttpParserInvalidURLError
    ):
        return Malformed(f"{_NOT_HTTP}: the request target is not a valid URL.").response
    if isinstance(error, httptools.HttpParserCallbackError):
        return Malformed(f"{_NOT_HTTP}.").response
    return Malformed(f"{_NOT_HTTP}: {error}.").response
