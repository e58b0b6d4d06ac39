# SPDX-License-Identifier: MIT
import asyncio
import logging
import socket
from time import monotonic

import pytest

from delivery.client_kit import ENOUGH, GRACE, TIMEOUT, a_client, ask, send, until, url_of
from delivery.receiver import OK, Peer, Receiver, Script, answer, hang, read, reset, say, say_forever, serve, wait_for
from tidings.delivery.client import Client, PoolLimits, Reply, compile_target

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


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


async def test_a_reply_has_the_receivers_response(client: Client) -> None:
    said = b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nWebhook-Delivery: x\xff\r\nContent-Length: 4\r\n\r\n\x00\xff{}"
    async with Receiver(answer(said)) as receiver:
        reply = await ask(client, receiver.url)

    assert reply == Reply(503, b"\x00\xff{}", reply.duration_ms, retry_after="120", webhook_delivery="x\ufffd")
    assert 0 <= reply.duration_ms < 1000 * ENOUGH


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
async def test_every_kind_of_response_is_read(client: Client, said: bytes, status: int, body: bytes) -> None:
    async with Receiver(answer(said)) as receiver:
        reply = await ask(client, receiver.url)

    assert reply == Reply(status, body, reply.duration_ms)


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 0\r\n"]
)
async def test_the_framing_of_an_interim_response_does_not_apply_to_the_final_one(
    client: Client, framing: bytes
) -> None:
    said = b"HTTP/1.1 103 Hints\r\n%b\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end" % framing
    async with Receiver(answer(said)) as receiver:
        reply = await ask(client, receiver.url)

    assert reply == Reply(200, b"to the end", reply.duration_ms)


async def test_bytes_are_counted_per_response(client: Client) -> None:
    big = HEAD + b"X: " + b"x" * 60_000 + b"\r\nContent-Length: 20000\r\n\r\n" + b"x" * 20_000
    async with Receiver([*[read, say(big[:70_000]), pause, say(big[70_000:])] * 8, hang]) as receiver:
        replies = [await ask(client, receiver.url) for _ in range(8)]

    assert [(reply.status, len(reply.body), reply.error) for reply in replies] == [(200, 20_000, None)] * 8
    assert receiver.connections == 1


async def pause(_peer: Peer) -> None:
    await asyncio.sleep(0.01)


async def test_interim_responses_count_towards_the_length_of_the_head(client: Client) -> None:
    interim = b"HTTP/1.1 103 Hints\r\nX: " + b"x" * 30_000 + b"\r\n\r\n"
    async with Receiver([read, say(interim), say(interim), say(interim), hang]) as receiver:
        reply = await ask(client, receiver.url)

    assert reply == Reply(0, b"", reply.duration_ms, "error making request: response headers are too long")


async def test_a_response_that_arrives_byte_by_byte_is_read(client: Client) -> None:
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
    ],
)
async def test_a_response_that_is_not_http_is_an_error(client: Client, said: bytes) -> None:
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


async def test_a_connection_that_is_reset_immediately_is_an_error(client: Client) -> None:
    async with Receiver([reset]) as receiver:
        reply = await ask(client, receiver.url, body=b"x" * 100_000)

    assert reply.status == 0
    assert reply.error is not None
    assert reply.error.startswith("error making request: ")


@pytest.mark.parametrize("said", [HEAD + b"Content-Length: 9\r\n\r\npart", CHUNKED + b"4\r\npart\r\n"])
async def test_a_truncated_body_keeps_the_status_and_the_received_part(client: Client, said: bytes) -> None:
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


async def test_endless_interim_responses_are_an_error(client: Client) -> None:
    async with Receiver([read, say_forever(b"HTTP/1.1 100 Continue\r\n\r\n" * 50)]) as receiver:
        reply = await ask(client, receiver.url)

    assert reply == Reply(0, b"", reply.duration_ms, "error making request: response headers are too long")


async def test_headers_beyond_the_limit_are_an_error_immediately(client: Client) -> None:
    async with Receiver([read, say(HEAD + b"X: " + b"x" * 70_000), hang]) as receiver:
        reply = await ask(client, receiver.url)

    assert reply == Reply(0, b"", reply.duration_ms, "error making request: response headers are too long")


async def test_ten_megabytes_of_headers_are_an_error(client: Client) -> None:
    async with Receiver([read, say(HEAD + b"X: " + b"x" * 10_000_000 + b"\r\n\r\n")]) as receiver:
        reply = await ask(client, receiver.url)

    assert reply.status == 0
    assert reply.error is not None


@pytest.mark.parametrize("script", [[hang], [read, hang], [read, say(b"HTTP/1.1 200 OK\r\nX: 1\r\n"), hang]])
async def test_a_late_head_is_a_timeout(script: Script) -> None:
    async with Receiver(script) as receiver, a_client(timeout_seconds=TIMEOUT) as client:
        began = monotonic()
        reply = await ask(client, receiver.url)
        took = monotonic() - began

    assert reply == Reply(0, b"", reply.duration_ms, "request timed out", timed_out=True)
    assert TIMEOUT <= took


async def test_a_slow_body_keeps_the_part_received_by_the_deadline() -> None:
    script: Script = [read, say(HEAD + b"Content-Length: 9\r\n\r\npart"), hang]
    async with Receiver(script) as receiver, a_client(timeout_seconds=TIMEOUT) as client:
        began = monotonic()
        reply = await ask(client, receiver.url)
        took = monotonic() - began

    assert reply == Reply(200, b"part", reply.duration_ms)
    assert reply.duration_ms < 1000 * took, "the time to the head, not to the end of the body"
    assert TIMEOUT + GRACE - 0.1 <= took


async def test_a_response_sent_before_the_request_was_read_is_taken(client: Client) -> None:
    said = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    async with Receiver([say(said), hang]) as receiver:
        reply = await ask(client, receiver.url, body=b"x" * 50_000_000)
        await until(lambda: client.connections == 0)  # it still holds the rest of the request: no reuse

    assert reply == Reply(413, b"", reply.duration_ms)


async def test_a_canceled_request_never_gets_a_reply(client: Client) -> None:
    async with Receiver([read, hang], [serve]) as receiver:
        asked = send(client, receiver.url)
        await receiver.next_request()
        asked.sending.cancel()
        other = await ask(client, receiver.url)

    assert other.status == 200
    assert not asked.reply.done()


async def test_a_request_canceled_immediately_is_never_sent(client: Client) -> None:
    async with Receiver() as receiver:
        asked = send(client, receiver.url)
        asked.sending.cancel()
        await ask(client, receiver.url)

    assert not asked.reply.done()
    assert receiver.connections == 1


async def test_canceling_twice_or_too_late_has_no_effect(client: Client) -> None:
    async with Receiver() as receiver:
        asked = send(client, receiver.url)
        await asked.reply
        asked.sending.cancel()
        asked.sending.cancel()
        await ask(client, receiver.url)

    assert receiver.connections == 1


async def test_a_failing_callback_is_logged_without_further_effect(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
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
    assert [record.message for record in caplog.records] == ["the callback for a reply failed"]


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
async def test_no_header_value_adds_a_line_to_the_head(client: Client, msg_id: str, signature: bytes) -> None:
    target = compile_target("http://127.0.0.1/", version="1")

    with pytest.raises(ValueError, match="control character"):
        client.send(target, msg_id, 1, signature, b"", lambda _: None)


async def test_closing_drops_requests_in_flight(listener: socket.socket) -> None:
    async with Receiver([read, hang]) as receiver:
        async with a_client(limits=PoolLimits(connections_per_origin=1)) as client:
            asked = [send(client, receiver.url), send(client, receiver.url), send(client, url_of(listener))]
            await receiver.next_request()
        with pytest.raises(RuntimeError, match="closed"):
            send(client, receiver.url)

    for one in asked:
        one.sending.cancel()
    assert not any(one.reply.done() for one in asked)
