# SPDX-License-Identifier: MIT
"""Sending an example message to an endpoint."""

import pytest

from api.kit import ORG, SECRET, Api, Json, faults
from tidings.core.access import issue_app_token
from tidings.ids import AppId


async def _sent(api: Api) -> list[tuple[str, str, bytes]]:
    async with api.db.read() as read:
        rows = await read.rows(
            "SELECT delivery.endpoint_id, message.event_type, message.payload FROM delivery"
            " JOIN message ON message.id = delivery.msg_id"
        )
    return [(row[0], row[1], bytes(row[2])) for row in rows]


async def _type(api: Api, *examples: object, name: str = "user.made") -> None:
    await api.made("/event-type", {"name": name, "description": "", "schemas": {"1": {"examples": list(examples)}}})


async def test_a_ping_needs_no_event_type(api: Api) -> None:
    app = await api.app()
    endpoint, _ = await api.endpoint(app, uid="main"), await api.endpoint(app)

    response = await api.post(f"/app/{app}/endpoint/main/send-example", json={"eventType": "svix.ping"})

    assert (202, {}) == (response.status_code, response.json()["payload"])
    assert [(endpoint, "svix.ping", b'{"success": true}')] == await _sent(api)
    assert [endpoint] == api.woken
    assert {"success": True} == (await api.read(f"/app/{app}/msg/{response.json()['id']}"))["payload"]


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        ({}, b'{"a":1}'),
        ({"exampleIndex": 1}, '{"b":"å"}'.encode()),
        ({"payload": {"own": 1.50}}, b'{"own":1.5}'),
        ({"payload": None}, b'{"a":1}'),
    ],
)
async def test_the_example_is_the_one_that_is_requested(api: Api, body: Json, payload: bytes) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    await _type(api, {"a": 1}, {"b": "å"})

    await api.made(f"/app/{app}/endpoint/{endpoint}/send-example", {"eventType": "user.made", **body})

    assert [(endpoint, "user.made", payload)] == await _sent(api)


@pytest.mark.parametrize(("examples", "index"), [((), 0), (({"a": 1},), 1), ((7,), 0)])
async def test_an_event_type_without_an_example_cannot_be_sent(
    lite: Api, examples: tuple[object, ...], index: int
) -> None:
    app = await lite.app()
    await _type(lite, *examples)

    response = await lite.post(
        f"/app/{app}/endpoint/{await lite.endpoint(app)}/send-example",
        json={"eventType": "user.made", "exampleIndex": index},
    )

    assert (400, "invalid_scheme") == (response.status_code, response.json()["code"])
    assert [] == (await lite.read(f"/app/{app}/msg"))["data"]


async def test_an_event_type_without_schemas_has_no_example(lite: Api) -> None:
    app = await lite.app()
    await lite.made("/event-type", {"name": "bare", "description": ""})

    response = await lite.post(
        f"/app/{app}/endpoint/{await lite.endpoint(app)}/send-example", json={"eventType": "bare"}
    )

    refused = {
        "code": "invalid_scheme",
        "detail": "The schema has no such example. Add it to `examples` of version 1, or pass a payload.",
    }
    assert (400, refused) == (response.status_code, response.json())


async def test_an_unknown_event_type_or_endpoint_is_not_found(lite: Api) -> None:
    app = await lite.app()
    endpoint = await lite.endpoint(app)

    for ref, name in ((endpoint, "nope"), ("nope", "svix.ping")):
        response = await lite.post(f"/app/{app}/endpoint/{ref}/send-example", json={"eventType": name})
        assert response.status_code == 404


@pytest.mark.parametrize("filters", [{"eventTypes": ["other"]}, {"channels": ["c"]}])
async def test_an_example_is_not_sent_to_an_unsubscribed_endpoint(api: Api, filters: Json) -> None:
    app = await api.app()
    await _type(api, name="other")

    endpoint = await api.endpoint(app, **filters)
    await api.made(f"/app/{app}/endpoint/{endpoint}/send-example", {"eventType": "svix.ping"})

    assert [] == await _sent(api)


async def test_a_disabled_endpoint_is_reported_as_disabled(lite: Api) -> None:
    app = await lite.app()
    endpoint = await lite.endpoint(app, disabled=True)

    response = await lite.post(f"/app/{app}/endpoint/{endpoint}/send-example", json={"eventType": "svix.ping"})

    assert (409, "endpoint_disabled") == (response.status_code, response.json()["code"])


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"eventType": "a b"}, ["body", "eventType", "__all__"]),
        ({"eventType": "a", "exampleIndex": -1}, ["body", "exampleIndex"]),
        ({"eventType": "a", "payload": [1]}, ["body", "payload"]),
        ({"eventType": "a", "exampleIndex": 1e99}, ["body", "exampleIndex"]),
    ],
)
async def test_a_request_that_breaks_a_rule_is_refused(lite: Api, body: Json, place: list[str]) -> None:
    app = await lite.app()
    response = await lite.post(f"/app/{app}/endpoint/{await lite.endpoint(app)}/send-example", json=body)

    assert [place] == [loc for loc, _, _ in faults(response)]


async def test_an_example_is_sent_once_for_each_key(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    path, body = f"/app/{app}/endpoint/{endpoint}/send-example", {"eventType": "svix.ping"}

    first, second = [await api.post(path, json=body, headers={"idempotency-key": "k"}) for _ in range(2)]

    assert first.content == second.content
    assert 1 == len(await _sent(api))


async def test_an_application_token_sends_no_examples(lite: Api) -> None:
    app = await lite.app()
    token = issue_app_token(SECRET, ORG, AppId(app), lite.clock.now())
    path = f"/app/{app}/endpoint/{await lite.endpoint(app)}/send-example"

    assert (await lite.post(path, json={"eventType": "svix.ping"}, token=token)).status_code == 403
