# SPDX-License-Identifier: MIT
"""Requests leave no reference cycles, whatever happens to them.

The collector runs rarely, and stops the event loop until it has freed what waits for it: 70 ms after 400 refused
connections that each left a hundred objects.
"""

import socket
from collections.abc import Awaitable, Callable

import pytest

from delivery.authority import Authority
from delivery.client_kit import TIMEOUT, a_client, ask, full_accept_queue, names, url_of
from delivery.proxies import HttpProxy, Proxy, SocksProxy, closed_port
from delivery.receiver import Receiver, Script, answer, hang, read, reset, say
from garbage import garbage_of
from tidings.delivery import proxy as ours
from tidings.delivery.client import Client, Reply


async def cycles_of(request: Awaitable[Reply]) -> set[str]:
    """Return what a request leaves to the collector."""
    left, _ = await garbage_of(request)
    return left


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["127.0.0.1", "127.0.0.2"]], ids=["one", "two"])
async def test_refused_connections(listener: socket.socket, addresses: list[str]) -> None:
    port = listener.getsockname()[1]
    listener.close()
    async with a_client(look_up=names(host=addresses)) as client:
        assert await cycles_of(ask(client, f"http://host:{port}/")) == set()


async def test_a_refused_address_before_one_that_answers() -> None:
    async with (
        Receiver(host="127.0.0.2") as receiver,
        a_client(look_up=names(host=["127.0.0.1", "127.0.0.2"])) as client,
    ):
        assert await cycles_of(ask(client, f"http://host:{receiver.port}/")) == set()


async def test_a_certificate_that_is_not_trusted(authority: Authority) -> None:
    async with Receiver(tls=authority.receiver_context("127.0.0.1")) as receiver, a_client(timeout_seconds=3) as client:
        assert await cycles_of(ask(client, receiver.url)) == set()


async def test_a_successful_request(client: Client) -> None:
    async with Receiver() as receiver:
        assert await cycles_of(ask(client, receiver.url)) == set()


@pytest.mark.parametrize("script", [[reset], [read, reset], [read, hang], answer(b"nonsense")])
async def test_replies_that_fail(script: Script) -> None:
    async with Receiver(script) as receiver, a_client(timeout_seconds=TIMEOUT) as client:
        assert await cycles_of(ask(client, receiver.url)) == set()


async def test_a_receiver_that_does_not_accept() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, full_accept_queue(full):
        async with a_client(timeout_seconds=TIMEOUT) as client:
            assert await cycles_of(ask(client, url_of(full))) == set()


async def test_a_name_without_an_address() -> None:
    async with a_client(look_up=names()) as client:
        assert await cycles_of(ask(client, "http://nowhere/")) == set()


async def test_an_address_that_is_not_allowed() -> None:
    async with a_client(look_up=names(host=["10.0.0.1"])) as client:
        assert await cycles_of(ask(client, "http://host/")) == set()


@pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])
async def test_a_request_through_a_proxy(kind: Callable[..., Proxy]) -> None:
    async with Receiver() as receiver, kind() as proxy, a_client(proxy=ours.Proxy.of(proxy.address)) as client:
        assert await cycles_of(ask(client, receiver.url)) == set()


@pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])
async def test_a_receiver_that_refuses_the_proxy(kind: Callable[..., Proxy]) -> None:
    async with kind() as proxy, a_client(proxy=ours.Proxy.of(proxy.address)) as client:
        assert await cycles_of(ask(client, f"http://127.0.0.1:{closed_port()}/")) == set()


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_a_proxy_that_is_unreachable(scheme: str) -> None:
    async with a_client(proxy=ours.Proxy.of(f"{scheme}://127.0.0.1:{closed_port()}")) as client:
        assert await cycles_of(ask(client, "http://127.0.0.1:9/")) == set()


@pytest.mark.parametrize("said", [b"HTTP/1.1 403 Forbidden\r\n\r\n", b"nonsense\r\n\r\n"])
async def test_a_proxy_that_refuses(said: bytes) -> None:
    async with Receiver([say(said)]) as proxy, a_client(proxy=ours.Proxy.of(proxy.url)) as client:
        assert await cycles_of(ask(client, "http://127.0.0.1:9/")) == set()
