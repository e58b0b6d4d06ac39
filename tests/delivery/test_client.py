# SPDX-License-Identifier: MIT
import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from time import monotonic

import pytest

from delivery.client_kit import GRACE, TIMEOUT, a_client, ask, names, open_sockets, send, settled_sockets
from delivery.receiver import OK, Receiver, Script, answer, hang, read, reset, say, say_forever, serve, wait_for
from tidings.delivery.address import AddressPolicy
from tidings.delivery.client import Client, Limits
from tidings.delivery.sending import Reply
from tidings.delivery.target import compile_target

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SLACK = 0.5  # what a busy machine may add to a deadline


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with a_client() as client:
        yield client


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that listens and never accepts."""
    with socket.create_server(("127.0.0.1", 0), backlog=8) as listener:
        yield listener


def url_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}/"


@contextlib.contextmanager
def crowd(full: socket.socket) -> Iterator[None]:
    """Fill a listener's queue, so that it answers no further connect."""
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0)
            filler.connect_ex(full.getsockname())
        yield


async def test_a_request_has_our_headers_in_our_order(client: Client) -> None:
    async with Receiver() as receiver:
        await ask(client, receiver.url + "?a=b", body=b'{"a": 1}')

    request = receiver.requests[0]
    assert request.line == b"POST /hook?a=b HTTP/1.1"
    assert request.body == b'{"a": 1}'
    assert request.headers == (
        (b"Host", b"127.0.0.1:%d" % receiver.port),
        (b"Accept", b"*/*"),
        (b"content-type", b"application/json"),
        (b"user-agent", b"Svix-Webhooks/1.2.3"),
        (b"svix-id", b"msg_1"),
        (b"svix-timestamp", b"1614265330"),
        (b"svix-signature", b"v1,AAAA"),
        (b"Content-Length", b"8"),
    )


async def test_a_reply_has_what_the_receiver_said(client: Client) -> None:
    said = b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nWebhook-Delivery: x\xff\r\nContent-Length: 4\r\n\r\n\x00\xff{}"
    async with Receiver(answer(said)) as receiver:
        reply = await ask(client, receiver.url)

    assert reply == Reply(503, b"\x00\xff{}", reply.duration_ms, retry_after="120", webhook_delivery="x\ufffd")
    assert 0 <= reply.duration_ms < 1000 * (TIMEOUT + SLACK)


@pytest.mark.parametrize(
    ("said", "status", "body"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", 304, b""),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, b""),
        (b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", 999, b""),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", 200, b"to the end"),
        (HEAD + b"Connection: close\r\n\r\nto the end", 200, b"to the end"),
        (HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nok and more", 200, b"ok"),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, b"ok"),
        (HEAD + b"X: \xff\xfe\x01\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (CHUNKED + b"2\r\nok\r\n1;ext=1\r\n!\r\n0\r\nTrailer: 1\r\nRetry-After: 9\r\n\r\n", 200, b"ok!"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nRetry-After: 1\r\n\r\n" + OK, 200, b"ok"),
    ],
)
async def test_every_kind_of_answer_is_read(client: Client, said: bytes, status: int, body: bytes) -> None:
    async with Receiver(answer(said)) as receiver:
        reply = await ask(client, receiver.url)

    assert reply == Reply(status, body, reply.duration_ms)


async def test_an_answer_may_come_byte_by_byte(client: Client) -> None:
    said = CHUNKED + b"2\r\nok\r\n0\r\nTrailer: 1\r\n\r\n"
    async with Receiver([read, *(say(said[place : place + 1]) for place in range(len(said)))]) as receiver:
        reply = await ask(client, receiver.url)

    assert reply == Reply(200, b"ok", reply.duration_ms)


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        HEAD + b"Content-Length: many\r\n\r\nok",
        HEAD + b"no colon\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_an_error(client: Client, said: bytes) -> None:
    async with Receiver([read, say(said), hang]) as receiver:
        reply = await ask(client, receiver.url)

    assert reply.status == 0
    assert reply.error is not None
    assert reply.error.startswith("error making request: invalid HTTP response")


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ([read], "connection closed before the response was complete"),
        ([read, say(b"HTTP/1.1 2")], "connection closed before the response was complete"),
        ([read, reset], "connection reset by peer"),
        ([read, say(b"HTTP/1.1 200 OK\r\nX"), reset], "connection reset by peer"),
    ],
)
async def test_a_connection_that_ends_before_the_head_is_an_error(client: Client, script: Script, error: str) -> None:
    async with Receiver(script) as receiver:
        reply = await ask(client, receiver.url)

    assert reply == Reply(0, b"", reply.duration_ms, f"error making request: {error}")
    assert len(receiver.requests) == 1


async def test_a_connection_reset_at_once_is_an_error(client: Client) -> None:
    async with Receiver([reset]) as receiver:
        reply = await ask(client, receiver.url, body=b"x" * 100_000)

    assert reply.status == 0
    assert reply.error is not None
    assert reply.error.startswith("error making request: ")


@pytest.mark.parametrize("said", [HEAD + b"Content-Length: 9\r\n\r\npart", CHUNKED + b"4\r\npart\r\n"])
async def test_a_body_that_breaks_off_leaves_status_and_what_came(client: Client, said: bytes) -> None:
    async with Receiver(answer(said)) as receiver:
        reply = await ask(client, receiver.url)

    error = "Error reading response body: connection closed before the response was complete"
    assert reply == Reply(200, b"part", reply.duration_ms, error)


async def test_a_reset_inside_the_body_leaves_the_status(client: Client) -> None:
    released = asyncio.Event()
    async with Receiver([read, say(HEAD + b"\r\npart"), wait_for(released), reset]) as receiver:
        asked = send(client, receiver.url)
        await receiver.next_request()
        asyncio.get_running_loop().call_later(0.05, released.set)
        reply = await asked.reply

    assert reply == Reply(200, b"part", reply.duration_ms, "Error reading response body: connection reset by peer")


async def test_a_redirect_is_a_result(client: Client) -> None:
    async with Receiver() as elsewhere:
        said = b"HTTP/1.1 308 Moved\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % elsewhere.url.encode()
        async with Receiver(answer(said)) as receiver:
            reply = await ask(client, receiver.url)

    assert reply.status == 308
    assert elsewhere.connections == 0


async def test_a_body_is_kept_whole_up_to_the_limit(client: Client) -> None:
    async with Receiver([read, say(HEAD + b"Content-Length: 20000\r\n\r\n" + b"x" * 20_000), serve]) as receiver:
        first = await ask(client, receiver.url)
        await ask(client, receiver.url)

    assert first == Reply(200, b"x" * 20_000, first.duration_ms)
    assert receiver.connections == 1


async def test_a_body_is_read_no_further_than_the_limit(client: Client) -> None:
    async with Receiver([read, say(HEAD + b"Content-Length: 20001\r\n\r\n" + b"x" * 20_001), hang]) as receiver:
        reply = await ask(client, receiver.url)

    assert reply == Reply(200, b"x" * 20_000, reply.duration_ms)
    assert client.connections <= 1


@pytest.mark.parametrize(
    ("head", "more"),
    [(HEAD + b"\r\n", b"x" * 4096), (CHUNKED, b"1\r\nx\r\n" * 500), (CHUNKED, b"1;" + b"e" * 4096 + b"\r\nx\r\n")],
)
async def test_an_endless_body_ends_at_the_limit(client: Client, head: bytes, more: bytes) -> None:
    async with Receiver([read, say(head), say_forever(more)]) as receiver:
        reply = await ask(client, receiver.url)

    assert reply.status == 200
    assert reply.error is None
    assert set(reply.body) == {ord("x")}
    assert len(reply.body) <= 20_000


async def test_endless_trailers_end_the_body(client: Client) -> None:
    async with Receiver([read, say(CHUNKED + b"2\r\nok\r\n0\r\n"), say_forever(b"T: 1\r\n" * 500)]) as receiver:
        reply = await ask(client, receiver.url)

    assert reply == Reply(200, b"ok", reply.duration_ms)


@pytest.mark.parametrize("more", [b"X: 1\r\n" * 500, b"x" * 4096])
async def test_endless_headers_are_an_error(client: Client, more: bytes) -> None:
    async with Receiver([read, say(HEAD + b"X: "), say_forever(more)]) as receiver:
        reply = await ask(client, receiver.url)

    assert reply == Reply(0, b"", reply.duration_ms, "error making request: response headers are too long")


async def test_endless_interim_answers_are_an_error(client: Client) -> None:
    async with Receiver([read, say_forever(b"HTTP/1.1 100 Continue\r\n\r\n" * 50)]) as receiver:
        reply = await ask(client, receiver.url)

    assert reply == Reply(0, b"", reply.duration_ms, "error making request: response headers are too long")


async def test_ten_megabytes_of_headers_are_an_error(client: Client) -> None:
    async with Receiver([read, say(HEAD + b"X: " + b"x" * 10_000_000 + b"\r\n\r\n")]) as receiver:
        reply = await ask(client, receiver.url)

    assert reply.status == 0
    assert reply.error is not None


@pytest.mark.parametrize("script", [[hang], [read, hang], [read, say(b"HTTP/1.1 200 OK\r\nX: 1\r\n"), hang]])
async def test_a_late_head_is_a_timeout(client: Client, script: Script) -> None:
    async with Receiver(script) as receiver:
        began = monotonic()
        reply = await ask(client, receiver.url)
        took = monotonic() - began

    assert reply == Reply(0, b"", reply.duration_ms, "request timed out", timed_out=True)
    assert TIMEOUT <= took < TIMEOUT + SLACK


async def test_a_receiver_that_never_accepts_is_a_timeout(client: Client, listener: socket.socket) -> None:
    reply = await ask(client, url_of(listener))

    assert reply == Reply(0, b"", reply.duration_ms, "request timed out", timed_out=True)


async def test_a_connect_that_gets_no_answer_is_a_timeout(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, crowd(full):
        reply = await ask(client, url_of(full))

    assert reply == Reply(0, b"", reply.duration_ms, "request timed out", timed_out=True)


async def test_a_slow_body_ends_with_what_came_by_the_deadline(client: Client) -> None:
    async with Receiver([read, say(HEAD + b"Content-Length: 9\r\n\r\npart"), hang]) as receiver:
        began = monotonic()
        reply = await ask(client, receiver.url)
        took = monotonic() - began

    assert reply == Reply(200, b"part", reply.duration_ms)
    assert reply.duration_ms < 1000 * TIMEOUT
    assert took < TIMEOUT + GRACE + SLACK


async def test_connections_are_kept_and_used_again(client: Client) -> None:
    async with Receiver() as receiver:
        for _ in range(5):
            await ask(client, receiver.url)

    assert len(receiver.requests) == 5
    assert receiver.connections == 1


async def test_a_kept_connection_closed_before_an_answer_is_replaced_silently(client: Client) -> None:
    async with Receiver([*answer(), read], [serve]) as receiver:
        await ask(client, receiver.url)
        reply = await ask(client, receiver.url)

    assert reply == Reply(200, b"ok", reply.duration_ms)
    assert len(receiver.requests) == 3
    assert receiver.connections == 2


async def test_a_kept_connection_is_replaced_only_once(client: Client) -> None:
    async with Receiver([*answer(), read], [read]) as receiver:
        await ask(client, receiver.url)
        reply = await ask(client, receiver.url)

    assert reply.status == 0
    assert len(receiver.requests) == 3


async def test_a_kept_connection_closed_inside_an_answer_is_an_error(client: Client) -> None:
    async with Receiver([*answer(), read, say(b"H")], [serve]) as receiver:
        await ask(client, receiver.url)
        reply = await ask(client, receiver.url)

    assert reply.status == 0
    assert receiver.connections == 1


@pytest.mark.parametrize("extra", [b"!", b"HTTP/1.1 200 OK\r\n", OK])
async def test_a_connection_that_says_more_than_asked_is_not_used_again(client: Client, extra: bytes) -> None:
    async with Receiver([*answer(OK + extra), serve], [serve]) as receiver:
        first = await ask(client, receiver.url)
        second = await ask(client, receiver.url)

    assert (first.body, second.body) == (b"ok", b"ok")
    assert receiver.connections == 2


async def test_a_connection_that_speaks_while_idle_is_closed(client: Client) -> None:
    spoken = asyncio.Event()
    async with Receiver([*answer(), wait_for(spoken), say(OK), hang], [serve]) as receiver:
        await ask(client, receiver.url)
        spoken.set()
        await until(lambda: client.connections == 0)
        reply = await ask(client, receiver.url)

    assert reply.status == 200
    assert receiver.connections == 2


async def test_an_answer_before_the_request_was_read_is_taken(client: Client) -> None:
    said = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    async with Receiver([say(said), hang]) as receiver:
        reply = await ask(client, receiver.url, body=b"x" * 5_000_000)

    assert reply == Reply(413, b"", reply.duration_ms)


async def test_idle_connections_are_closed_in_time() -> None:
    limits = Limits(idle_seconds=0.2)
    async with a_client(limits=limits) as client, Receiver() as receiver:
        await ask(client, receiver.url)
        assert client.connections == 1

        await until(lambda: client.connections == 0)


async def test_a_connection_past_its_age_is_not_kept() -> None:
    async with a_client(limits=Limits(max_age_seconds=0.0)) as client, Receiver() as receiver:
        await ask(client, receiver.url)
        await ask(client, receiver.url)

    assert receiver.connections == 2


async def test_requests_beyond_the_bound_wait_their_turn() -> None:
    async with a_client(limits=Limits(connections_per_origin=2)) as client, Receiver() as receiver:
        replies = await asyncio.gather(*(send(client, receiver.url, body=b"%d" % place).reply for place in range(20)))

    assert [reply.status for reply in replies] == [200] * 20
    assert receiver.connections == 2


async def test_waiting_for_a_connection_counts_towards_the_deadline() -> None:
    async with a_client(limits=Limits(connections_per_origin=1)) as client, Receiver([read, hang]) as receiver:
        replies = await asyncio.gather(send(client, receiver.url).reply, send(client, receiver.url).reply)

    assert [reply.error for reply in replies] == ["request timed out"] * 2
    assert len(receiver.requests) == 1


async def test_a_failed_connection_gives_its_place_to_the_next() -> None:
    async with a_client(limits=Limits(connections_per_origin=1)) as client, Receiver([read], [serve]) as receiver:
        first, second = await asyncio.gather(send(client, receiver.url).reply, send(client, receiver.url).reply)

    assert (first.status, second.status) == (0, 200)


async def test_a_refused_connection_is_an_error(client: Client, listener: socket.socket) -> None:
    url = url_of(listener)
    listener.close()

    reply = await ask(client, url)

    assert reply == Reply(0, b"", reply.duration_ms, "error making request: connection refused")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "http://localhost:9/", "http://2130706433:9/", "http://[::ffff:127.0.0.1]:9/"]
)
async def test_a_blocked_address_is_never_dialled(url: str) -> None:
    async with a_client(policy=AddressPolicy(), timeout_seconds=5.0) as client:
        reply = await ask(client, url)

    assert reply.status == 0
    assert reply.error is not None
    assert reply.error.startswith("requests to this IP range are blocked (see the server configuration)")
    assert "TIDINGS_WHITELIST_SUBNETS" in reply.error


async def test_a_name_is_dialled_at_the_address_that_was_vetted(client: Client) -> None:
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


async def test_the_next_address_is_tried_if_one_says_nothing() -> None:
    async with Receiver(host="127.0.0.2") as receiver:
        with socket.create_server(("127.0.0.1", receiver.port), backlog=0) as full, crowd(full):
            async with a_client(look_up=names(two=["127.0.0.1", "127.0.0.2"])) as client:
                reply = await ask(client, f"http://two:{receiver.port}/")

    assert reply.status == 200


async def test_a_failing_name_server_is_logged_and_an_error(caplog: pytest.LogCaptureFixture) -> None:
    async def look_up(host: str) -> list[str]:
        raise LookupError(host)

    async with a_client(look_up=look_up) as client:
        with caplog.at_level(logging.ERROR):
            reply = await ask(client, "http://name/")

    assert reply == Reply(0, b"", reply.duration_ms, "error making request: LookupError")
    assert [record.message for record in caplog.records] == ["looking up a host failed", "connecting failed"]


async def test_a_connect_that_fails_is_tried_once_more(client: Client) -> None:
    async with Receiver([reset], [reset], [hang]) as receiver:
        reply = await ask(client, receiver.url.replace("http:", "https:"))

    assert reply.status == 0
    assert not reply.timed_out
    assert receiver.connections == 2


async def test_no_more_connections_are_kept_than_told() -> None:
    limits = Limits(kept_connections=1)
    async with a_client(limits=limits) as client, Receiver() as one, Receiver() as other:
        for receiver in (one, other, one, other):
            await ask(client, receiver.url)

    assert (one.connections, other.connections) == (1, 2)


async def test_no_more_connections_to_an_origin_are_kept_than_told() -> None:
    limits = Limits(idle_per_origin=2)
    async with a_client(limits=limits) as client, Receiver() as receiver:
        await asyncio.gather(*(send(client, receiver.url).reply for _ in range(5)))
        await until(lambda: client.connections == 2)
        replies = await asyncio.gather(*(send(client, receiver.url).reply for _ in range(2)))

    assert [reply.status for reply in replies] == [200] * 2
    assert receiver.connections == 5


async def test_a_request_that_is_sent_again_does_not_lose_its_turn() -> None:
    limits = Limits(connections_per_origin=1)
    async with a_client(limits=limits) as client, Receiver([*answer(), read], [serve]) as receiver:
        await ask(client, receiver.url)
        asked = [send(client, receiver.url, body=b"%d" % place) for place in range(3)]
        replies = await asyncio.gather(*(one.reply for one in asked))

    assert [reply.status for reply in replies] == [200] * 3
    assert [request.body for request in receiver.requests] == [b"{}", b"0", b"0", b"1", b"2"]
    assert receiver.connections == 2


async def test_a_cancelled_request_is_never_answered(client: Client) -> None:
    async with Receiver([read, hang], [serve]) as receiver:
        asked = send(client, receiver.url)
        await receiver.next_request()
        asked.sending.cancel()
        other = await ask(client, receiver.url)

    assert other.status == 200
    assert not asked.reply.done()


async def test_a_request_cancelled_at_once_is_never_sent(client: Client) -> None:
    async with Receiver() as receiver:
        asked = send(client, receiver.url)
        asked.sending.cancel()
        await ask(client, receiver.url)

    assert not asked.reply.done()
    assert receiver.connections == 1


async def test_a_waiting_request_can_be_cancelled() -> None:
    released = asyncio.Event()
    script = [read, wait_for(released), say(OK), serve]
    async with a_client(limits=Limits(connections_per_origin=1)) as client, Receiver(script) as receiver:
        first, second, third = (send(client, receiver.url, body=b"%d" % place) for place in range(3))
        second.sending.cancel()
        released.set()
        await asyncio.gather(first.reply, third.reply)

    assert [request.body for request in receiver.requests] == [b"0", b"2"]


async def test_cancelling_twice_or_too_late_does_nothing(client: Client) -> None:
    async with Receiver() as receiver:
        asked = send(client, receiver.url)
        await asked.reply
        asked.sending.cancel()
        asked.sending.cancel()
        await ask(client, receiver.url)

    assert receiver.connections == 1


async def test_a_failing_callback_is_logged_and_harms_nothing(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    target_done = asyncio.Event()

    def done(reply: Reply) -> None:
        target_done.set()
        raise RuntimeError(str(reply.status))

    async with Receiver() as receiver:
        with caplog.at_level(logging.ERROR):
            client.send(compile_target(receiver.url, version="1"), "msg_1", 1, b"v1,A", b"{}", done)
            await target_done.wait()
        reply = await ask(client, receiver.url)

    assert reply.status == 200
    assert receiver.connections == 1
    assert [record.message for record in caplog.records] == ["a reply's receiver failed"]


async def test_a_callback_may_send_the_next_request_on_the_same_connection(client: Client) -> None:
    statuses: list[int] = []
    finished = asyncio.Event()

    async with Receiver() as receiver:
        target = compile_target(receiver.url, version="1")

        def done(reply: Reply) -> None:
            statuses.append(reply.status)
            if len(statuses) == 50:
                finished.set()
                return
            client.send(target, "msg_1", 1, b"v1,A", b"{}", done)

        client.send(target, "msg_1", 1, b"v1,A", b"{}", done)
        await finished.wait()

    assert statuses == [200] * 50
    assert receiver.connections == 1


@pytest.mark.parametrize(("msg_id", "signature"), [("a\r\nb", b"v1,A"), ("a", b"v1,A\nb"), ("a\0", b"v1,A")])
async def test_nothing_breaks_out_of_a_header(client: Client, msg_id: str, signature: bytes) -> None:
    target = compile_target("http://127.0.0.1/", version="1")

    with pytest.raises(ValueError, match="control character"):
        client.send(target, msg_id, 1, signature, b"", lambda _: None)


async def test_closing_drops_what_is_under_way(listener: socket.socket) -> None:
    async with Receiver([read, hang]) as receiver:
        async with a_client(limits=Limits(connections_per_origin=1)) as client:
            asked = [send(client, receiver.url), send(client, receiver.url), send(client, url_of(listener))]
            await receiver.next_request()
        with pytest.raises(RuntimeError, match="closed"):
            send(client, receiver.url)

    for one in asked:
        one.sending.cancel()
    assert not any(one.reply.done() for one in asked)


async def test_no_socket_is_left_after_every_kind_of_end(listener: socket.socket) -> None:
    scripts: list[Script] = [[read], [reset], [read, reset], [read, hang], answer(b"nonsense"), answer(), [serve]]
    before = open_sockets()
    for script in scripts:
        async with Receiver(script) as receiver, a_client() as client:
            asked = [send(client, receiver.url) for _ in range(5)]
            stuck = send(client, url_of(listener))
            asked[0].sending.cancel()
            await asyncio.gather(*(one.reply for one in asked[1:]))
            stuck.sending.cancel()
            stuck.sending.cancel()

    assert await settled_sockets(before) == before


async def test_an_idle_client_has_no_timer() -> None:
    async with a_client(limits=Limits(idle_seconds=0.2)) as client, Receiver() as receiver:
        await ask(client, receiver.url)
        await until(lambda: client.connections == 0)

        await until(lambda: not client.is_armed)


async def until(fact: Callable[[], bool]) -> None:
    """Let the loop turn until a fact is so; the test's own timeout is the limit."""
    while not fact():  # noqa: ASYNC110 (sockets close without telling anyone)
        await asyncio.sleep(0.01)
