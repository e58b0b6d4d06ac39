# SPDX-License-Identifier: MIT
"""The guard against requests that a user aims at the operator's own network (SSRF).

Users choose the URLs we call, and we stand inside the operator's network. So the address is judged, not the name, and
the address that was judged is the one that is dialled: between the check and the connection no name is looked up again.

Three spellings lead to an address, and all come through here. A literal (`10.0.0.1`, `[::1]`) is judged as it stands.
An IPv4 literal in any form that `inet_aton` takes (`2130706433`, `0x7f.1`, `0177.0.0.1`) is first read the way the C
library would read it; a host whose last label is a number but which is no address never reaches DNS. Any other name is
resolved, every address in the answer is judged, and the refused ones are dropped: a name that has a public and a
private address is called at the public one only. No name is exempt, `localhost` least of all.

An IPv6 address can carry an IPv4 address that some gateway unwraps. A mapped one (`::ffff:10.0.0.1`) is the IPv4
address, as sockets see it. The others (NAT64, 6to4, Teredo, ISATAP, IPv4-compatible, IPv4-translated) are refused
whatever they carry. Of IPv6 only global unicast (2000::/3) can be called: everything else is local, special or
unassigned. A NAT64 prefix out of the operator's own global addresses cannot be recognized; metadata services are
looked for at each place where RFC 6052 puts an IPv4 address.

The operator's allow-list exempts subnets. It never exempts the metadata services of clouds, not even inside a
carrier: they hand the machine's credentials to whoever asks, and no webhook receiver lives there.

What a refusal says goes to whoever owns the endpoint, so it names the setting that would help but not the address that
a name resolved to: that would be a free map of the internal DNS.
"""

import asyncio
import contextlib
import errno
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from time import monotonic
from typing import Final, TypeAlias

from tidings.model import attempt

logger = logging.getLogger(__name__)

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

# Where the proxy resolves names, no address can be judged here: names that mean a private network are refused. They
# are those of RFC 6761, RFC 6762, RFC 8375 and RFC 9476, ICANN's `internal`, and what networks use without asking.
LOCAL_NAMES: Final = frozenset(
    (
        *("localhost", "localdomain", "local", "home.arpa", "internal", "private", "intranet", "lan", "home", "corp"),
        *("mail", "test", "invalid", "example", "alt", "onion", "in-addr.arpa", "ip6.arpa"),
        *("metadata.tencentyun.com", "metadata.platformequinix.com", "metadata.packet.net"),
    )
)
LOCAL_HINT: Final = "; a proxy resolves names here, and this one is a name of private networks"
LONGEST_NAME: Final = 253
LONGEST_LABEL: Final = 63

# What this process, and not the host, is short of.
OUR_LIMITS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EADDRNOTAVAIL})
CACHE_SECONDS: Final = 5.0
CACHE_HOSTS: Final = 10_000
MOST_ADDRESSES: Final = 8


class AddressError(Exception):
    """No address to dial; the text is that of the attempt."""


class BlockedError(AddressError):
    """Every address of the host is one we must not call."""


class UnresolvedError(AddressError):
    """The host has no address that we could find."""


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Which addresses may be called; pure."""

    allowed_subnets: tuple[Network, ...] = ()

    @classmethod
    def of(cls, subnets: Iterable[str]) -> "AddressPolicy":
        """Read subnets in CIDR form; ValueError names the one that is not. Host bits may be set."""
        return cls(tuple(_unmapped(ip_network(text.strip(), strict=False)) for text in subnets))

    def blocked(self, ip: Address) -> bool:
        """Tell whether an address must not be called."""
        address = plain(ip)
        if is_metadata(address):
            return True
        if any(address in network for network in self.allowed_subnets):
            return False
        return _is_isatap(address) or any(address in network for network in BLOCKED)

    def vet(self, addresses: Iterable[Address]) -> tuple[str, ...]:
        """Return those that may be called, IPv4 first, else in the order given. Raises AddressError if none may."""
        judged = list(dict.fromkeys(plain(address) for address in addresses))
        fit = [address for address in judged if not self.blocked(address)]
        if not judged:
            raise UnresolvedError("error resolving name: it has no address")
        if not fit:
            raise BlockedError(BLOCKED_TEXT + (METADATA_HINT if all(map(is_metadata, judged)) else HINT))
        fit.sort(key=lambda address: address.version)
        return tuple(str(address) for address in fit[:MOST_ADDRESSES])


def is_public(address: str) -> bool:
    """Tell whether an address belongs to the public network, whatever the operator allows."""
    return not AddressPolicy().blocked(ip_address(address))


def is_metadata(address: Address) -> bool:
    """Tell whether an address is, or carries, that of a cloud's metadata service."""
    return address in METADATA or not METADATA.isdisjoint(_carried(address))


def public_name(host: str) -> str:
    """Return a name that a proxy may resolve, without its last dot. Raises AddressError for one of private networks."""
    name = host.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > LONGEST_NAME or not all(0 < len(label) <= LONGEST_LABEL for label in labels):
        raise UnresolvedError(f"error resolving name: {host}: not a valid host name")
    is_local = len(labels) == 1 or any(".".join(labels[place:]) in LOCAL_NAMES for place in range(len(labels)))
    if is_local:
        raise BlockedError(BLOCKED_TEXT + LOCAL_HINT)
    return name


def plain(ip: Address) -> Address:
    """Return the address that sockets see: a mapped one as IPv4, and none with a zone."""
    if isinstance(ip, IPv6Address):
        return ip.ipv4_mapped or IPv6Address(int(ip))  # without its zone: no range depends on it
    return ip


def _carried(address: Address) -> list[Address]:
    """Return the IPv4 addresses that a gateway could find in an IPv6 address."""
    if isinstance(address, IPv4Address):
        return []
    found: list[Address | None] = [address.sixtofour, *(address.teredo or ())]
    found.append(IPv4Address(address.packed[12:]))  # NAT64, ISATAP, IPv4-compatible, IPv4-translated
    if address.packed[8] == 0:
        halves = address.packed[:8] + address.packed[9:]  # RFC 6052 section 2.2: the byte between stays empty
        found += [IPv4Address(halves[place : place + 4]) for place in range(4, 9)]
    return [each for each in found if each is not None]


def _is_isatap(address: Address) -> bool:
    """Tell whether an interface identifier carries an IPv4 address, RFC 5214 section 6.1; its prefix may be any."""
    return isinstance(address, IPv6Address) and (int(address) >> 32) & 0xFDFF_FFFF == 0x5EFE  # noqa: PLR2004


def _unmapped(network: Network) -> Network:
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < 96:  # noqa: PLR2004 (where the IPv4 part of a mapped address begins)
        return network
    return IPv4Network((mapped, network.prefixlen - 96))


def parse_literal(host: str) -> Address | None:
    """Read a host that is an address in any spelling; None for a name. Raises UnresolvedError for a broken address."""
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
    """Read a number as C does: 0x is hexadecimal, a leading 0 octal."""
    digits, base = part.lower(), 10
    if digits.startswith("0x"):
        digits, base = digits[2:] or "0", 16
    elif digits.startswith("0"):
        digits, base = digits[1:] or "0", 8
    if not digits.isalnum() or len(digits) > 64:  # noqa: PLR2004 (int() of a longer one takes long)
        return None
    try:
        return int(digits, base)
    except ValueError:
        return None


def _inet_aton(parts: list[str]) -> IPv4Address | None:
    """Read one to four numbers, of which the last fills the bytes that are left."""
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
class _Answer:
    addresses: tuple[str, ...]
    error: tuple[type[AddressError], str] | None
    until: float

    def unwrap(self) -> tuple[str, ...]:
        if self.error is not None:
            kind, text = self.error
            raise kind(text)  # a new one each time: one that is kept would gather tracebacks
        return self.addresses


class Resolver:
    """From a host to the addresses that may be dialled. Refusals are remembered like answers."""

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
        self._answers: dict[str, _Answer] = {}
        self._flights: dict[str, asyncio.Task[_Answer]] = {}

    def __len__(self) -> int:
        """How many hosts are remembered."""
        return len(self._answers)

    def known(self, host: str) -> tuple[str, ...] | None:
        """Return what is known without asking anyone, or None. Raises AddressError for a known refusal."""
        answer = self._answers.get(host)
        if answer is not None and self._now() < answer.until:
            return answer.addresses if answer.error is None else answer.unwrap()
        literal = parse_literal(host)
        if literal is None:
            return None
        return self._keep(host, self._judge([literal], until=float("inf"))).unwrap()

    async def resolve(self, host: str) -> tuple[str, ...]:
        """Return the addresses to dial, best first. Raises AddressError. One lookup per host is in flight at a time."""
        known = self.known(host)
        if known is not None:
            return known
        flight = self._flights.get(host)
        if flight is None:
            flight = self._flights[host] = asyncio.create_task(self._look_up(host))
            flight.add_done_callback(lambda landed: self._land(host, landed))
        return (await asyncio.shield(flight)).unwrap()  # whoever gives up must not take the others down

    async def close(self) -> None:
        """Give up the lookups that are in flight."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*flights, return_exceptions=True)

    async def _look_up(self, host: str) -> _Answer:
        try:
            addresses = [ip_address(text) for text in await self._ask(host)]
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in OUR_LIMITS:
                raise  # it says nothing about the host
            text = _unresolved_text(host, error)
            return self._keep(host, _Answer((), (UnresolvedError, text), self._now() + self._cache_seconds))
        return self._keep(host, self._judge(addresses, self._now() + self._cache_seconds))

    def _land(self, host: str, flight: asyncio.Task[_Answer]) -> None:
        self._flights.pop(host, None)
        error = None if flight.cancelled() else flight.exception()
        if error is not None and not isinstance(error, OSError | AddressError):
            logger.error("looking up a host failed", exc_info=error)

    def _judge(self, addresses: Iterable[Address], until: float) -> _Answer:
        try:
            return _Answer(self._policy.vet(addresses), None, until)
        except AddressError as error:
            return _Answer((), (type(error), str(error)), until)

    def _keep(self, host: str, answer: _Answer) -> _Answer:
        self._answers.pop(host, None)
        while len(self._answers) >= CACHE_HOSTS:
            del self._answers[next(iter(self._answers))]  # the oldest answer
        self._answers[host] = answer
        return answer


def _unresolved_text(host: str, error: Exception) -> str:
    cause = (error.strerror or str(error)) if isinstance(error, OSError) else "not a valid host name"
    return f"error resolving name: {host}: {cause}"
