# SPDX-License-Identifier: MIT
"""Optional parts of messages: tags, a raw payload, a time before which they are not sent."""

import json

import pytest

from api.kit import Api, Json, faults
from tidings.clock import rfc3339

BODY: Json = {"eventType": "user.signup", "payload": {"a": 1}}
MINUTE = 60_000


async def _stored(api: Api, msg: str) -> tuple[bytes, int | None]:
    async with api.db.read() as read:
        row = await read.one("SELECT payload, deliver_at FROM message WHERE id = :id", id=msg)
    return bytes(row["payload"]), row["deliver_at"]


async def _due(api: Api) -> list[tuple[str, int, int | None]]:
    async with api.db.read() as read:
        rows = await read.rows("SELECT endpoint_id, due_at, lease FROM delivery ORDER BY endpoint_id")
    return [tuple(row) for row in rows]


async def test_tags_are_returned_unchanged(api: Api) -> None:
    app = await api.app()

    made = await api.made(f"/app/{app}/msg", {**BODY, "tags": ["a/b", "c\\d", "#1", "a/b"]})

    assert ["a/b", "c\\d", "#1"] == made["tags"]
    assert made == await api.read(f"/app/{app}/msg/{made['id']}") == (await api.read(f"/app/{app}/msg"))["data"][0]


async def test_a_message_without_tags_has_none(api: Api) -> None:
    app = await api.app()

    assert "tags" not in await api.made(f"/app/{app}/msg", {**BODY, "tags": []})
    assert "tags" not in await api.made(f"/app/{app}/msg", {**BODY, "tags": None})


@pytest.mark.parametrize("tag", ["a", "a/b", "c\\d", "#1"])
async def test_a_tag_filters_messages_that_have_it(api: Api, tag: str) -> None:
    app = await api.app()
    await api.message(app)
    await api.message(app, tags=["ab", "c\\\\d", f"{tag}x", f"x{tag}"], channels=["a"])
    expected = await api.message(app, tags=["other", tag])

    page = await api.read(f"/app/{app}/msg", tag=tag)

    assert [expected] == [message["id"] for message in page["data"]]


async def test_messages_of_one_batch_keep_their_own_options(api: Api) -> None:
    app = await api.app()

    plain = await api.message(app)
    tagged = await api.message(app, tags=["t"])

    assert "tags" not in await api.read(f"/app/{app}/msg/{plain}")
    assert ["t"] == (await api.read(f"/app/{app}/msg/{tagged}"))["tags"]


RAW_PAYLOADS = [
    ('{"b": 2}', {"b": 2}),
    (' {"b": {"c": [1.50]}}\n', {"b": {"c": [1.5]}}),
    ("<xml/>", {"raw": "<xml/>"}),
    ("[1]", {"raw": "[1]"}),
    ("", {"raw": ""}),
    ("null", {"raw": "null"}),
    ("{", {"raw": "{"}),
    ('{"b": 2} x', {"raw": '{"b": 2} x'}),
    ("å∫ç\n\u0001", {"raw": "å∫ç\n\u0001"}),
]
"""Raw payloads, and how they are rendered."""


async def test_a_raw_payload_is_sent_verbatim_and_rendered_as_an_object(api: Api) -> None:
    app = await api.app()
    for raw, body in RAW_PAYLOADS:
        made = await api.made(f"/app/{app}/msg", {**BODY, "transformationsParams": {"rawPayload": raw, "other": 1}})

        assert body == made["payload"] == (await api.read(f"/app/{app}/msg/{made['id']}"))["payload"]
        assert body == (await api.read(f"/app/{app}/msg"))["data"][0]["payload"]
        assert (raw.encode(), None) == await _stored(api, made["id"])


async def test_a_raw_payload_that_nests_too_deep_for_json_is_text(lite: Api) -> None:
    app = await lite.app()
    raw = '{"a":' * 200 + "1" + "}" * 200

    made = await lite.made(f"/app/{app}/msg", {**BODY, "transformationsParams": {"rawPayload": raw}})

    assert {"raw": raw} == made["payload"]


@pytest.mark.parametrize("params", [None, {}, {"rawPayload": None}, {"headers": {"content-type": "text/plain"}}])
async def test_without_a_raw_payload_the_payload_is_sent(lite: Api, params: Json | None) -> None:
    app = await lite.app()

    made = await lite.made(f"/app/{app}/msg", {**BODY, "transformationsParams": params})

    assert {"a": 1} == made["payload"]


async def test_a_raw_payload_can_be_sent_again(api: Api) -> None:
    app = await api.app()
    msg = await api.message(app, transformationsParams={"rawPayload": "plain words"})
    endpoint = await api.endpoint(app)

    assert (await api.post(f"/app/{app}/msg/{msg}/endpoint/{endpoint}/resend")).status_code == 202


@pytest.mark.parametrize("value", [1, {}, ["a"], "\ud800"])
async def test_a_raw_payload_must_be_text(lite: Api, value: object) -> None:
    body = json.dumps({**BODY, "transformationsParams": {"rawPayload": value}})

    response = await lite.post(f"/app/{await lite.app()}/msg", content=body)

    assert ["value_error.jsondecode"] == [kind for _, _, kind in faults(response)]


async def test_a_raw_payload_requires_the_payload_member(lite: Api) -> None:
    body = {"eventType": "a", "transformationsParams": {"rawPayload": "x"}}

    response = await lite.post(f"/app/{await lite.app()}/msg", json=body)

    assert [["body", "payload"]] == [loc for loc, _, _ in faults(response)]


async def test_a_message_can_be_deferred(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    at = api.clock.now() + 90 * MINUTE

    made = await api.made(f"/app/{app}/msg", {**BODY, "deliverAt": rfc3339(at)})

    assert rfc3339(at) == made["deliverAt"]
    assert made == await api.read(f"/app/{app}/msg/{made['id']}")
    assert [(endpoint, at, None)] == await _due(api)


async def test_the_retention_of_a_deferred_message_begins_at_its_due_time(api: Api) -> None:
    app = await api.app()
    at = api.clock.now() + 120 * MINUTE

    msg = await api.message(app, deliverAt=rfc3339(at), payloadRetentionHours=1)

    async with api.db.read() as read:
        assert at + 60 * MINUTE == (await read.one("SELECT expires_at FROM message WHERE id = :id", id=msg))[0]


@pytest.mark.parametrize("minutes", [-5, 0, 0.9, 24 * 60 + 0.1, 10**7])
async def test_a_message_can_be_deferred_by_a_minute_to_a_day(lite: Api, minutes: float) -> None:
    at = lite.clock.now() + int(minutes * MINUTE)

    response = await lite.post(f"/app/{await lite.app()}/msg", json={**BODY, "deliverAt": rfc3339(at)})

    assert [["body", "deliverAt"]] == [loc for loc, _, _ in faults(response)]


@pytest.mark.parametrize("timestamp", ["soon", "2024-01-01T00:00:00", "", "99999-01-01T00:00:00Z"])
async def test_a_deliver_at_that_is_not_a_timestamp_is_refused(lite: Api, timestamp: str) -> None:
    response = await lite.post(f"/app/{await lite.app()}/msg", json={**BODY, "deliverAt": timestamp})

    assert [["body", "deliverAt"]] == [loc for loc, _, _ in faults(response)]


async def test_a_repeated_response_has_the_options_of_the_first(api: Api) -> None:
    app = await api.app()
    at = rfc3339(api.clock.now() + 90 * MINUTE)
    body = {**BODY, "tags": ["t"], "deliverAt": at, "transformationsParams": {"rawPayload": "words"}}
    headers = {"idempotency-key": "k"}

    first = await api.post(f"/app/{app}/msg", json=body, headers=headers)
    second = await api.post(f"/app/{app}/msg", json=BODY, headers=headers)

    assert {"raw": "words"} == first.json()["payload"]
    assert (first.status_code, first.json()) == (second.status_code, second.json())
