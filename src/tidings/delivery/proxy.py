# SPDX-License-Identifier: MIT
"""Connect to receivers through a proxy: `http`, `https` or `socks5`.

A proxy that resolves names decides which addresses are called. So this process resolves names and checks addresses as
without a proxy, and sends the proxy the checked address. TLS inside the tunnel and the request itself still use the
receiver's name. If only the proxy has DNS, the operator can let it resolve names (`resolves_names`). Then literal
addresses are still checked here, names of private networks are blocked, and the proxy must check all other addresses.
Plain HTTP also goes through a tunnel: then every response is certainly the receiver's, and the rest of the client is
independent of proxies.

The error of an attempt says how the proxy failed, but not its address or credentials, because the owner of the
endpoint reads it. The log has the cause for the operator, at most once a minute: a proxy that is down fails every
attempt.

Sources: RFC 9110 section 9.3.6 (CONNECT), RFC 1928 (SOCKS 5), RFC 1929 (user names and passwords in SOCKS 5).
"""

import asyncio
import base64
import re
import ssl
from asyncio import Protocol as StreamProtocol
from asyncio import Transport
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from time import monotonic
from typing import Final, cast
from urllib.parse import unquote_to_bytes, urlsplit

from tidings.delivery.address import (
    OUR_LIMITS,
    AddressError,
    AddressPolicy,
    LookUp,
    Network,
    Resolver,
    UnresolvedError,
    parse_literal,
    plain,
    public_name,
)
from tidings.delivery.connection import ReceiverConnection, cause_of
from tidings.delivery.dial import (
    SHUTDOWN_SECONDS,
    AddressesError,
    DirectDialer,
    Failures,
    Origin,
    ProxyError,
    TunnelError,
    in_turn,
)
from tidings.logs import log

DEFAULT_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080}
MAX_HEAD_BYTES: Final = 16_384
MAX_CREDENTIAL_BYTES: Final = 255
STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")
PROTOCOL: Final = b"HTTP/1."
LOG_SECONDS: Final = 60.0

SOCKS: Final = 5
NO_PASSWORD: Final = 0
PASSWORD: Final = 2
CONNECT: Final = 1
ADDRESS_SIZES: Final = {1: 4, 4: 16}
IPV4, NAME, IPV6 = 1, 3, 4
SOCKS_CAUSES: Final = {
    1: "general failure",
    2: "connection not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "time to live expired",
}

GARBAGE: Final = "the proxy sent an invalid response"
CREDENTIALS: Final = "the proxy rejected the credentials"
CLOSED: Final = "the proxy closed the connection"

# The operator configures the proxy, so it may be in any network.
ANYWHERE: Final = AddressPolicy.of(["0.0.0.0/0", "::/0"])


@dataclass(frozen=True, slots=True)
class Bypass:
    """The hosts that are called without the proxy.

    A name matches itself and its subdomains. An address or a subnet matches hosts that are literal addresses, in any
    spelling, but never the addresses of a name. `*` matches every host.
    """

    names: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, rules: Iterable[str]) -> "Bypass":
        """Parse addresses, subnets and names. Raises ValueError, which names the invalid subnet."""
        names, networks = set(), []
        for rule in filter(None, (rule.strip().lower() for rule in rules)):
            try:
                networks.append(ip_network(rule.strip("[]"), strict=False))
            except ValueError:
                if "/" in rule:
                    raise
                names.add(rule.strip("."))
        return cls(frozenset(names), tuple(networks))

    def covers(self, host: str) -> bool:
        """Return whether a host is called without the proxy."""
        if "*" in self.names:
            return True
        try:
            literal = parse_literal(host)
        except UnresolvedError:
            return False  # an invalid host is never called
        if literal is not None:
            return any(plain(literal) in network for network in self.networks)
        labels = host.removesuffix(".").split(".")
        return any(".".join(labels[place:]) in self.names for place in range(len(labels)))


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, its credentials, and the hosts that bypass it."""

    scheme: str
    host: str
    port: int
    credentials: tuple[bytes, bytes] | None = field(default=None, repr=False)
    bypass: Bypass = Bypass()
    resolves_names: bool = False
    """Whether the proxy, and not this process, resolves the names of receivers."""

    @classmethod
    def of(cls, url: str, noproxy: Iterable[str] = (), *, resolves_names: bool = False) -> "Proxy":
        """Parse a proxy URL. Raises ValueError if it is invalid; the text does not repeat the URL, which is secret."""
        parts = urlsplit(url)
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise ValueError("a proxy URL must be http://, https:// or socks5:// with a host")
        user, password = unquote_to_bytes(parts.username or ""), unquote_to_bytes(parts.password or "")
        if max(len(user), len(password)) > MAX_CREDENTIAL_BYTES:
            raise ValueError(f"a proxy user name and password must have at most {MAX_CREDENTIAL_BYTES} bytes each")
        return cls(
            parts.scheme,
            parts.hostname,
            parts.port or DEFAULT_PORTS[parts.scheme],
            (user, password) if user or password else None,
            Bypass.of(noproxy),
            resolves_names,
        )


class _ProxyConnection(StreamProtocol):
    """A connection to the proxy until the tunnel is open; then a `ReceiverConnection` takes over its transport."""

    def __init__(self) -> None:
        self._transport: Transport
        self._received = bytearray()
        self._is_closed = True  # until it is connected
        self._changed = asyncio.Event()

    def connection_made(self, transport: object) -> None:
        self._transport = cast("Transport", transport)
        self._is_closed = False

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._changed.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - every cause has the same effect
        self._is_closed = True
        self._changed.set()

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    async def exactly(self, count: int) -> bytes:
        """Read exactly `count` bytes."""
        while len(self._received) < count:
            await self._more()
        data = bytes(self._received[:count])
        del self._received[:count]
        return data

    async def head(self) -> bytes:
        """Read the head of an HTTP response."""
        while (end := self._received.find(b"\r\n\r\n")) < 0:
            if len(self._received) > MAX_HEAD_BYTES or not PROTOCOL.startswith(self._received[: len(PROTOCOL)]):
                raise ProxyError(GARBAGE)
            await self._more()
        return await self.exactly(end + 4)

    def tunnel(self) -> Transport:
        """Return the transport to the receiver. Raises ProxyError if it is closed or has unexpected data."""
        if self._received:
            raise ProxyError(GARBAGE)
        if self._is_closed or self._transport.is_closing():
            raise ProxyError(CLOSED)
        return self._transport

    def abort(self) -> None:
        if not self._is_closed:
            self._transport.abort()

    async def _more(self) -> None:
        if self._is_closed:
            raise ProxyError(CLOSED)
        self._changed.clear()
        await self._changed.wait()


class ProxyDialer:
    """Connects to receivers through a proxy, or directly if the bypass covers the host."""

    def __init__(self, proxy: Proxy, resolver: Resolver, look_up: LookUp, tls: ssl.SSLContext) -> None:
        """`resolver` resolves and checks receivers; `look_up` resolves the proxy itself. `tls` is used for both."""
        self._proxy = proxy
        self._resolver = resolver
        self._proxy_resolver = Resolver(ANYWHERE, look_up=look_up)
        self._tls = tls
        self._direct = DirectDialer(resolver, tls)
        self._log_at = 0.0

    async def connect(
        self, origin: Origin, make: Callable[[], ReceiverConnection], ends_at: float, failures: Failures
    ) -> None:
        """Connect through the proxy; the receiver's addresses are tried in order."""
        if self._proxy.bypass.covers(origin.host):
            await self._direct.connect(origin, make, ends_at, failures)
            return
        addresses = await self._destinations(origin.host)
        try:
            await in_turn(addresses, ends_at, lambda address: self._tunnel(address, origin, make, ends_at), failures)
        except ProxyError as error:
            self._log(error)
            raise

    async def close(self) -> None:
        await self._proxy_resolver.close()
        await self._direct.close()

    async def _destinations(self, host: str) -> tuple[str, ...]:
        """Return the destinations for the proxy: the checked addresses of a host, or its name if the proxy resolves."""
        if self._proxy.resolves_names and parse_literal(host) is None:
            return (public_name(host),)
        return await self._resolver.resolve(host)

    async def _tunnel(
        self, address: str, origin: Origin, make: Callable[[], ReceiverConnection], ends_at: float
    ) -> None:
        stream = await self._reach(ends_at)
        try:
            opening = _open_socks if self._proxy.scheme == "socks5" else _open_http
            await opening(stream, self._proxy, address, origin.port)
            inside = await self._encrypted(stream, origin.host) if origin.scheme == "https" else stream
            transport, connection = inside.tunnel(), make()
            transport.set_protocol(connection)
            connection.connection_made(transport)
        except BaseException:
            stream.abort()
            raise

    async def _reach(self, ends_at: float) -> _ProxyConnection:
        """Connect to the proxy."""
        try:
            addresses = await self._proxy_resolver.resolve(self._proxy.host)
            return await in_turn(addresses, ends_at, self._call, [])
        except AddressError as error:
            raise ProxyError("the proxy's name cannot be resolved") from error
        except OSError as error:
            if error.errno in OUR_LIMITS:
                raise
            last = error.last if isinstance(error, AddressesError) else error
            if isinstance(last, ssl.SSLError):
                raise ProxyError("the TLS handshake with the proxy failed") from error
            raise ProxyError(f"the proxy cannot be reached: {cause_of(last)}") from error

    async def _call(self, address: str) -> _ProxyConnection:
        stream, proxy = _ProxyConnection(), self._proxy
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: stream,
                address,
                proxy.port,
                ssl=self._tls if proxy.scheme == "https" else None,
                server_hostname=proxy.host if proxy.scheme == "https" else None,
            )
        except BaseException:
            stream.abort()  # a cancellation can come after the socket has connected
            raise
        return stream

    async def _encrypted(self, stream: _ProxyConnection, host: str) -> _ProxyConnection:
        """Start TLS with the receiver through the tunnel."""
        inside = _ProxyConnection()
        transport = await asyncio.get_running_loop().start_tls(
            stream.tunnel(),
            inside,
            self._tls,
            server_hostname=host.removesuffix("."),
            ssl_shutdown_timeout=SHUTDOWN_SECONDS,
        )
        inside.connection_made(transport)
        return inside

    def _log(self, error: ProxyError) -> None:
        if monotonic() >= self._log_at:
            self._log_at = monotonic() + LOG_SECONDS
            cause = f" ({error.__cause__})" if error.__cause__ else ""
            log.error("proxy.failed", "cannot connect through the proxy", error=f"{error}{cause}")


async def _open_http(stream: _ProxyConnection, proxy: Proxy, address: str, port: int) -> None:
    authority = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    request = [f"CONNECT {authority} HTTP/1.1".encode(), f"Host: {authority}".encode()]
    if proxy.credentials is not None:
        request.append(b"Proxy-Authorization: Basic " + base64.b64encode(b":".join(proxy.credentials)))
    stream.write(b"\r\n".join([*request, b"", b""]))
    match = STATUS_LINE.match(await stream.head())
    if match is None:
        raise ProxyError(GARBAGE)
    status = int(match[1])
    if status == 407:  # noqa: PLR2004 - Proxy Authentication Required
        raise ProxyError(CREDENTIALS)
    if not 200 <= status <= 299:  # noqa: PLR2004 - the class of success
        raise TunnelError(f"the proxy responded {status}")


async def _open_socks(stream: _ProxyConnection, proxy: Proxy, address: str, port: int) -> None:
    methods = bytes([NO_PASSWORD] if proxy.credentials is None else [NO_PASSWORD, PASSWORD])
    stream.write(bytes([SOCKS, len(methods)]) + methods)
    version, method = await stream.exactly(2)
    if version != SOCKS:
        raise ProxyError(GARBAGE)
    if method not in methods:
        raise ProxyError(CREDENTIALS)
    if method == PASSWORD and proxy.credentials is not None:
        user, password = proxy.credentials
        stream.write(b"\x01" + bytes([len(user)]) + user + bytes([len(password)]) + password)
        if (await stream.exactly(2))[1] != 0:
            raise ProxyError(CREDENTIALS)
    stream.write(bytes([SOCKS, CONNECT, 0]) + _socks_destination(address) + port.to_bytes(2, "big"))
    await _read_socks_response(stream)


def _socks_destination(address: str) -> bytes:
    """Encode an address or a name, RFC 1928 section 5."""
    if parse_literal(address) is None:
        name = address.encode("ascii")
        return bytes([NAME, len(name)]) + name
    packed = ip_address(address).packed
    return bytes([IPV4 if len(packed) == ADDRESS_SIZES[IPV4] else IPV6]) + packed


async def _read_socks_response(stream: _ProxyConnection) -> None:
    version, reply, _, kind = await stream.exactly(4)
    if version != SOCKS:
        raise ProxyError(GARBAGE)
    if reply != 0:
        raise TunnelError(f"the proxy responded: {SOCKS_CAUSES.get(reply, f'error {reply}')}")
    if kind not in (IPV4, NAME, IPV6):
        raise ProxyError(GARBAGE)
    size = (await stream.exactly(1))[0] if kind == NAME else ADDRESS_SIZES[kind]
    await stream.exactly(size + 2)  # the proxy's own address and port, which are not used
