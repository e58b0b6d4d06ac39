# SPDX-License-Identifier: MIT
"""An address has many spellings in a URL; the check judges the address that the connection would use."""

import asyncio
import ipaddress
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidings.delivery.address import BLOCKED, AddressPolicy, BlockedError, Resolver
from tidings.delivery.target import compile_target
from tidings.model.url import normalize_url

STRICT = AddressPolicy()
ALL_ALLOWED = AddressPolicy.of(["0.0.0.0/0", "::/0"])
METADATA = IPv4Address("169.254.169.254")
FULL_WIDTH = str.maketrans("0123456789.xabcdef", "０１２３４５６７８９．ｘａｂｃｄｅｆ")  # noqa: RUF001 - browsers map these to ASCII digits
NUMBERS: dict[str, Callable[[int], str]] = {
    "decimal": str,
    "octal": "0{:o}".format,
    "padded octal": "0000{:o}".format,
    "hex": "0x{:x}".format,
    "upper hex": "0X{:X}".format,
    "padded hex": "0x0000{:x}".format,
}


def dotted(address: IPv4Address, parts: int, forms: Iterable[str]) -> str:
    """Write an IPv4 address as one to four numbers, each in a form of its own."""
    value = int(address)
    numbers = [value >> (24 - 8 * place) & 0xFF for place in range(parts - 1)] + [value & (1 << 8 * (5 - parts)) - 1]
    return ".".join(NUMBERS[form](number) for form, number in zip(forms, numbers, strict=False))


ipv4_spellings = st.builds(
    lambda parts, forms, ending, wide: (parts, forms, ending, wide),
    st.integers(1, 4),
    st.lists(st.sampled_from(sorted(NUMBERS)), min_size=4, max_size=4),
    st.sampled_from(["", "."]),
    st.booleans(),
)
blocked_ipv4 = st.one_of(
    *(
        st.integers(int(network.network_address), int(network.broadcast_address)).map(IPv4Address)
        for network in BLOCKED
        if isinstance(network, IPv4Network)
    )
)
public_ipv4 = st.integers(0, 2**32 - 1).map(IPv4Address).filter(lambda address: not STRICT.blocked(address))
rest_of_url = st.sampled_from(["", "/", ":8080/", "/path?a=b", "?q", "#f"])
userinfo = st.sampled_from(["", "user@", "user:pass@", "93.184.216.34@", "93.184.216.34:80@"])
scheme = st.sampled_from(["http", "https", "HTTP"])

CARRIERS: dict[str, Callable[[IPv4Address], IPv6Address]] = {
    "mapped": lambda inside: IPv6Address(0xFFFF << 32 | int(inside)),
    "compatible": lambda inside: IPv6Address(int(inside)),
    "translated": lambda inside: IPv6Address(0xFFFF << 48 | int(inside)),
    "ISATAP": lambda inside: IPv6Address(int(IPv6Address("2606:4700::5efe:0:0")) | int(inside)),
    "NAT64": lambda inside: IPv6Address(int(IPv6Address("64:ff9b::")) | int(inside)),
    "local NAT64": lambda inside: IPv6Address(int(IPv6Address("64:ff9b:1::")) | int(inside)),
    "6to4": lambda inside: IPv6Address(0x2002 << 112 | int(inside) << 80 | 1),
    "Teredo": lambda inside: IPv6Address(0x2001 << 112 | (int(inside) ^ 0xFFFFFFFF)),
}
IPV6_TEXTS: dict[str, Callable[[IPv6Address], str]] = {
    "short": str,
    "long": lambda address: address.exploded,
    "upper": lambda address: str(address).upper(),
    "mixed": lambda address: f"{':'.join(address.exploded.split(':')[:6])}:{IPv4Address(int(address) & 0xFFFFFFFF)}",
}


@given(blocked_ipv4, ipv4_spellings, scheme, userinfo, rest_of_url)
@example(IPv4Address("127.0.0.1"), (1, ["decimal"] * 4, "", False), "http", "", "/")
@example(METADATA, (4, ["octal", "hex", "decimal", "upper hex"], ".", True), "https", "user@", "")
def test_a_blocked_address_is_blocked_in_every_ipv4_spelling(
    address: IPv4Address, spelling: tuple[int, list[str], str, bool], scheme: str, userinfo: str, rest: str
) -> None:
    url = f"{scheme}://{userinfo}{spelled(address, spelling)}{rest}"

    with pytest.raises(BlockedError):
        dialled(url, STRICT)


@given(public_ipv4, ipv4_spellings, scheme, userinfo, rest_of_url)
def test_a_public_address_is_dialed_in_every_ipv4_spelling(
    address: IPv4Address, spelling: tuple[int, list[str], str, bool], scheme: str, userinfo: str, rest: str
) -> None:
    url = f"{scheme}://{userinfo}{spelled(address, spelling)}{rest}"

    assert dialled(url, STRICT) == (str(address),)


@given(blocked_ipv4, st.sampled_from(sorted(CARRIERS)), st.sampled_from(sorted(IPV6_TEXTS)), userinfo, rest_of_url)
def test_a_blocked_address_is_blocked_inside_every_ipv6_address_that_carries_it(
    address: IPv4Address, carrier: str, text: str, userinfo: str, rest: str
) -> None:
    url = f"http://{userinfo}[{IPV6_TEXTS[text](CARRIERS[carrier](address))}]{rest}"

    with pytest.raises(BlockedError):
        dialled(url, STRICT)


@given(public_ipv4, st.sampled_from(sorted(set(CARRIERS) - {"mapped"})), st.sampled_from(sorted(IPV6_TEXTS)))
def test_an_address_that_a_gateway_would_unwrap_is_blocked_with_any_address_inside(
    address: IPv4Address, carrier: str, text: str
) -> None:
    with pytest.raises(BlockedError):
        dialled(f"http://[{IPV6_TEXTS[text](CARRIERS[carrier](address))}]/", STRICT)


@given(public_ipv4, st.sampled_from(sorted(IPV6_TEXTS)))
def test_a_mapped_public_address_is_dialed_as_its_ipv4_address(address: IPv4Address, text: str) -> None:
    assert dialled(f"http://[{IPV6_TEXTS[text](CARRIERS['mapped'](address))}]/", STRICT) == (str(address),)


@given(ipv4_spellings)
def test_metadata_is_blocked_in_every_ipv4_spelling_despite_allowed_subnets(
    spelling: tuple[int, list[str], str, bool],
) -> None:
    with pytest.raises(BlockedError):
        dialled(f"http://{spelled(METADATA, spelling)}/", ALL_ALLOWED)


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("text", IPV6_TEXTS)
def test_metadata_is_blocked_inside_every_ipv6_carrier_despite_allowed_subnets(carrier: str, text: str) -> None:
    with pytest.raises(BlockedError):
        dialled(f"http://[{IPV6_TEXTS[text](CARRIERS[carrier](METADATA))}]/", ALL_ALLOWED)


@given(st.text("0123456789abcdefxX.:[]@%/\\#?０１２。", max_size=24))  # noqa: RUF001 - as above
def test_no_url_of_digits_and_signs_leads_to_a_blocked_address(host: str) -> None:
    try:
        addresses = dialled(f"http://{host}/", STRICT)
    except Exception:  # noqa: BLE001 - any refusal counts; the test is about the URLs that pass
        return

    assert not any(STRICT.blocked(ipaddress.ip_address(address)) for address in addresses)


LOCAL = (
    "http://127。0。0。1",
    "http://①②⑦.1",
    "http://⑯⑨.254.169.254",
    "http://%31%32%37.0.0.1",
    "http://%EF%BC%91%EF%BC%92%EF%BC%97.1",
    "http://127%2e1",
    "http://0x7f000001.",
    "http://017700000001",
    "http:127.0.0.1",
    "http:\\\\127.0.0.1",
    "http:///127.0.0.1",
    "http://127.0.0.1\\@example.com",
    "http://127.0.0.1?@example.com",
    "http://127.0.0.1#@example.com",
    "http://example.com@127.0.0.1",
    "http://example.com:80@127.0.0.1:80",
    "http://example.com%2f@127.0.0.1",
    "http://a@b@127.0.0.1",
    "http://[::ffff:7f00:1]",
    "http://[0:0:0:0:0:FFFF:169.254.169.254]",
)
REFUSED = (
    "http://127.0.0.1\t",
    "http://127.0\n.0.1",
    "http://exa\rmple.com",
    "http://[::1%25lo]",
    "http://[fe80::1%1]",
    "http://1.2.3.4.5",
    "http://127.0.0.1.1",
    "http://256.0.0.1",
    "http://127.0.0.08",
    "http://a.0x7f",
    "http://127.0.0.1..",
    "http://0.0.0.0%00",
    "http://127.0.0.1%0d%0aHost:x",
    "http://[::1]a",
    "http://example.com:0",
    "http://faß.de",
)


@pytest.mark.parametrize("url", LOCAL)
def test_a_local_address_is_blocked_however_a_browser_would_find_it(url: str) -> None:
    with pytest.raises(BlockedError):
        dialled(url, STRICT)


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_that_could_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        dialled(url, ALL_ALLOWED)


@given(st.text("0123456789abxX.:[]@%/\\?#ßüK①。２ \u00ad", max_size=16))  # noqa: RUF001 - as above
@example("①②⑦.1")
@example("a\\@b")
def test_the_delivery_dials_the_host_that_the_api_has_stored(rest: str) -> None:
    try:
        stored = normalize_url(f"http://{rest}")
        target = compile_target(stored, version="1")
    except ValueError:
        return

    assert target.head == compile_target(f"http://{rest}", version="1").head
    assert target.origin == compile_target(f"http://{rest}", version="1").origin
    assert urlsplit(stored).hostname == target.host


def spelled(address: IPv4Address, spelling: tuple[int, list[str], str, bool]) -> str:
    parts, forms, ending, wide = spelling
    text = dotted(address, parts, forms) + ending
    return text.lower().translate(FULL_WIDTH) if wide else text


class AskedError(Exception):
    """The name server was queried for an address literal."""


def dialled(url: str, policy: AddressPolicy) -> tuple[str, ...]:
    """Return the addresses that a request to a URL would use, without a name server."""

    async def look_up(host: str) -> list[str]:
        raise AskedError(host)

    async def resolved() -> tuple[str, ...]:
        target = compile_target(url, version="1")
        return await Resolver(policy, look_up=look_up).resolve(target.host)

    return asyncio.run(resolved())
