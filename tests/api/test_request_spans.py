# SPDX-License-Identifier: MIT
"""Spans of requests: what they say, and whose trace they belong to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from api.kit import ORG, Api
from api.sockets import BODY, Wire, listening
from tidings import __version__
from tidings.api.request_log import RequestObservers
from tidings.api.request_spans import RequestSpans
from traces import SECRET, Traces, attributes, recording, text_of

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-%s"


@asynccontextmanager
async def traced(lite: Api, **settings: Any) -> AsyncIterator[tuple[Wire, Traces]]:
    context = replace(lite.context, observers=RequestObservers(lite.clock, (RequestSpans(lite.clock),)))
    with recording(lite.clock, **settings) as traces:
        async with listening(replace(lite, context=context)) as wire:
            yield wire, traces


async def test_a_request_has_a_span_with_its_route_and_its_caller(lite: Api) -> None:
    async with traced(lite) as (wire, traces):
        [(_, headers, body)] = await wire.exchange(wire.request())

    span = traces.only()
    assert ("POST /api/v1/app/{app_id}/msg", SpanKind.SERVER) == (span.name, span.kind)
    assert attributes(span) == {
        "http.request.method": "POST",
        "http.route": "/api/v1/app/{app_id}/msg",
        "http.response.status_code": 202,
        "http.response.body.size": len(body),
        "tidings.request_id": headers[b"x-request-id"].decode(),
        "tidings.org": ORG,
        "tidings.app": wire.app,
    }
    assert (lite.clock.now() * 1_000_000, StatusCode.UNSET) == (span.start_time, span.status.status_code)
    assert span.parent is None
    assert ("tidings", __version__) == tuple(
        span.resource.attributes[f"service.{name}"] for name in ("name", "version")
    )


@pytest.mark.parametrize("more", [(), (b"origin: http://x",)], ids=["the fast path", "ASGI"])
async def test_a_span_belongs_to_the_trace_of_the_caller(lite: Api, more: tuple[bytes, ...]) -> None:
    header = f"traceparent: {PARENT % '01'}".encode()
    async with traced(lite, opentelemetry_sample_ratio=0.0) as (wire, traces):
        await wire.exchange(wire.request(BODY, header, *more))
        await wire.exchange(wire.request(BODY, *more))

    span = traces.only()
    assert span.parent is not None
    assert span.context is not None
    assert PARENT[3:35] == format(span.context.trace_id, "032x")
    assert PARENT[36:52] == format(span.parent.span_id, "016x")


@pytest.mark.parametrize(
    ("header", "is_sampled", "is_child"),
    [
        (PARENT % "00", False, False),
        (PARENT % "03", True, True),
        (f"{PARENT % '01'}-of-a-later-version".replace("00-", "01-", 1), True, True),
        ("nonsense", True, False),
        (PARENT % "zz", True, False),
        (f"00-{'0' * 32}-b7ad6b7169203331-01", True, False),
        (f"ff{(PARENT % '01')[2:]}", True, False),
        ("x" * 10_000, True, False),
    ],
)
async def test_a_caller_decides_with_a_valid_header_only(
    lite: Api,
    header: str,
    is_sampled: bool,  # noqa: FBT001
    is_child: bool,  # noqa: FBT001
) -> None:
    async with traced(lite) as (wire, traces):
        await wire.exchange(wire.request(BODY, f"traceparent: {header}".encode()))

    assert [is_child] * is_sampled == [span.parent is not None for span in traces.found()]


async def test_a_5xx_is_an_error_and_a_4xx_is_none(lite: Api) -> None:
    async with traced(lite) as (wire, traces):
        await wire.exchange(wire.request(b"nonsense"))
        await wire.exchange(b"GET /api/v1/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\n\r\n")
        token = wire.token.encode()
        await wire.exchange(b"GET /api/v1/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\n\r\n" % token)

    found = [(attributes(span)["http.response.status_code"], span.status.status_code) for span in traces.found()]
    assert [(422, StatusCode.UNSET), (401, StatusCode.UNSET), (501, StatusCode.ERROR)] == found


async def test_a_span_of_a_request_has_no_payload_header_query_or_secret(lite: Api) -> None:
    body = b'{"eventType":"a.b","payload":{"n":"%b"}}' % SECRET.encode()
    headers = tuple(f"{name}: {SECRET}".encode() for name in ("cookie", "user-agent", "idempotency-key", "tracestate"))
    async with traced(lite) as (wire, traces):
        path = f"/api/v1/app/{wire.app}/msg?key={SECRET}".encode()
        for more in ((), (b"origin: http://x",)):
            await wire.exchange(wire.request(body, *headers, *more, path=path))
        await wire.exchange(f"GET /api/v1/{SECRET} HTTP/1.1\r\nhost: {SECRET}\r\n\r\n".encode())

    found = [text_of(span) for span in traces.found()]
    assert len(found) == 3
    assert [] == [text for text in found if SECRET in text or lite.token in text or "127.0.0.1" in text]
