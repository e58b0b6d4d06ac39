# SPDX-License-Identifier: MIT
"""Whatever is sent to the routes of messages and attempts: a refusal in JSON, and nothing half done."""

import json
from typing import Any

import pytest

from api.kit import SECRET, Api, Json
from api.test_bad_input import STRANGERS
from tidings.api import attempted, attempts, examples, message_content, messages
from tidings.api.routes import PREFIX, AnyRoute
from tidings.core.access import issue_org_token
from tidings.ids import OrgId

ROUTES = [route for module in (messages, message_content, examples, attempts, attempted) for route in module.ROUTES]
WRITES = [route for route in ROUTES if route.has_body]
LISTS = [route for route in ROUTES if route.method == "GET"]
TABLES = ("application", "message", "event_id", "delivery", "attempt", "idempotency")
GOOD: Json = {"eventType": "a.b", "payload": {"a": 1}}


def _with(**members: object) -> bytes:
    return json.dumps({**GOOD, **members}).encode()


def _told(name: str, value: bytes) -> bytes:
    """Return a body with a member that JSON's own writer would not write."""
    return b'{"eventType":"a.b","payload":{"a":1},"%b":%b}' % (name.encode(), value)


HUGE = b"9" * 5_000
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "a space": b" ",
    "no JSON": b"nonsense",
    "half an object": b'{"eventType": ',
    "a number": b"7",
    "a list": b"[]",
    "null": b"null",
    "not UTF-8": b'{"eventType":"a","payload":{"\xff":1},"ids":["\xff"]}',
    "not UTF-8 where nobody looks": _told("unknown", b'"\xff"').replace(b"a.b", b"a b"),
    "UTF-16": json.dumps(GOOD).encode("utf-16"),
    "depth": b"[" * 100_000,
    "depth in the payload": _told("x", b"[" * 5_000 + b"]" * 5_000),
    "a payload of another type": _with(payload="text"),
    "half a payload": b'{"eventType":"a.b","payload":{"a":',
    "both payloads": _with(data={}),
    "huge numbers": _told("payloadRetentionPeriod", b"1e999"),
    "long numbers": _told("payloadRetentionHours", HUGE),
    "a negative number": _with(payloadRetentionPeriod=-1, exampleIndex=-1),
    "fractions": _with(payloadRetentionHours=1.5, exampleIndex=1.5),
    "truth for a number": _with(payloadRetentionPeriod=True, exampleIndex=True),
    "control characters": _with(eventType="a\0b", eventId="\0", channels=["\0"], tags=["\1"], ids=["\0"]),
    "lone surrogates": _with(eventType="\ud800", eventId="\ud800", tags=["\udfff"], ids=["\ud800"]),
    "lone surrogates in a raw payload": _with(transformationsParams={"rawPayload": "\ud800"}, eventType="a b"),
    "too long": _with(eventType="x" * 300, eventId="x" * 300, channels=["x" * 300], tags=["x" * 300], ids=["x" * 300]),
    "too many": _with(
        channels=[f"c{n}" for n in range(9_999)], tags=["a"] * 9_999 + ["b", "c", "d", "e", "f"], ids=[""]
    ),
    "members of other types": _with(
        **dict.fromkeys(("eventType", "payload", "eventId", "channels", "tags", "deliverAt", "application", "ids"), 7)
    ),
    "nulls": _with(eventType=None, payload=None, ids=None),
    "a moment that is none": _with(deliverAt="soon", eventType="a b"),
    "a moment out of this world": _with(deliverAt="9999-12-31T23:59:59.999Z", eventType="a b"),
    "an application that is none": _with(application={"name": ""}, eventType="a b"),
    "3 MB": b'{"eventType":"%b"}' % (b"x" * 3_000_000),
}


async def _world(api: Api) -> dict[str, str]:
    app = await api.app(uid="mine")
    endpoint, message = await api.endpoint(app, uid="one"), await api.message(app, eventId="event")
    attempt = await api.attempt(app, endpoint, message)
    return {"app_id": app, "endpoint_id": endpoint, "msg_id": message, "attempt_id": attempt}


async def _rows(api: Api) -> list[list[Any]]:
    found = []
    async with api.db.read() as read:
        for table in TABLES:
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
            assert response.status_code in (400, 404, 413, 422), what
            assert isinstance(response.json()["detail"], list if response.status_code == 422 else str), what
            assert before == await _rows(api), what
        before = await _rows(api)


async def test_members_twice_are_taken_and_the_last_one_counts(api: Api) -> None:
    app = await api.app()

    twice = await api.post(f"/app/{app}/msg", content=b'{"eventType":"a","eventType":"b","payload":[],"payload":{}}')

    assert (202, "b") == (twice.status_code, twice.json()["eventType"])


@pytest.mark.parametrize("stranger", STRANGERS)
async def test_what_is_not_there_is_not_found(api: Api, stranger: str) -> None:
    world = await _world(api)
    before = await _rows(api)

    for route in ROUTES:
        for name in world:
            if f"{{{name}}}" not in route.path:
                continue
            response = await api.client.request(
                route.method,
                _path(route, {**world, name: stranger}),
                content=json.dumps({**GOOD, "eventType": "svix.ping"}).encode(),
                headers={"authorization": f"Bearer {api.token}"},
            )
            # A path that can be no application's is refused where messages are made.
            wanted = (404, 405, 422) if route.operation == "v1.message.create" else (404, 405)
            assert response.status_code in wanted, f"{route.operation}: {response.status_code} {response.text}"
            assert isinstance(response.json(), dict)
    assert before == await _rows(api)


async def test_what_is_another_organisations_is_not_found(api: Api) -> None:
    world = await _world(api)
    before = await _rows(api)
    other = issue_org_token(SECRET, OrgId("org_other"), api.clock.now())

    for route in ROUTES:
        response = await api.client.request(
            route.method,
            _path(route, world),
            content=json.dumps(GOOD).encode(),
            headers={"authorization": f"Bearer {other}"},
        )
        assert 404 == response.status_code, route.operation
    assert before == await _rows(api)


async def test_what_is_another_applications_is_not_found(api: Api) -> None:
    world = await _world(api)
    before = await _rows(api)
    world["app_id"] = await api.app()
    before = await _rows(api)

    for route in ROUTES:
        if route.path.count("{") == 1:
            continue
        response = await api.client.request(
            route.method,
            _path(route, world),
            content=b'{"eventType": "svix.ping"}',
            headers={"authorization": f"Bearer {api.token}"},
        )
        assert 404 == response.status_code, route.operation
    assert before == await _rows(api)


QUERIES = [
    "limit=0",
    "limit=99999999999999999999999999",
    "limit=-1",
    "iterator=%00",
    "iterator=msg_%ED%A0%80",
    "iterator=-",
    "iterator=msg_zzzzzzzzzzzzzzzzzzzzzzzzzzz&limit=1",
    "status=sending&status_code_class=all&with_content=1&with_msg=1&expanded_statuses=1",
    "status=99999999999999999999999",
    "before=never&after=never",
    "before=99999-01-01T00:00:00Z",
    "before=0001-01-01T00:00:00Z&after=0001-01-01T00:00:00Z",
    "before=9999-12-31T23:59:59Z&after=9999-12-31T23:59:59Z",
    "channel=%00&tag=%00&event_types=%00&endpoint_id=%00",
    "channel=%22%25_&tag=%5C&event_types=a,,b&endpoint_id=x",
    "event_types=" + "x" * 3_000,
    "event_types=" + ",".join(f"t{n}" for n in range(5_000)),
    "limit=1&limit=2&status=0&status=2",
    "%FF=%FF",
    "&".join(f"a{n}=1" for n in range(1_500)),
]


@pytest.mark.parametrize("query", QUERIES)
async def test_a_bad_query_is_refused_in_json(api: Api, query: str) -> None:
    world = await _world(api)

    for route in LISTS:
        response = await api.client.request(
            route.method, f"{_path(route, world)}?{query}", headers={"authorization": f"Bearer {api.token}"}
        )
        assert response.status_code < 500, f"{route.operation}: {response.text}"
        assert isinstance(response.json(), dict), route.operation
