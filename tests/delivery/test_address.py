# SPDX-License-Identifier: MIT
import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.delivery.address import (
    BLOCKED_TEXT,
    CACHE_HOSTS,
    AddressPolicy,
    BlockedError,
    Resolver,
    UnresolvedError,
    parse_literal,
)

NONE_ALLOWED = AddressPolicy()
EVERYTHING_ALLOWED = AddressPolicy.of(["0.0.0.0/0", "::/0"])


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("0.0.0.0", "0.255.255.255"),  # noqa: S104 (an address to refuse, not one to listen on)
        ("10.0.0.0", "10.255.255.255"),
        ("100.64.0.0", "100.127.255.255"),
        ("127.0.0.0", "127.255.255.255"),
        ("169.254.0.0", "169.254.255.255"),
        ("172.16.0.0", "172.31.255.255"),
        ("192.0.0.0", "192.0.0.255"),
        ("192.0.2.0", "192.0.2.255"),
        ("192.88.99.0", "192.88.99.255"),
        ("192.168.0.0", "192.168.255.255"),
        ("198.18.0.0", "198.19.255.255"),
        ("198.51.100.0", "198.51.100.255"),
        ("203.0.113.0", "203.0.113.255"),
        ("224.0.0.0", "239.255.255.255"),
        ("240.0.0.0", "255.255.255.255"),
        ("::", "::ffff:ffff"),
        ("::ffff:0:0:0", "::ffff:0:ffff:ffff"),
        ("64:ff9b::", "64:ff9b::ffff:ffff"),
        ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
        ("100::", "100::ffff:ffff:ffff:ffff"),
        ("100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff"),
        ("1fff::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2606:4700::5efe:0:0", "2606:4700::5efe:ffff:ffff"),
        ("2606:4700::200:5efe:0:0", "2606:4700::200:5efe:ffff:ffff"),
        ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("::ffff:10.0.0.0", "::ffff:10.255.255.255"),
    ],
)
def test_a_range_is_blocked_from_its_first_address_to_its_last(first: str, last: str) -> None:
    assert NONE_ALLOWED.blocked(ip_address(first))
    assert NONE_ALLOWED.blocked(ip_address(last))
    assert not EVERYTHING_ALLOWED.blocked(ip_address(first))


@pytest.mark.parametrize(
    "text",
    [
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.0.3.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::",
        "2001:db7:ffff::1",
        "2003::1",
        "2606:4700::1111",
        "2606:4700::5eff:808:808",
        "::ffff:8.8.8.8",
    ],
)
def test_a_public_address_is_not_blocked(text: str) -> None:
    assert not NONE_ALLOWED.blocked(ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "169.254.0.23",
        "169.254.10.10",
        "169.254.42.42",
        "169.254.169.250",
        "169.254.169.252",
        "169.254.170.2",
        "169.254.170.23",
        "100.80.80.80",
        "100.96.0.96",
        "fd00:100::100:200",
        "fd00:42::42",
        "fd00:a9fe:a9fe::1",
        "fd00:c1::a9fe:a9fe",
        "fd00:ec2::23",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fe80::1234:5678:9abc%eth0",
        "::ffff:169.254.169.254",
        "::ffff:0:169.254.169.254",
        "::ffff:0:169.254.42.42",
        "::169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1:a9fe:a9:fe00::",
        "2606:4700:a9fe:a9fe::",
        "2606:4700:a9:fea9:fe::",
        "2606:4700:0:a9fe:a9:fe00::",
        "2606:4700:0:a9:fe:a9fe::",
        "2606:4700::a9:fea9:fe00:0",
        "2606:4700::5efe:a9fe:a9fe",
        "2001:0:a9fe:a9fe::1",
        "2002:a9fe:a9fe::1",
        "fe80::a9fe:a9fe%eth0",
    ],
)
def test_metadata_addresses_are_blocked_despite_an_allowed_subnet(text: str) -> None:
    assert EVERYTHING_ALLOWED.blocked(ip_address(text))


@pytest.mark.parametrize("subnet", ["10.1.2.0/24", " 10.1.2.3/24", "10.1.2.3", "::ffff:10.1.2.0/120"])
def test_an_allowed_subnet_is_exempt_and_its_neighbors_are_not(subnet: str) -> None:
    policy = AddressPolicy.of([subnet])

    assert not policy.blocked(ip_address("10.1.2.3"))
    assert not policy.blocked(ip_address("::ffff:10.1.2.3"))
    assert policy.blocked(ip_address("10.1.3.3"))


def test_a_malformed_subnet_is_named() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/40"):
        AddressPolicy.of(["10.0.0.0/40"])


def test_permitted_addresses_are_kept_ipv4_first() -> None:
    found = [ip_address(text) for text in ("2606:4700::1", "10.0.0.1", "::1", "1.1.1.1", "::ffff:1.1.1.1", "1.0.0.1")]

    fit = NONE_ALLOWED.vet(found)

    assert fit == ("1.1.1.1", "1.0.0.1", "2606:4700::1")


def test_a_refusal_names_the_setting_but_not_the_address() -> None:
    with pytest.raises(BlockedError) as refusal:
        NONE_ALLOWED.vet([ip_address("10.0.0.1"), ip_address("169.254.169.254")])

    assert str(refusal.value).startswith(BLOCKED_TEXT)
    assert "TIDINGS_WHITELIST_SUBNETS" in str(refusal.value)
    assert "10.0.0.1" not in str(refusal.value)


def test_a_refusal_of_metadata_is_marked_as_final() -> None:
    with pytest.raises(BlockedError) as refusal:
        EVERYTHING_ALLOWED.vet([ip_address("169.254.169.254")])

    assert str(refusal.value).startswith(BLOCKED_TEXT)
    assert "never be allowed" in str(refusal.value)
    assert "TIDINGS_WHITELIST_SUBNETS" not in str(refusal.value)


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0X7F000001", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("10.65535", "10.0.255.255"),
        ("0", "0.0.0.0"),  # noqa: S104 (an address to refuse, not one to listen on)
        ("0x", "0.0.0.0"),  # noqa: S104
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.1"),
    ],
)
def test_every_spelling_of_an_address_is_read(host: str, text: str) -> None:
    assert parse_literal(host) == ip_address(text)


@pytest.mark.parametrize(
    "host",
    ["256.0.0.1", "1.2.3.4.5", "127.0.0.08", "1.2.3.0x1ff", "4294967296", "foo.1", "1..1", "127.0.65536", "::g", "1:2"],
)
def test_a_broken_address_never_reaches_dns(host: str) -> None:
    with pytest.raises(UnresolvedError, match=r"^error resolving name: .* is not a valid address$"):
        parse_literal(host)


@pytest.mark.parametrize("host", ["example.com", "1.example", "0xg", "localhost", "a1", "1a", "x.0y", "-1", "1_0", ""])
def test_a_host_name_is_not_read_as_an_address(host: str) -> None:
    assert parse_literal(host) is None


@given(value=st.integers(0, 2**32 - 1), parts=st.integers(1, 4), bases=st.lists(st.sampled_from("dox"), min_size=4))
def test_addresses_are_read_like_the_c_library_reads_them(value: int, parts: int, bases: list[str]) -> None:
    formats = {"d": "{}", "o": "0{:o}", "x": "0x{:x}"}
    numbers = [value >> 24 - 8 * place & 0xFF for place in range(parts - 1)]
    numbers.append(value & (1 << 8 * (5 - parts)) - 1)
    host = ".".join(formats[base].format(number) for base, number in zip(bases, numbers, strict=False))

    read = parse_literal(host)

    assert read == IPv4Address(socket.inet_aton(host)) == IPv4Address(value)


@given(host=st.text("0123456789abcdefABCDEFxX.", min_size=1, max_size=16))
def test_addresses_of_the_c_library_are_never_taken_for_names(host: str) -> None:
    try:
        packed = socket.inet_aton(host)
    except OSError:
        return

    assert parse_literal(host) == IPv4Address(packed)


@given(value=st.integers(0, 2**32 - 1))
def test_an_ipv4_mapped_address_is_vetted_like_its_ipv4_address(value: int) -> None:
    inside = IPv4Address(value)

    mapped = IPv6Address(0xFFFF << 32 | value)

    assert NONE_ALLOWED.blocked(mapped) == NONE_ALLOWED.blocked(inside)


class Names:
    """A name server with known responses that counts its queries."""

    def __init__(self) -> None:
        self.answers = {"public.example": ["93.184.216.34"], "private.example": ["10.0.0.1", "::1"], "empty": []}
        self.asked: list[str] = []
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.timestamp = 0.0

    async def look_up(self, host: str) -> list[str]:
        self.asked.append(host)
        await self.is_open.wait()
        if host not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.answers[host]

    def now(self) -> float:
        return self.timestamp


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
async def resolver(names: Names) -> AsyncIterator[Resolver]:
    resolver = Resolver(NONE_ALLOWED, look_up=names.look_up, cache_seconds=5.0, now=names.now)
    yield resolver
    await resolver.close()


async def test_a_lookup_is_cached_for_a_while(names: Names, resolver: Resolver) -> None:
    unknown = resolver.known("public.example")

    resolved = await resolver.resolve("public.example")

    names.timestamp = 4.9
    known = resolver.known("public.example")
    names.timestamp = 5.0
    assert (unknown, resolved, known) == (None, ("93.184.216.34",), ("93.184.216.34",))
    assert resolver.known("public.example") is None


async def test_a_name_that_turns_private_is_refused(names: Names, resolver: Resolver) -> None:
    await resolver.resolve("public.example")
    names.answers["public.example"] = ["127.0.0.1"]
    names.timestamp = 6.0

    with pytest.raises(BlockedError):
        await resolver.resolve("public.example")


async def test_a_literal_address_is_vetted_without_a_lookup(names: Names, resolver: Resolver) -> None:
    public, again = resolver.known("0x08.8.8.8"), await resolver.resolve("0x08.8.8.8")

    with pytest.raises(BlockedError):
        await resolver.resolve("2130706433")
    assert public == again == ("8.8.8.8",)
    assert names.asked == []


@pytest.mark.parametrize(
    ("host", "error"), [("private.example", BlockedError), ("nowhere", UnresolvedError), ("empty", UnresolvedError)]
)
async def test_a_refused_name_is_cached(names: Names, resolver: Resolver, host: str, error: type[Exception]) -> None:
    for _ in range(3):
        with pytest.raises(error):
            await resolver.resolve(host)

    assert names.asked == [host]


async def test_one_lookup_serves_concurrent_callers(names: Names, resolver: Resolver) -> None:
    names.is_open.clear()
    asking = [asyncio.create_task(resolver.resolve("public.example")) for _ in range(5)]
    await asyncio.sleep(0)
    asking[0].cancel()
    names.is_open.set()

    answers = await asyncio.gather(*asking, return_exceptions=True)

    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == [("93.184.216.34",)] * 4
    assert names.asked == ["public.example"]


async def test_the_lookup_cache_is_bounded(resolver: Resolver) -> None:
    for number in range(CACHE_HOSTS + 1):
        resolver.known(f"8.8.{number >> 8}.{number & 255}")

    assert len(resolver) == CACHE_HOSTS


async def test_closing_cancels_a_lookup(names: Names, resolver: Resolver) -> None:
    names.is_open.clear()
    asking = asyncio.create_task(resolver.resolve("public.example"))
    await asyncio.sleep(0)

    await resolver.close()

    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_resolver_failure_is_logged_and_not_cached(names: Names, caplog: pytest.LogCaptureFixture) -> None:
    async def look_up(host: str) -> list[str]:
        raise LookupError(host)

    resolver = Resolver(NONE_ALLOWED, look_up=look_up, now=names.now)

    with pytest.raises(LookupError), caplog.at_level(logging.ERROR):
        await resolver.resolve("public.example")

    assert [record.message for record in caplog.records] == ["looking up a host failed"]
    assert resolver.known("public.example") is None
