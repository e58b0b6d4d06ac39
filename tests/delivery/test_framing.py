# SPDX-License-Identifier: MIT
"""Response heads that violate HTTP/1.1: some are read, some end the connection, and some are errors."""

import asyncio

import pytest

from delivery.client_kit import a_client, ask
from delivery.receiver import Peer, Receiver, Script, answer, hang, read, say, serve
from tidings.delivery.client import Client, Reply
from tidings.delivery.framing import FramingError, amend

HEAD = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 2\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"2\r\nok\r\n0\r\n\r\n"
KEPT = {
    "equal lengths": HEAD + LENGTH + LENGTH + b"\r\nok",
    "equal lengths in a list": HEAD + b"Content-Length: 2, 2\r\n\r\nok",
    "equal lengths in a list without spaces": HEAD + b"Content-Length: 2,2\r\n\r\nok",
    "equal lengths with a leading zero": HEAD + LENGTH + b"Content-Length: 02\r\n\r\nok",
    "spaces and tabs around a length": HEAD + b"Content-Length:\t 2 \t\r\n\r\nok",
    "spaces and tabs around a coding": HEAD + b"Transfer-Encoding: \tchunked \t\r\n\r\n" + CHUNKS,
    "an empty element in a list of codings": HEAD + b"Transfer-Encoding: chunked,\r\n\r\n" + CHUNKS,
    "a coding in capitals": HEAD + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n" + CHUNKS,
    "an empty list of codings": HEAD + b"Transfer-Encoding:\r\n" + LENGTH + b"\r\nok",
    "a folded header": HEAD + b"X: a\r\n b\r\n\tc\r\n" + LENGTH + b"\r\nok",
    "a folded length": HEAD + b"Content-Length:\r\n 2\r\n\r\nok",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "no reason phrase": b"HTTP/1.1 200\r\n" + LENGTH + b"\r\nok",
    "a space in place of the reason phrase": b"HTTP/1.1 200 \r\n" + LENGTH + b"\r\nok",
    "two spaces before the status": b"HTTP/1.1  200 OK\r\n" + LENGTH + b"\r\nok",
    "an empty line first": b"\r\n" + HEAD + LENGTH + b"\r\nok",
    "a higher minor version": b"HTTP/1.2 200 OK\r\n" + LENGTH + b"\r\nok",
    "interim answers": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\nX: 1\r\n\r\n" + HEAD + LENGTH + b"\r\nok",
    "an interim answer that would close": b"HTTP/1.1 103 H\r\nConnection: close\r\n\r\n" + HEAD + LENGTH + b"\r\nok",
    "an interim answer with both framings": b"HTTP/1.1 103 H\r\n"
    + LENGTH
    + CHUNKED
    + b"\r\n"
    + HEAD
    + LENGTH
    + b"\r\nok",
    "equal lengths behind an interim answer": b"HTTP/1.1 100 C\r\n\r\n" + HEAD + LENGTH + LENGTH + b"\r\nok",
}
CLOSED = {
    "a length and chunks": HEAD + LENGTH + CHUNKED + b"\r\n" + CHUNKS,
    "chunks and a length that lies": HEAD + CHUNKED + b"Content-Length: 99\r\n\r\n" + CHUNKS,
    "different lengths beside chunks": HEAD + LENGTH + b"Content-Length: 9\r\n" + CHUNKED + b"\r\n" + CHUNKS,
    "a length and no coding": HEAD + b"Transfer-Encoding: identity\r\n" + LENGTH + b"\r\nok",
    "chunks behind another coding": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS,
    "chunks behind another coding in a line of its own": HEAD
    + b"Transfer-Encoding: gzip\r\n"
    + CHUNKED
    + b"\r\n"
    + CHUNKS,
    "chunks and no coding": HEAD + CHUNKED + b"Transfer-Encoding: identity\r\n\r\n" + CHUNKS,
    "chunked twice": HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + CHUNKS,
    "HTTP/1.0 with chunks": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + CHUNKED + b"\r\n" + CHUNKS,
    "a space before a colon": HEAD + b"X-A : 2\r\n" + LENGTH + LENGTH + b"\r\nok",
    "a bare CR": HEAD + b"X: a\rb\r\n" + LENGTH + b"\r\nok",
}
TO_THE_END = {
    "no coding and no length": HEAD + b"Transfer-Encoding: identity\r\n\r\nok",
    "chunks inside another coding": HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\nok",
    "an unknown coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\nok",
    "another coding and a length": HEAD + b"Transfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\nok",
}
BROKEN = {
    "different lengths": HEAD + LENGTH + b"Content-Length: 3\r\n\r\nok",
    "different lengths in a list": HEAD + b"Content-Length: 2, 3\r\n\r\nok",
    "a length with a sign": HEAD + b"Content-Length: +2\r\n\r\nok",
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\nok",
    "a length in hexadecimal": HEAD + b"Content-Length: 0x2\r\n\r\nok",
    "a length of letters": HEAD + b"Content-Length: abc\r\n\r\nok",
    "an empty length": HEAD + b"Content-Length:\r\n\r\nok",
    "two numbers": HEAD + b"Content-Length: 2 2\r\n\r\nok",
    "a line without a colon": HEAD + b"no colon\r\n" + LENGTH + b"\r\nok",
    "a name with a space": HEAD + b"X Y: 1\r\n" + LENGTH + b"\r\nok",
    "different lengths behind an interim answer": b"HTTP/1.1 100 C\r\n\r\n"
    + HEAD
    + LENGTH
    + b"Content-Length: 3\r\n\r\nok",
}


async def asked(client: Client, data: bytes, *, at_once: bool, then: Script = (serve,)) -> tuple[Reply, Receiver]:
    pieces = [say(data)] if at_once else [step for byte in data for step in (say(bytes([byte])), pause_briefly)]
    async with Receiver([read, *pieces, *then], [serve]) as receiver:
        first = await ask(client, receiver.url)
        await ask(client, receiver.url)
    return first, receiver


async def pause_briefly(_peer: Peer) -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("name", KEPT)
async def test_a_response_is_read_and_its_connection_kept(client: Client, name: str, at_once: bool) -> None:  # noqa: FBT001
    reply, receiver = await asked(client, KEPT[name], at_once=at_once)

    assert reply == Reply(200, b"ok", reply.duration_ms)
    assert receiver.connections == 1


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("name", CLOSED)
async def test_a_response_is_read_and_its_connection_closed(client: Client, name: str, at_once: bool) -> None:  # noqa: FBT001
    reply, receiver = await asked(client, CLOSED[name], at_once=at_once)

    assert reply == Reply(200, b"ok", reply.duration_ms)
    assert receiver.connections == 2


@pytest.mark.parametrize("name", TO_THE_END)
async def test_a_response_is_read_to_the_end_of_its_connection(client: Client, name: str) -> None:
    reply, receiver = await asked(client, TO_THE_END[name], at_once=True, then=())

    assert reply == Reply(200, b"ok", reply.duration_ms)
    assert receiver.connections == 2


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("name", BROKEN)
async def test_an_unreadable_response_is_an_error_with_its_status(client: Client, name: str, at_once: bool) -> None:  # noqa: FBT001
    reply, receiver = await asked(client, BROKEN[name], at_once=at_once, then=(hang,))

    assert (reply.status, reply.body, reply.is_invalid) == (200, b"", True)
    assert reply.error is not None
    assert reply.error.startswith("error making request: invalid HTTP response: ")
    assert receiver.connections == 2


@pytest.mark.parametrize("head", [LENGTH, CHUNKED, LENGTH + CHUNKED])
async def test_a_body_that_is_not_allowed_is_not_taken_for_the_next_response(client: Client, head: bytes) -> None:
    reply, receiver = await asked(client, b"HTTP/1.1 204 No Content\r\n" + head + b"\r\n", at_once=True)

    assert reply == Reply(204, b"", reply.duration_ms)
    assert receiver.connections == 2


async def test_a_204_without_a_content_length_keeps_the_connection(client: Client) -> None:
    _, receiver = await asked(client, b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", at_once=True)

    assert receiver.connections == 1


async def test_receiver_directives_are_read_from_an_amended_head() -> None:
    head = b"HTTP/1.1 503 No\r\nRetry-After:\r\n 7\r\nWebhook-Delivery: disable\r\n" + LENGTH + LENGTH + b"\r\nno"
    async with Receiver(answer(head)) as receiver, a_client() as client:
        reply = await ask(client, receiver.url)

    assert (reply.status, reply.retry_after, reply.webhook_delivery) == (503, "7", "disable")


@pytest.mark.parametrize("size", [100_000, 4_000_000])
async def test_a_response_that_comes_before_the_request_is_read_is_taken(size: int) -> None:
    async def head(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")

    no = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"
    async with Receiver([head, say(no), hang]) as receiver, a_client() as client:
        reply = await ask(client, receiver.url, body=b"x" * size)

    assert (reply.status, reply.body) == (413, b"no")


def test_an_incomplete_head_is_waited_for() -> None:
    whole = HEAD + LENGTH + LENGTH + b"\r\n"

    assert all(amend(whole[:end]) is None for end in range(len(whole) - 1))
    assert amend(whole) is not None


def test_a_content_length_beyond_the_range_is_read_as_the_maximum() -> None:
    amended = amend(HEAD + b"Content-Length: " + b"9" * 10_000 + b"\r\n\r\n")

    assert amended is not None
    assert b"Content-Length: 4611686018427387904\r\n" in amended.data


@pytest.mark.parametrize("raw", [b"SSH-2.0", b"ok", b"HTTP/2 200\r\n", b"HTTP/1.1 20 OK\r\n", b"http/1.1 200 OK\r\n"])
def test_an_invalid_response_is_refused_at_once(raw: bytes) -> None:
    with pytest.raises(FramingError) as refusal:
        amend(raw)

    assert refusal.value.status == 0
