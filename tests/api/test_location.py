# SPDX-License-Identifier: MIT
"""Percent-encoded paths, the service mounted under another path, and the `location` of responses."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.routing import Mount

from api.kit import Api, Json
from tidings.api.app import build
from tidings.table import TABLE

MESSAGE: Json = {"eventType": "a.b", "payload": {"a": 1}}
SLASHES = ["%2f", "%2F"]


@pytest.mark.parametrize("slash", SLASHES)
async def test_an_encoded_slash_does_not_reach_another_route(api: Api, slash: str) -> None:
    app = await api.app(uid="mine")
    endpoint = await api.endpoint(app)
    ways = [
        ("DELETE", f"/app/{app}{slash}endpoint{slash}{endpoint}"),
        ("GET", f"/app/{app}/endpoint/{endpoint}{slash}secret"),
        ("GET", f"/app/{app}{slash}"),
        ("GET", f"/app/{slash}"),
        ("GET", f"/app{slash}"),
        ("GET", f"/app/{slash}{slash}"),
        ("GET", f"{slash}app"),
        ("POST", f"/app/{app}{slash}msg"),
        ("POST", f"/app/{app}/msg{slash}"),
        ("POST", f"/app/a{slash}{app}/msg"),
        ("POST", f"/app{slash}{app}{slash}msg"),
        ("PUT", f"/event-type/a{slash}b"),
        ("HEAD", f"/app/{app}{slash}endpoint"),
    ]

    for method, path in ways:
        response = await api.call(method, path, json=MESSAGE)
        assert response.status_code == 404, f"{method} {path}: {response.text}"

    assert (await api.get(f"/app/{app}/endpoint/{endpoint}")).status_code == 200
    assert (await api.read(f"/app/{app}/msg"))["data"] == []


async def test_other_escapes_stay_in_their_segment(api: Api) -> None:
    await api.app(uid="mine")

    for ref in ("%252f", "%252F", "a%252Fb", "%2e%2e", "%2E", "%3F", "%23", "%00", "%5c", "%c0%af"):
        assert (await api.get(f"/app/{ref}")).status_code == 404, ref
        assert (await api.get(f"/app/{ref}/endpoint")).status_code == 404, ref
        assert (await api.post(f"/app/{ref}/msg", json=MESSAGE)).status_code in (404, 422), ref


@pytest.mark.parametrize("uid", ["a.b", "a-b", "a_b", ".", ".."])
async def test_every_percent_encoding_of_an_id_is_accepted(api: Api, uid: str) -> None:
    app = await api.app(uid=uid)
    endpoint = await api.endpoint(app, uid=uid)
    escaped = "".join(f"%{ord(each):02X}" for each in uid)

    assert (await api.read(f"/app/{escaped}"))["id"] == app
    assert (await api.read(f"/app/{escaped}/endpoint/{escaped}"))["id"] == endpoint
    assert (await api.read(f"/%61pp/{escaped}/end%70oint/{escaped}"))["id"] == endpoint
    assert (await api.post(f"/app/{escaped}/ms%67", json=MESSAGE)).status_code == 202


@pytest.mark.parametrize("path", ["/app//msg", "/app//msg/", "//app", "/app//endpoint"])
async def test_an_empty_segment_is_not_an_id(lite: Api, path: str) -> None:
    response = await lite.post(path, json=MESSAGE)

    assert (404, "not_found") == (response.status_code, response.json()["code"])


@pytest_asyncio.fixture
async def mounted(lite: Api) -> AsyncIterator[Api]:
    """Give the API mounted under the path of another ASGI application."""
    outer = Starlette(routes=[Mount("/deep", routes=[Mount("/hooks", app=build(lite.context, TABLE))])])
    transport = httpx.ASGITransport(outer)
    async with httpx.AsyncClient(transport=transport, base_url="http://outer/deep/hooks") as client:
        yield replace(lite, client=client)


async def test_below_a_mount_every_route_is_served(mounted: Api) -> None:
    app = await mounted.app(uid="mine")
    await mounted.endpoint(app)

    made = await mounted.post("/app/mine/msg", json=MESSAGE, headers={"idempotency-key": "k"})
    again = await mounted.post("/app/mine/msg/", json=MESSAGE, headers={"idempotency-key": "k"})
    batch = await mounted.post("/app/mine/msg/batch", json={"messages": [MESSAGE]})

    assert (202, made.content, 202) == (made.status_code, again.content, batch.status_code)
    assert (await mounted.read("/app/mine/msg/" + made.json()["id"]))["payload"] == MESSAGE["payload"]
    assert (await mounted.get("/app/mine%2Fmsg")).status_code == 404
    assert (await mounted.client.get("/nope")).status_code == 404


@pytest.mark.parametrize("path", ["", "/"])
async def test_pages_below_a_mount_link_to_pages_below_it(mounted: Api, path: str) -> None:
    root = await mounted.client.get(path)

    assert (307, "/deep/hooks/docs") == (root.status_code, root.headers["location"])
    assert 'href="api/v1/openapi.json"' in (await mounted.client.get("/docs")).text


async def _portal(api: Api, headers: Any) -> str:
    await api.app(uid="mine")
    given = [("authorization", f"Bearer {api.token}"), *(headers.items() if isinstance(headers, dict) else headers)]
    response = await api.client.post("/api/v1/auth/app-portal-access/mine", json={}, headers=given)
    url, _, _ = response.json()["url"].partition("/app-portal#key=")
    return str(url)


FORWARDED: list[tuple[Any, str]] = [
    ({}, "http://tidings"),
    ({"host": "hooks.example"}, "http://hooks.example"),
    ({"host": "hooks.example:8071"}, "http://hooks.example:8071"),
    ({"host": "[::1]:8071"}, "http://[::1]:8071"),
    ({"x-forwarded-proto": "https", "host": "hooks.example"}, "https://hooks.example"),
    ({"x-forwarded-proto": "HTTPS , http", "x-forwarded-host": "a.example, b.example"}, "https://a.example"),
    ([("x-forwarded-host", "a.example"), ("x-forwarded-host", "b.example")], "http://a.example"),
    ({"x-forwarded-host": "a.example:8443", "x-forwarded-proto": "https"}, "https://a.example:8443"),
    ({"x-forwarded-host": "a.example:443", "x-forwarded-proto": "https"}, "https://a.example"),
    (
        {"x-forwarded-host": "a.example", "x-forwarded-proto": "https", "x-forwarded-port": "8443, 80"},
        "https://a.example:8443",
    ),
    ({"host": "inside:8071", "x-forwarded-proto": "https", "x-forwarded-port": "443"}, "https://inside"),
    ({"x-forwarded-host": "a.example", "x-forwarded-prefix": "/hooks/, /inner"}, "http://a.example/hooks"),
    ({"x-forwarded-prefix": "/a/b"}, "http://tidings/a/b"),
    ({"x-forwarded-prefix": "/"}, "http://tidings"),
]
ODD: list[dict[str, str]] = [
    {"x-forwarded-proto": "javascript"},
    {"x-forwarded-host": "evil.example/path?"},
    {"x-forwarded-host": "user@evil.example"},
    {"x-forwarded-host": ""},
    {"x-forwarded-host": "x" * 300},
    {"x-forwarded-port": "0"},
    {"x-forwarded-port": "65536"},
    {"x-forwarded-port": "8a"},
    {"x-forwarded-prefix": "/a?b#c"},
    {"x-forwarded-prefix": "/" + "a" * 2_000},
]


@pytest.mark.parametrize(("headers", "url"), FORWARDED)
async def test_a_link_has_the_origin_that_the_caller_used(lite: Api, headers: Any, url: str) -> None:
    assert url == await _portal(lite, headers)


@pytest.mark.parametrize("headers", ODD)
async def test_a_forwarded_header_that_fits_no_url_is_ignored(lite: Api, headers: dict[str, str]) -> None:
    assert "http://tidings" == await _portal(lite, headers)


async def test_a_link_has_the_forwarded_prefix_and_the_mount(mounted: Api) -> None:
    assert "http://outer/front/deep/hooks" == await _portal(mounted, {"x-forwarded-prefix": "/front"})
