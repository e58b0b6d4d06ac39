# SPDX-License-Identifier: MIT
"""Attempts, and requests to resend."""

import pytest

from api.kit import Api, Json
from tidings.clock import parse_rfc3339
from tidings.core.tuning import CoreTuning
from tidings.ids import timestamp_of
from tidings.model.attempt_headers import encoded
from tidings.storage.drivers.database import ListTuning, StorageTuning


async def _deliveries(api: Api) -> list[tuple[str, str, int, int]]:
    async with api.db.read() as read:
        rows = await read.rows("SELECT msg_id, endpoint_id, manual, due_at FROM delivery ORDER BY msg_id")
    return [tuple(row) for row in rows]


async def test_an_attempt_has_its_request_and_its_response(api: Api) -> None:
    app = await api.app()
    endpoint, msg = await api.endpoint(app), await api.message(app, eventId="e")
    attempt = await api.attempt(app, endpoint, msg, status=2, code=500)

    found = await api.read(f"/app/{app}/msg/e/attempt/{attempt}")

    expected = {
        "url": "http://example.com/in",
        "response": "thanks",
        "responseStatusCode": 500,
        "responseDurationMs": 12,
        "status": 2,
        "statusText": "fail",
        "triggerType": 0,
        "msgId": msg,
        "endpointId": endpoint,
        "id": attempt,
        "timestamp": found["timestamp"],
        "x": {"number": 1, "taskId": None, "method": "POST", "recordedHeaders": None},
    }
    assert expected == found
    assert timestamp_of(attempt) == parse_rfc3339(found["timestamp"])
    assert [found] == (await api.read(f"/app/{app}/attempt/endpoint/{endpoint}"))["data"]
    assert [found] == (await api.read(f"/app/{app}/attempt/msg/{msg}"))["data"]


async def test_the_recorded_headers_of_an_attempt_are_shown_until_its_response_is_deleted(api: Api) -> None:
    app = await api.app()
    endpoint, msg = await api.endpoint(app), await api.message(app)
    attempt = await api.attempt(app, endpoint, msg, status=2, code=500)
    headers = encoded("webhook", 1_700_000_000, "v1,abc=", ("X-Key",), "Server: nginx", is_truncated=True)
    async with api.db.write() as tx:
        sql = "UPDATE attempt SET headers = :headers, number = NULL, task_id = 'qtask_1' WHERE id = :id"
        await tx.run(sql, headers=headers, id=attempt)
    path = f"/app/{app}/msg/{msg}/attempt/{attempt}"

    signature = [
        {"name": "webhook-id", "value": msg},
        {"name": "webhook-timestamp", "value": "1700000000"},
        {"name": "webhook-signature", "value": "v1,abc="},
    ]
    shown = {"signature": signature, "configured": ["X-Key"], "isTruncated": True}
    of_response = [{"name": "Server", "value": "nginx"}]
    found = (await api.read(path))["x"]
    assert {
        "number": None,
        "taskId": "qtask_1",
        "method": "POST",
        "recordedHeaders": {**shown, "response": of_response},
    } == found
    for listed in (f"/app/{app}/attempt/endpoint/{endpoint}", f"/app/{app}/attempt/msg/{msg}"):
        [item] = (await api.read(listed))["data"]
        assert found == item["x"]
        [item] = (await api.read(listed, with_content=False))["data"]
        assert {**shown, "response": []} == item["x"]["recordedHeaders"]

    assert 204 == (await api.call("DELETE", f"{path}/content")).status_code
    assert (await api.read(path))["x"]["recordedHeaders"] is None


async def test_an_attempt_of_another_message_is_not_found(api: Api) -> None:
    app = await api.app()
    endpoint, msg, other = await api.endpoint(app), await api.message(app), await api.message(app)
    attempt = await api.attempt(app, endpoint, msg)

    assert (await api.get(f"/app/{app}/msg/{other}/attempt/{attempt}")).status_code == 404
    assert (await api.get(f"/app/{app}/msg/{msg}/attempt/atmpt_nope")).status_code == 404


FILTERS: list[tuple[Json, list[int]]] = [
    ({}, [3, 2, 1, 0]),
    ({"status": 0}, [0]),
    ({"status": 2}, [3, 2, 1]),
    ({"status": 1}, []),
    ({"status": 4}, []),
    ({"status_code_class": 500}, [2, 1]),
    ({"status_code_class": 0}, [3]),
    ({"status_code_class": 200}, [0]),
    ({"status_code_class": 500, "event_types": "b"}, [2]),
    ({"event_types": "user.signup"}, [3, 1, 0]),
    ({"channel": "c"}, [0]),
    ({"status": 2, "expanded_statuses": "true", "with_content": "false"}, [3, 2, 1]),
]
"""Parameters, and the places of the attempts that they select."""


@pytest.mark.parametrize("by", ["endpoint", "msg"])
async def test_filters_apply_to_the_lists(api: Api, by: str) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    sent = [await api.message(app, channels=["c"]), await api.message(app), await api.message(app, eventType="b")]
    sent.append(sent[1])
    codes = [(0, 200), (2, 503), (2, 500), (2, 0)]
    made = [await api.attempt(app, endpoint, msg, status=s, code=c) for msg, (s, c) in zip(sent, codes, strict=True)]

    for params, expected in FILTERS:
        found = []
        for path in [f"endpoint/{endpoint}"] if by == "endpoint" else [f"msg/{msg}" for msg in set(sent)]:
            found += [each["id"] for each in (await api.read(f"/app/{app}/attempt/{path}", **params))["data"]]

        assert [made[index] for index in expected] == sorted(found, reverse=True), params


async def test_a_list_omits_payloads_on_request(api: Api) -> None:
    app = await api.app()
    endpoint, msg = await api.endpoint(app), await api.message(app, channels=["c"], eventId="e")
    await api.attempt(app, endpoint, msg)

    [attempt] = (await api.read(f"/app/{app}/attempt/endpoint/{endpoint}", with_msg="true"))["data"]

    assert {**await api.read(f"/app/{app}/msg/{msg}"), "payload": {}} == attempt["msg"]


async def test_a_response_that_was_not_requested_is_an_empty_object(api: Api) -> None:
    app = await api.app()
    endpoint, msg = await api.endpoint(app), await api.message(app)
    await api.attempt(app, endpoint, msg)

    [attempt] = (await api.read(f"/app/{app}/attempt/msg/{msg}", with_content="false"))["data"]

    assert "{}" == attempt["response"]


async def test_the_attempts_of_a_message_may_be_filtered_by_endpoint(api: Api) -> None:
    app = await api.app()
    one, other, msg = await api.endpoint(app, uid="one"), await api.endpoint(app), await api.message(app)
    expected = await api.attempt(app, one, msg)
    await api.attempt(app, other, msg)

    for ref in (one, "one"):
        page = await api.read(f"/app/{app}/attempt/msg/{msg}", endpoint_id=ref)
        assert [expected] == [attempt["id"] for attempt in page["data"]]
    assert (await api.get(f"/app/{app}/attempt/msg/{msg}", params={"endpoint_id": "nope"})).status_code == 404
    assert (await api.get(f"/app/{app}/attempt/msg/{msg}", params={"endpoint_id": "a b"})).status_code == 422


@pytest.mark.parametrize("query", ["status=9", "status=x", "status_code_class=250", "with_content=yes"])
async def test_an_unreadable_filter_is_a_bad_request(lite: Api, query: str) -> None:
    app = await lite.app()
    endpoint = await lite.endpoint(app)

    assert (await lite.get(f"/app/{app}/attempt/endpoint/{endpoint}?{query}")).status_code == 400


async def test_a_resend_creates_a_due_delivery_and_reports_it(api: Api) -> None:
    app = await api.app()
    msg = await api.message(app, eventId="e")
    endpoint = await api.endpoint(app, uid="main")

    response = await api.post(f"/app/{app}/msg/e/endpoint/main/resend")

    assert (202, {}) == (response.status_code, response.json())
    assert [(msg, endpoint, 1, api.clock.now())] == await _deliveries(api)
    assert [endpoint] == api.woken


async def test_a_resend_needs_a_payload_before_it_needs_an_endpoint(api: Api) -> None:
    app = await api.app()
    msg = await api.message(app)
    async with api.db.write() as tx:
        await tx.run("UPDATE message SET payload = NULL")

    no_message = await api.post(f"/app/{app}/msg/nope/endpoint/nope/resend")
    no_payload = await api.post(f"/app/{app}/msg/{msg}/endpoint/nope/resend")

    assert 404 == no_message.status_code
    assert (400, "missing_payload") == (no_payload.status_code, no_payload.json()["code"])


async def test_a_resend_to_an_absent_endpoint_is_not_found(api: Api) -> None:
    app = await api.app()
    msg = await api.message(app)

    assert 404 == (await api.post(f"/app/{app}/msg/{msg}/endpoint/nope/resend")).status_code


async def test_a_resend_to_a_disabled_endpoint_reports_it(api: Api) -> None:
    app = await api.app()
    msg, endpoint = await api.message(app), await api.endpoint(app, disabled=True)

    response = await api.post(f"/app/{app}/msg/{msg}/endpoint/{endpoint}/resend")

    assert (409, "endpoint_disabled") == (response.status_code, response.json()["code"])
    assert [] == await _deliveries(api)


async def test_the_legacy_paths_keep_all_filters(api: Api) -> None:
    app = await api.app()
    endpoint, other = await api.endpoint(app), await api.endpoint(app)
    msg = await api.message(app, eventType="a", channels=["c"], tags=["t"])
    for each in (endpoint, other, endpoint):
        await api.attempt(app, each, msg, status=2, code=500)
    selecting: list[Json] = [
        {},
        {"channel": "c"},
        {"event_types": "a"},
        {"event_types[]": "a"},
        {"tag": "t"},
        {"status": 2},
    ]

    for params in [*selecting, {"channel": "x"}]:
        whole = await api.read(f"/app/{app}/attempt/msg/{msg}", **params)
        pair = await api.read(f"/app/{app}/attempt/msg/{msg}", endpoint_id=endpoint, **params)

        assert (3 if params in selecting else 0) == len(whole["data"]), params
        assert whole == await api.read(f"/app/{app}/msg/{msg}/attempt", **params)
        assert pair == await api.read(f"/app/{app}/msg/{msg}/endpoint/{endpoint}/attempt", **params)


COUNTS: list[tuple[Json, int]] = [
    ({}, 4),
    ({"status": 0}, 1),
    ({"status": 2}, 3),
    ({"status": 4}, 0),
    ({"status_code_class": 500}, 2),
    ({"status_code_class": 200, "status": 2}, 0),
    ({"event_types": "b"}, 2),
    ({"tag": "t", "status_code_class": 0}, 1),
]
"""Parameters, and the number of attempts that they select."""


async def test_attempts_are_counted_under_every_filter(api: Api) -> None:
    app = await api.app()
    endpoint, other = await api.endpoint(app), await api.endpoint(app)
    plain, tagged = await api.message(app), await api.message(app, eventType="b", tags=["t"])
    for msg, status, code in [(plain, 0, 200), (plain, 2, 500), (tagged, 2, 503), (tagged, 2, 0)]:
        await api.attempt(app, endpoint, msg, status=status, code=code)
    await api.attempt(app, other, plain)

    path = f"/app/{app}/attempt/endpoint/{endpoint}/count"

    for params, expected in COUNTS:
        assert {"count": expected, "approximated": False} == await api.read(path, **params), params


async def test_a_count_stops_at_its_maximum_and_is_approximate(lite: Api) -> None:
    lite = lite.tuned(core=CoreTuning(counted_attempts=3))
    app = await lite.app()
    endpoint, msg = await lite.endpoint(app), await lite.message(app)
    for _ in range(4):
        await lite.attempt(app, endpoint, msg)

    path = f"/app/{app}/attempt/endpoint/{endpoint}/count"

    assert {"count": 3, "approximated": True} == await lite.read(path)
    assert {"count": 3, "approximated": True} == await lite.read(path, event_types="user.signup")


async def test_filtered_attempts_are_the_same_by_every_search_method(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    made = [await api.message(app, eventType="ab"[number % 2]) for number in range(8)]
    tried = [await api.attempt(app, endpoint, msg) for msg in (*made, *made)]
    path = f"/app/{app}/attempt/endpoint/{endpoint}"
    expected = tried[::2][::-1]

    pages = []
    for entries, rare_messages in [(128, 300), (128, 2), (1, 2)]:
        tuning = ListTuning(entries=entries, rare_messages=rare_messages)
        api.db.tuning = StorageTuning(lists=tuning)
        first = await api.read(path, event_types="a", limit=5)
        second = await api.read(path, event_types="a", limit=5, iterator=first["iterator"])
        pages.append([each["id"] for each in first["data"] + second["data"]])

    assert [expected] * 3 == pages
