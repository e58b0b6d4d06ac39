# SPDX-License-Identifier: MIT
"""Compile an endpoint's URL and headers once into the constant bytes of its requests."""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, quote, unquote_to_bytes, urlsplit

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
MAX_PORT: Final = 65_535
# Characters that a browser does not escape in a path and in a query, including `%`, which starts an existing escape.
SAFE_IN_PATH: Final = "%/:@!$&'()*+,;=~-._[]|^"
SAFE_IN_QUERY: Final = "%/:@!$&()*+,;=~-._[]|\\^?`{}"
# Custom headers must not change the framing of a request or the use of its connection.
NOT_CUSTOM: Final = frozenset(
    (
        *(b"content-length", b"transfer-encoding", b"trailer", b"te", b"upgrade", b"connection", b"keep-alive"),
        *(b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"expect", b"http2-settings"),
    )
)
TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
FORBIDDEN_IN_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
FORBIDDEN_IN_URL: Final = re.compile(r"[\x00-\x20\x7f]")
HOST: Final = re.compile(r"[0-9a-z_-][0-9a-z._-]*|\[[0-9a-f:.]+\]")

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
    url: str, *, version: str, headers: Mapping[str, str] | None = None, whitelabel: bool = False
) -> RequestTarget:
    """Compile an endpoint's URL and custom headers.

    A custom header replaces a built-in header of the same name, in any case, and is sent exactly as configured.
    Headers in `NOT_CUSTOM` and signature headers are omitted. Raises ValueError, which names the invalid part, for a
    URL or a header that cannot be sent; no control character is ever sent.
    """
    parts = _split(url)
    host, port = _host(parts), _port(parts)
    family = b"webhook" if whitelabel else b"svix"
    reserved = NOT_CUSTOM | {family + b"-id", family + b"-timestamp", family + b"-signature"}
    # Names are case-insensitive; the last header of each name is used.
    custom = list({name.lower(): (name, value) for name, value in _encoded(headers or {})}.values())
    custom = [header for header in custom if header[0].lower() not in reserved]
    authority = host if port == DEFAULT_PORTS[parts.scheme] else f"{host}:{port}"
    first, last = _fixed(authority, version, _basic(parts))
    host_header = [header for header in custom if header[0].lower() == b"host"] or first[:1]
    named = {header[0].lower() for header in custom}
    before = [*host_header, *(header for header in first[1:] if header[0].lower() not in named)]
    after = [
        *(header for header in last if header[0].lower() not in named),
        *(header for header in custom if header[0].lower() != b"host"),
    ]
    return RequestTarget(
        origin=f"{parts.scheme}://{host}:{port}",
        scheme=parts.scheme,
        host=host.strip("[]"),
        port=port,
        head=b"POST %b HTTP/1.1\r\n%b%b-id: " % (_path(parts), _lines(before), family),
        timestamp_label=b"\r\n%b-timestamp: " % family,
        signature_label=b"\r\n%b-signature: " % family,
        tail=b"\r\n%b\r\n" % _lines(after),
    )


def _split(url: str) -> SplitResult:
    if FORBIDDEN_IN_URL.search(url):
        raise ValueError("URL has a space or a control character")
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS:
        raise ValueError("URL is neither http nor https")
    return parts


def _host(parts: SplitResult) -> str:
    """Return the host as it is resolved (IDNA-encoded), with an IPv6 address in brackets."""
    host = parts.hostname or ""
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise ValueError("URL has no valid host") from None
    if ":" in host:
        host = f"[{host}]"
    if not HOST.fullmatch(host):
        raise ValueError("URL has no valid host")
    return host


def _port(parts: SplitResult) -> int:
    port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
    if not 0 < port <= MAX_PORT:
        raise ValueError("URL has no valid port")
    return port


def _path(parts: SplitResult) -> bytes:
    path = quote(parts.path, safe=SAFE_IN_PATH) or "/"
    query = "?" + quote(parts.query, safe=SAFE_IN_QUERY) if parts.query else ""
    return (path + query).encode("ascii")


def _basic(parts: SplitResult) -> bytes | None:
    """Return the credentials in the URL as the value of `Authorization`."""
    user, password = parts.username or "", parts.password or ""
    if not user and not password:
        return None
    return b"Basic " + base64.b64encode(unquote_to_bytes(user) + b":" + unquote_to_bytes(password))


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
