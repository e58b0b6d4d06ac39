# SPDX-License-Identifier: MIT
"""The way out through a proxy: `http`, `https` or `socks5`.

A proxy would look names up itself, and then it would be the one that decides which addresses are called. So names are
resolved and vetted here, as without a proxy, and the proxy is asked for the address that was vetted; the receiver's
name is in the TLS inside, and in the request. Where the proxy alone has DNS, the operator can let it resolve names
(`resolves_names`): then literal addresses are vetted here as always, names of private networks are refused, and the
proxy answers for the addresses of all others. Plain HTTP goes through a tunnel, too: only then is the answer surely
the receiver's, and the rest of the client need not know of proxies.

What is told to an endpoint's owner says what the proxy did, but neither where it is nor how we are known to it. The
operator gets that in the log, once in a while: a proxy that is down fails every attempt.

Sources: RFC 9110 section 9.3.6 (CONNECT), RFC 1928 (SOCKS 5), RFC 1929 (its user names and passwords).
"""

import asyncio
import base64
import logging
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

DEFAULT_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080}
MAX_HEAD_BYTES: Final = 16_384
MAX_CREDENTIAL_BYTES: Final = 255
STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")
PROTOCOL: Final = b"HTTP/1."
COMPLAIN_SECONDS: Final = 60.0

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

GARBAGE: Final = "the proxy's answer makes no sense"
CREDENTIALS: Final = "the proxy does not accept our credentials"
CLOSED: Final = "the proxy closed the connection"

# The operator names the proxy, so it may be in any network.
ANYWHERE: Final = AddressPolicy.of(["0.0.0.0/0", "::/0"])

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bypass:
    """Which hosts are called without the proxy.

    A name stands for itself and what is below it. An address or a subnet counts for hosts that are written as
    addresses, in any spelling, and never for what a name resolves to. `*` is every host.
    """

    names: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, rules: Iterable[str]) -> "Bypass":
        """Read addresses, subnets and names. ValueError names a subnet that is none."""
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
        """Tell whether a host is called without the proxy."""
        if "*" in self.names:
            return True
        try:
            literal = parse_literal(host)
        except UnresolvedError:
            return False  # nor will it be called at all
        if literal is not None:
            return any(plain(literal) in network for network in self.networks)
        labels = host.removesuffix(".").split(".")
        return any(".".join(labels[place:]) in self.names for place in range(len(labels)))


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, who we are to it, and whom it is not for."""

    scheme: str
    host: str
    port: int
    credentials: tuple[bytes, bytes] | None = field(default=None, repr=False)
    bypass: Bypass = Bypass()
    resolves_names: bool = False
    """Whether the proxy, and not this process, resolves the names of receivers."""

    @classmethod
    def of(cls, url: str, noproxy: Iterable[str] = (), *, resolves_names: bool = False) -> "Proxy":
        """Read a proxy's URL. ValueError for one that cannot be used; it does not repeat the URL."""
        parts = urlsplit(url)
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise ValueError("a proxy is http://, https:// or socks5:// and a host")
        user, password = unquote_to_bytes(parts.username or ""), unquote_to_bytes(parts.password or "")
        if max(len(user), len(password)) > MAX_CREDENTIAL_BYTES:
            raise ValueError(f"a proxy's user name and password have at most {MAX_CREDENTIAL_BYTES} bytes each")
        return cls(
            parts.scheme,
            parts.hostname,
            parts.port or DEFAULT_PORTS[parts.scheme],
            (user, password) if user or password else None,
            Bypass.of(noproxy),
            resolves_names,
        )


class _Line(StreamProtocol):
    """A connection while we talk to the proxy; what it carries then is handed over to a `ReceiverConnection`."""

    def __init__(self) -> None:
        self._transport: Transport
        self._said = bytearray()
        self._is_over = True  # until it is made
        self._news = asyncio.Event()

    def connection_made(self, transport: object) -> None:
        self._transport = cast("Transport", transport)
        self._is_over = False

    def data_received(self, data: bytes) -> None:
        self._said += data
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the proxy's doing, whichever way
        self._is_over = True
        self._news.set()

    def say(self, data: bytes) -> None:
        self._transport.write(data)

    async def exactly(self, count: int) -> bytes:
        """Read so many bytes."""
        while len(self._said) < count:
            await self._more()
        data = bytes(self._said[:count])
        del self._said[:count]
        return data

    async def head(self) -> bytes:
        """Read the head of an HTTP answer."""
        while (end := self._said.find(b"\r\n\r\n")) < 0:
            if len(self._said) > MAX_HEAD_BYTES or not PROTOCOL.startswith(self._said[: len(PROTOCOL)]):
                raise ProxyError(GARBAGE)
            await self._more()
        return await self.exactly(end + 4)

    def tunnel(self) -> Transport:
        """Return the way to the receiver, on which nobody has said anything yet."""
        if self._said:
            raise ProxyError(GARBAGE)
        if self._is_over or self._transport.is_closing():
            raise ProxyError(CLOSED)
        return self._transport

    def abort(self) -> None:
        if not self._is_over:
            self._transport.abort()

    async def _more(self) -> None:
        if self._is_over:
            raise ProxyError(CLOSED)
        self._news.clear()
        await self._news.wait()


class ProxyDialer:
    """Connects to receivers through a proxy; to those that the bypass covers, directly."""

    def __init__(self, proxy: Proxy, resolver: Resolver, look_up: LookUp, tls: ssl.SSLContext) -> None:
        """`resolver` vets receivers; `look_up` finds the proxy itself. `tls` is for both."""
        self._proxy = proxy
        self._resolver = resolver
        self._near = Resolver(ANYWHERE, look_up=look_up)
        self._tls = tls
        self._direct = DirectDialer(resolver, tls)
        self._complain_at = 0.0

    async def connect(
        self, origin: Origin, make: Callable[[], ReceiverConnection], ends_at: float, failures: Failures
    ) -> None:
        """Have the proxy try the receiver's addresses in turn."""
        if self._proxy.bypass.covers(origin.host):
            await self._direct.connect(origin, make, ends_at, failures)
            return
        addresses = await self._destinations(origin.host)
        try:
            await in_turn(addresses, ends_at, lambda address: self._tunnel(address, origin, make, ends_at), failures)
        except ProxyError as error:
            self._complain(error)
            raise

    async def close(self) -> None:
        await self._near.close()
        await self._direct.close()

    async def _destinations(self, host: str) -> tuple[str, ...]:
        """Return what the proxy is asked for: the vetted addresses of a host, or its name where the proxy resolves."""
        if self._proxy.resolves_names and parse_literal(host) is None:
            return (public_name(host),)
        return await self._resolver.resolve(host)

    async def _tunnel(
        self, address: str, origin: Origin, make: Callable[[], ReceiverConnection], ends_at: float
    ) -> None:
        line = await self._reach(ends_at)
        try:
            opening = _open_socks if self._proxy.scheme == "socks5" else _open_http
            await opening(line, self._proxy, address, origin.port)
            inside = await self._encrypted(line, origin.host) if origin.scheme == "https" else line
            transport, connection = inside.tunnel(), make()
            transport.set_protocol(connection)
            connection.connection_made(transport)
        except BaseException:
            line.abort()
            raise

    async def _reach(self, ends_at: float) -> _Line:
        """Connect to the proxy."""
        try:
            addresses = await self._near.resolve(self._proxy.host)
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

    async def _call(self, address: str) -> _Line:
        line, proxy = _Line(), self._proxy
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: line,
                address,
                proxy.port,
                ssl=self._tls if proxy.scheme == "https" else None,
                server_hostname=proxy.host if proxy.scheme == "https" else None,
            )
        except BaseException:
            line.abort()  # it may be connected all the same, if we are cancelled at the last point
            raise
        return line

    async def _encrypted(self, line: _Line, host: str) -> _Line:
        """Shake hands with the receiver through the tunnel."""
        inside = _Line()
        transport = await asyncio.get_running_loop().start_tls(
            line.tunnel(),
            inside,
            self._tls,
            server_hostname=host.removesuffix("."),
            ssl_shutdown_timeout=SHUTDOWN_SECONDS,
        )
        inside.connection_made(transport)
        return inside

    def _complain(self, error: ProxyError) -> None:
        if monotonic() >= self._complain_at:
            self._complain_at = monotonic() + COMPLAIN_SECONDS
            logger.error("no way through the proxy: %s%s", error, f" ({error.__cause__})" if error.__cause__ else "")


async def _open_http(line: _Line, proxy: Proxy, address: str, port: int) -> None:
    authority = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    request = [f"CONNECT {authority} HTTP/1.1".encode(), f"Host: {authority}".encode()]
    if proxy.credentials is not None:
        request.append(b"Proxy-Authorization: Basic " + base64.b64encode(b":".join(proxy.credentials)))
    line.say(b"\r\n".join([*request, b"", b""]))
    match = STATUS_LINE.match(await line.head())
    if match is None:
        raise ProxyError(GARBAGE)
    status = int(match[1])
    if status == 407:  # noqa: PLR2004 - Proxy Authentication Required
        raise ProxyError(CREDENTIALS)
    if not 200 <= status <= 299:  # noqa: PLR2004 - the class of success
        raise TunnelError(f"the proxy answered {status}")


async def _open_socks(line: _Line, proxy: Proxy, address: str, port: int) -> None:
    methods = bytes([NO_PASSWORD] if proxy.credentials is None else [NO_PASSWORD, PASSWORD])
    line.say(bytes([SOCKS, len(methods)]) + methods)
    version, method = await line.exactly(2)
    if version != SOCKS:
        raise ProxyError(GARBAGE)
    if method not in methods:
        raise ProxyError(CREDENTIALS)
    if method == PASSWORD and proxy.credentials is not None:
        user, password = proxy.credentials
        line.say(b"\x01" + bytes([len(user)]) + user + bytes([len(password)]) + password)
        if (await line.exactly(2))[1] != 0:
            raise ProxyError(CREDENTIALS)
    line.say(bytes([SOCKS, CONNECT, 0]) + _socks_destination(address) + port.to_bytes(2, "big"))
    await _take_socks_answer(line)


def _socks_destination(address: str) -> bytes:
    """Encode an address or a name, RFC 1928 section 5."""
    if parse_literal(address) is None:
        name = address.encode("ascii")
        return bytes([NAME, len(name)]) + name
    packed = ip_address(address).packed
    return bytes([IPV4 if len(packed) == ADDRESS_SIZES[IPV4] else IPV6]) + packed


async def _take_socks_answer(line: _Line) -> None:
    version, reply, _, kind = await line.exactly(4)
    if version != SOCKS:
        raise ProxyError(GARBAGE)
    if reply != 0:
        raise TunnelError(f"the proxy answered: {SOCKS_CAUSES.get(reply, f'error {reply}')}")
    if kind not in (IPV4, NAME, IPV6):
        raise ProxyError(GARBAGE)
    size = (await line.exactly(1))[0] if kind == NAME else ADDRESS_SIZES[kind]
    await line.exactly(size + 2)  # where the proxy calls from, which is of no use here
