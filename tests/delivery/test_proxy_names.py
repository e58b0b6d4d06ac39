# SPDX-License-Identifier: MIT
"""A proxy that alone has DNS resolves names; names of private networks are refused before it is used."""

from collections.abc import Callable
from typing import TypeAlias

import pytest

from delivery.authority import Authority
from delivery.client_kit import a_client, ask, names
from delivery.proxies import HttpProxy, Proxy, SocksProxy, closed_port
from delivery.receiver import Receiver
from tidings import terms
from tidings.config import load
from tidings.delivery import proxy as ours
from tidings.delivery.address import AddressPolicy, UnresolvedError, public_name
from tidings.delivery.dial import explained
from tidings.settings import ConfigError, Settings

Kind: TypeAlias = Callable[..., Proxy]
KINDS = pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])
HOSTS = {"hook.somewhere.net": "127.0.0.1", "other.somewhere.net": "127.0.0.1"}
NO_DNS = names()


def resolving(proxy: Proxy, *noproxy: str) -> ours.Proxy:
    return ours.Proxy.of(proxy.address, noproxy, resolves_names=True)


@KINDS
async def test_a_resolving_proxy_gets_the_host_name(kind: Kind) -> None:
    async with (
        Receiver() as receiver,
        kind(hosts=HOSTS) as proxy,
        a_client(policy=AddressPolicy(), proxy=resolving(proxy), look_up=NO_DNS) as client,
    ):
        replies = [await ask(client, f"http://hook.somewhere.net{dot}:{receiver.port}/") for dot in ("", ".")]

    assert [reply.status for reply in replies] == [200] * 2
    assert proxy.asked == [("hook.somewhere.net", receiver.port)] * 2
    assert receiver.requests[0].values(b"host") == [b"hook.somewhere.net:%d" % receiver.port]


@pytest.mark.parametrize("kind", [HttpProxy, SocksProxy, "https"])
async def test_the_certificate_is_checked_against_a_name_that_the_proxy_resolves(
    kind: Kind | str, authority: Authority
) -> None:
    tls = authority.receiver_context("hook.somewhere.net")
    made = HttpProxy(tls=authority.receiver_context("127.0.0.1"), hosts=HOSTS) if isinstance(kind, str) else None
    async with (
        Receiver(tls=tls) as receiver,
        made or kind(hosts=HOSTS) as proxy,  # type: ignore[operator]
        a_client(proxy=resolving(proxy), look_up=NO_DNS, tls=authority.client_context(), timeout_seconds=5.0) as client,
    ):
        fit = await ask(client, f"https://hook.somewhere.net:{receiver.port}/")
        wrong = await ask(client, f"https://other.somewhere.net:{receiver.port}/")

    assert fit.status == 200
    assert "Hostname mismatch" in str(wrong.error)


@KINDS
@pytest.mark.parametrize(
    "host",
    [
        *("10.0.0.1", "0x0a.1", "[::ffff:10.0.0.1]", "169.254.169.254", "[fd00:ec2::254]"),
        *(
            "localhost",
            "localhost.",
            "a.localhost",
            "localhost.localdomain",
            "db",
            "db.",
            "kubernetes.default.svc.local",
        ),
        *("metadata.google.internal", "x.internal", "router.lan", "nas.home.arpa", "metadata.tencentyun.com"),
    ],
)
async def test_a_private_name_is_not_sent_to_a_resolving_proxy(kind: Kind, host: str) -> None:
    async with (
        kind(hosts=HOSTS) as proxy,
        a_client(policy=AddressPolicy(), proxy=resolving(proxy), look_up=NO_DNS) as client,
    ):
        reply = await ask(client, f"http://{host}:9/")

    assert str(reply.error).startswith("requests to this IP range are blocked")
    assert proxy.connections == 0


@pytest.mark.parametrize("host", ["a..somewhere.net", f"{'a' * 64}.net", ".".join(["a" * 60] * 5)])
def test_an_invalid_name_is_not_public(host: str) -> None:
    with pytest.raises(UnresolvedError):
        public_name(host)


async def test_a_name_that_is_too_long_is_not_sent_to_a_resolving_proxy() -> None:
    async with HttpProxy(hosts=HOSTS) as proxy, a_client(proxy=resolving(proxy), look_up=NO_DNS) as client:
        reply = await ask(client, f"http://{'.'.join(['a' * 60] * 5)}:9/")

    assert str(reply.error).startswith("error resolving name:")
    assert proxy.connections == 0


async def test_hosts_of_the_proxy_bypass_are_resolved_and_vetted_by_the_node() -> None:
    look_up = names(**{"near.somewhere.net": ["127.0.0.1"], "private.somewhere.net": ["10.0.0.1"]})
    async with (
        Receiver() as receiver,
        HttpProxy(hosts=HOSTS) as proxy,
        a_client(proxy=resolving(proxy, "somewhere.net"), look_up=look_up) as client,
    ):
        near = await ask(client, f"http://near.somewhere.net:{receiver.port}/")
        private = await ask(client, f"http://private.somewhere.net:{receiver.port}/")

    assert near.status == 200
    assert str(private.error).startswith("requests to this IP range are blocked")
    assert proxy.asked == []


@KINDS
async def test_a_name_that_the_proxy_cannot_reach_is_an_error(kind: Kind) -> None:
    async with kind(hosts=HOSTS) as proxy, a_client(proxy=resolving(proxy), look_up=NO_DNS) as client:
        reply = await ask(client, f"http://hook.somewhere.net:{closed_port()}/")

    assert str(reply.error).startswith("error making request: the proxy responded")


def test_an_error_names_the_host_that_the_proxy_resolved() -> None:
    assert explained([("hook.somewhere.net", TimeoutError())]) == "hook.somewhere.net: no answer in time"


def test_proxy_resolves_names_requires_a_proxy() -> None:
    with pytest.raises(ConfigError, match=r"^proxy_resolves_names needs a proxy"):
        load({"TIDINGS_PROXY_RESOLVES_NAMES": "true"})


def test_proxy_resolves_names_is_off_by_default_and_reaches_delivery() -> None:
    off, on = (Settings(proxy_addr="http://proxy:1", proxy_resolves_names=wanted) for wanted in (False, True))

    assert not Settings().proxy_resolves_names
    assert [getattr(terms.delivery(each).proxy, "resolves_names", None) for each in (off, on)] == [False, True]
