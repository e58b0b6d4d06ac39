# SPDX-License-Identifier: MIT
"""Deliveries through proxies of each kind, which work or fail by script."""

import asyncio
import logging
from collections.abc import Callable
from typing import TypeAlias

import pytest

from delivery.authority import Authority
from delivery.client_kit import LOOPBACK, a_client, ask, names, open_sockets, send, settled_sockets, until
from delivery.proxies import HttpProxy, Proxy, SocksProxy, closed_port
from delivery.receiver import Peer, Receiver, Step, hang, reset, say
from logged import fields_of, text_of
from tidings.delivery import proxy as ours
from tidings.delivery.address import AddressPolicy
from tidings.delivery.client import PoolLimits, Reply

Kind: TypeAlias = Callable[..., Proxy]
KINDS = pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])


@KINDS
async def test_a_proxy_gets_the_vetted_address_and_never_the_name(kind: Kind) -> None:
    async with (
        Receiver() as receiver,
        kind() as proxy,
        a_client(proxy=ours.Proxy.of(proxy.address), look_up=names(hook=["10.0.0.1", "127.0.0.1"])) as client,
    ):
        replies = [await ask(client, f"http://hook:{receiver.port}/") for _ in range(3)]

    assert [reply.status for reply in replies] == [200] * 3
    assert proxy.asked == [("127.0.0.1", receiver.port)]
    assert receiver.connections == 1
    assert receiver.requests[0].values(b"host") == [b"hook:%d" % receiver.port]


@KINDS
async def test_tls_through_a_proxy_verifies_the_receivers_name(kind: Kind, authority: Authority) -> None:
    async with (
        Receiver(tls=authority.receiver_context("hook.example")) as receiver,
        kind() as proxy,
        a_client(
            proxy=ours.Proxy.of(proxy.address),
            look_up=names(**{"hook.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]}),
            tls=authority.client_context(),
            timeout_seconds=5.0,
        ) as client,
    ):
        replies = [await ask(client, f"https://hook.example:{receiver.port}/") for _ in range(3)]
        mismatch = await ask(client, f"https://other.example:{receiver.port}/")

    assert [reply.status for reply in replies] == [200] * 3
    assert [host for host, _ in proxy.asked] == ["127.0.0.1"] * 2
    assert "Hostname mismatch" in str(mismatch.error)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_can_be_reached_over_tls(scheme: str, authority: Authority) -> None:
    tls = authority.receiver_context("127.0.0.1")
    async with (
        Receiver(tls=tls if scheme == "https" else None) as receiver,
        HttpProxy(tls=tls) as proxy,
        a_client(proxy=ours.Proxy.of(proxy.address), tls=authority.client_context(), timeout_seconds=5.0) as client,
    ):
        replies = [await ask(client, receiver.url, body=b"x" * 300_000) for _ in range(2)]

    assert [reply.status for reply in replies] == [200] * 2
    assert receiver.connections == len(proxy.asked) == 1


async def test_a_tls_proxy_with_an_untrusted_certificate_is_not_used(authority: Authority) -> None:
    tls = authority.receiver_context("127.0.0.1", signed=False)
    async with Receiver() as receiver, HttpProxy(tls=tls) as proxy:
        reply = await through(proxy, receiver.url, timeout_seconds=5.0)

    assert reply.error == "error making request: the TLS handshake with the proxy failed"
    assert receiver.connections == 0


@KINDS
async def test_proxy_credentials_are_sent_and_a_rejection_is_an_error(kind: Kind) -> None:
    async with Receiver() as receiver, kind(user="us:p@ss") as proxy:
        fit = await through(proxy, receiver.url, url=proxy.address.replace("p@ss", "p%40ss"))
        wrong = await through(proxy, receiver.url, url=proxy.address.replace("p@ss", "word"))
        none = await through(proxy, receiver.url, url=proxy.address.replace("us:p@ss@", ""))

    assert fit.status == 200
    assert wrong.error == none.error == "error making request: the proxy rejected the credentials"
    assert receiver.connections == 1


async def test_proxy_credentials_appear_in_no_log_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with Receiver() as receiver, HttpProxy(user="secret:other") as proxy:
        with caplog.at_level(logging.DEBUG):
            settings = ours.Proxy.of(proxy.address.replace("other", "hidden"))
            reply = await through(proxy, receiver.url, url=proxy.address.replace("other", "hidden"))

    for text in (text_of(caplog), str(reply.error), repr(settings)):
        assert "secret" not in text
        assert "hidden" not in text
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [(each.message, fields_of(each)["error"]) for each in errors] == [
        ("cannot connect through the proxy", "the proxy rejected the credentials")
    ]


async def test_an_unreachable_proxy_is_an_error_without_its_address() -> None:
    port = closed_port()
    async with Receiver() as receiver, a_client(proxy=ours.Proxy.of(f"http://localhost:{port}")) as client:
        reply = await ask(client, receiver.url)

    assert reply.error == "error making request: the proxy cannot be reached: connection refused"
    assert receiver.connections == 0


@KINDS
async def test_the_next_address_of_a_proxy_is_tried_if_one_is_unreachable(kind: Kind) -> None:
    async with Receiver() as receiver, kind() as proxy:
        settings = ours.Proxy.of(f"{proxy.scheme}://two:{proxy.port}")
        async with a_client(proxy=settings, look_up=names(two=["127.0.0.9", "127.0.0.1"])) as client:
            reply = await ask(client, receiver.url)

    assert reply.status == 200


async def test_a_proxy_without_an_address_is_an_error_that_does_not_name_it() -> None:
    async with a_client(proxy=ours.Proxy.of("http://nowhere:1"), look_up=names()) as client:
        reply = await ask(client, "http://127.0.0.1/")

    assert reply.error == "error making request: the proxy's name cannot be resolved"


@KINDS
async def test_a_receiver_that_refuses_the_proxy_is_an_error(kind: Kind) -> None:
    async with kind() as proxy:
        reply = await through(proxy, f"http://127.0.0.1:{closed_port()}/")

    assert reply.status == 0
    assert str(reply.error).startswith("error making request: the proxy responded")


@KINDS
async def test_the_next_address_is_tried_if_the_proxy_cannot_reach_one(kind: Kind) -> None:
    async with (
        Receiver(host="127.0.0.3") as receiver,
        kind() as proxy,
        a_client(proxy=ours.Proxy.of(proxy.address), look_up=names(two=["127.0.0.2", "127.0.0.3"])) as client,
    ):
        reply = await ask(client, f"http://two:{receiver.port}/")

    assert reply.status == 200
    assert [host for host, _ in proxy.asked] == ["127.0.0.2", "127.0.0.3"]


@pytest.mark.parametrize(
    ("kind", "answer", "error"),
    [
        (HttpProxy, b"HTTP/1.1 403 Forbidden\r\n\r\n", "the proxy responded 403"),
        (HttpProxy, b"HTTP/1.0 503\r\n\r\n", "the proxy responded 503"),
        (HttpProxy, b"SSH-2.0-OpenSSH_9.9\r\n", "the proxy sent an invalid response"),
        (HttpProxy, b"HTTP/1.1 OK\r\n\r\n", "the proxy sent an invalid response"),
        (HttpProxy, b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000, "the proxy sent an invalid response"),
        (HttpProxy, b"HTTP/1.1 200 OK\r\n\r\nand more", "the proxy sent an invalid response"),
        (SocksProxy, b"HTTP/1.1 400 Bad Request\r\n\r\n", "the proxy sent an invalid response"),
        (SocksProxy, b"\x04\x00", "the proxy sent an invalid response"),
        (SocksProxy, b"\x05\x02", "the proxy rejected the credentials"),
        (SocksProxy, b"\x05\xff", "the proxy rejected the credentials"),
        (SocksProxy, b"\x05\x00\x04\x00\x00\x01", "the proxy sent an invalid response"),
        (SocksProxy, b"\x05\x00\x05\x00\x00\x07", "the proxy sent an invalid response"),
        (SocksProxy, b"\x05\x00\x05\x02\x00\x00", "the proxy responded: connection not allowed by its rules"),
        (SocksProxy, b"\x05\x00\x05\x2a\x00\x00", "the proxy responded: error 42"),
        (SocksProxy, b"\x05\x00\x05\x00\x00\x01" + bytes(6) + b"more", "the proxy sent an invalid response"),
    ],
)
async def test_a_proxy_that_refuses_is_an_error(kind: Kind, answer: bytes, error: str) -> None:
    async with kind(answer=answer) as proxy:
        reply = await through(proxy, "http://127.0.0.1:9/")

    assert reply == Reply(0, b"", reply.duration_ms, f"error making request: {error}")


@KINDS
@pytest.mark.parametrize("step", [reset, say(b"")])
async def test_a_proxy_that_disconnects_is_an_error(kind: Kind, step: Step) -> None:
    async with kind(before=[step, ended]) as proxy:
        reply = await through(proxy, "http://127.0.0.1:9/")

    assert reply.status == 0
    assert str(reply.error).startswith("error making request: the proxy c")  # closed, or unreachable


@KINDS
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_slow_proxy_is_a_timeout_and_leaves_no_socket(kind: Kind, scheme: str) -> None:
    async with kind(before=[hang]) as proxy:
        before = open_sockets()
        reply = await through(proxy, f"{scheme}://127.0.0.1:9/")

        assert await settled_sockets(before) == before
    assert reply == Reply(0, b"", reply.duration_ms, "request timed out", timed_out=True)


@KINDS
async def test_a_receiver_that_hangs_inside_the_handshake_is_a_timeout_and_leaves_no_socket(kind: Kind) -> None:
    async with Receiver([hang]) as receiver, kind() as proxy:
        before = open_sockets()
        reply = await through(proxy, receiver.url.replace("http:", "https:"))

        assert await settled_sockets(before) == before
    assert reply.timed_out


@KINDS
async def test_a_request_canceled_at_any_time_leaves_no_socket(kind: Kind, authority: Authority) -> None:
    tls = authority.receiver_context("127.0.0.1")
    async with Receiver(tls=tls) as receiver, kind() as proxy:
        before = open_sockets()
        settings, limits = ours.Proxy.of(proxy.address), PoolLimits(idle_per_origin=0)
        async with a_client(proxy=settings, tls=authority.client_context(), limits=limits) as client:
            for turns in range(40):
                asked = send(client, receiver.url)
                for _ in range(turns):
                    await asyncio.sleep(0)
                asked.sending.cancel()
            await until(lambda: client.connections == 0 and client.origins == 0)

        assert await settled_sockets(before) == before


@KINDS
@pytest.mark.parametrize(
    "host", ["10.0.0.1", "0x0a.1", "[::ffff:10.0.0.1]", "169.254.169.254", "private", "metadata", "localhost"]
)
async def test_a_forbidden_address_is_not_reached_through_a_proxy_either(kind: Kind, host: str) -> None:
    look_up = names(private=["10.0.0.1"], metadata=["169.254.169.254"], localhost=["127.0.0.1"])
    async with (
        kind() as proxy,
        a_client(policy=AddressPolicy(), proxy=ours.Proxy.of(proxy.address), look_up=look_up) as client,
    ):
        reply = await ask(client, f"http://{host}:9/")

    assert str(reply.error).startswith("requests to this IP range are blocked")
    assert proxy.connections == 0


@KINDS
async def test_a_proxy_gets_the_vetted_address_though_the_name_turns_private(kind: Kind) -> None:
    answers = [["127.0.0.1"], ["10.0.0.1"]]

    async def rebinding(host: str) -> list[str]:
        assert host == "rebind.example"
        return answers.pop(0)

    async with (
        Receiver() as receiver,
        kind() as proxy,
        a_client(proxy=ours.Proxy.of(proxy.address), look_up=rebinding, limits=PoolLimits(idle_per_origin=0)) as client,
    ):
        first = await ask(client, f"http://rebind.example:{receiver.port}/")
        again = await ask(client, f"http://rebind.example:{receiver.port}/")

    assert (first.status, again.status) == (200, 200)
    assert set(proxy.asked) == {("127.0.0.1", receiver.port)}
    assert answers == [["10.0.0.1"]]  # both proxies got the vetted address: the name was not resolved again


async def test_hosts_of_the_proxy_bypass_are_called_directly() -> None:
    async with Receiver() as receiver, HttpProxy() as proxy:
        settings = ours.Proxy.of(proxy.address, ["127.0.0.0/8"])
        async with a_client(proxy=settings, look_up=names(hook=["127.0.0.1"])) as client:
            by_address = await ask(client, receiver.url)
            direct = len(proxy.asked)
            by_name = await ask(client, f"http://hook:{receiver.port}/")

    assert (by_address.status, by_name.status) == (200, 200)
    assert (direct, len(proxy.asked)) == (0, 1)


async def test_the_proxy_bypass_exempts_no_address_from_vetting() -> None:
    async with HttpProxy() as proxy:
        settings = ours.Proxy.of(proxy.address, ["*"])
        async with a_client(policy=AddressPolicy(), proxy=settings) as client:
            reply = await ask(client, "http://127.0.0.1:9/")

    assert str(reply.error).startswith("requests to this IP range are blocked")


@pytest.mark.parametrize(
    ("rules", "host", "covered"),
    [
        ([], "example.com", False),
        (["example.com"], "example.com", True),
        (["example.com"], "example.com.", True),
        (["example.com"], "a.b.example.com", True),
        ([".example.com"], "a.example.com", True),
        ([".example.com"], "example.com", True),
        ([" Example.COM "], "a.example.com", True),
        (["example.com"], "badexample.com", False),
        (["example.com"], "com", False),
        (["com"], "example.com", True),
        (["example.com"], "example.com.evil", False),
        (["10.0.0.1"], "10.0.0.1", True),
        (["10.0.0.1"], "10.0.0.2", False),
        (["10.0.0.0/8"], "10.9.8.7", True),
        (["10.0.0.1/8"], "10.9.8.7", True),
        (["10.0.0.0/8"], "0x0a.1", True),
        (["10.0.0.0/8"], "::ffff:10.1.1.1", True),
        (["10.0.0.0/8"], "11.0.0.1", False),
        (["10.0.0.0/8"], "10.example.com", False),
        (["0.0.0.0/0", "::/0"], "example.com", False),
        (["::1"], "::1", True),
        (["[::1]"], "::1", True),
        (["2001:db8::/32"], "2001:db8::1", True),
        (["2001:db8::/32"], "2001:db9::1", False),
        (["1.2.3"], "1.2.3.4.5", False),
        (["*"], "example.com", True),
        (["*"], "10.0.0.1", True),
        (["other", "", "example.com"], "example.com", True),
    ],
)
def test_the_proxy_bypass_covers_subdomains_and_literal_addresses(rules: list[str], host: str, covered: bool) -> None:  # noqa: FBT001 - a column
    assert covered == ours.Bypass.of(rules).covers(host)


def test_an_invalid_bypass_subnet_is_refused() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/40"):
        ours.Bypass.of(["10.0.0.0/40"])


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "credentials"),
    [
        ("http://proxy", "http", "proxy", 80, None),
        ("https://proxy", "https", "proxy", 443, None),
        ("socks5://proxy", "socks5", "proxy", 1080, None),
        ("HTTP://u:p@Proxy:3128/", "http", "proxy", 3128, (b"u", b"p")),
        ("socks5://u%40x:p%3A%2F@[::1]:9", "socks5", "::1", 9, (b"u@x", b"p:/")),
        ("http://user@proxy", "http", "proxy", 80, (b"user", b"")),
    ],
)
def test_a_proxy_is_read_from_its_url(
    url: str, scheme: str, host: str, port: int, credentials: tuple[bytes, bytes] | None
) -> None:
    assert ours.Proxy(scheme, host, port, credentials) == ours.Proxy.of(url)


@pytest.mark.parametrize(
    "url", ["proxy:80", "ftp://proxy", "socks4://proxy", "http://:1", f"http://{'u' * 256}:p@proxy"]
)
def test_an_invalid_proxy_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="proxy") as refusal:
        ours.Proxy.of(url)

    assert url not in str(refusal.value)


async def ended(peer: Peer) -> None:
    peer.writer.close()
    raise ConnectionError


async def through(proxy: Proxy, target: str, *, url: str | None = None, timeout_seconds: float = 0.3) -> Reply:
    """Send one request through a proxy."""
    settings = ours.Proxy.of(url or proxy.address)
    async with a_client(policy=LOOPBACK, proxy=settings, timeout_seconds=timeout_seconds) as client:
        return await ask(client, target)
