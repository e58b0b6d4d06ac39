# SPDX-License-Identifier: MIT
"""Whatever is sent to whatever route: a refusal in JSON, and nothing half done."""

import json
from typing import Any

import pytest

from api.kit import SECRET, Api
from tidings.api import (
    apps,
    authentication,
    endpoint_headers,
    endpoint_secrets,
    endpoint_stats,
    endpoints,
    event_types,
)
from tidings.api.routes import PREFIX, AnyRoute, Nothing
from tidings.core.access import issue_org_token
from tidings.ids import OrgId

# What makes messages and tasks is held to the same elsewhere.
ROUTES = [
    route
    for module in (apps, endpoints, endpoint_headers, endpoint_secrets, endpoint_stats, event_types, authentication)
    for route in module.ROUTES
]
WRITES = [route for route in ROUTES if route.body is not Nothing]
DEEP = b"[" * 100_000

BODIES: dict[str, bytes] = {
    "nothing": b"",
    "a space": b" ",
    "no JSON": b"nonsense",
    "half an object": b'{"name": ',
    "a number": b"7",
    "a list": b"[]",
    "null": b"null",
    "a text": b'"text"',
    "not UTF-8": b'{"name": "\xff\xfe", "description": "\xff", "url": "http://\xff"}',
    "UTF-16": '{"name": "a"}'.encode("utf-16"),
    "depth": DEEP,
    "depth in a member": b'{"name": "a", "x": %b}' % (b'{"a":' * 5000 + b"1" + b"}" * 5000),
    "huge numbers": (
        b'{"name": "a", "url": "http://a", "description": "", "headers": {}, "throttleRate": 1e999, "version": 1e999,'
        b' "gracePeriodSeconds": 1e999, "expiry": 1e999}'
    ),
    "long numbers": (
        b'{"name": "a", "url": "http://a", "description": "", "headers": {}, "throttleRate": %b, "version": %b,'
        b' "gracePeriodSeconds": %b, "expiry": %b}' % ((b"9" * 5000,) * 4)
    ),
    "negative numbers": (
        b'{"name": "a", "url": "http://a", "description": "", "headers": {}, "throttleRate": -1, "version": -1,'
        b' "gracePeriodSeconds": -1, "expiry": -1}'
    ),
    "fractions": b'{"name": "a", "url": "http://a", "throttleRate": 1.5, "gracePeriodSeconds": 1.5, "expiry": 1.5}',
    "a text too long": json.dumps(dict.fromkeys(("name", "url", "uid", "key", "groupName"), "x" * 300000)).encode(),
    "control characters": (
        b'{"name": "\\u0001", "url": "http://a\\u0000b", "description": "\\u0008", "headers": {"a\\u0000": "b\\u0000"},'
        b' "uid": "\\u0000", "key": "\\u0000", "schemas": {"\\u0000": {"title": "\\u0000"}}, "sessionId": "\\u0000",'
        b' "metadata": {"\\u0000": "\\u0000"}}'
    ),
    "raw control characters": b'{"name": "a\x00b", "description": "\x01", "url": "http://a\x00"}',
    "lone surrogates": (
        b'{"name": "\\ud800", "url": "http://\\ud800", "description": "\\ud800", "headers": {"a": "\\udfff"},'
        b' "uid": "\\ud800", "key": "whsec_\\ud800", "metadata": {"\\ud800": "\\ud800"}, "sessionId": "\\ud800"}'
    ),
    "members of other types": json.dumps(
        {
            name: [{}]
            for name in (
                *("name", "uid", "url", "description", "disabled", "metadata", "channels", "headers", "throttleRate"),
                *("key", "gracePeriodSeconds", "schemas", "featureFlags", "expiry", "application", "capabilities"),
                *("eventTypes", "archived", "sessionIds", "deleteHeaders", "readOnly", "secret", "version"),
            )
        }
    ).encode(),
    "too many": json.dumps(
        {"url": "http://a", "eventTypes": [f"t{n}" for n in range(20_000)], "channels": [f"c{n}" for n in range(9_999)]}
    ).encode(),
    "3 MB": b'{"name": "%b"}' % (b"x" * 3_000_000),
}


async def _world(api: Api) -> dict[str, str]:
    app = await api.app(uid="mine")
    await api.made("/event-type", {"name": "a.b", "description": "d"})
    return {"app_id": app, "endpoint_id": await api.endpoint(app, uid="one"), "event_type_name": "a.b"}


async def _rows(api: Api) -> list[list[Any]]:
    found = []
    async with api.db.read() as read:
        for table in ("application", "endpoint", "event_type", "operational_event", "idempotency", "token_end"):
            rows = await read.rows(f"SELECT * FROM {table}")
            found.append(sorted(tuple(str(value) for value in row) for row in rows))
    return found


def _path(route: AnyRoute, values: dict[str, str]) -> str:
    path = PREFIX + route.path
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", value)
    return path


@pytest.mark.parametrize("name", BODIES)
async def test_a_bad_body_is_refused_and_changes_nothing(api: Api, name: str) -> None:
    world = await _world(api)
    before = await _rows(api)

    for route in WRITES:
        response = await api.client.request(
            route.method,
            _path(route, world),
            content=BODIES[name],
            headers={"authorization": f"Bearer {api.token}", "idempotency-key": f"{name} {route.operation}"},
        )
        what = f"{route.operation}: {response.status_code} {response.text[:200]}"
        assert response.status_code < 500, what
        if response.status_code >= 400:
            assert response.status_code in (400, 413, 422), what
            assert isinstance(response.json()["detail"], list if response.status_code == 422 else str), what
            assert before == await _rows(api), what
        before = await _rows(api)


async def test_what_is_odd_and_harmless_is_taken(api: Api) -> None:
    """Members twice, where the last counts; members that nobody knows."""
    await _world(api)

    twice = await api.post("/app", content=b'{"name": "a", "name": "b", "what": {"is": ["this", 1e999]}}')

    assert (201, "b") == (twice.status_code, twice.json()["name"])


STRANGERS = [
    "unknown",
    "app_" + "0" * 27,
    "ep_" + "z" * 27,
    "app_",
    "ep_",
    "%00",
    "%ED%A0%80",
    "%FF",
    "a%20b",
    "%0A",
    "..%2F..",
    "x" * 3_000,
    "'%20OR%201=1--",
    "ä",
]


@pytest.mark.parametrize("stranger", STRANGERS)
async def test_who_is_not_there_is_not_found(api: Api, stranger: str) -> None:
    world = await _world(api)
    before = await _rows(api)
    bodies = {"v1.endpoint.rotate-secret": b"{}", "v1.authentication.app-portal-access": b"{}"}

    for route in ROUTES:
        if "{" not in route.path or route.method == "PUT":
            continue
        last = route.path.rpartition("{")[2].partition("}")[0]
        response = await api.client.request(
            route.method,
            _path(route, {**world, last: stranger}),
            content=bodies.get(route.operation, b'{"headers": {}, "description": "d", "name": "n"}'),
            headers={"authorization": f"Bearer {api.token}"},
        )
        assert response.status_code in (404, 405), f"{route.operation}: {response.status_code} {response.text}"
        assert isinstance(response.json(), dict)
    assert before == await _rows(api)


async def test_what_is_another_organisations_is_not_found(api: Api) -> None:
    world = await _world(api)
    before = await _rows(api)
    other = issue_org_token(SECRET, OrgId("org_other"), api.clock.now())

    for route in ROUTES:
        if "{" not in route.path or (route.method == "PUT" and "{endpoint_id}" not in route.path):
            continue
        response = await api.client.request(
            route.method,
            _path(route, world),
            content=b'{"headers": {}, "url": "http://a"}',
            headers={"authorization": f"Bearer {other}"},
        )
        assert 404 == response.status_code, route.operation
    assert before == await _rows(api)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0&x=1",
        "limit=99999999999999999999999999",
        "limit=-1",
        "iterator=%00",
        "iterator=app_%ED%A0%80",
        "iterator=-",
        "order=sideways",
        "get_if_exists=maybe&include_archived=maybe&expunge=maybe&exclude_apps_with_no_endpoints=maybe",
        "since=never&until=never",
        "since=99999-01-01T00:00:00Z",
        "since=0001-01-01T00:00:00Z&until=0001-01-01T00:00:00Z",
        "limit=1&limit=2&iterator=a&iterator=b&expunge=true&expunge=true&since=x&since=y",
        "%FF=%FF",
        "&".join(f"a{n}=1" for n in range(1_500)),
    ],
)
async def test_a_bad_query_is_refused_in_json(lite: Api, query: str) -> None:
    world = await _world(lite)

    for route in ROUTES:
        if route.method == "DELETE":
            continue
        response = await lite.client.request(
            route.method,
            f"{_path(route, world)}?{query}",
            content=b"nonsense",
            headers={"authorization": f"Bearer {lite.token}"},
        )
        assert response.status_code < 500, f"{route.operation}: {response.text}"
        if response.status_code >= 400:
            assert isinstance(response.json(), dict), route.operation
