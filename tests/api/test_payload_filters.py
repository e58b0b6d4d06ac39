# SPDX-License-Identifier: MIT
"""Payload filters over HTTP: stored with the endpoint, refused with the condition, and applied to every message."""

from typing import Any

import pytest

from api.kit import Api, Json
from tidings.clock import HOUR, rfc3339
from tidings.model.payload_filter import CONDITIONS_MAX

PAID: Json = {"path": "$.status", "operator": "==", "value": "paid"}
LARGE: Json = {"path": "$.amount", "operator": ">=", "value": 100}


async def _filter(api: Api, app: str, endpoint: str) -> Any:
    return (await api.read(f"/app/{app}/endpoint/{endpoint}"))["x"]["filter"]


async def _receivers(api: Api) -> list[tuple[str, str]]:
    async with api.db.read() as read:
        rows = await read.rows("SELECT msg_id, endpoint_id FROM delivery ORDER BY msg_id, endpoint_id")
    return [(row[0], row[1]) for row in rows]


# ----------------------------------------------------------------------------------------------------------------------
# Bodies


async def test_a_filter_is_returned_as_it_was_given(api: Api) -> None:
    conditions: list[Json] = [
        PAID,
        {"path": "$['unit price'][0].é", "operator": "in", "value": [1, 2.5, "x", True, None]},
        {"path": "$.n", "operator": "!=", "value": None},
        {"path": "$.n", "operator": "exists", "value": False},
        {"path": "$.n", "operator": "<", "value": 1e3},
    ]
    app = await api.app()
    made = await api.made(f"/app/{app}/endpoint", {"url": "http://example.com/", "x": {"filter": conditions}})
    assert made["x"]["filter"] == conditions
    assert await _filter(api, app, made["id"]) == conditions
    [listed] = (await api.read(f"/app/{app}/endpoint"))["data"]
    assert listed["x"]["filter"] == conditions


async def test_an_endpoint_has_no_filter_by_default(api: Api) -> None:
    app = await api.app()
    bodies: list[Json] = [{}, {"x": None}, {"x": {}}, {"x": {"filter": None}}, {"x": {"health": 1}}]
    for body in bodies:
        assert await _filter(api, app, await api.endpoint(app, **body)) is None


WRITES: list[tuple[str, Json, Any]] = [
    ("PATCH", {"x": {"filter": [LARGE]}}, [LARGE]),
    ("PATCH", {"x": {"filter": None}}, None),
    ("PATCH", {"description": "new"}, [PAID]),
    ("PATCH", {"x": {}}, [PAID]),
    ("PATCH", {"x": None}, [PAID]),
    ("PUT", {"url": "http://example.com/", "x": {"filter": [LARGE]}}, [LARGE]),
    ("PUT", {"url": "http://example.com/", "x": {"filter": None}}, None),
    ("PUT", {"url": "http://example.com/"}, [PAID]),
    ("PUT", {"url": "http://example.com/", "x": {}}, [PAID]),
]
"""Writes, and the filter that they leave."""


async def test_a_write_without_the_filter_keeps_it(api: Api) -> None:
    """An SDK that does not know the member, and replaces the endpoint, does not send what the filter excludes."""
    app = await api.app()
    for method, body, left in WRITES:
        endpoint = await api.endpoint(app, x={"filter": [PAID]}, channels=["eu"])

        answer = await api.call(method, f"/app/{app}/endpoint/{endpoint}", json=body)

        assert answer.status_code == 200, answer.text
        assert answer.json()["x"]["filter"] == left, (method, body)
        assert await _filter(api, app, endpoint) == left, (method, body)


@pytest.mark.parametrize(
    ("value", "loc"),
    [
        ([], []),
        ([PAID] * (CONDITIONS_MAX + 1), []),
        ({"path": "$.a"}, []),
        ([{"path": "$.a", "operator": "==", "value": "x" * 1_000}] * 10, []),
        ([PAID, {**PAID, "path": "status"}], ["[1]", "path"]),
        ([PAID, LARGE, {**PAID, "path": "$" + ".a" * 1_000}], ["[2]", "path"]),
        ([{**PAID, "path": "$..status"}], ["[0]", "path"]),
        ([{**PAID, "path": "$.a\0"}], ["[0]", "path"]),
        ([{**PAID, "path": 1}], ["[0]", "path"]),
        ([PAID, {**PAID, "operator": "~"}], ["[1]", "operator"]),
        ([PAID, {**LARGE, "value": True}], ["[1]", "value"]),
        ([{**PAID, "value": {"a": 1}}], ["[0]", "value"]),
        ([{**PAID, "value": [1]}], ["[0]", "value"]),
        ([{**PAID, "value": "x" * 1_025}], ["[0]", "value"]),
        ([{**PAID, "operator": "in", "value": [[1]]}], ["[0]", "value", "[0]"]),
        ([{"path": "$.a", "operator": "=="}], ["[0]", "value"]),
        (["$.a == 1"], ["[0]"]),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_fault_names_the_condition(lite: Api, method: str, value: Any, loc: list[str]) -> None:
    app = await lite.app()
    endpoint = await lite.endpoint(app, x={"filter": [PAID]})
    path = f"/app/{app}/endpoint" + ("" if method == "POST" else f"/{endpoint}")

    answer = await lite.call(method, path, json={"url": "http://example.com/", "x": {"filter": value}})

    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"][0]["loc"] == ["body", "x", "filter", *loc]
    assert await _filter(lite, app, endpoint) == [PAID]


@pytest.mark.parametrize(
    "body", [b'{"url":"http://example.com/","x":{"filter":[{"path":"$.a","operator":"==","value":']
)
@pytest.mark.parametrize("value", [b"1e400", b"9" * 5_000, b'"\\ud800"', b"NaN", b"[" * 5_000])
async def test_a_value_that_no_filter_can_store_is_refused(lite: Api, body: bytes, value: bytes) -> None:
    app = await lite.app()
    answer = await lite.post(f"/app/{app}/endpoint", content=body + value + b"}]}}")
    assert answer.status_code == 422, answer.text


async def test_a_filter_is_refused_while_a_node_of_an_older_release_runs(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app, x={"filter": [PAID]})
    plain = await api.endpoint(app)
    async with api.db.write() as tx:
        await tx.run("INSERT INTO node (id, worker, release) VALUES (7, 'old-host:1:7', '0.1.0')")

    writes: list[tuple[str, str, Json]] = [
        ("POST", f"/app/{app}/endpoint", {"x": {"filter": [PAID]}}),
        ("PUT", f"/app/{app}/endpoint/{plain}", {"x": {"filter": [PAID]}}),
        ("PATCH", f"/app/{app}/endpoint/{plain}", {"x": {"filter": [PAID]}}),
        ("PATCH", f"/app/{app}/endpoint/{endpoint}", {"x": {"filter": [LARGE]}}),
    ]
    for method, path, body in writes:
        answer = await api.call(method, path, json={"url": "http://example.com/", **body})
        assert (answer.status_code, answer.json()["code"]) == (409, "older_release")
        assert "the node old-host:1:7 runs 0.1.0" in answer.json()["detail"]
    assert await _filter(api, app, plain) is None
    without_new: list[Json] = [{"description": "x"}, {"x": {"filter": [PAID]}}, {"x": {"filter": None}}]
    for body in without_new:
        answer = await api.call("PATCH", f"/app/{app}/endpoint/{endpoint}", json=body)
        assert answer.status_code == 200, answer.text


# ----------------------------------------------------------------------------------------------------------------------
# Messages


async def test_a_message_goes_to_the_endpoints_whose_filters_it_meets(api: Api) -> None:
    app = await api.app()
    every = await api.endpoint(app)
    paid = await api.endpoint(app, x={"filter": [PAID]})
    both = await api.endpoint(app, x={"filter": [PAID, LARGE]})
    await api.endpoint(app, x={"filter": [PAID]}, disabled=True)
    await api.endpoint(app, x={"filter": [PAID]}, channels=["eu"])
    first = await api.message(app, payload={"status": "paid", "amount": 100})
    second = await api.message(app, payload={"status": "paid", "amount": 99})
    third = await api.message(app, payload={"status": "open"})
    fourth = await api.message(app, transformationsParams={"rawPayload": '{"status":"paid"}'})

    assert await _receivers(api) == sorted(
        [(msg, every) for msg in (first, second, third, fourth)]
        + [(first, paid), (second, paid), (fourth, paid), (first, both)]
    )


@pytest.mark.parametrize("raw", ["plain words", "<order/>", "{", '{"a":', "[1,]", "[" * 200_000])
async def test_a_payload_that_is_no_json_matches_no_filter(api: Api, raw: str) -> None:
    app = await api.app()
    every = await api.endpoint(app)
    for value in (1, 2):  # the second one reads what the first one has parsed
        await api.endpoint(app, x={"filter": [{"path": "$.a", "operator": "!=", "value": value}]})
    await api.endpoint(app, x={"filter": [{"path": "$", "operator": "exists", "value": True}]})

    msg = await api.message(app, transformationsParams={"rawPayload": raw})

    assert await _receivers(api) == [(msg, every)]


async def test_a_changed_filter_applies_to_the_next_message(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    first = await api.message(app, payload={"status": "open"})
    for body in ({"filter": [PAID]}, {"filter": [{**PAID, "value": "open"}]}, {"filter": None}):
        answer = await api.call("PATCH", f"/app/{app}/endpoint/{endpoint}", json={"x": body})
        assert answer.status_code == 200
        last = await api.message(app, payload={"status": "open"})
        if body["filter"] == [PAID]:
            assert (last, endpoint) not in await _receivers(api)
        else:
            assert (last, endpoint) in await _receivers(api)
    assert len(await _receivers(api)) == 3
    assert (first, endpoint) in await _receivers(api)


async def test_messages_of_a_batch_are_filtered(api: Api) -> None:
    app = await api.app()
    paid = await api.endpoint(app, x={"filter": [PAID]})
    messages = [{"eventType": "a", "payload": {"status": status}} for status in ("paid", "open", "paid", "open")]

    made = await api.made(f"/app/{app}/msg/batch", {"messages": messages})

    ids = [each["id"] for each in made["data"]]
    assert await _receivers(api) == [(ids[0], paid), (ids[2], paid)]


async def test_messages_for_a_later_time_are_filtered_when_they_are_accepted(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app, x={"filter": [PAID]})
    later = rfc3339(api.clock.now() + HOUR)
    await api.message(app, payload={"status": "open"}, deliverAt=later)
    msg = await api.message(app, payload={"status": "paid"}, deliverAt=later)
    assert await _receivers(api) == [(msg, endpoint)]


async def test_an_example_is_sent_if_its_payload_meets_the_filter(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app, x={"filter": [PAID]})
    path = f"/app/{app}/endpoint/{endpoint}/send-example"
    for status in ("open", "paid"):
        await api.made(path, {"eventType": "a", "payload": {"status": status}})
    assert [each for _, each in await _receivers(api)] == [endpoint]


async def test_a_resend_ignores_the_filter(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app, x={"filter": [PAID]})
    msg = await api.message(app)
    answer = await api.post(f"/app/{app}/msg/{msg}/endpoint/{endpoint}/resend")
    assert answer.status_code == 202, answer.text
    assert await _receivers(api) == [(msg, endpoint)]


async def test_a_precheck_counts_an_endpoint_whose_filter_may_match(api: Api) -> None:
    app = await api.app()
    await api.endpoint(app, x={"filter": [PAID]}, channels=["eu"])
    path = f"/app/{app}/msg/precheck/active"
    for channels, active in ((["eu"], True), (["us"], False)):
        answer = await api.post(path, json={"eventType": "a", "channels": channels})
        assert answer.json() == {"active": active}


async def test_a_filter_is_of_its_application_alone(api: Api) -> None:
    app, other = await api.app(), await api.app(uid="other")
    endpoint = await api.endpoint(app, x={"filter": [PAID]})
    answer = await api.call("PATCH", f"/app/{other}/endpoint/{endpoint}", json={"x": {"filter": None}})
    assert answer.status_code == 404
    assert await _filter(api, app, endpoint) == [PAID]
