# SPDX-License-Identifier: MIT
import asyncio
import contextlib
import errno
import logging
import os
import resource
import socket
from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest

from delivery.authority import DAY, NOW, Authority
from delivery.client_kit import (
    LOOPBACK,
    TIMEOUT,
    a_client,
    ask,
    full_accept_queue,
    names,
    open_sockets,
    send,
    settled_sockets,
    url_of,
)
from delivery.receiver import Receiver, hang, reset
from logged import fields_of
from tidings.delivery.address import AddressPolicy, Resolver
from tidings.delivery.client import Client, PoolLimits, Reply
from tidings.delivery.connection import ReceiverConnection, ReceiverConnectionLimits
from tidings.delivery.dial import DirectDialer, Origin, explained, tls_context
from tidings.delivery.pending_request import PendingRequest
from tidings.delivery.pool import Pool, PoolManager
from tidings.delivery.wheel import TimerWheel


async def test_a_receiver_that_never_accepts_is_a_timeout(listener: socket.socket) -> None:
    async with a_client(timeout_seconds=TIMEOUT) as client:
        reply = await ask(client, url_of(listener))

    assert reply == Reply(0, b"", reply.duration_ms, "request timed out", timed_out=True)


async def test_an_unanswered_connect_is_a_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, full_accept_queue(full):
        async with a_client(timeout_seconds=TIMEOUT) as client:
            reply = await ask(client, url_of(full))

    assert reply == Reply(0, b"", reply.duration_ms, "request timed out", timed_out=True)


async def test_a_refused_connection_is_an_error(client: Client, listener: socket.socket) -> None:
    url = url_of(listener)
    listener.close()

    reply = await ask(client, url)

    assert reply == Reply(0, b"", reply.duration_ms, "error making request: connection refused")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "http://localhost:9/", "http://2130706433:9/", "http://[::ffff:127.0.0.1]:9/"]
)
async def test_a_blocked_address_is_never_dialed(url: str) -> None:
    async with a_client(policy=AddressPolicy(), timeout_seconds=5.0) as client:
        reply = await ask(client, url)

    assert reply.status == 0
    assert reply.error is not None
    assert reply.error.startswith("requests to this IP range are blocked (see the server configuration)")
    assert "TIDINGS_WHITELIST_SUBNETS" in reply.error


async def test_a_name_is_dialed_at_its_vetted_address(client: Client) -> None:
    async with Receiver() as receiver:
        reply = await ask(client, f"http://localhost:{receiver.port}/")

    assert reply.status == 200
    assert receiver.requests[0].values(b"host") == [b"localhost:%d" % receiver.port]


async def test_a_name_without_an_address_is_an_error() -> None:
    async with a_client(look_up=names()) as client:
        reply = await ask(client, "http://nowhere/")

    assert reply == Reply(0, b"", reply.duration_ms, "error resolving name: nowhere: Name or service not known")


async def test_a_name_with_a_private_address_is_called_at_the_public_one_only() -> None:
    policy = AddressPolicy.of(["127.0.0.1/32"])
    async with (
        Receiver(host="127.0.0.2") as private,
        Receiver(host="127.0.0.1") as public,
        a_client(policy=policy, look_up=names(both=["127.0.0.2", "127.0.0.1"])) as client,
    ):
        first, second = (
            await ask(client, f"http://both:{public.port}/"),
            await ask(client, f"http://both:{private.port}/"),
        )

    assert (first.status, second.status) == (200, 0)
    assert private.connections == 0


async def test_the_next_address_is_tried_if_one_refuses() -> None:
    async with (
        Receiver(host="127.0.0.3") as receiver,
        a_client(look_up=names(three=["127.0.0.1", "127.0.0.2", "127.0.0.3"])) as client,
    ):
        reply = await ask(client, f"http://three:{receiver.port}/")

    assert reply.status == 200


async def test_the_next_address_is_tried_if_one_is_unresponsive() -> None:
    async with Receiver(host="127.0.0.2") as receiver:
        with socket.create_server(("127.0.0.1", receiver.port), backlog=0) as full, full_accept_queue(full):
            async with a_client(look_up=names(two=["127.0.0.1", "127.0.0.2"]), timeout_seconds=2.0) as client:
                reply = await ask(client, f"http://two:{receiver.port}/")

    assert reply.status == 200


def test_each_address_is_named_with_its_error() -> None:
    refused, late = ConnectionRefusedError(errno.ECONNREFUSED, "x"), TimeoutError()

    assert explained([("192.0.1.1", refused), ("2606:4700::1", late)]) == (
        "192.0.1.1: connection refused; 2606:4700::1: no answer in time"
    )
    assert explained([("192.0.1.1", refused), ("2606:4700::1", refused)]) == "connection refused"


def test_a_private_address_is_not_named() -> None:
    assert explained([("10.1.2.3", TimeoutError())]) == "a private IPv4 address: no answer in time"
    assert explained([("fd00::1", TimeoutError())]) == "a private IPv6 address: no answer in time"


async def test_the_error_of_each_address_is_in_the_reply(authority: Authority) -> None:
    tls = authority.receiver_context("name", expires=NOW - DAY)
    async with (
        Receiver(tls=tls) as receiver,
        a_client(
            look_up=names(name=["127.0.0.1", "127.0.0.2"]), tls=authority.client_context(), timeout_seconds=5.0
        ) as client,
    ):
        reply = await ask(client, f"https://name:{receiver.port}/")

    assert reply.error == (
        "error making request: a private IPv4 address: TLS certificate not accepted: certificate has expired; "
        "a private IPv4 address: connection refused"
    )


async def test_an_error_is_not_hidden_by_an_unresponsive_address(authority: Authority) -> None:
    tls = authority.receiver_context("name", expires=NOW - DAY)
    async with Receiver(tls=tls) as receiver:
        with socket.create_server(("127.0.0.2", receiver.port), backlog=0) as full, full_accept_queue(full):
            async with a_client(
                look_up=names(name=["127.0.0.1", "127.0.0.2"]), tls=authority.client_context(), timeout_seconds=1.0
            ) as client:
                reply = await ask(client, f"https://name:{receiver.port}/")

    assert reply.timed_out
    assert reply.error is not None
    assert "TLS certificate not accepted: certificate has expired" in reply.error


@pytest.fixture
def ready() -> Iterator[socket.socket]:
    """A socket with a long accept queue: the kernel connects at once, even if nothing accepts."""
    with socket.create_server(("127.0.0.1", 0), backlog=4_096) as listener:
        yield listener


@pytest.mark.parametrize("turns", range(8))
async def test_a_dial_canceled_at_any_loop_iteration_leaves_no_socket(ready: socket.socket, turns: int) -> None:
    async with a_client() as client:
        for _ in range(5):
            asked = [send(client, url_of(ready)) for _ in range(20)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for each in asked:
                each.sending.cancel()
        for _ in range(100):
            await asyncio.sleep(0)

        assert (client.connections, client.origins) == (0, 0)


@pytest.mark.parametrize("turns", range(8))
async def test_a_client_closes_with_dials_in_flight_at_any_loop_iteration(ready: socket.socket, turns: int) -> None:
    async with a_client() as client:
        for _ in range(100):
            send(client, url_of(ready))
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await client.close()

        assert client.connections == 0


async def test_two_thousand_unanswered_dials_do_not_delay_a_close(listener: socket.socket) -> None:
    limits = PoolLimits(connections_per_origin=2_000, idle_per_origin=2_000)
    with full_accept_queue(listener):
        async with a_client(timeout_seconds=30.0, limits=limits) as client:
            for _ in range(2_000):
                send(client, url_of(listener))
            await asyncio.sleep(0)


async def test_a_failing_name_server_is_an_error_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def look_up(host: str) -> list[str]:
        raise LookupError(host)

    async with a_client(look_up=look_up) as client:
        with caplog.at_level(logging.ERROR):
            reply = await ask(client, "http://name/")

    assert reply == Reply(0, b"", reply.duration_ms, "error making request: LookupError")
    assert [record.message for record in caplog.records] == [
        "looking up a host failed",
        "connecting to a receiver failed",
    ]


async def test_a_dial_canceled_as_it_succeeds_leaves_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_sockets()
    loop = asyncio.get_running_loop()

    class CancelledJustThen:
        """A loop that cancels the caller exactly when the connection is established."""

        async def create_connection(self, *arguments: Any, **named: Any) -> None:
            await loop.create_connection(*arguments, **named)
            raise asyncio.CancelledError

    async with Receiver() as receiver:
        dialer = DirectDialer(Resolver(LOOPBACK, look_up=names()), tls_context(verify=True))
        made: list[ReceiverConnection] = []
        owner = Pool(
            PoolManager(dialer, PoolLimits(), TimerWheel(loop.call_later, monotonic)), Origin("", "http", "", 0)
        )

        def make() -> ReceiverConnection:
            now = monotonic()
            request = PendingRequest(b"", lambda _: None, TimerWheel(loop.call_later, monotonic), now, now + 9, now + 9)
            made.append(ReceiverConnection(owner, ReceiverConnectionLimits(1, 1.0), request))
            return made[0]

        with monkeypatch.context() as patched:
            patched.setattr("tidings.delivery.dial.asyncio.get_running_loop", CancelledJustThen)
            with pytest.raises(asyncio.CancelledError):
                await dialer.connect(Origin("", "http", "127.0.0.1", receiver.port), make, monotonic() + 5, [])

        assert not made[0].is_usable()
    assert await settled_sockets(before) == before


async def test_idle_connections_are_closed_when_descriptors_run_out(caplog: pytest.LogCaptureFixture) -> None:
    async with a_client() as client, Receiver() as busy, Receiver(host="127.0.0.2") as other:
        await asyncio.gather(*(send(client, busy.url).reply for _ in range(10)))
        idle = client.connections
        with no_more_descriptors(), caplog.at_level(logging.WARNING):
            reply = await ask(client, other.url)
            left = client.connections

    assert (reply.status, left) == (200, 1)
    assert [record.message for record in caplog.records] == ["out of sockets; idle connections were closed"]
    assert {"connections": idle} == fields_of(caplog.records[0])


async def test_a_lack_of_descriptors_without_idle_connections_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with a_client() as client, Receiver() as receiver:
        with no_more_descriptors(), caplog.at_level(logging.ERROR):
            reply = await ask(client, receiver.url)
        again = await ask(client, receiver.url)

    assert reply == Reply(0, b"", reply.duration_ms, "error making request: too many open files")
    assert len(caplog.records) == 1
    assert again.status == 200


async def test_a_lookup_without_a_free_descriptor_is_not_cached_as_a_failure() -> None:
    answers: list[OSError | list[str]] = [OSError(errno.EMFILE, "Too many open files"), ["127.0.0.1"]]

    async def look_up(_host: str) -> list[str]:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    async with Receiver() as receiver, a_client(look_up=look_up) as client:
        reply = await ask(client, f"http://name:{receiver.port}/")

    assert reply.status == 200


@contextlib.contextmanager
def no_more_descriptors() -> Iterator[None]:
    """Prevent this process from opening descriptors, until it closes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)


async def test_a_failed_connect_is_repeated_once(client: Client) -> None:
    async with Receiver([reset], [reset], [hang]) as receiver:
        reply = await ask(client, receiver.url.replace("http:", "https:"))

    assert reply.status == 0
    assert not reply.timed_out
    assert receiver.connections == 2
