# SPDX-License-Identifier: MIT
"""Requests with one idempotency key have one effect and get the same response."""

import asyncio

import pytest

from api.kit import ORG, SECRET, Api
from api.sockets import BODY, Wire
from tidings.clock import HOUR
from tidings.core.access import issue_app_token, issue_org_token
from tidings.ids import AppId

KEY = {"idempotency-key": "k"}


async def _names(api: Api) -> list[str]:
    return sorted(app["name"] for app in (await api.read("/app"))["data"])


async def test_the_second_request_gets_the_response_of_the_first(api: Api) -> None:
    first = await api.post("/app", json={"name": "one"}, headers=KEY)
    second = await api.post("/app/", json={"name": "two"}, headers=KEY)

    assert (201, first.content) == (second.status_code, second.content)
    assert ["one"] == await _names(api)


async def test_fifty_concurrent_requests_run_once_and_get_one_response(api: Api) -> None:
    calls = [api.post("/app", json={"name": f"app {n}"}, headers=KEY) for n in range(50)]

    responses = await asyncio.gather(*calls)

    assert {201} == {response.status_code for response in responses}
    assert 1 == len({response.content for response in responses})
    assert 1 == len(await _names(api))


async def test_a_refusal_leaves_the_key_free(api: Api) -> None:
    await api.made("/app", {"name": "one", "uid": "same"})

    refused = await api.post("/app", json={"name": "two", "uid": "same"}, headers=KEY)
    done = await api.post("/app", json={"name": "two", "uid": "other"}, headers=KEY)

    assert (409, 201) == (refused.status_code, done.status_code)


async def test_a_valid_request_succeeds_after_failed_ones_with_its_key(api: Api) -> None:
    await api.made("/app", {"name": "one", "uid": "same"})
    bodies = [{"name": "x", "uid": "same"}] * 5 + [{"name": "x", "uid": "free"}]

    responses = await asyncio.gather(*[api.post("/app", json=body, headers=KEY) for body in bodies])

    assert [201, 409, 409, 409, 409, 409] == sorted(response.status_code for response in responses)


async def test_a_key_is_free_again_after_twelve_hours(api: Api) -> None:
    await api.post("/app", json={"name": "one"}, headers=KEY)

    api.clock.advance(12 * HOUR)
    await api.post("/app", json={"name": "two"}, headers=KEY)
    await api.post("/app", json={"name": "three"}, headers=KEY)

    assert ["one", "two"] == await _names(api)


@pytest.mark.parametrize("other", ["/app?get_if_exists=true", "/app?x=1"])
async def test_another_query_is_another_request(api: Api, other: str) -> None:
    await api.post("/app", json={"name": "one"}, headers=KEY)
    await api.post(other, json={"name": "two"}, headers=KEY)

    assert ["one", "two"] == await _names(api)


async def test_a_key_belongs_to_one_organization(api: Api) -> None:
    other = issue_org_token(SECRET, type(ORG)("org_other"), api.clock.now())

    mine = await api.post("/app", json={"name": "mine"}, headers=KEY)
    theirs = await api.post("/app", json={"name": "theirs"}, headers=KEY, token=other)

    assert ("mine", "theirs") == (mine.json()["name"], theirs.json()["name"])


async def test_a_key_belongs_to_one_application_token(api: Api) -> None:
    app = await api.app()
    token = issue_app_token(SECRET, ORG, AppId(app), api.clock.now())
    body = {"url": "http://example.com"}

    by_org = await api.post(f"/app/{app}/endpoint", json=body, headers=KEY)
    by_app = await api.post(f"/app/{app}/endpoint", json=body, headers=KEY, token=token)

    assert by_org.json()["id"] != by_app.json()["id"]


async def test_an_idempotency_key_applies_to_posts_only(lite: Api) -> None:
    before = (await lite.get("/app", headers=KEY)).json()
    await lite.app()

    assert before != (await lite.get("/app", headers=KEY)).json()


async def test_an_unauthenticated_caller_gets_no_cached_response(lite: Api) -> None:
    await lite.post("/app", json={"name": "one"}, headers=KEY)

    assert 401 == (await lite.post("/app", json={"name": "one"}, headers=KEY, token="wrong")).status_code


async def test_a_resend_with_one_key_is_requested_once(api: Api) -> None:
    app = await api.app()
    msg, endpoint = await api.message(app), await api.endpoint(app)
    path = f"/app/{app}/msg/{msg}/endpoint/{endpoint}/resend"

    responses = [await api.post(path, headers=KEY) for _ in range(3)]

    assert {(202, b"{}")} == {(response.status_code, response.content) for response in responses}
    assert [endpoint] == api.woken


async def test_finished_requests_leave_no_lock_in_memory(lite: Api) -> None:
    await asyncio.gather(*[lite.post("/app", json={"name": "x"}, headers=KEY) for _ in range(10)])

    assert not lite.context.services.idempotency._locks  # noqa: SLF001 - a leak is not observable from outside


MESSAGE = {"eventType": "a.b", "payload": {"a": 1}}
BAD: list[bytes] = [b"nonsense", b"{}", b'{"name": 7, "eventType": 7}', b"x" * 3_000_000]


@pytest.mark.parametrize("body", BAD, ids=["no JSON", "nothing", "another type", "too much"])
async def test_the_stored_response_does_not_depend_on_the_body(api: Api, body: bytes) -> None:
    app = await api.app()
    for path, good in (
        ("/app", {"name": "one"}),
        (f"/app/{app}/msg", MESSAGE),
        (f"/app/{app}/msg/batch", {"messages": [MESSAGE]}),
    ):
        first = await api.post(path, json=good, headers=KEY)
        again = await api.post(path, content=body, headers=KEY)
        fresh = await api.post(path, content=body, headers={"idempotency-key": "unused"})

        assert (first.status_code, first.content) == (again.status_code, again.content)
        assert fresh.status_code in (413, 422)


async def test_the_stored_response_outlives_its_application(api: Api) -> None:
    app = await api.app(uid="mine")
    paths = {
        f"/app/{app}/msg": MESSAGE,
        "/app/mine/msg": MESSAGE,
        f"/app/{app}/endpoint": {"url": "http://example.com"},
    }
    first = {path: await api.post(path, json=body, headers=KEY) for path, body in paths.items()}
    await api.call("DELETE", f"/app/{app}")

    for path, body in paths.items():
        again = await api.post(path, json=body, headers=KEY)
        assert (first[path].status_code, first[path].content) == (again.status_code, again.content)
        assert 404 == (await api.post(path, json=body, headers={"idempotency-key": "unused"})).status_code
        assert 401 == (await api.post(path, json=body, headers=KEY, token="wrong")).status_code


@pytest.mark.parametrize("agent", ["any/1", "svix-libs/2.9.1/python"])
async def test_a_repeated_rotation_never_returns_its_record(api: Api, agent: str) -> None:
    app = await api.app()
    operational = (await api.made("/operational-webhook/endpoint", {"url": "http://example.com"}))["id"]
    paths = [
        f"/app/{app}/endpoint/{await api.endpoint(app)}/secret/rotate",
        f"/operational-webhook/endpoint/{operational}/secret/rotate",
    ]
    headers = {**KEY, "user-agent": agent}
    first = {path: await api.post(path, json={}, headers=headers) for path in paths}

    for path in paths:
        for body in BAD:
            again = await api.post(path, content=body, headers=headers)
            assert (first[path].status_code, first[path].content) == (again.status_code, again.content)
    await api.call("DELETE", f"/app/{app}")
    again = await api.post(paths[0], json={}, headers=headers)
    assert (first[paths[0]].status_code, first[paths[0]].content) == (again.status_code, again.content)


async def test_a_stored_response_expires_with_its_key(api: Api) -> None:
    app = await api.app()
    await api.post(f"/app/{app}/msg", json=MESSAGE, headers=KEY)
    await api.post("/app", json={"name": "one"}, headers=KEY)

    api.clock.advance(12 * HOUR)

    assert 422 == (await api.post(f"/app/{app}/msg", json={}, headers=KEY)).status_code
    assert 422 == (await api.post("/app", json={}, headers=KEY)).status_code


async def test_the_hot_route_repeats_stored_responses(wire: Wire) -> None:
    key = b"idempotency-key: k"

    replies = [(await wire.exchange(wire.request(body, key)))[0] for body in (BODY, b"nonsense", b"{}")]

    assert [202] * 3 == [status for status, _, _ in replies]
    assert 1 == len({body for _, _, body in replies})
