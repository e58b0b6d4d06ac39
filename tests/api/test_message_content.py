# SPDX-License-Identifier: MIT
"""Expunged payloads and responses, and the count of endpoints that would receive a message."""

import pytest

from api.kit import ORG, SECRET, Api, Json, faults
from tidings.core.access import issue_app_token, issue_org_token
from tidings.ids import AppId, OrgId

EXPIRED = {"expired": True}


async def _count(api: Api, what: str) -> int:
    async with api.db.read() as read:
        return int((await read.one(f"SELECT count(*) AS n FROM {what}"))["n"])


@pytest.mark.parametrize("by", ["id", "event id"])
async def test_a_payload_is_expunged(api: Api, by: str) -> None:
    app = await api.app()
    msg, other = await api.message(app, eventId="e"), await api.message(app)
    path = f"/app/{app}/msg/{msg if by == 'id' else 'e'}/content"

    assert [204, 204] == [(await api.call("DELETE", path)).status_code for _ in range(2)]

    assert EXPIRED == (await api.read(f"/app/{app}/msg/{msg}"))["payload"]
    assert {"a": 1} == (await api.read(f"/app/{app}/msg/{other}"))["payload"]


async def test_a_pending_delivery_is_deleted_with_its_payload(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    msg, _ = await api.message(app), await api.message(app)

    await api.call("DELETE", f"/app/{app}/msg/{msg}/content")

    assert 1 == await _count(api, "delivery")
    resent = await api.post(f"/app/{app}/msg/{msg}/endpoint/{endpoint}/resend")
    assert (400, "missing_payload") == (resent.status_code, resent.json()["code"])


async def test_payloads_of_absent_and_foreign_messages_are_not_found(api: Api) -> None:
    app, other = await api.app(), await api.app()
    msg = await api.message(other)
    stranger = issue_org_token(SECRET, OrgId("org_" + "2" * 27), api.clock.now())

    assert (await api.call("DELETE", f"/app/{app}/msg/{msg}/content")).status_code == 404
    assert (await api.call("DELETE", f"/app/{app}/msg/nope/content")).status_code == 404
    assert (await api.call("DELETE", f"/app/{other}/msg/{msg}/content", token=stranger)).status_code == 404
    assert {"a": 1} == (await api.read(f"/app/{other}/msg/{msg}"))["payload"]


async def test_an_application_token_cannot_delete_payloads(lite: Api) -> None:
    app = await lite.app()
    msg = await lite.message(app)
    attempt = await lite.attempt(app, await lite.endpoint(app), msg)
    token = issue_app_token(SECRET, ORG, AppId(app), lite.clock.now())

    for method, path in [
        ("DELETE", f"msg/{msg}/content"),
        ("DELETE", f"msg/{msg}/attempt/{attempt}/content"),
        ("POST", "msg/bulk-expunge"),
    ]:
        assert (await lite.call(method, f"/app/{app}/{path}", token=token, json={})).status_code == 403


async def test_a_missing_message_or_attempt_is_named_in_the_error(lite: Api) -> None:
    app = await lite.app()
    msg = await lite.message(app)

    for path, detail in [("nope/attempt/x", "Message not found"), (f"{msg}/attempt/x", "Message attempt not found")]:
        response = await lite.call("DELETE", f"/app/{app}/msg/{path}/content")
        assert (404, {"code": "not_found", "detail": detail}) == (response.status_code, response.json())


async def test_a_bulk_expunge_reports_the_outcome_of_each_message(api: Api) -> None:
    app, other = await api.app(), await api.app()
    one, two, kept = await api.message(app), await api.message(app, eventId="e"), await api.message(app)
    foreign = await api.message(other)

    body = await api.made(f"/app/{app}/msg/bulk-expunge", {"ids": [one, "e", "nope", foreign, one]})

    expected = {one: "expunged", "e": "expunged", "nope": "not-found", foreign: "not-found"}
    assert {"results": expected} == body
    rendered = [(await api.read(f"/app/{app}/msg/{msg}"))["payload"] for msg in (one, two, kept)]
    assert [EXPIRED, EXPIRED, {"a": 1}] == rendered
    assert {"a": 1} == (await api.read(f"/app/{other}/msg/{foreign}"))["payload"]


async def test_a_bulk_expunge_without_ids_deletes_nothing(api: Api) -> None:
    app = await api.app()

    assert {"results": {}} == await api.made(f"/app/{app}/msg/bulk-expunge", {})


@pytest.mark.parametrize("ids", [["a b"], [""], ["x" * 257], [f"m{n}" for n in range(1001)]])
async def test_invalid_message_ids_are_refused(lite: Api, ids: list[str]) -> None:
    response = await lite.post(f"/app/{await lite.app()}/msg/bulk-expunge", json={"ids": ids})

    assert ["body", "ids"] == faults(response)[0][0][:2]


@pytest.mark.parametrize(
    ("endpoint", "body", "active"),
    [
        (None, {}, False),
        ({}, {}, True),
        ({"disabled": True}, {}, False),
        ({"eventTypes": ["other"]}, {}, False),
        ({"channels": ["c"]}, {}, False),
        ({"channels": ["c"]}, {"channels": ["c", "d"]}, True),
        ({"channels": ["c"]}, {"channels": None}, False),
    ],
)
async def test_a_message_is_active_if_an_endpoint_would_receive_it(
    api: Api, endpoint: Json | None, body: Json, *, active: bool
) -> None:
    app = await api.app()
    await api.made("/event-type", {"name": "other", "description": ""})
    if endpoint is not None:
        await api.endpoint(app, **endpoint)

    result = await api.made(f"/app/{app}/msg/precheck/active", {"eventType": "user.signup", **body})

    assert {"active": active} == result


async def test_a_precheck_applies_the_rules_of_messages(lite: Api) -> None:
    response = await lite.post(
        f"/app/{await lite.app()}/msg/precheck/active", json={"eventType": "a b", "channels": []}
    )

    assert [["body", "eventType", "__all__"], ["body", "channels"]] == [loc for loc, _, _ in faults(response)]


async def test_a_response_is_expunged(api: Api) -> None:
    app = await api.app()
    endpoint, msg = await api.endpoint(app), await api.message(app)
    attempt, other = await api.attempt(app, endpoint, msg), await api.attempt(app, endpoint, msg)
    path = f"/app/{app}/msg/{msg}/attempt/{attempt}"

    assert [204, 204] == [(await api.call("DELETE", f"{path}/content")).status_code for _ in range(2)]

    assert "EXPUNGED" == (await api.read(path))["response"]
    assert "thanks" == (await api.read(f"/app/{app}/msg/{msg}/attempt/{other}"))["response"]


async def test_responses_of_absent_and_foreign_attempts_are_not_found(api: Api) -> None:
    app = await api.app()
    endpoint, msg, other = await api.endpoint(app), await api.message(app), await api.message(app)
    attempt = await api.attempt(app, endpoint, msg)

    for path in (f"msg/{other}/attempt/{attempt}", f"msg/{msg}/attempt/nope", f"msg/nope/attempt/{attempt}"):
        assert (await api.call("DELETE", f"/app/{app}/{path}/content")).status_code == 404
    assert "thanks" == (await api.read(f"/app/{app}/msg/{msg}/attempt/{attempt}"))["response"]
