# SPDX-License-Identifier: MIT
"""Connectors: life, versions, limits, feature flags, tenants, and the built-in ones."""

import asyncio

import pytest

from api.kit import ORG, SECRET, Api, Json, faults
from tidings.core import built_in_connectors, wiping
from tidings.core.access import issue_app_token, issue_org_token
from tidings.ids import AppId, OrgId
from tidings.model.connector import CONNECTORS_MAX, VERSIONS_KEPT

SCRIPT = "function handler(webhook) { return webhook; }"
OTHER_SCRIPT = "function handler(webhook) { webhook.cancel = true; return webhook; }"
NEW: Json = {"name": "Mine", "transformation": SCRIPT}
FULL: Json = {
    "name": "Mine",
    "uid": "mine",
    "logo": "https://example.com/logo.png",
    "description": "A description",
    "kind": "Zapier",
    "instructions": "# Do *this*",
    "allowedEventTypes": ["user.signup", "user.deleted"],
    "transformation": SCRIPT,
    "featureFlags": ["beta"],
    "productType": "Stream",
}
STRANGER = OrgId("org_2AAAAAAAAAAAAAAAAAAAAAAAAAA")


async def _own(api: Api, **params: str) -> list[Json]:
    found: list[Json] = (await api.read("/connector", limit=250, **params))["data"]
    return found


async def test_a_created_connector_is_found_unchanged(api: Api) -> None:
    made = await api.made("/connector", FULL)

    assert FULL.items() <= made.items()
    assert made["id"].startswith("trtmpl_")
    assert (ORG, {"version": 1, "isBuiltIn": False}) == (made["orgId"], made["x"])
    assert made["createdAt"] == made["updatedAt"] == made["transformationUpdatedAt"]
    assert made == await api.read("/connector/mine") == await api.read(f"/connector/{made['id']}")
    assert [made] == await _own(api) == await _own(api, product_type="Stream")
    assert [] == await _own(api, product_type="Dispatch")


async def test_what_a_connector_omits_gets_its_default(lite: Api) -> None:
    made = await lite.made("/connector", NEW)

    expected = {
        **dict.fromkeys(("uid", "logo", "allowedEventTypes", "featureFlags")),
        "description": "",
        "instructions": "",
        "kind": "Custom",
        "productType": "Dispatch",
    }
    assert expected.items() <= made.items()


async def test_a_uid_in_use_is_a_conflict(api: Api) -> None:
    await api.made("/connector", FULL)

    again = await api.post("/connector", json=FULL)

    assert (409, "conflict") == (again.status_code, again.json()["code"])


async def test_a_put_creates_a_connector_with_the_uid_in_its_path_and_then_replaces_it(api: Api) -> None:
    first = await api.call(
        "PUT", "/connector/mine", json={"transformation": SCRIPT, "description": "d", "kind": "Otel"}
    )
    api.clock.advance(1000)
    second = await api.call("PUT", "/connector/mine", json={"transformation": SCRIPT, "name": "n"})

    assert (201, "mine", "d") == (first.status_code, first.json()["uid"], first.json()["description"])
    assert (200, first.json()["id"]) == (second.status_code, second.json()["id"])
    assert ("n", "", "Custom") == tuple(second.json()[name] for name in ("name", "description", "kind"))
    assert 1 == second.json()["x"]["version"]
    assert first.json()["createdAt"] == second.json()["createdAt"] < second.json()["updatedAt"]
    assert first.json()["transformationUpdatedAt"] == second.json()["transformationUpdatedAt"]


async def test_a_put_keeps_the_product_and_the_uid(lite: Api) -> None:
    made = await lite.made("/connector", FULL)

    put = await lite.call("PUT", f"/connector/{made['id']}", json={"transformation": SCRIPT})

    assert ("mine", "Stream") == (put.json()["uid"], put.json()["productType"])


async def test_concurrent_puts_create_one_connector(api: Api) -> None:
    for turn in range(3):
        answers = await asyncio.gather(
            *(
                api.call("PUT", f"/connector/c{turn}", json={"transformation": f"{SCRIPT}//{number}"})
                for number in range(10)
            )
        )

        assert [200] * 9 + [201] == sorted(each.status_code for each in answers)
        assert list(range(1, 11)) == sorted(each.json()["x"]["version"] for each in answers)
    assert 3 == len(await _own(api))


async def test_a_patch_changes_what_it_gives_and_null_clears(api: Api) -> None:
    made = await api.made("/connector", FULL)
    api.clock.advance(1000)

    patch = {"name": "New", "logo": None, "allowedEventTypes": None, "featureFlags": None}
    patched = await api.call("PATCH", "/connector/mine", json=patch)

    assert 200 == patched.status_code
    changed = {name for name, value in made.items() if patched.json()[name] != value}
    assert {"name", "logo", "allowedEventTypes", "featureFlags", "updatedAt"} == changed
    assert patch.items() <= patched.json().items()
    assert patched.json() == await api.read("/connector/mine")


async def test_each_change_of_the_script_keeps_the_former_one(api: Api) -> None:
    made = await api.made("/connector", {**NEW, "uid": "mine"})
    for text in (OTHER_SCRIPT, OTHER_SCRIPT, SCRIPT):
        api.clock.advance(1000)
        await api.call("PATCH", "/connector/mine", json={"transformation": text})

    found = await api.read("/connector/mine/version")

    assert [(3, SCRIPT), (2, OTHER_SCRIPT), (1, SCRIPT)] == [
        (each["version"], each["transformation"]) for each in found["data"]
    ]
    assert made["createdAt"] == found["data"][-1]["createdAt"] < found["data"][1]["createdAt"]
    assert found["done"]
    assert 3 == (await api.read("/connector/mine"))["x"]["version"]


async def test_the_number_of_former_scripts_is_limited(api: Api) -> None:
    for number in range(VERSIONS_KEPT + 5):
        await api.call("PUT", "/connector/mine", json={"transformation": f"{SCRIPT}//{number}"})

    found = (await api.read("/connector/mine/version"))["data"]

    newest = VERSIONS_KEPT + 5
    assert list(range(newest, newest - VERSIONS_KEPT - 1, -1)) == [each["version"] for each in found]


async def test_a_deleted_connector_is_gone_with_its_versions_and_its_uid_is_free(api: Api) -> None:
    await api.made("/connector", FULL)
    await api.call("PATCH", "/connector/mine", json={"transformation": OTHER_SCRIPT})

    assert 204 == (await api.call("DELETE", "/connector/mine")).status_code
    for method, path in (("GET", ""), ("GET", "/version"), ("DELETE", "")):
        assert 404 == (await api.call(method, f"/connector/mine{path}")).status_code
    assert 404 == (await api.call("PATCH", "/connector/mine", json={"name": "n"})).status_code
    assert 1 == (await api.made("/connector", FULL))["x"]["version"]
    assert 1 == len((await api.read("/connector/mine/version"))["data"])


async def test_an_application_token_sees_the_connectors_of_its_feature_flags_and_changes_none(api: Api) -> None:
    app = AppId(await api.app())
    for uid, flags in (("free", None), ("empty", []), ("beta", ["beta", "gamma"]), ("other", ["delta"])):
        await api.made("/connector", {**NEW, "uid": uid, "featureFlags": flags})
    flagged = issue_app_token(SECRET, ORG, app, api.clock.now(), ("gamma",))
    plain = issue_app_token(SECRET, ORG, app, api.clock.now())

    async def seen(token: str) -> list[str]:
        found = (await api.get("/connector", token=token)).json()["data"]
        return [each["uid"] for each in found]

    assert ["free", "empty", "beta", "other"] == await seen(api.token)
    assert ["free", "empty", "beta"] == await seen(flagged)
    assert ["free", "empty"] == await seen(plain)
    assert [200, 404] == [(await api.get("/connector/beta", token=token)).status_code for token in (flagged, plain)]
    refused = [
        await api.call("PUT", "/connector/free", json=NEW, token=flagged),
        await api.call("PATCH", "/connector/free", json=NEW, token=flagged),
        await api.call("DELETE", "/connector/free", token=flagged),
        await api.get("/connector/free/version", token=flagged),
        await api.post("/connector", json=NEW, token=flagged),
    ]
    assert [403] * 5 == [each.status_code for each in refused]


async def test_another_organization_sees_and_changes_nothing(api: Api) -> None:
    made = await api.made("/connector", FULL)
    token = issue_org_token(SECRET, STRANGER, api.clock.now())

    for ref in ("mine", made["id"]):
        for method, path in (("GET", ""), ("GET", "/version"), ("PATCH", ""), ("DELETE", "")):
            answer = await api.call(method, f"/connector/{ref}{path}", json={"name": "theirs"}, token=token)
            assert 404 == answer.status_code
    put = await api.call("PUT", "/connector/mine", json={"transformation": OTHER_SCRIPT}, token=token)
    assert (201, STRANGER) == (put.status_code, put.json()["orgId"])
    assert made == await api.read("/connector/mine")
    theirs = (await api.get("/connector", token=token)).json()["data"]
    assert [put.json()["id"]] == [each["id"] for each in theirs]


async def test_a_list_contains_built_in_connectors_on_request_only(lite: Api) -> None:
    for given in ({}, {"include_built_in": "false"}):
        empty = await lite.read("/connector", **given)
        assert {"data": [], "iterator": None, "done": True} == empty
    made = await lite.made("/connector", NEW)
    assert [made] == await _own(lite)
    everything = await lite.read("/connector", include_built_in="true")
    assert ["JSON", "Slack", "Discord"] == [each["name"] for each in everything["data"][:3]]
    assert made == everything["data"][-1]


async def test_pages_contain_built_in_and_own_connectors_once_in_either_order(api: Api) -> None:
    own = [(await api.made("/connector", {**NEW, "name": f"{number}"}))["id"] for number in range(3)]
    expected = [*(each.id for each in built_in_connectors.every(ORG)), *own]

    async def walked(order: str, size: int) -> list[str]:
        found: list[str] = []
        params: Json = {"limit": size, "order": order, "include_built_in": "true"}
        while True:
            page = await api.read("/connector", **params)
            found += [each["id"] for each in page["data"]]
            if page["done"]:
                return found
            params["iterator"] = page["iterator"]

    assert sorted(expected) == expected
    for size in (1, 2, 3, 7, 250):
        assert expected == await walked("ascending", size)
        assert expected[::-1] == await walked("descending", size)
    last = await api.read("/connector", limit=2, iterator=expected[-2], include_built_in="true")
    back = await api.read("/connector", limit=3, iterator=last["prevIterator"], include_built_in="true")
    assert expected[-4:-1] == [each["id"] for each in back["data"]]


async def test_built_in_connectors_are_those_of_every_caller(lite: Api) -> None:
    app = AppId(await lite.app())
    tokens = [
        lite.token,
        issue_org_token(SECRET, STRANGER, lite.clock.now()),
        issue_app_token(SECRET, ORG, app, lite.clock.now()),
    ]

    for token in tokens:
        found = (await lite.get("/connector", params={"include_built_in": "true"}, token=token)).json()["data"]
        assert {"Slack", "Discord", "Microsoft Teams", "PagerDuty", "JSON"} == {each["name"] for each in found}
        for each in found:
            for ref in (each["id"], each["uid"]):
                assert each == (await lite.get(f"/connector/{ref}", token=token)).json()
    assert STRANGER == (await lite.get("/connector/tidings.slack", token=tokens[1])).json()["orgId"]
    assert [] == await _own(lite, product_type="Stream", include_built_in="true")
    assert 1 == len((await lite.read("/connector/tidings.slack/version"))["data"])


async def test_a_built_in_connector_cannot_be_changed_or_imitated(lite: Api) -> None:
    slack = await lite.read("/connector/tidings.slack")

    for ref in ("tidings.slack", slack["id"]):
        for method in ("PUT", "PATCH", "DELETE"):
            answer = await lite.call(method, f"/connector/{ref}", json={"transformation": SCRIPT})
            assert (409, "connector_built_in") == (answer.status_code, answer.json()["code"])
    for uid in ("tidings.slack", "tidings.mine"):
        answer = await lite.post("/connector", json={**NEW, "uid": uid})
        assert [["body", "uid", "__all__"]] == [place for place, _, _ in faults(answer)]
    answer = await lite.call("PUT", "/connector/tidings.mine", json={"transformation": SCRIPT})
    assert [["path", "connector_id", "__all__"]] == [place for place, _, _ in faults(answer)]
    assert slack == await lite.read("/connector/tidings.slack")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"name": "\0"}, ["body", "name"]),
        ({"name": "x" * 4097}, ["body", "name"]),
        ({"name": None}, ["body", "name"]),
        ({"uid": ""}, ["body", "uid", "__all__"]),
        ({"uid": "a b"}, ["body", "uid", "__all__"]),
        ({"uid": "trtmpl_x"}, ["body", "uid", "__all__"]),
        ({"logo": "logo.png"}, ["body", "logo"]),
        ({"logo": "javascript:alert(1)"}, ["body", "logo"]),
        ({"logo": "data:text/html,<script>"}, ["body", "logo"]),
        ({"logo": "https://"}, ["body", "logo"]),
        ({"logo": "https://[a"}, ["body", "logo"]),
        ({"logo": "https://a/\n"}, ["body", "logo"]),
        ({"logo": "data:image/png;base64," + "A" * 16_384}, ["body", "logo"]),
        ({"description": "x" * 4097}, ["body", "description"]),
        ({"instructions": "\0"}, ["body", "instructions"]),
        ({"instructions": "ä" * 25_601}, ["body", "instructions"]),
        ({"kind": "Nothing"}, ["body", "kind"]),
        ({"productType": "Nothing"}, ["body", "productType"]),
        ({"allowedEventTypes": []}, ["body", "allowedEventTypes"]),
        ({"allowedEventTypes": ["a b"]}, ["body", "allowedEventTypes", "__all__"]),
        ({"allowedEventTypes": [f"t{number}" for number in range(501)]}, ["body", "allowedEventTypes"]),
        ({"featureFlags": ["a b"]}, ["body", "featureFlags", "__all__"]),
        ({"featureFlags": [f"f{number}" for number in range(26)]}, ["body", "featureFlags"]),
        ({"transformation": "too short"}, ["body", "transformation"]),
        ({"transformation": "x" * 51_201}, ["body", "transformation"]),
        ({"transformation": f"{SCRIPT}\0"}, ["body", "transformation"]),
        ({"transformation": None}, ["body", "transformation"]),
    ],
)
async def test_each_broken_rule_is_reported_with_its_location(lite: Api, body: Json, place: list[str]) -> None:
    created = await lite.post("/connector", json={**NEW, **body})

    assert [place] == [loc for loc, _, _ in faults(created)]
    if not {"uid", "productType"} & body.keys():
        await lite.made("/connector", {**NEW, "uid": "mine"})
        for method in ("PUT", "PATCH"):
            changed = await lite.call(method, "/connector/mine", json={"transformation": SCRIPT, **body})
            assert [place] == [loc for loc, _, _ in faults(changed)]


@pytest.mark.parametrize("ref", ["a b", "trtmpl_x", "x" * 257, "tidings.new"])
async def test_a_path_that_is_no_uid_creates_nothing(lite: Api, ref: str) -> None:
    answer = await lite.call("PUT", f"/connector/{ref}", json={"transformation": SCRIPT})

    assert {"path"} == {place[0] for place, _, _ in faults(answer)}
    assert [] == await _own(lite)


async def test_the_number_of_connectors_is_limited(lite: Api) -> None:
    for number in range(CONNECTORS_MAX):
        assert 201 == (await lite.call("PUT", f"/connector/c{number}", json=NEW)).status_code

    for answer in (await lite.post("/connector", json=NEW), await lite.call("PUT", "/connector/new", json=NEW)):
        assert (400, "limit_reached") == (answer.status_code, answer.json()["code"])
    assert 200 == (await lite.call("PUT", "/connector/c7", json=NEW)).status_code
    await lite.call("DELETE", "/connector/c7")
    assert 201 == (await lite.post("/connector", json=NEW)).status_code


async def test_a_repeated_idempotency_key_creates_one_connector(lite: Api) -> None:
    answers = [await lite.post("/connector", json=NEW, headers={"idempotency-key": "k"}) for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    assert 1 == len(await _own(lite))


async def test_a_wipe_deletes_the_connectors_of_the_organization_alone(api: Api) -> None:
    token = issue_org_token(SECRET, STRANGER, api.clock.now())
    for each in (api.token, token):
        await api.call("PUT", "/connector/mine", json=NEW, token=each)
        await api.call("PATCH", "/connector/mine", json={"transformation": OTHER_SCRIPT}, token=each)

    await wiping.wipe(api.db, ORG, chunk=100)

    async with api.db.read() as read:
        rows = [await read.rows(f"SELECT * FROM {table}") for table in ("connector", "connector_version")]
    assert [1, 1] == [len(each) for each in rows]
    assert [] == await _own(api)
    assert 200 == (await api.get("/connector/mine", token=token)).status_code
