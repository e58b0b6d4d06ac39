# SPDX-License-Identifier: MIT
"""Connections held to RFC 9112: offers to upgrade, malformed requests, early refusals and bounds."""

import asyncio
import contextlib
import json
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from api.kit import Api
from api.sockets import BODY, PING, Reply, Wire, answer, listening
from tidings.api.connection import ConnectionLimits, allow_open_files

OFFERS = [
    (b"Upgrade, HTTP2-Settings", b"h2c"),
    (b"upgrade", b"websocket"),
    (b"keep-alive, Upgrade", b"TLS/1.0"),
    (b"Upgrade,keep-alive", b"h2c, foo/2"),
    (b"UPGRADE", b"no-such-protocol"),
]
APP = b'{"name":"x"}'


def offered(
    wire: Wire, body: bytes, *headers: bytes, path: bytes = b"", how: bytes = b"Upgrade, HTTP2-Settings"
) -> bytes:
    """Return a request that offers HTTP/2 as Java's client does."""
    return wire.request(body, b"Connection: " + how, b"Upgrade: h2c", b"HTTP2-Settings: AAEAAEAA", *headers, path=path)


@asynccontextmanager
async def dialed(wire: Wire) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def ended(reader: asyncio.StreamReader) -> bool:
    """Return whether the server closes the connection without another byte."""
    with contextlib.suppress(ConnectionError):
        return await asyncio.wait_for(reader.read(), 10) == b""
    return True


@pytest.mark.parametrize(("how", "protocol"), OFFERS)
async def test_an_offer_to_upgrade_is_ignored_and_the_connection_goes_on(
    wire: Wire, how: bytes, protocol: bytes
) -> None:
    headers = (b"connection: " + how, b"upgrade: " + protocol)
    statuses = []

    async with dialed(wire) as (reader, writer):
        for request in (
            wire.request(APP, *headers, path=b"/api/v1/app"),
            wire.request(BODY, *headers),
            wire.request(b"", *headers, path=b"/api/v1/app"),
            wire.request(BODY, *headers),
            PING,
        ):
            writer.write(request)
            statuses.append((await answer(reader))[0])

    assert statuses == [201, 202, 422, 202, 204]


async def test_pipelined_upgrade_offers_are_answered_in_order(wire: Wire) -> None:
    get = PING.replace(b"host: x", b"host: x\r\nconnection: upgrade\r\nupgrade: websocket")
    ahead = [
        offered(wire, BODY),
        get,
        wire.request(),
        offered(wire, APP, path=b"/api/v1/app"),
        get,
        offered(wire, BODY),
    ]

    answers = await wire.exchange(b"".join(ahead), answers=6)

    assert [status for status, _, _ in answers] == [202, 204, 202, 201, 204, 202]


@pytest.mark.parametrize("path", [b"", b"/api/v1/app"])
async def test_an_upgrade_offer_may_arrive_in_pieces_or_chunked(wire: Wire, path: bytes) -> None:
    body = APP if path else BODY
    request = offered(wire, body, path=path)
    chunked = b"".join([b"%x\r\n%b\r\n" % (1, body[at : at + 1]) for at in range(len(body))]) + b"0\r\n\r\n"

    [(in_pieces, _, _)] = await wire.exchange(*(request[at : at + 5] for at in range(0, len(request), 5)))
    [(in_chunks, _, _), (after, _, _)] = await wire.exchange(
        offered(wire, chunked, b"transfer-encoding: chunked", path=path) + PING, answers=2
    )

    assert (in_pieces, in_chunks, after) == ((201, 201, 204) if path else (202, 202, 204))


async def test_an_upgrade_offer_may_close_the_connection(wire: Wire) -> None:
    for request in (
        offered(wire, BODY, how=b"upgrade, close"),
        offered(wire, APP, how=b"close, upgrade", path=b"/api/v1/app"),
    ):
        async with dialed(wire) as (reader, writer):
            writer.write(request)
            assert (await answer(reader))[0] in (201, 202)
            assert await ended(reader)


async def test_two_thousand_upgrade_offers_in_one_write_are_answered(wire: Wire) -> None:
    get = PING.replace(b"host: x", b"host: x\r\nconnection: upgrade\r\nupgrade: h2c")

    async with dialed(wire) as (reader, writer):
        writer.write(get * 2_000)
        for _ in range(2_000):
            assert (await answer(reader))[0] == 204


def _head(*lines: bytes, first: bytes = b"GET /api/v1/health/ping HTTP/1.1") -> bytes:
    return b"\r\n".join([first, *lines]) + b"\r\n\r\n"


CHUNKED = b"transfer-encoding: chunked"
MALFORMED = {
    "unknown method": _head(b"host: x", first=b"FOO / HTTP/1.1"),
    "method in small letters": _head(b"host: x", first=b"get / HTTP/1.1"),
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2 at once": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "CONNECT": _head(b"host: x", first=b"CONNECT x:443 HTTP/1.1"),
    "no version of HTTP": _head(b"host: x", first=b"GET / HTTP/7.3"),
    "HTTP/2.0 in words": _head(b"host: x", first=b"GET / HTTP/2.0"),
    "HTTP/0.9 in words": _head(b"host: x", first=b"GET / HTTP/0.9"),
    "no host": _head(b"accept: */*"),
    "two hosts": _head(b"host: x", b"host: x"),
    "two hosts, spelled apart": _head(b"host: x", b"Host: y"),
    "two hosts in HTTP/1.0": _head(b"host: x", b"host: y", first=b"GET / HTTP/1.0"),
    "a host that is none": _head(b"host: a/b"),
    "a host with a blank": _head(b"host: a b"),
    "both lengths": _head(b"host: x", b"content-length: 2", CHUNKED) + b"2\r\n{}\r\n0\r\n\r\n",
    "both lengths, the other way": _head(b"host: x", CHUNKED, b"content-length: 2") + b"2\r\n{}\r\n0\r\n\r\n",
    "two lengths": _head(b"host: x", b"content-length: 2", b"content-length: 3") + b"{}",
    "a signed length": _head(b"host: x", b"content-length: +2") + b"{}",
    "a long length": _head(b"host: x", b"content-length: " + b"9" * 30) + b"{}",
    "chunked in HTTP/1.0": _head(b"host: x", CHUNKED, first=b"POST /api/v1/app HTTP/1.0") + b"0\r\n\r\n",
    "a blank before the colon": _head(b"host : x"),
    "a folded header": _head(b"host: x", b"a: b", b" c"),
    "a bare line feed": b"GET / HTTP/1.1\nhost: x\n\n",
    "NUL in a header": _head(b"host: x", b"a: b\0c"),
    "a target with a blank": _head(b"host: x", first=b"GET /a b HTTP/1.1"),
    "a target that is no path": _head(b"host: x", first=b"GET api HTTP/1.1"),
    "a target out of ASCII": _head(b"host: x", first=b"GET /\xc3\xa4 HTTP/1.1"),
    "a target over 64 KiB": _head(b"host: x", first=b"GET /%b HTTP/1.1" % (b"a" * 70_000)),
    "a query over 64 KiB": _head(b"host: x", first=b"GET /api/v1/app?a=%b HTTP/1.1" % (b"a" * 70_000)),
    "a broken chunk": _head(b"host: x", CHUNKED, first=b"POST /api/v1/auth/logout HTTP/1.1") + b"zz\r\n",
}


def _assert_refused(reply: Reply, status: int = 400) -> None:
    found, fields, body = reply
    assert (found, fields[b"content-type"], fields[b"connection"]) == (status, b"application/json", b"close")
    assert json.loads(body).keys() == {"code", "detail"}
    assert json.loads(body)["code"] == "bad_request" or status != 400


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_request_is_refused_in_json_and_ends_its_connection(wire: Wire, request_: bytes) -> None:
    async with dialed(wire) as (reader, writer):
        writer.write(request_)
        _assert_refused(await answer(reader))
        assert await ended(reader)


@pytest.mark.parametrize("hosts", [[], [b"host: x", b"host: x"], [b"host: x", b"Host: y"], [b"host: a/b"]])
async def test_the_hot_route_requires_exactly_one_host_header(wire: Wire, lite: Api, hosts: list[bytes]) -> None:
    request = wire.request().replace(b"host: x\r\n", b"".join(each + b"\r\n" for each in hosts))

    [reply] = await wire.exchange(request)

    _assert_refused(reply)
    assert (await lite.read(f"/app/{wire.app}/msg"))["data"] == []


@pytest.mark.parametrize("host", [b"x", b"x:8071", b"[::1]:8071", b"", b"a_b.example.", b"127.0.0.1"])
async def test_a_host_header_is_a_name_or_an_address(wire: Wire, host: bytes) -> None:
    replies = await wire.exchange(
        (wire.request() + PING).replace(b"host: x", b"host: " + host) + PING.replace(b"1.1\r\nhost: x", b"1.0"),
        answers=3,
    )

    assert [status for status, _, _ in replies] == [202, 204, 204]


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"identity", b"gzip"])
async def test_an_unsupported_transfer_coding_is_reported(wire: Wire, coding: bytes) -> None:
    [reply] = await wire.exchange(wire.request(b"", b"transfer-encoding: " + coding, path=b"/api/v1/app"))

    _assert_refused(reply, 501)


async def test_an_absolute_target_is_accepted(wire: Wire) -> None:
    there = b"http://elsewhere:80"
    app = wire.app.encode()
    requests = [
        PING.replace(b"/api", there + b"/api"),
        wire.request(path=there + b"/api/v1/app/%b/msg?with_content=false" % app),
        b"GET http://elsewhere HTTP/1.1\r\nhost: x\r\n\r\n",
    ]

    replies = await wire.exchange(*requests, answers=3)

    assert [status for status, _, _ in replies] == [204, 202, 307]


@pytest.mark.parametrize("bad", ["unknown method", "no host", "a broken chunk"])
async def test_requests_before_a_malformed_one_are_answered_first(wire: Wire, bad: str) -> None:
    for ahead in (PING, wire.request(), wire.request() + PING + wire.request()):
        async with dialed(wire) as (reader, writer):
            writer.write(ahead + MALFORMED[bad])
            for _ in range(ahead.count(b"HTTP/1.1\r\n")):
                assert (await answer(reader))[0] in (202, 204)
            _assert_refused(await answer(reader))
            assert await ended(reader)


async def test_trailers_are_not_read_as_headers(wire: Wire) -> None:
    request = wire.request(b"", b"transfer-encoding: chunked", path=b"/api/v1/app").replace(
        b"authorization", b"x-other"
    )
    token = b"authorization: Bearer " + wire.token.encode()

    [(status, _, _), (after, _, _)] = await wire.exchange(
        request + b"c\r\n" + APP + b"\r\n0\r\n" + token + b"\r\n\r\n" + PING, answers=2
    )

    assert (status, after) == (401, 204)


@pytest.mark.parametrize("path", [b"", b"/api/v1/app"])
async def test_an_unauthenticated_caller_is_refused_before_its_body(wire: Wire, path: bytes) -> None:
    request = wire.request(b"x" * 2_000_000, path=path).replace(b"Bearer ", b"Bearer x")
    head, body = request[:-2_000_000], request[-2_000_000:]

    async with dialed(wire) as (reader, writer):
        writer.write(head)
        assert (await answer(reader))[0] == 401
        writer.write(body[:1_000_000])
        await writer.drain()
        assert wire.bounds.held == 0
        writer.write(body[1_000_000:] + wire.request() + PING)
        assert [(await answer(reader))[0] for _ in range(2)] == [202, 204]


@pytest.mark.parametrize("path", [b"", b"/api/v1/app"])
@pytest.mark.parametrize("odd", [b"transfer-encoding: chunked", b"expect: 100-continue"])
async def test_a_refused_request_without_a_content_length_ends_its_connection(
    wire: Wire, path: bytes, odd: bytes
) -> None:
    request = wire.request(b"", odd, path=path).replace(b"Bearer ", b"Bearer x")

    async with dialed(wire) as (reader, writer):
        writer.write(request.replace(b"content-length: 0", b"content-length: 9"))
        assert (await answer(reader))[0] == 401
        assert await ended(reader)


async def test_a_refusal_reaches_a_caller_whose_connection_is_closed(wire: Wire) -> None:
    request = wire.request(b"x" * 1_500_000, b"connection: close").replace(b"Bearer ", b"Bearer x")

    [(status, fields, _)] = await wire.exchange(request)

    assert (status, fields[b"connection"]) == (401, b"close")


async def test_connections_over_the_limit_are_refused_until_one_closes(lite: Api) -> None:
    async with listening(lite, ConnectionLimits(connections=2)) as wire, dialed(wire) as first:
        async with dialed(wire) as second:
            for reader, writer in (first, second):
                writer.write(PING)
                assert (await answer(reader))[0] == 204
            async with dialed(wire) as (reader, _):
                reply = await answer(reader)
                _assert_refused(reply, 503)
                assert reply[1][b"retry-after"] == b"1"
                assert await ended(reader)
        while wire.connected() > 1:  # noqa: ASYNC110 - the server notices in its own time
            await asyncio.sleep(0)
        [(status, _, _)] = await wire.exchange(PING)

    assert status == 204


@pytest.mark.parametrize("path", [b"", b"/api/v1/app"])
async def test_incomplete_bodies_share_one_memory_bound(lite: Api, path: bytes) -> None:
    async with listening(lite, ConnectionLimits(request_memory=100_000)) as wire:
        big = wire.request(b'{"eventType":"a","name":"b","payload":{"big":"%b"}}' % (b"x" * 90_000), path=path)
        async with dialed(wire) as (slow, writer), dialed(wire) as (hasty, other):
            writer.write(big[:80_000])
            while wire.bounds.held < 80_000:  # noqa: ASYNC110 - the server reads in its own time
                await asyncio.sleep(0)
            other.write(big[:60_000])
            _assert_refused(await answer(hasty), 503)
            assert (await wire.exchange(wire.request()))[0][0] == 202
            writer.write(big[80_000:])
            assert (await answer(slow))[0] in (201, 202)

        assert wire.bounds.held == 0


async def test_request_memory_is_released_when_a_caller_disconnects(wire: Wire) -> None:
    async with dialed(wire) as (_, writer):
        writer.write(wire.request(b"x" * 50_000)[:-1])
        while not wire.bounds.held:  # noqa: ASYNC110 - the server reads in its own time
            await asyncio.sleep(0)
    while wire.connected():  # noqa: ASYNC110 - the server notices in its own time
        await asyncio.sleep(0)

    assert wire.bounds.held == 0


async def test_an_endless_body_is_disconnected(wire: Wire) -> None:
    wire.bounds.wire_bytes = 100_000
    head = wire.request(b"", b"transfer-encoding: chunked", path=b"/api/v1/app")

    async with dialed(wire) as (reader, writer):
        writer.write(head + b"c\r\n" + APP + b"\r\n0\r\nx: ")  # a trailer without end
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 4_000_000 and not reader.at_eof():
                writer.write(b"x" * 50_000)
                sent += 50_000
                await writer.drain()
                await asyncio.sleep(0)

    assert sent < 4_000_000


@pytest.mark.parametrize("after", [b"", b"\r\n", b"x" * 9])
async def test_an_idle_connection_is_closed_after_every_kind_of_request(wire: Wire, after: bytes) -> None:
    """A blank line, or the rest of a refused request's body, does not keep a connection open."""
    request = wire.request(b"x" * len(after.strip())) if after.strip() else wire.request()

    async with dialed(wire) as (reader, writer):
        if after.strip():
            writer.write(request[: -len(after)].replace(b"Bearer ", b"Bearer x"))
            await answer(reader)
            writer.write(after)
        else:
            writer.write(request)
            await answer(reader)
            writer.write(after)
        assert await ended(reader)


def test_a_process_may_open_as_many_files_as_its_connections_need() -> None:
    soft, hard = before = resource.getrlimit(resource.RLIMIT_NOFILE)
    least = min(1_000, soft)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (least, hard))
        allow_open_files(least + 1)

        raised, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert raised > least or raised == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("path", [b"", b"/api/v1/app"])
async def test_a_client_that_closes_its_side_gets_its_responses(wire: Wire, path: bytes) -> None:
    request = wire.request(BODY if not path else APP, path=path)
    async with dialed(wire) as (reader, writer):
        writer.write(request + PING)
        writer.write_eof()

        statuses = [(await answer(reader))[0] for _ in range(2)]

        assert [202 if not path else 201, 204] == statuses
        assert await ended(reader)


@pytest.mark.parametrize("part", [b"", b"POST /api/v1/app HTTP/1.1\r\nhost: x\r\n"])
async def test_a_half_closed_connection_without_a_request_is_closed(wire: Wire, part: bytes) -> None:
    async with dialed(wire) as (reader, writer):
        writer.write(part)
        writer.write_eof()

        assert await ended(reader)


@pytest.mark.parametrize("size", [66_000, 130_000])
async def test_the_length_of_a_target_has_the_same_limit_on_every_route(wire: Wire, size: int) -> None:
    query = b"?a=" + b"x" * size
    statuses = []
    for path in (b"/api/v1/app/%b/msg" % wire.app.encode(), b"/api/v1/app"):
        [(status, _, _)] = await wire.exchange(wire.request(BODY, path=path + query))
        statuses.append(status)

    assert statuses[0] == statuses[1]
    assert statuses[0] in (400, 431)


async def test_a_body_that_arrives_in_many_pieces_is_complete(wire: Wire) -> None:
    request = wire.request()

    [(status, _, body)] = await wire.exchange(*(request[at : at + 7] for at in range(0, len(request), 7)))

    assert (202, {"n": 1.5}) == (status, json.loads(body)["payload"])
