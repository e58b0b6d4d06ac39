# SPDX-License-Identifier: MIT
"""Protection against server-side request forgery (SSRF): which addresses a request may be sent to.

Customers choose the URLs, and this process runs inside the operator's network. So the policy checks the address, not
the name, and the client connects to the address that was checked: no DNS lookup happens between check and connection.

A host reaches an address in one of three ways:

- A literal (`10.0.0.1`, `[::1]`) is checked as written.
- An IPv4 literal in any form that `inet_aton` accepts (`2130706433`, `0x7f.1`, `0177.0.0.1`) is parsed as the C library
  parses it. A host whose last label is a number, but which is not a valid address, is never looked up in DNS.
- Any other name is resolved, and each of its addresses is checked. Blocked addresses are dropped: a name with a public
  and a private address is called only at the public one. No name is exempt, not even `localhost`.

An IPv6 address can embed an IPv4 address that a gateway extracts. A mapped address (`::ffff:10.0.0.1`) is treated as
the IPv4 address, as sockets do. The other forms (NAT64, 6to4, Teredo, ISATAP, IPv4-compatible, IPv4-translated) are
blocked, whichever address they embed. Only global unicast (2000::/3) is allowed: all other IPv6 addresses are local,
special or unassigned. A NAT64 prefix taken from the operator's own global addresses cannot be recognized, so metadata
addresses are searched for at each position where RFC 6052 embeds an IPv4 address.

The operator's allow-list exempts subnets. It never exempts the metadata services of clouds, embedded or not: they
return the machine's credentials to any client, and no webhook receiver has such an address.

The owner of the endpoint reads the error. It names the setting that would help, but not the address that a name
resolved to, because that would reveal the internal DNS.
"""

import asyncio
import contextlib
import errno
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from time import monotonic
from typing import Final, TypeAlias

from tidings.model import attempt
from tidings.observe import failure

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
LookUp: TypeAlias = Callable[[str], Awaitable[Iterable[str]]]

SETTING: Final = "TIDINGS_WHITELIST_SUBNETS"
BLOCKED_TEXT: Final = attempt.BLOCKED_TEXT
HINT: Final = f"; the server's operator can allow a range with {SETTING}"
METADATA_HINT: Final = "; addresses of cloud metadata services can never be allowed"

BLOCKED: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link local
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "::/3",  # loopback, IPv4-compatible, IPv4-translated, NAT64, discard, segment routing
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
        "4000::/2",  # unassigned
        "8000::/1",  # unique local, link local, site local, multicast
    )
)

METADATA: Final[frozenset[Address]] = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # most clouds
        "169.254.169.250",  # Rancher
        "169.254.169.252",  # Google, Kubernetes nodes
        "169.254.170.2",  # AWS, containers
        "169.254.170.23",  # AWS, pods
        "169.254.0.23",  # Tencent
        "169.254.10.10",  # Tencent
        "169.254.42.42",  # Scaleway
        "100.100.100.200",  # Alibaba
        "100.80.80.80",  # UCloud
        "100.96.0.96",  # Volcano Engine
        "168.63.129.16",  # Azure
        "192.0.0.192",  # Oracle
        "fd00:100::100:200",  # Alibaba
        "fd00:42::42",  # Scaleway
        "fd00:a9fe:a9fe::1",  # Akamai
        "fd00:c1::a9fe:a9fe",  # Oracle
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS, pods
        "fd20:ce::254",  # Google
        "fe80::a9fe:a9fe",  # OpenStack
        "fe80::1234:5678:9abc",  # Azure
    )
)

# If the proxy resolves names, this process cannot check their addresses, so it blocks the names of private networks:
# those of RFC 6761, RFC 6762, RFC 8375 and RFC 9476, ICANN's `internal`, and unregistered names in common use.
LOCAL_NAMES: Final = frozenset(
    (
        *("localhost", "localdomain", "local", "home.arpa", "internal", "private", "intranet", "lan", "home", "corp"),
        *("mail", "test", "invalid", "example", "alt", "onion", "in-addr.arpa", "ip6.arpa"),
        *("metadata.tencentyun.com", "metadata.platformequinix.com", "metadata.packet.net"),
    )
)
LOCAL_HINT: Final = "; the proxy resolves names, and this name belongs to a private network"
MAX_NAME_LENGTH: Final = 253
MAX_LABEL_LENGTH: Final = 63

# Errors that report a resource limit of this process, not a fault of the host.
OUR_LIMITS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EADDRNOTAVAIL})
CACHE_SECONDS: Final = 5.0
CACHE_HOSTS: Final = 10_000
MAX_ADDRESSES: Final = 8


class AddressError(Exception):
    """There is no address to connect to; the text is stored with the attempt."""


class BlockedError(AddressError):
    """The policy blocks every address of the host."""


class UnresolvedError(AddressError):
    """No address of the host was found."""


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """The addresses that requests may be sent to; pure."""

    allowed_subnets: tuple[Network, ...] = ()

    @classmethod
    def of(cls, subnets: Iterable[str]) -> "AddressPolicy":
        """Parse subnets in CIDR notation. Host bits may be set. Raises ValueError, which names the invalid subnet."""
        return cls(tuple(_unmapped(ip_network(text.strip(), strict=False)) for text in subnets))

    def blocked(self, ip: Address) -> bool:
        """Return whether the policy blocks an address."""
        address = plain(ip)
        if is_metadata(address):
            return True
        if any(address in network for network in self.allowed_subnets):
            return False
        return _is_isatap(address) or any(address in network for network in BLOCKED)

    def vet(self, addresses: Iterable[Address]) -> tuple[str, ...]:
        """Return the allowed addresses, IPv4 first, else in the given order. Raises AddressError if there are none."""
        distinct = list(dict.fromkeys(plain(address) for address in addresses))
        allowed = [address for address in distinct if not self.blocked(address)]
        if not distinct:
            raise UnresolvedError("error resolving name: it has no address")
        if not allowed:
            raise BlockedError(BLOCKED_TEXT + (METADATA_HINT if all(map(is_metadata, distinct)) else HINT))
        allowed.sort(key=lambda address: address.version)
        return tuple(str(address) for address in allowed[:MAX_ADDRESSES])


def is_public(address: str) -> bool:
    """Return whether an address is public, regardless of the operator's allow-list."""
    return not AddressPolicy().blocked(ip_address(address))


def is_metadata(address: Address) -> bool:
    """Return whether an address is, or embeds, the address of a cloud metadata service."""
    return address in METADATA or not METADATA.isdisjoint(_embedded(address))


def public_name(host: str) -> str:
    """Return a name that a proxy may resolve, without its final dot. Raises AddressError for a private name."""
    name = host.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > MAX_NAME_LENGTH or not all(0 < len(label) <= MAX_LABEL_LENGTH for label in labels):
        raise UnresolvedError(f"error resolving name: {host}: not a valid host name")
    is_local = len(labels) == 1 or any(".".join(labels[place:]) in LOCAL_NAMES for place in range(len(labels)))
    if is_local:
        raise BlockedError(BLOCKED_TEXT + LOCAL_HINT)
    return name


def plain(ip: Address) -> Address:
    """Return the address that sockets use: a mapped address as IPv4, and an IPv6 address without its zone."""
    if isinstance(ip, IPv6Address):
        return ip.ipv4_mapped or IPv6Address(int(ip))  # no range depends on the zone
    return ip


def _embedded(address: Address) -> list[Address]:
    """Return the IPv4 addresses that a gateway could extract from an IPv6 address."""
    if isinstance(address, IPv4Address):
        return []
    found: list[Address | None] = [address.sixtofour, *(address.teredo or ())]
    found.append(IPv4Address(address.packed[12:]))  # NAT64, ISATAP, IPv4-compatible, IPv4-translated
    if address.packed[8] == 0:
        halves = address.packed[:8] + address.packed[9:]  # RFC 6052 section 2.2: byte 8 is always zero
        found += [IPv4Address(halves[place : place + 4]) for place in range(4, 9)]
    return [each for each in found if each is not None]


def _is_isatap(address: Address) -> bool:
    """Return whether an interface identifier embeds an IPv4 address (RFC 5214 section 6.1), under any prefix."""
    return isinstance(address, IPv6Address) and (int(address) >> 32) & 0xFDFF_FFFF == 0x5EFE  # noqa: PLR2004


def _unmapped(network: Network) -> Network:
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < 96:  # noqa: PLR2004 (the IPv4 part of a mapped address starts here)
        return network
    return IPv4Network((mapped, network.prefixlen - 96))


def parse_literal(host: str) -> Address | None:
    """Return the address that a host spells, or None for a name. Raises UnresolvedError for an invalid address."""
    if ":" in host:
        try:
            return IPv6Address(host.strip("[]"))
        except ValueError:
            raise UnresolvedError(f"error resolving name: {host} is not a valid address") from None
    parts = host.removesuffix(".").split(".")
    if not _is_number(parts[-1]):
        return None
    address = _inet_aton(parts)
    if address is None:
        raise UnresolvedError(f"error resolving name: {host} is not a valid address")
    return address


def _is_number(part: str) -> bool:
    return part.isascii() and (part.isdigit() or _number(part) is not None)


def _number(part: str) -> int | None:
    """Parse a number as C does: the prefix `0x` means hexadecimal, a leading 0 means octal."""
    digits, base = part.lower(), 10
    if digits.startswith("0x"):
        digits, base = digits[2:] or "0", 16
    elif digits.startswith("0"):
        digits, base = digits[1:] or "0", 8
    if not digits.isalnum() or len(digits) > 64:  # noqa: PLR2004 (int() is slow for long input)
        return None
    try:
        return int(digits, base)
    except ValueError:
        return None


def _inet_aton(parts: list[str]) -> IPv4Address | None:
    """Parse one to four numbers; the last one fills the remaining bytes."""
    if len(parts) > 4:  # noqa: PLR2004 (bytes in an address)
        return None
    numbers = [_number(part) for part in parts]
    value = 0
    for place, number in enumerate(numbers):
        is_last = place == len(numbers) - 1
        room = 8 * (4 - place) if is_last else 8
        if number is None or number >> room:
            return None
        value |= number if is_last else number << (24 - 8 * place)
    return IPv4Address(value)


@dataclass(frozen=True, slots=True)
class _CachedResult:
    addresses: tuple[str, ...]
    error: tuple[type[AddressError], str] | None
    until: float

    def unwrap(self) -> tuple[str, ...]:
        if self.error is not None:
            kind, text = self.error
            raise kind(text)  # not the cached instance: it would accumulate tracebacks
        return self.addresses


class Resolver:
    """Resolves hosts to the addresses that requests may be sent to. Caches errors like addresses."""

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        look_up: LookUp,
        cache_seconds: float = CACHE_SECONDS,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._policy = policy
        self._ask = look_up
        self._cache_seconds = cache_seconds
        self._now = now
        self._cached: dict[str, _CachedResult] = {}
        self._lookups: dict[str, asyncio.Task[_CachedResult]] = {}

    def __len__(self) -> int:
        """Return the number of cached hosts."""
        return len(self._cached)

    def known(self, host: str) -> tuple[str, ...] | None:
        """Return the addresses of a cached or literal host, or None. Raises AddressError for a cached error."""
        cached = self._cached.get(host)
        if cached is not None and self._now() < cached.until:
            return cached.addresses if cached.error is None else cached.unwrap()
        literal = parse_literal(host)
        if literal is None:
            return None
        return self._cache(host, self._check([literal], until=float("inf"))).unwrap()

    async def resolve(self, host: str) -> tuple[str, ...]:
        """Return the addresses to try, best first. One lookup per host runs at a time. Raises AddressError."""
        known = self.known(host)
        if known is not None:
            return known
        lookup = self._lookups.get(host)
        if lookup is None:
            lookup = self._lookups[host] = asyncio.create_task(self._look_up(host))
            lookup.add_done_callback(lambda done: self._lookup_done(host, done))
        return (await asyncio.shield(lookup)).unwrap()  # a canceled caller must not cancel the lookup of the others

    async def close(self) -> None:
        """Cancel the lookups in progress."""
        lookups = list(self._lookups.values())
        for lookup in lookups:
            lookup.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*lookups, return_exceptions=True)

    async def _look_up(self, host: str) -> _CachedResult:
        try:
            addresses = [ip_address(text) for text in await self._ask(host)]
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in OUR_LIMITS:
                raise  # a fault of this process, not of the host
            text = _unresolved_text(host, error)
            return self._cache(host, _CachedResult((), (UnresolvedError, text), self._now() + self._cache_seconds))
        return self._cache(host, self._check(addresses, self._now() + self._cache_seconds))

    def _lookup_done(self, host: str, lookup: asyncio.Task[_CachedResult]) -> None:
        self._lookups.pop(host, None)
        error = None if lookup.cancelled() else lookup.exception()
        if error is not None and not isinstance(error, OSError | AddressError):
            failure("looking up a host", error)

    def _check(self, addresses: Iterable[Address], until: float) -> _CachedResult:
        try:
            return _CachedResult(self._policy.vet(addresses), None, until)
        except AddressError as error:
            return _CachedResult((), (type(error), str(error)), until)

    def _cache(self, host: str, result: _CachedResult) -> _CachedResult:
        self._cached.pop(host, None)
        while len(self._cached) >= CACHE_HOSTS:
            del self._cached[next(iter(self._cached))]  # the oldest entry
        self._cached[host] = result
        return result


def _unresolved_text(host: str, error: Exception) -> str:
    cause = (error.strerror or str(error)) if isinstance(error, OSError) else "not a valid host name"
    return f"error resolving name: {host}: {cause}"
