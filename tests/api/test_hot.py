# SPDX-License-Identifier: MIT
"""The server's own HTTP protocol over real sockets: the fast path and every way around it."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator

import pytest

from api.kit import Api
from api.sockets import BODY, KEEP_ALIVE, Wire, answer, listening
from tidings.api.tuning import ApiTuning

SURELY_TOO_MANY = 40
"""Megabytes that exceed any kernel buffer of one connection."""


async def test_an_ordinary_request_gets_a_complete_response(wire: Wire) -> None:
    [(status, fields, body)] = await wire.exchange(wire.request())

    assert (status, fields[b"content-type"]) == (202, b"application/json")
    assert b'"payload":{"n": 1.50}' in body


async def test_a_connection_serves_many_requests_of_every_kind(wire: Wire) -> None:
    get = b"GET /api/v1/health/ping HTTP/1.1\r\nhost: x\r\n\r\n"

    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    statuses = []
    for request in (wire.request(), get, wire.request(), wire.request(b"nonsense"), get, wire.request()):
        writer.write(request)
        statuses.append((await answer(reader))[0])
    writer.close()

    assert statuses == [202, 204, 202, 422, 204, 202]


async def test_pipelined_requests_are_answered_in_order(wire: Wire) -> None:
    get = b"GET /api/v1/health/ping HTTP/1.1\r\nhost: x\r\n\r\n"
    ahead = b"".join([wire.request(), get, wire.request(b"{}"), wire.request(), get])

    answers = await wire.exchange(ahead, answers=5)

    assert [status for status, _, _ in answers] == [202, 204, 422, 202, 204]


async def test_a_body_that_arrives_in_pieces_is_accepted(wire: Wire) -> None:
    request = wire.request()

    [(status, _, _)] = await wire.exchange(*(request[at : at + 7] for at in range(0, len(request), 7)))

    assert status == 202


async def test_a_chunked_body_is_accepted(wire: Wire) -> None:
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)

    [(status, _, _)] = await wire.exchange(wire.request(chunked, b"transfer-encoding: chunked"))

    assert status == 202


async def test_a_100_continue_is_sent_before_the_body(wire: Wire) -> None:
    request = wire.request(BODY, b"expect: 100-continue")

    answers = await wire.exchange(request[: -len(BODY)], BODY, answers=2)

    assert [status for status, _, _ in answers] == [100, 202]


async def test_a_body_over_the_limit_is_refused_unread(wire: Wire) -> None:
    head = wire.request(b"").replace(b"content-length: 0", b"content-length: 99999999")

    [(status, _, body)] = await wire.exchange(head)

    assert (status, json.loads(body)["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_a_connection_is_closed_after_a_request_with_connection_close(wire: Wire, version: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    writer.write(wire.request(BODY, b"connection: close", version=version))

    status, _, _ = await answer(reader)
    rest = await reader.read()
    writer.close()

    assert (status, rest) == (202, b"")


async def test_an_idle_connection_is_closed(wire: Wire) -> None:
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    for _ in range(2):
        writer.write(wire.request())
        await answer(reader)
    answered_at = loop.time()

    rest = await asyncio.wait_for(reader.read(), 10)
    writer.close()

    assert rest == b""
    assert loop.time() - answered_at >= 0.9


async def test_cross_origin_requests_are_allowed(wire: Wire) -> None:
    [(status, fields, _)] = await wire.exchange(wire.request(BODY, b"origin: http://elsewhere"))

    assert (status, fields[b"access-control-allow-origin"]) == (202, b"*")


async def test_slashes_queries_and_escapes_reach_the_same_route(wire: Wire) -> None:
    app = wire.app.encode()

    for path in (b"/api/v1/app/%b/msg/", b"/api/v1/app/%b/msg?with_content=false", b"/api/v1/%%61pp/%b/msg"):
        [(status, _, _)] = await wire.exchange(wire.request(path=path % app))
        assert status == 202


@pytest.mark.parametrize("path", [b"%2fmsg", b"/msg%2F", b"%2F%2Fmsg", b"%2fendpoint"])
async def test_an_encoded_slash_is_not_found(wire: Wire, lite: Api, path: bytes) -> None:
    for where in (b"/api/v1/app/%b%b" % (wire.app.encode(), path), b"/api/v1/app/a%%2F%b/msg" % wire.app.encode()):
        [(status, _, body)] = await wire.exchange(wire.request(path=where))
        assert (status, json.loads(body)["code"]) == (404, "not_found")

    assert (await lite.read(f"/app/{wire.app}/msg"))["data"] == []


async def test_a_percent_encoded_id_is_accepted(wire: Wire, lite: Api) -> None:
    await lite.app(uid="a.b")

    [(status, _, _)] = await wire.exchange(wire.request(path=b"/api/v1/app/a%2Eb/msg"))

    assert status == 202


async def test_the_fast_path_responds_to_refusals_too(wire: Wire) -> None:
    unauthenticated = wire.request().replace(b"Bearer ", b"Bearer x")
    nowhere = wire.request(path=b"/api/v1/app/app_unknown/msg")

    [(first, _, _)] = await wire.exchange(unauthenticated)
    [(second, _, body)] = await wire.exchange(nowhere)

    assert (first, second, json.loads(body)["code"]) == (401, 404, "not_found")


async def test_a_message_is_stored_after_its_caller_disconnects(wire: Wire, lite: Api) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    writer.write(wire.request(BODY, b"idempotency-key: gone"))
    writer.transport.abort()

    [(status, _, body)] = await wire.exchange(wire.request(BODY, b"idempotency-key: gone"))

    listed = await lite.read(f"/app/{wire.app}/msg")
    assert status == 202
    assert json.loads(body)["id"] in {each["id"] for each in listed["data"]}


@contextlib.asynccontextmanager
async def unread_connection(wire: Wire) -> AsyncIterator[tuple[socket.socket, int]]:
    """Connect and send while the server reads, without reading responses; return the number of requests sent."""
    request = wire.request(b'{"eventType":"a.b","payload":{"big":"%b"}}' % (b"x" * 1_000_000))
    loop = asyncio.get_running_loop()
    with socket.create_connection(("127.0.0.1", wire.port)) as unread_connection:
        unread_connection.setblocking(False)  # noqa: FBT003 - the signature of setblocking
        sent = 0
        with contextlib.suppress(TimeoutError, ConnectionError):
            while sent < SURELY_TOO_MANY:
                async with asyncio.timeout(2 * KEEP_ALIVE):
                    await loop.sock_sendall(unread_connection, request)
                    while wire.answered() <= sent:  # noqa: ASYNC110 - the server offers no event
                        await asyncio.sleep(0.001)
                sent += 1
        yield unread_connection, sent


async def test_a_caller_that_reads_no_responses_is_not_read_further_and_loses_none(wire: Wire) -> None:
    loop = asyncio.get_running_loop()
    async with unread_connection(wire) as (caller, sent):
        assert sent < SURELY_TOO_MANY

        answers = b""
        while answers.count(b"HTTP/1.1 202 ") < sent:
            answers += await loop.sock_recv(caller, 1_000_000)
        with contextlib.suppress(TimeoutError):
            while True:  # the server may send a few more responses, but not without end
                assert await asyncio.wait_for(loop.sock_recv(caller, 1_000_000), KEEP_ALIVE / 4) != b""


async def test_a_caller_that_reads_no_responses_for_long_is_disconnected(lite: Api) -> None:
    async with listening(lite, tuning=ApiTuning(unread_seconds=0.0)) as wire, unread_connection(wire):
        async with asyncio.timeout(5 * KEEP_ALIVE):
            while wire.connected():  # noqa: ASYNC110 - the server offers no event
                await asyncio.sleep(0.01)


async def test_one_idempotency_key_on_many_connections_creates_one_message(wire: Wire) -> None:
    answers = await asyncio.gather(*(wire.exchange(wire.request(BODY, b"idempotency-key: k")) for _ in range(50)))

    assert len({body for [(_, _, body)] in answers}) == 1


@pytest.mark.parametrize("line", [b"a: b\r\n", b"c" * 1_000], ids=["many headers", "one endless header"])
async def test_an_endless_head_is_disconnected(wire: Wire, line: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    writer.write(b"GET / HTTP/1.1\r\n" + (b"" if line.endswith(b"\n") else b"x: "))
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < 4_000_000 and not reader.at_eof():
            writer.write(line * 100)
            sent += 100 * len(line)
            await asyncio.wait_for(writer.drain(), 30)
            await asyncio.sleep(0)
    writer.close()

    assert sent < 4_000_000


async def test_an_incomplete_request_is_disconnected_after_its_deadline(lite: Api) -> None:
    async with listening(lite, tuning=ApiTuning(request_seconds=0.1)) as wire:
        for began in (b"", b"POST /api/v1/app/x/msg HT", wire.request()[:-5]):
            reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
            writer.write(began)
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()
