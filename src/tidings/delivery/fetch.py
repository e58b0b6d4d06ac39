# SPDX-License-Identifier: MIT
"""Requests to a service that the settings name, such as a sign-in provider: bounded in bytes and time.

The origin of the settings may be private, because the operator chose it; every other one that the service names is
vetted like the URL of an endpoint. Addresses of cloud metadata services are refused in both cases, and redirects are
not followed. There are few such requests, so each has a client, with its connections, of its own.
"""

import asyncio
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Final
from urllib.parse import urlsplit

from tidings import __version__
from tidings.core.oidc import Fetched, FetchError
from tidings.delivery.address import AddressPolicy
from tidings.delivery.client import Client, PoolLimits, Reply
from tidings.delivery.dial import tls_context
from tidings.delivery.proxy import Proxy
from tidings.delivery.target import DEFAULT_PORTS, FORBIDDEN_IN_VALUE, RequestTarget
from tidings.model.url import parse_url

BODY_MAX: Final = 512 * 1024
"""The largest response in bytes."""
_tls: Final = cache(partial(tls_context, verify=True))
"""Returns the context that verifies certificates, whatever receivers may do without."""
_EVERYWHERE: Final = AddressPolicy((ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")))


@dataclass(frozen=True, slots=True)
class FetchTarget(RequestTarget):
    """A request with any method and headers of its own."""

    def request(self, msg_id: str, timestamp: int, signature: bytes, body: bytes, *, is_whole: bool = True) -> bytes:
        """Return the request: head and body, or the head alone."""
        del msg_id, timestamp, signature
        return self.head + (body if is_whole else b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetcher:
    """Sends requests to the service at an origin, and to those that it names."""

    trusted_url: str
    """A URL of the settings; its origin may be private."""
    policy: AddressPolicy
    """Which addresses other origins may have."""
    proxy: Proxy | None
    timeout_seconds: float = 10.0

    async def __call__(self, url: str, headers: Mapping[str, str], form: bytes | None = None) -> Fetched:
        """Get a URL, or post a form to it; raise `FetchError` without a complete response. Redirects are results."""
        target = _target(url, headers, form)
        policy = _EVERYWHERE if _origin(url) == _origin(self.trusted_url) else self.policy
        client = Client(
            policy,
            timeout_seconds=self.timeout_seconds,
            limits=PoolLimits(max_body_bytes=BODY_MAX, connections_per_origin=1),
            proxy=self.proxy,
            tls=_tls(),
        )
        try:
            reply = await _sent(client, target, form or b"")
        finally:
            await client.close()
        if not reply.status or reply.is_invalid or reply.error:
            raise FetchError(f"{urlsplit(url).netloc} did not respond: {reply.error or 'invalid response'}")
        if len(reply.body) >= BODY_MAX:
            raise FetchError(f"{urlsplit(url).netloc} responded with {BODY_MAX:,} bytes or more")
        return Fetched(reply.status, reply.body)


async def _sent(client: Client, target: RequestTarget, body: bytes) -> Reply:
    replied: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def done(reply: Reply) -> None:
        if not replied.done():
            replied.set_result(reply)

    client.send(target, "", 0, b"", body, done)
    return await replied


def _origin(url: str) -> tuple[str, str, int]:
    parts = parse_url(url)
    scheme = parts.protocol.removesuffix(":")
    return scheme, parts.hostname, int(parts.port or DEFAULT_PORTS.get(scheme, 0))


def _target(url: str, headers: Mapping[str, str], form: bytes | None) -> FetchTarget:
    """Compile a request; raise `FetchError` for a URL that cannot be requested."""
    try:
        scheme, host, port = _origin(url)
        parts = parse_url(url)
    except ValueError as error:
        raise FetchError("a URL of the provider is not valid") from error
    if scheme not in DEFAULT_PORTS or not port or parts.has_credentials():
        raise FetchError("a URL of the provider is not valid")
    given = {"Host": parts.host, "User-Agent": f"tidings/{__version__}", "Connection": "close", **headers}
    if form is not None:
        given |= {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(form))}
    lines = [f"{'GET' if form is None else 'POST'} {parts.pathname + parts.search} HTTP/1.1".encode()]
    for name, value in given.items():
        if FORBIDDEN_IN_VALUE.search(value.encode()):
            raise FetchError("a header has a control character")
        lines.append(f"{name}: {value}".encode())
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    return FetchTarget(f"{scheme}://{host}:{port}", scheme, host.strip("[]"), port, head, b"", b"", b"")
