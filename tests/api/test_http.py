# SPDX-License-Identifier: MIT
"""Rules for every path: slashes, methods, errors, origins."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from api.kit import Api
from database_proxy import DatabaseProxy
from tidings.api.routes import PREFIX
from tidings.api.tuning import ApiTuning
from tidings.storage.drivers.database import Busy, Database, Read, Unavailable, Write
from tidings.table import TABLE


@pytest.mark.parametrize("path", ["/api/v1/health", "/api/v1/health/", "/api/v1/health///"])
async def test_health_is_reported_as_json(lite: Api, path: str) -> None:
    response = await lite.client.get(path)

    assert (200, _health("ok")) == (response.status_code, response.json())
    assert "application/json" == response.headers["content-type"]


def _health(status: str) -> dict[str, dict[str, str]]:
    return {part: {"status": status} for part in ("database", "queue", "cache")}


class Failing(DatabaseProxy):
    """A database whose transactions fail."""

    def __init__(self, db: Database, error: Exception) -> None:
        super().__init__(db)
        self._error = error

    def read(self) -> AbstractAsyncContextManager[Read]:
        raise self._error

    @asynccontextmanager
    async def write(self, **_: Any) -> AsyncIterator[Write]:
        raise self._error
        yield


class Hanging(DatabaseProxy):
    """A database whose write transactions never begin."""

    @asynccontextmanager
    async def write(self, **_: Any) -> AsyncIterator[Write]:
        await asyncio.Event().wait()
        raise AssertionError
        yield


async def test_an_sdk_gets_the_health_response_of_the_contract(lite: Api) -> None:
    """The SDKs for Kotlin, C# and Java raise an error if a success has a body where the contract has a 204."""
    headers = {"user-agent": "svix-libs/2.0.0/kotlin"}

    failing = await lite.over(Failing(lite.db, Unavailable("gone"))).client.get("/api/v1/health", headers=headers)
    sound = await lite.client.get("/api/v1/health", headers=headers)

    assert (204, b"") == (sound.status_code, sound.content)
    assert (500, _health("error")) == (failing.status_code, failing.json())


async def test_health_reports_an_unavailable_database(lite: Api) -> None:
    lite = lite.over(Failing(lite.db, Unavailable("gone")))

    response = await lite.client.get("/api/v1/health")

    assert (500, _health("error")) == (response.status_code, response.json())
    assert 204 == (await lite.client.get("/api/v1/health/ping")).status_code


async def test_readiness_follows_the_database_and_liveness_does_not(lite: Api) -> None:
    failing = lite.over(Failing(lite.db, Unavailable("gone"))).client
    sound = lite.client

    unready = await failing.get("/api/v1/health/ready")
    assert (503, "unavailable") == (unready.status_code, unready.json()["code"])
    assert 204 == (await failing.get("/api/v1/health/live")).status_code
    assert [204, 204] == [(await sound.get(f"/api/v1/health/{each}")).status_code for each in ("live", "ready")]


async def test_a_health_check_has_a_time_limit(lite: Api) -> None:
    lite = lite.tuned(ApiTuning(health_seconds=0.01)).over(Hanging(lite.db))

    assert 500 == (await lite.client.get("/api/v1/health")).status_code


@pytest.mark.parametrize("path", ["/api/v1/health/ping", "/api/v1/health/ping/"])
async def test_a_ping_has_no_body(lite: Api, path: str) -> None:
    response = await lite.client.get(path)

    assert (204, b"") == (response.status_code, response.content)
    assert "content-type" not in response.headers


async def test_the_root_redirects_to_the_docs(lite: Api) -> None:
    root = await lite.client.get("/")
    docs = await lite.client.get(root.headers["location"])

    assert (307, 200) == (root.status_code, docs.status_code)
    assert docs.headers["content-type"].startswith("text/html")
    assert "/api/v1/app/{app_id}/msg" in docs.text


async def test_the_document_is_plain_json(lite: Api) -> None:
    response = await lite.client.get("/api/v1/openapi.json")

    assert (200, "application/json") == (response.status_code, response.headers["content-type"])
    assert "3.1.0" == response.json()["openapi"]


@pytest.mark.parametrize("path", ["/nope", "/api/v1/nope", "/api/v1/app/a/b/c/d", "/api/v1/app/a%2Fb"])
async def test_an_unknown_path_is_reported_as_json(lite: Api, path: str) -> None:
    response = await lite.client.get(path)

    assert (404, "not_found") == (response.status_code, response.json()["code"])
    assert {"code", "detail"} == response.json().keys()


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/api/v1/app", "GET, HEAD, POST"),
        ("DELETE", "/api/v1/app/", "GET, HEAD, POST"),
        ("POST", "/api/v1/health", "GET, HEAD"),
        ("GET", "/api/v1/app/a/msg/b/endpoint/c/resend", "POST"),
        ("OPTIONS", "/api/v1/app/a/msg", "GET, HEAD, POST"),
        ("POST", "/docs", "GET, HEAD"),
    ],
)
async def test_the_response_to_a_wrong_method_lists_the_right_ones(
    lite: Api, method: str, path: str, allow: str
) -> None:
    response = await lite.client.request(method, path)

    assert (405, allow) == (response.status_code, response.headers["allow"])
    assert "method_not_allowed" == response.json()["code"]


@pytest.mark.parametrize("path", ["/app", "/health", "/app/nope"])
async def test_head_responds_like_get_without_a_body(lite: Api, path: str) -> None:
    headers = {"x-request-id": "same"}
    get, head = await lite.get(path, headers=headers), await lite.call("HEAD", path, headers=headers)

    assert (get.status_code, get.headers) == (head.status_code, head.headers)


@pytest.mark.parametrize("path", ["/api/v1/app", "/api/v1/app/x/msg", "/nope", "/api/v1/health"])
async def test_a_preflight_is_answered_on_every_path(lite: Api, path: str) -> None:
    headers = {
        "origin": "https://a",
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-own",
    }

    response = await lite.client.options(path, headers=headers)

    assert 200 == response.status_code
    allowed = {name.removeprefix("access-control-"): value for name, value in response.headers.items()}
    assert {"allow-origin": "*", "allow-headers": "x-own", "max-age": "600"}.items() <= allowed.items()
    assert {"DELETE", "GET", "PATCH", "POST", "PUT"} <= set(allowed["allow-methods"].split(", "))


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/app"), ("GET", "/nope"), ("POST", "/app/nope/msg"), ("POST", "/app")]
)
async def test_any_origin_may_read_any_response(lite: Api, method: str, path: str) -> None:
    response = await lite.call(method, path, headers={"origin": "https://a"})

    assert "*" == response.headers["access-control-allow-origin"]


WAYS = [("GET", "/app"), ("POST", "/app"), ("GET", "/app/x"), ("POST", "/app/x/msg")]
TROUBLES = [
    (Unavailable("gone"), 503, "unavailable"),
    (Busy("locked"), 503, "unavailable"),
    (RuntimeError("boom"), 500, "server_error"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("trouble", TROUBLES)
async def test_internal_errors_are_reported_as_json(
    lite: Api, way: tuple[str, str], trouble: tuple[Exception, int, str]
) -> None:
    (method, path), (error, status, code) = way, trouble

    response = await lite.over(Failing(lite.db, error)).call(
        method, path, json={"name": "a", "eventType": "a", "payload": {}}
    )

    assert (status, code) == (response.status_code, response.json()["code"])
    assert "boom" not in response.text


OPEN = {"v1.health.get", "v1.health.live", "v1.health.ping", "v1.health.ready", "v1.export.get"}
"""Routes without authentication: they reveal nothing, or their link is signed."""


async def test_every_route_but_the_open_ones_requires_a_token(lite: Api) -> None:
    refusing = set()
    for route in TABLE:
        path = PREFIX + route.path.replace("{", "").replace("}", "")
        if (await lite.client.request(route.method, path)).status_code == 401:
            refusing.add(route.operation)

    assert {route.operation for route in TABLE} - refusing == OPEN


async def test_responses_are_compact_json(lite: Api) -> None:
    assert b": " not in (await lite.post("/app", json={"name": "a"})).content
