# SPDX-License-Identifier: MIT
"""The access log: what its lines say, which requests have one, and how many there may be."""

import asyncio
import contextlib
import http.client
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from api.kit import ORG, Api
from api.sockets import BODY, PING, Wire, answer, listening
from live import serving
from logged import fields_of, text_of
from tidings.api.access_log import AccessLog
from tidings.api.connection import ConnectionLimits
from tidings.api.ratelimit import Limiter
from tidings.api.request_log import RequestObserver, RequestObservers, RequestRecord
from tidings.api.tuning import ApiTuning
from tidings.clock import ManualClock
from tidings.model.api_key import KeyScope

MESSAGES = "/api/v1/app/{app_id}/msg"
BIG = b'{"eventType":"a.b","payload":{"n":"%b"}}' % (b"x" * 100_000)


@asynccontextmanager
async def observed(
    lite: Api, *observers: RequestObserver, bounds: ConnectionLimits | None = None
) -> AsyncIterator[Wire]:
    context = replace(lite.context, observers=RequestObservers(lite.clock, observers))
    async with listening(replace(lite, context=context), bounds) as wire:
        yield wire


async def exchanged(lite: Api, request: bytes) -> tuple[RequestRecord, dict[bytes, bytes], bytes]:
    """Return what an observer receives about a request, with the headers and the body of the response."""
    records: list[RequestRecord] = []
    async with observed(lite, records.append) as wire:
        [(status, headers, body)] = await wire.exchange(request.replace(b"{app}", wire.app.encode()))
    [record] = records
    assert (record.status, record.id, record.client) == (status, headers[b"x-request-id"], "127.0.0.1")
    return record, headers, body


def request(lite: Api, line: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    head = [
        line + b" HTTP/1.1",
        b"host: x",
        b"authorization: Bearer " + lite.token.encode(),
        b"content-length: %d" % len(body),
        *headers,
    ]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


CREATE = b"POST /api/v1/app/{app}/msg"
REQUESTS = {
    "accepted": (CREATE, BODY, 202, MESSAGES),
    "with a slash and a query": (CREATE + b"/?with_content=false", BODY, 202, MESSAGES),
    "refused body": (CREATE, b"nonsense", 422, MESSAGES),
    "unknown application": (b"POST /api/v1/app/secret/msg", BODY, 404, MESSAGES),
    "a list": (b"GET /api/v1/app?limit=1", b"", 200, "/api/v1/app"),
    "an application": (b"GET /api/v1/app/{app}", b"", 200, "/api/v1/app/{app_id}"),
    "not served": (b"GET /api/v1/stream", b"", 501, "/api/v1/stream"),
    "wrong method": (b"DELETE /api/v1/app", b"", 405, "/api/v1/app"),
    "no operation": (b"GET /api/v1/secret", b"", 404, None),
    "documentation": (b"GET /docs", b"", 200, "/docs"),
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_is_observed_with_its_route_and_not_with_its_path(lite: Api, name: str) -> None:
    line, body, status, route = REQUESTS[name]
    record, _, received = await exchanged(lite, request(lite, line, body=body))

    assert (record.status, record.method, record.route) == (status, line.split()[0].decode(), route)
    assert record.size == len(received)
    assert record.seconds == 0.0  # the clock has not moved


async def test_the_response_to_head_has_no_bytes(lite: Api) -> None:
    records: list[RequestRecord] = []
    async with observed(lite, records.append) as wire:
        reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        writer.write(request(lite, b"HEAD /api/v1/app"))
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    assert [("HEAD", 200, 0)] == [(each.method, each.status, each.size) for each in records]


@pytest.mark.parametrize("headers", [(), (b"origin: http://elsewhere",)], ids=["the fast path", "ASGI"])
async def test_a_request_is_observed_with_its_caller(lite: Api, headers: tuple[bytes, ...]) -> None:
    record, _, _ = await exchanged(lite, request(lite, CREATE, *headers, body=BODY))
    listed, _, _ = await exchanged(lite, request(lite, b"GET /api/v1/app", *headers))

    assert record.fields["org"] == listed.fields["org"] == ORG
    assert str(record.fields["app"]).startswith("app_")


async def test_a_caller_that_is_refused_is_named_if_it_is_known(lite: Api) -> None:
    lite = replace(lite, context=replace(lite.context, limiter=Limiter(1, lite.clock)))
    key = await lite.key(KeyScope.APPLICATION, app=await lite.app())
    records: list[RequestRecord] = []
    async with observed(lite, records.append) as wire:
        mistyped = wire.request().replace(b"Bearer ", b"Bearer x")
        by_key = wire.request().replace(lite.token.encode(), key.text.encode())
        statuses = [(await wire.exchange(each))[0][0] for each in (mistyped, wire.request(), wire.request(), by_key)]

    assert [401, 202, 429, 403] == statuses == [each.status for each in records]
    assert [None, ORG, ORG] == [each.fields.get("org") for each in records[:3]]


async def test_requests_of_one_connection_have_a_record_each_in_order(lite: Api) -> None:
    records: list[RequestRecord] = []
    async with observed(lite, records.append) as wire:
        ahead = b"".join([wire.request(), PING, wire.request(b"{}"), wire.request(BIG), PING])
        replies = await wire.exchange(ahead, answers=5)

    assert [202, 204, 422, 202, 204] == [each.status for each in records]
    assert [headers[b"x-request-id"] for _, headers, _ in replies] == [each.id for each in records]
    assert len({id(each) for each in records}) == 5


async def test_a_response_to_what_is_no_request_has_a_record_without_method(lite: Api) -> None:
    # A head that ends in the read in which it begins, or in the next one, is accepted: each may have 256 KiB.
    for sent, status in (
        (b"\x16\x03\x01\r\n\r\n", 400),
        (PING.replace(b"host: x", b"host: x\r\nx: " + b"y" * 600_000), 431),
    ):
        record, _, body = await exchanged(lite, sent)
        assert (status, None, None, None) == (record.status, record.method, record.route, record.seconds)
        assert record.size == len(body)


async def test_a_refused_connection_has_a_record(lite: Api) -> None:
    records: list[RequestRecord] = []
    async with observed(lite, records.append, bounds=ConnectionLimits(connections=0)) as wire:
        [(_, _, body)] = await wire.exchange()

    assert [(503, len(body))] == [(each.status, each.size) for each in records]


@pytest.mark.parametrize("header", [b"", b"transfer-encoding: chunked"], ids=["the fast path", "ASGI"])
async def test_a_request_that_its_caller_breaks_off_has_no_record(lite: Api, header: bytes) -> None:
    records: list[RequestRecord] = []
    async with observed(lite, records.append) as wire:
        whole = wire.request(b"5\r\nhello", header) if header else wire.request()
        _, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        writer.write(whole[:-3])
        while not wire.connected():  # noqa: ASYNC110 - the server offers no event
            await asyncio.sleep(0)
        writer.close()
        while wire.connected():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        await wire.exchange(PING)

    assert [204] == [each.status for each in records]


async def test_an_observer_that_fails_harms_no_request(lite: Api, caplog: pytest.LogCaptureFixture) -> None:
    def failing(_record: RequestRecord) -> None:
        raise KeyError("an observer")

    async with observed(lite, failing) as wire:
        reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        writer.write(wire.request() + PING)
        statuses = [(await answer(reader))[0] for _ in range(2)]
        writer.close()

    assert [202, 204] == statuses
    assert "KeyError: 'an observer'" in text_of(caplog)


# ---------------------------------------------------------------------------------------------------------------------
# Lines


async def test_a_line_says_what_is_known_and_nothing_secret(lite: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with observed(lite, AccessLog(lite.clock)) as wire:
        await wire.exchange(wire.request(path=b"/api/v1/app/%b/msg?key=hunter2" % wire.app.encode()))
        await wire.exchange(request(lite, b"GET /api/v1/hunter2", b"cookie: hunter2"))

    first, second = (each for each in caplog.records if getattr(each, "event", "") == "request")
    fields = fields_of(first)
    assert int(str(fields.pop("bytes"))) > 100
    assert str(fields.pop("request_id"))
    assert fields == {
        "org": ORG,
        "app": wire.app,
        "method": "POST",
        "route": MESSAGES,
        "status": 202,
        "duration_ms": 0.0,
        "client": "127.0.0.1",
    }
    assert {"request_id", "method", "status", "bytes", "duration_ms", "client"} == set(fields_of(second))
    assert "hunter2" not in text_of(caplog)
    assert lite.token not in text_of(caplog)


def said(caplog: pytest.LogCaptureFixture) -> tuple[int, list[object]]:
    """Return the number of lines of requests, and the numbers of omitted ones; begin anew."""
    events = [(getattr(each, "event", ""), fields_of(each)) for each in caplog.records]
    caplog.clear()
    omitted = [fields["requests"] for event, fields in events if event == "requests.omitted"]
    return sum(event == "request" for event, _ in events), omitted


async def test_lines_are_bounded_and_the_others_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = ManualClock()
    access_log = AccessLog(clock, ApiTuning(access_lines=200, access_seconds=60.0))

    def requests(number: int) -> None:
        for _ in range(number):
            access_log(RequestRecord(b"r"))

    requests(1_000)
    assert (200, []) == said(caplog)
    clock.advance(500)
    requests(150)
    assert (100, []) == said(caplog)
    access_log.flush()
    assert (0, [850]) == said(caplog)
    clock.advance(3_600_000)
    requests(300)
    access_log.flush()
    assert (200, [100]) == said(caplog)
    access_log.flush()
    assert (0, []) == said(caplog)


async def test_the_number_of_omitted_requests_is_logged_by_a_timer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    access_log = AccessLog(ManualClock(), ApiTuning(access_lines=1, access_seconds=0.0))
    for turn in range(2):
        for _ in range(3):
            access_log(RequestRecord(b"r"))
        while "requests.omitted" not in [getattr(each, "event", "") for each in caplog.records]:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert (1 if not turn else 0, [2 + turn]) == said(caplog)


def test_a_server_logs_its_requests_and_counts_the_others_before_it_ends(sqlite_url: str, tmp_path: Path) -> None:
    with serving(sqlite_url, tmp_path, access_log="true", log_format="json") as server:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection:
            for _ in range(500):
                connection.request("GET", "/api/v1/health/ping", headers={"x-request-id": "mine"})
                connection.getresponse().read()
        server.stop()
        lines = [json.loads(line) for line in server.log().splitlines()]

    mine = [line for line in lines if line["event"] == "request" and line["request_id"] == "mine"]
    omitted = sum(line["requests"] for line in lines if line["event"] == "requests.omitted")
    assert len(mine) >= 150  # the requests that waited for the start have lines, too
    assert len(mine) + omitted >= 500
    assert ("GET", "/api/v1/health/ping", 204) == tuple(mine[0][name] for name in ("method", "route", "status"))
