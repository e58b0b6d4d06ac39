# SPDX-License-Identifier: MIT
"""Compile an endpoint's URL and headers once into the constant bytes of its requests."""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from can_ada import URL

from tidings.model.url import parse_url

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# Custom headers must not change the framing of a request or the use of its connection.
NOT_CUSTOM: Final = frozenset(
    (
        *(b"content-length", b"transfer-encoding", b"trailer", b"te", b"upgrade", b"connection", b"keep-alive"),
        *(b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"expect", b"http2-settings"),
    )
)
TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
FORBIDDEN_IN_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

_Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class RequestTarget:
    """The destination of requests to an endpoint, and their constant bytes. Created by `compile_target`."""

    origin: str
    scheme: str
    host: str
    port: int
    head: bytes
    timestamp_label: bytes
    signature_label: bytes
    tail: bytes

    def request(self, msg_id: str, timestamp: int, signature: bytes, body: bytes, *, is_whole: bool = True) -> bytes:
        """Return a request: head and body, or the head alone. Raises ValueError for a control character in the head."""
        if not (msg_id.isprintable() and signature.decode("ascii").isprintable()):
            raise ValueError("control character in a signature header")
        return b"%b%b%b%d%b%b\r\nContent-Length: %d%b%b" % (
            self.head,
            msg_id.encode("ascii"),
            self.timestamp_label,
            timestamp,
            self.signature_label,
            signature,
            len(body),
            self.tail,
            body if is_whole else b"",
        )


def compile_target(
    url: str, *, version: str, headers: Mapping[str, str] | None = None, whitelabel: bool = False, method: str = "POST"
) -> RequestTarget:
    """Compile an endpoint's URL and custom headers.

    A custom header replaces a built-in header of the same name, in any case, and is sent exactly as configured.
    Headers in `NOT_CUSTOM` and signature headers are omitted. Raises ValueError, which names the invalid part, for a
    URL or a header that cannot be sent; no control character is ever sent.
    """
    parts = parse_url(url)
    scheme, host = parts.protocol.removesuffix(":"), parts.hostname
    port = int(parts.port or DEFAULT_PORTS[scheme])
    if not port:
        raise ValueError("URL has no valid port")
    family = b"webhook" if whitelabel else b"svix"
    reserved = NOT_CUSTOM | {family + b"-id", family + b"-timestamp", family + b"-signature"}
    # Names are case-insensitive; the last header of each name is used.
    custom = list({name.lower(): (name, value) for name, value in _encoded(headers or {})}.values())
    custom = [header for header in custom if header[0].lower() not in reserved]
    first, last = _fixed(parts.host, version, _basic(parts))
    host_header = [header for header in custom if header[0].lower() == b"host"] or first[:1]
    named = {header[0].lower() for header in custom}
    before = [*host_header, *(header for header in first[1:] if header[0].lower() not in named)]
    after = [
        *(header for header in last if header[0].lower() not in named),
        *(header for header in custom if header[0].lower() != b"host"),
    ]
    return RequestTarget(
        origin=f"{scheme}://{host}:{port}",
        scheme=scheme,
        host=host.strip("[]"),
        port=port,
        head=b"%b %b HTTP/1.1\r\n%b%b-id: "
        % (method.encode("ascii"), (parts.pathname + parts.search).encode("ascii"), _lines(before), family),
        timestamp_label=b"\r\n%b-timestamp: " % family,
        signature_label=b"\r\n%b-signature: " % family,
        tail=b"\r\n%b\r\n" % _lines(after),
    )


def _basic(parts: URL) -> bytes | None:
    """Return the credentials in the URL as the value of `Authorization`."""
    if not parts.has_credentials():
        return None
    return b"Basic " + base64.b64encode(unquote_to_bytes(parts.username) + b":" + unquote_to_bytes(parts.password))


def _fixed(authority: str, version: str, authorization: bytes | None) -> tuple[list[_Header], list[_Header]]:
    """Return the built-in headers: those before the signature, and those after it."""
    first = [
        (b"Host", authority.encode("ascii")),
        (b"Accept", b"*/*"),
        (b"content-type", b"application/json"),
        *_encoded({"user-agent": f"Svix-Webhooks/{version}"}),
    ]
    return first, [] if authorization is None else [(b"Authorization", authorization)]


def _encoded(headers: Mapping[str, str]) -> list[_Header]:
    encoded = [(name.encode(), value.strip(" \t").encode()) for name, value in headers.items()]
    for name, value in encoded:
        if not TOKEN.fullmatch(name):
            raise ValueError("header has an invalid name")
        if FORBIDDEN_IN_VALUE.search(value):
            raise ValueError("header has a control character in its value")
    return encoded


def _lines(headers: Iterable[_Header]) -> bytes:
    return b"".join(name + b": " + value + b"\r\n" for name, value in headers)
