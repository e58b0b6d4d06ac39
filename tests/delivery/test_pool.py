# SPDX-License-Identifier: MIT
import asyncio
import dataclasses
import socket

import pytest

from delivery.client_kit import GRACE, TIMEOUT, a_client, ask, open_sockets, send, settled_sockets, until, url_of
from delivery.receiver import OK, Receiver, Script, answer, hang, read, reset, say, serve, wait_for
from tidings.delivery.client import Client, PoolLimits, Reply


async def test_idle_connections_are_reused(client: Client) -> None:
    async with Receiver() as receiver:
        for _ in range(5):
            await ask(client, receiver.url)

    assert len(receiver.requests) == 5
    assert receiver.connections == 1


async def test_a_reused_connection_closed_before_a_response_is_replaced_silently(client: Client) -> None:
    async with Receiver([*answer(), read], [serve]) as receiver:
        await ask(client, receiver.url)
        reply = await ask(client, receiver.url)

    assert reply == Reply(200, b"ok", reply.duration_ms)
    assert len(receiver.requests) == 3
    assert receiver.connections == 2


async def test_a_reused_connection_is_replaced_only_once(client: Client) -> None:
    async with Receiver([*answer(), read], [read]) as receiver:
        await ask(client, receiver.url)
        reply = await ask(client, receiver.url)

    assert reply.status == 0
    assert len(receiver.requests) == 3


async def test_a_reused_connection_closed_within_a_response_is_an_error(client: Client) -> None:
    async with Receiver([*answer(), read, say(b"H")], [serve]) as receiver:
        await ask(client, receiver.url)
        reply = await ask(client, receiver.url)

    assert reply.status == 0
    assert receiver.connections == 1


@pytest.mark.parametrize("extra", [b"!", b"HTTP/1.1 200 OK\r\n", OK])
async def test_a_connection_with_surplus_bytes_is_not_reused(client: Client, extra: bytes) -> None:
    async with Receiver([*answer(OK + extra), serve], [serve]) as receiver:
        first = await ask(client, receiver.url)
        second = await ask(client, receiver.url)

    assert (first.body, second.body) == (b"ok", b"ok")
    assert receiver.connections == 2


async def test_a_connection_that_receives_bytes_while_idle_is_closed(client: Client) -> None:
    spoken = asyncio.Event()
    async with Receiver([*answer(), wait_for(spoken), say(OK), hang], [serve]) as receiver:
        await ask(client, receiver.url)
        spoken.set()
        await until(lambda: client.connections == 0)
        reply = await ask(client, receiver.url)

    assert reply.status == 200
    assert receiver.connections == 2


async def test_idle_connections_are_closed_after_the_idle_timeout() -> None:
    limits = PoolLimits(idle_seconds=0.2)
    async with a_client(limits=limits) as client, Receiver() as receiver:
        await ask(client, receiver.url)
        assert client.connections == 1

        await until(lambda: client.connections == 0)


async def test_a_connection_past_its_maximum_age_is_not_kept() -> None:
    async with a_client(limits=PoolLimits(max_age_seconds=0.0)) as client, Receiver() as receiver:
        await ask(client, receiver.url)
        await ask(client, receiver.url)

    assert receiver.connections == 2


async def test_requests_beyond_the_connection_limit_queue_in_order() -> None:
    async with a_client(limits=PoolLimits(connections_per_origin=2)) as client, Receiver() as receiver:
        replies = await asyncio.gather(*(send(client, receiver.url, body=b"%d" % place).reply for place in range(20)))

    assert [reply.status for reply in replies] == [200] * 20
    assert receiver.connections == 2


async def test_waiting_for_a_connection_counts_towards_the_deadline() -> None:
    limits = PoolLimits(connections_per_origin=1)
    async with a_client(limits=limits, timeout_seconds=TIMEOUT) as client, Receiver([read, hang]) as receiver:
        replies = await asyncio.gather(send(client, receiver.url).reply, send(client, receiver.url).reply)

    assert [reply.error for reply in replies] == ["request timed out"] * 2
    assert len(receiver.requests) == 1


async def test_a_failed_connection_releases_its_slot_to_the_next_request() -> None:
    async with a_client(limits=PoolLimits(connections_per_origin=1)) as client, Receiver([read], [serve]) as receiver:
        first, second = await asyncio.gather(send(client, receiver.url).reply, send(client, receiver.url).reply)

    assert (first.status, second.status) == (0, 200)


async def test_no_more_connections_are_kept_than_configured() -> None:
    limits = PoolLimits(kept_connections=1)
    async with a_client(limits=limits) as client, Receiver() as one, Receiver() as other:
        for receiver in (one, other, one, other):
            await ask(client, receiver.url)

    assert (one.connections, other.connections) == (1, 2)


async def test_no_more_connections_to_an_origin_are_kept_than_configured() -> None:
    limits = PoolLimits(idle_per_origin=2)
    async with a_client(limits=limits) as client, Receiver() as receiver:
        await asyncio.gather(*(send(client, receiver.url).reply for _ in range(5)))
        await until(lambda: client.connections == 2)
        replies = await asyncio.gather(*(send(client, receiver.url).reply for _ in range(2)))

    assert [reply.status for reply in replies] == [200] * 2
    assert receiver.connections == 5


async def test_a_repeated_request_keeps_its_place_in_the_queue() -> None:
    limits = PoolLimits(connections_per_origin=1)
    async with a_client(limits=limits) as client, Receiver([*answer(), read], [serve]) as receiver:
        await ask(client, receiver.url)
        asked = [send(client, receiver.url, body=b"%d" % place) for place in range(3)]
        replies = await asyncio.gather(*(one.reply for one in asked))

    assert [reply.status for reply in replies] == [200] * 3
    assert [request.body for request in receiver.requests] == [b"{}", b"0", b"0", b"1", b"2"]
    assert receiver.connections == 2


async def test_a_queued_request_can_be_canceled() -> None:
    released = asyncio.Event()
    script = [read, wait_for(released), say(OK), serve]
    async with a_client(limits=PoolLimits(connections_per_origin=1)) as client, Receiver(script) as receiver:
        first, second, third = (send(client, receiver.url, body=b"%d" % place) for place in range(3))
        second.sending.cancel()
        released.set()
        await asyncio.gather(first.reply, third.reply)

    assert [request.body for request in receiver.requests] == [b"0", b"2"]


@pytest.mark.parametrize(
    "limits",
    [PoolLimits(), PoolLimits(idle_per_origin=0), PoolLimits(idle_seconds=0.0), PoolLimits(max_age_seconds=0.0)],
)
async def test_a_slot_is_released_after_every_outcome_of_a_request(limits: PoolLimits, listener: socket.socket) -> None:
    limits = dataclasses.replace(limits, connections_per_origin=1, grace_seconds=GRACE)
    script: list[Script] = [[read], [read, hang], [serve]]
    async with a_client(limits=limits, timeout_seconds=TIMEOUT) as client, Receiver(*script) as receiver:
        dialing = send(client, receiver.url)
        await asyncio.sleep(0)
        dialing.sending.cancel()
        waiting = send(client, url_of(listener))
        replies = [await ask(client, receiver.url) for _ in range(5)]
        waiting.sending.cancel()

        assert [reply.status for reply in replies][2:] == [200] * 3
    assert client.connections == 0


async def test_an_idle_origin_is_removed_from_the_pool() -> None:
    async with a_client(limits=PoolLimits(idle_seconds=0.2)) as client, Receiver() as receiver:
        await ask(client, receiver.url)
        cancelled = send(client, receiver.url)
        cancelled.sending.cancel()
        await ask(client, receiver.url)

        await until(lambda: client.origins == 0)


async def test_no_outcome_of_a_request_leaves_a_socket_open(listener: socket.socket) -> None:
    scripts: list[Script] = [[read], [reset], [read, reset], [read, hang], answer(b"nonsense"), answer(), [serve]]
    before = open_sockets()
    for script in scripts:
        async with Receiver(script) as receiver, a_client(timeout_seconds=TIMEOUT) as client:
            asked = [send(client, receiver.url) for _ in range(5)]
            stuck = send(client, url_of(listener))
            asked[0].sending.cancel()
            await asyncio.gather(*(one.reply for one in asked[1:]))
            stuck.sending.cancel()
            stuck.sending.cancel()

    assert await settled_sockets(before) == before


async def test_an_idle_client_has_no_timer() -> None:
    async with a_client(limits=PoolLimits(idle_seconds=0.2)) as client, Receiver() as receiver:
        await ask(client, receiver.url)
        await until(lambda: client.connections == 0)

        await until(lambda: not client.is_armed)
