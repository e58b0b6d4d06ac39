# SPDX-License-Identifier: MIT
"""Operational endpoints: the nine operations, and the application that holds them out of everyone's sight."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from api.kit import ORG, SECRET, Api, Json, faults
from tidings.core import operational, operational_endpoints, wiping
from tidings.core.access import issue_org_token
from tidings.ids import MANAGEMENT_ORG, OrgId
from tidings.model.api_key import KeyScope

PATH = "/operational-webhook/endpoint"
URL = "https://ops.example.com/in"
MEMBERS = {
    "id",
    "url",
    "description",
    "throttleRate",
    "uid",
    "disabled",
    "eventTypes",
    "filterTypes",
    "rateLimit",
    "createdAt",
    "updatedAt",
    "metadata",
    "x",
}
OTHER = OrgId("org_other")


def _management(api: Api) -> str:
    return issue_org_token(SECRET, MANAGEMENT_ORG, api.clock.now())


def _other(api: Api) -> str:
    return issue_org_token(SECRET, OTHER, api.clock.now())


async def _count(api: Api, table: str) -> int:
    async with api.db.read() as read:
        return int((await read.one(f"SELECT count(*) AS n FROM {table}"))["n"])


async def test_an_operational_endpoint_is_created_read_replaced_and_deleted(api: Api) -> None:
    types = ["endpoint.disabled", "message.attempt.exhausted"]
    body = {
        "url": URL,
        "uid": "ops",
        "description": "d",
        "throttleRate": 5,
        "eventTypes": types,
        "metadata": {"k": "v"},
        "headers": {"X-Mine": "1", "Authorization": "secret"},
        "secret": "whsec_" + "e" * 32,
    }
    made = await api.made(PATH, body)
    assert MEMBERS == set(made)
    expected = {"uid": "ops", "description": "d", "throttleRate": 5, "eventTypes": types, "metadata": {"k": "v"}}
    assert expected.items() <= made.items()
    assert made == await api.read(f"{PATH}/ops") == await api.read(f"{PATH}/{made['id']}")
    assert {"key": body["secret"]} == await api.read(f"{PATH}/ops/secret")
    assert {"headers": {"X-Mine": "1"}, "sensitive": ["Authorization"]} == await api.read(f"{PATH}/ops/headers")

    put = await api.call("PUT", f"{PATH}/ops", json={"url": URL, "uid": "new", "disabled": True})
    assert 200 == put.status_code
    assert {"uid": "new", "disabled": True, "eventTypes": None}.items() <= put.json().items()
    assert {"key": body["secret"]} == await api.read(f"{PATH}/new/secret")
    assert 204 == (await api.call("PUT", f"{PATH}/new/headers", json={"headers": {"x-one": "1"}})).status_code
    assert {"x-one": "1"} == (await api.read(f"{PATH}/new/headers"))["headers"]
    rotated = await api.post(f"{PATH}/new/secret/rotate", json={}, headers={"user-agent": "svix-libs/2.9.1/python"})
    assert (204, b"") == (rotated.status_code, rotated.content)
    assert body["secret"] != (await api.read(f"{PATH}/new/secret"))["key"]

    assert 204 == (await api.call("DELETE", f"{PATH}/new")).status_code
    assert 404 == (await api.get(f"{PATH}/new")).status_code
    assert [] == (await api.read(PATH))["data"]


async def test_an_upsert_of_an_absent_endpoint_creates_it_with_the_status_200(api: Api) -> None:
    put = await api.call("PUT", f"{PATH}/absent", json={"url": URL, "uid": "ops"})

    assert 200 == put.status_code
    assert [put.json()] == (await api.read(PATH))["data"]


async def test_the_former_names_of_members_work(lite: Api) -> None:
    made = await lite.made(PATH, {"url": URL, "filterTypes": ["endpoint.disabled"], "rateLimit": 7})

    assert (["endpoint.disabled"], 7) == (made["eventTypes"], made["throttleRate"])
    assert (["endpoint.disabled"], 7) == (made["filterTypes"], made["rateLimit"])


async def test_a_payload_filter_is_stored_kept_replaced_and_removed(lite: Api) -> None:
    condition = {"path": "$.data.percent", "operator": ">=", "value": 90}
    made = await lite.made(PATH, {"url": URL, "uid": "ops", "x": {"filter": [condition]}})
    assert [condition] == made["x"]["filter"] == (await lite.read(f"{PATH}/ops"))["x"]["filter"]
    assert "healthy" == made["x"]["health"]["status"]

    for extras, expected in (
        (None, [condition]),
        ({}, [condition]),
        ({"filter": [{**condition, "value": 75}]}, [{**condition, "value": 75}]),
        ({"filter": None}, None),
    ):
        body = {"url": URL, "uid": "ops"} | ({} if extras is None else {"x": extras})
        assert expected == (await lite.call("PUT", f"{PATH}/ops", json=body)).json()["x"]["filter"]
    assert [None] == [each["x"]["filter"] for each in (await lite.read(PATH))["data"]]


async def test_the_list_has_pages(lite: Api) -> None:
    made = [(await lite.made(PATH, {"url": f"{URL}/{number}"}))["id"] for number in range(5)]

    first = await lite.read(PATH, limit=2, order="ascending")
    second = await lite.read(PATH, limit=3, order="ascending", iterator=first["iterator"])
    assert made == [each["id"] for page in (first, second) for each in page["data"]]
    assert (False, True) == (first["done"], second["done"])
    assert made[::-1] == [each["id"] for each in (await lite.read(PATH))["data"]]


async def test_a_repeated_request_creates_one_endpoint(api: Api) -> None:
    made = [await api.post(PATH, json={"url": URL}, headers={"idempotency-key": "once"}) for _ in range(2)]

    assert 201 == made[0].status_code
    assert made[0].json() == made[1].json()
    assert 1 == await _count(api, "endpoint")


async def test_nothing_is_created_before_the_first_endpoint(api: Api) -> None:
    assert {"data": [], "done": True, "iterator": None} == await api.read(PATH)
    for method, path, body in (
        ("GET", "", None),
        ("DELETE", "", None),
        ("GET", "/secret", None),
        ("POST", "/secret/rotate", {}),
        ("GET", "/headers", None),
        ("PUT", "/headers", {"headers": {}}),
    ):
        response = await api.call(method, f"{PATH}/any{path}", json=body)
        assert (404, "not_found") == (response.status_code, response.json()["code"])

    assert 0 == await _count(api, "application")


async def test_first_requests_at_the_same_time_create_one_application(api: Api) -> None:
    others = [api.over(api.db) for _ in range(3)]
    made = await asyncio.gather(*(each.post(PATH, json={"url": URL}) for each in (api, *others) for _ in range(3)))

    assert {201} == {each.status_code for each in made}
    assert 12 == await _count(api, "endpoint")
    async with api.db.read() as read:
        rows = await read.rows("SELECT org_id, uid FROM application")
    assert [(MANAGEMENT_ORG, ORG)] == [tuple(row) for row in rows]


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ({}, "url"),
        ({"url": "ftp://a"}, "url"),
        ({"url": URL, "uid": "ep_mine"}, "uid"),
        ({"url": URL, "eventTypes": []}, "eventTypes"),
        ({"url": URL, "eventTypes": ["user.signup"]}, "eventTypes"),
        ({"url": URL, "throttleRate": 0}, "throttleRate"),
        ({"url": URL, "metadata": {"k": "v" * 5_000}}, "metadata"),
        ({"url": URL, "description": "d\0"}, "description"),
        ({"url": URL, "secret": "short"}, "secret"),
        ({"url": URL, "headers": {"content-length": "9"}}, "headers"),
        ({"url": URL, "x": {"filter": [{"path": "data", "operator": "==", "value": 1}]}}, "filter"),
        ({"url": URL, "headers": {f"x-{number}": "v" for number in range(51)}}, "headers"),
    ],
)
async def test_a_wrong_body_is_refused_as_for_every_endpoint(lite: Api, body: Json, member: str) -> None:
    assert member in {part for place, _, _ in faults(await lite.post(PATH, json=body)) for part in place}
    assert 0 == await _count(lite, "endpoint")


async def test_a_uid_in_use_is_a_conflict(lite: Api) -> None:
    await lite.made(PATH, {"url": URL, "uid": "ops"})

    assert 409 == (await lite.post(PATH, json={"url": URL, "uid": "ops"})).status_code


async def test_every_type_of_operational_event_can_be_subscribed_to(lite: Api) -> None:
    made = await lite.made(PATH, {"url": URL, "eventTypes": sorted(operational.TYPES)})

    assert sorted(operational.TYPES) == made["eventTypes"]


async def test_every_type_of_the_contract_can_be_subscribed_to(lite: Api, shared_dir: Path) -> None:
    contract = json.loads((shared_dir / "contract" / "svix-openapi.json").read_text())
    types = sorted(contract["webhooks"])

    assert types == (await lite.made(PATH, {"url": URL, "eventTypes": types}))["eventTypes"]
    assert set(types) == set(operational.TYPES) - operational.OWN | set(operational.UNSENT)


async def test_only_the_organization_may_use_its_operational_endpoints(api: Api) -> None:
    made = await api.made(PATH, {"url": URL, "uid": "ops"})
    app = await api.app()
    portal = (await api.made(f"/auth/app-portal-access/{app}", {}))["token"]
    own = await api.key(KeyScope.APPLICATION, app=app)
    operator = await api.key(KeyScope.OPERATOR)

    for token in (portal, own.text, operator.text):
        for method, path, body in (("GET", PATH, None), ("POST", PATH, {"url": URL}), ("DELETE", f"{PATH}/ops", None)):
            response = await api.call(method, path, json=body, token=token)
            assert (403, "insufficient access") == (response.status_code, response.json()["code"]), (method, path)
    for ref in ("ops", made["id"]):
        assert 404 == (await api.get(f"{PATH}/{ref}", token=_other(api))).status_code
        assert 404 == (await api.call("DELETE", f"{PATH}/{ref}", token=_other(api))).status_code
    assert [] == (await api.get(PATH, token=_other(api))).json()["data"]
    assert 401 == (await api.get(PATH, token="nonsense")).status_code


async def test_a_read_only_key_reads_and_creates_nothing(api: Api) -> None:
    key = (await api.key(read_only=True)).text

    assert [] == (await api.get(PATH, token=key)).json()["data"]
    assert 403 == (await api.post(PATH, json={"url": URL}, token=key)).status_code
    assert 403 == (await api.call("PUT", f"{PATH}/ops", json={"url": URL}, token=key)).status_code
    assert 0 == await _count(api, "application")
    made = await api.made(PATH, {"url": URL})
    assert 200 == (await api.get(f"{PATH}/{made['id']}", token=key)).status_code


async def test_the_organization_does_not_see_the_application_of_its_operational_endpoints(api: Api) -> None:
    made = await api.made(PATH, {"url": URL})
    own = await api.app()
    async with api.db.read() as read:
        hidden = (await read.one("SELECT id FROM application WHERE org_id = :org", org=MANAGEMENT_ORG))["id"]

    assert [own] == [each["id"] for each in (await api.read("/app"))["data"]]
    assert {"data": []}.items() <= (await api.read(f"/app/{own}/endpoint")).items()
    for ref in (hidden, ORG):
        for path in ("", "/endpoint", f"/endpoint/{made['id']}", "/msg"):
            assert 404 == (await api.get(f"/app/{ref}{path}")).status_code
        message = {"eventType": "endpoint.created", "payload": {}}
        assert 404 == (await api.post(f"/app/{ref}/msg", json=message)).status_code
        assert 404 == (await api.post(f"/auth/app-portal-access/{ref}", json={})).status_code
    assert [] == (await api.read("/event-type"))["data"]


async def test_the_application_of_the_convention_and_the_operations_are_the_same(api: Api) -> None:
    await operational_endpoints.register_types(api.db, api.clock.now())  # as a node does when it starts
    token = _management(api)
    app = (await api.made("/app", {"name": "Operations", "uid": ORG}, token=token))["id"]
    first = await api.made(f"/app/{ORG}/endpoint", {"url": URL}, token=token)
    second = await api.made(PATH, {"url": URL, "eventTypes": ["endpoint.disabled"]})

    assert [second["id"], first["id"]] == [each["id"] for each in (await api.read(PATH))["data"]]
    shown = (await api.get(f"/app/{app}/endpoint", token=token)).json()["data"]
    assert [second["id"], first["id"]] == [each["id"] for each in shown]


async def test_a_deleted_application_is_created_again(api: Api) -> None:
    await api.made(PATH, {"url": URL})
    assert 204 == (await api.call("DELETE", f"/app/{ORG}", token=_management(api))).status_code

    assert [] == (await api.read(PATH))["data"]
    made = await api.made(PATH, {"url": URL})
    assert [made["id"]] == [each["id"] for each in (await api.read(PATH))["data"]]


async def test_an_endpoint_is_created_beside_deletions_of_the_application(api: Api) -> None:
    management = _management(api)

    async def delete() -> None:
        for _ in range(10):
            await api.call("DELETE", f"/app/{ORG}", token=management)

    body = {"url": URL}
    made = [api.post(PATH, json=body) for _ in range(10)] + [api.call("PUT", f"{PATH}/a", json=body) for _ in range(10)]
    answers = await asyncio.gather(*made, delete())

    assert {200, 201} == {each.status_code for each in answers if each is not None}


async def test_operational_endpoints_are_wiped_with_their_organization(api: Api) -> None:
    await api.made(PATH, {"url": URL})
    kept = await api.made(PATH, {"url": URL}, token=_other(api))

    counts = await wiping.wipe(api.db, ORG, chunk=100)

    assert {"applications": 0, "endpoints": 0} == {each: counts[each] for each in ("applications", "endpoints")}
    assert [] == (await api.read(PATH))["data"]
    assert [kept["id"]] == [each["id"] for each in (await api.get(PATH, token=_other(api))).json()["data"]]
    assert 1 == await _count(api, "application")
    assert 0 == await _count(api, "operational_event")


async def test_changes_to_operational_endpoints_are_no_events(api: Api) -> None:
    made = await api.made(PATH, {"url": URL})
    changes: list[tuple[str, str, Any]] = [
        ("PUT", "", {"url": URL, "disabled": True}),
        ("PUT", "", {"url": URL, "disabled": False}),
        ("POST", "/secret/rotate", {}),
        ("DELETE", "", None),
    ]
    for method, path, body in changes:
        assert (await api.call(method, f"{PATH}/{made['id']}{path}", json=body)).is_success

    assert 0 == await _count(api, "operational_event")
