# SPDX-License-Identifier: MIT
"""Updates, archival and deletion of event types."""

import pytest

from api.kit import ORG, SECRET, Api, Json, faults
from tidings.core.access import issue_app_token, issue_org_token
from tidings.ids import AppId, OrgId

FULL: Json = {
    "description": "d",
    "archived": False,
    "deprecated": True,
    "schemas": {"1": {"type": "object"}},
    "featureFlags": ["beta"],
    "groupName": "user",
}


async def _call(api: Api, method: str, name: str, body: Json | None = None) -> tuple[int, Json]:
    api.clock.advance(10)
    response = await api.call(method, f"/event-type/{name}", json=body)
    return response.status_code, response.json() if response.content else {}


async def test_a_put_replaces_everything(api: Api) -> None:
    made = await api.made("/event-type", {"name": "a", **FULL})

    status, put = await _call(api, "PUT", "a", {"description": "e"})

    assert 200 == status
    assert put == await api.read("/event-type/a")
    cleared = {"schemas": None, "featureFlag": None, "featureFlags": None, "groupName": None}
    assert {"description": "e", "archived": False, "deprecated": False, **cleared}.items() <= put.items()
    assert made["createdAt"] == put["createdAt"] < put["updatedAt"]


async def test_a_put_creates_an_absent_event_type_under_the_name_in_the_path(api: Api) -> None:
    status, made = await _call(api, "PUT", "user.signup", {**FULL, "name": "ignored"})

    assert 201 == status
    assert {"name": "user.signup", **FULL}.items() <= made.items()
    assert made == await api.read("/event-type/user.signup")


async def test_a_put_unarchives_an_event_type(api: Api) -> None:
    await api.made("/event-type", {"name": "a", **FULL})
    await _call(api, "DELETE", "a")

    assert (200, False) == ((put := await _call(api, "PUT", "a", {"description": "e"}))[0], put[1]["archived"])
    assert (200, True) == (
        (put := await _call(api, "PUT", "a", {"description": "e", "archived": True}))[0],
        put[1]["archived"],
    )


async def test_a_put_with_an_invalid_name_is_refused(lite: Api) -> None:
    for name in ("a b", "ä", "a" * 257, "%20"):
        response = await lite.call("PUT", f"/event-type/{name}", json={"description": ""})
        assert ["path", "event_type_name"] == faults(response)[0][0][:2]


async def test_a_patch_keeps_the_members_that_it_omits(api: Api) -> None:
    seen = await api.made("/event-type", {"name": "a", **FULL})

    patches: list[tuple[Json, Json]] = [
        ({"description": "e"}, {"description": "e"}),
        ({"archived": True}, {"archived": True}),
        ({"archived": False}, {"archived": False}),
        ({"deprecated": False}, {"deprecated": False}),
        ({"schemas": {}}, {"schemas": {}}),
        ({"schemas": {"2": True}}, {"schemas": {"2": True}}),
        ({"schemas": None}, {"schemas": None}),
        ({"featureFlags": ["x", "y"]}, {"featureFlags": ["x", "y"], "featureFlag": "x"}),
        ({"featureFlag": "z"}, {"featureFlags": ["z"], "featureFlag": "z"}),
        ({"featureFlag": None}, {"featureFlags": None, "featureFlag": None}),
        ({"groupName": "other"}, {"groupName": "other"}),
        ({"groupName": None}, {"groupName": None}),
        ({}, {}),
    ]
    for patch, change in patches:
        status, patched = await _call(api, "PATCH", "a", patch)
        assert 200 == status
        seen |= {**change, "updatedAt": patched["updatedAt"]}
        assert seen == patched == await api.read("/event-type/a")


async def test_a_deleted_event_type_is_archived(api: Api) -> None:
    await api.made("/event-type", {"name": "a", **FULL})

    assert [(204, {})] * 2 == [await _call(api, "DELETE", "a") for _ in range(2)]

    assert (await api.read("/event-type/a"))["archived"]
    assert [] == (await api.read("/event-type"))["data"]
    assert 201 == (await api.post("/event-type", json={"name": "a", "description": "again"})).status_code
    assert (False, None) == ((again := await api.read("/event-type/a"))["archived"], again["schemas"])


async def test_an_expunged_event_type_is_not_found(api: Api) -> None:
    await api.made("/event-type", {"name": "a", **FULL})

    response = await api.call("DELETE", "/event-type/a", params={"expunge": "true"})

    assert 204 == response.status_code
    for method in ("GET", "DELETE", "PATCH"):
        assert 404 == (await _call(api, method, "a", {}))[0]
    assert 404 == (await api.call("DELETE", "/event-type/a", params={"expunge": "true"})).status_code


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"schemas": {"1": {"readOnly": 15}}}, ["body", "schemas", "1"]),
        ({"schemas": {"1": 7}}, ["body", "schemas", "1"]),
        ({"schemas": []}, ["body", "schemas"]),
        ({"featureFlags": []}, ["body", "featureFlags"]),
        ({"featureFlags": ["a b"]}, ["body", "featureFlags", "__all__"]),
        ({"groupName": ""}, ["body", "groupName", "__all__"]),
        ({"description": "\x01"}, ["body", "description"]),
        ({"description": None}, ["body", "description"]),
        ({"archived": None}, ["body", "archived"]),
    ],
)
async def test_input_that_breaks_a_rule_is_reported(lite: Api, body: Json, place: list[str]) -> None:
    made = await lite.made("/event-type", {"name": "a", **FULL})

    for method, more in (("PATCH", {}), ("PUT", {"description": "d"})):
        assert place == faults(await lite.call(method, "/event-type/a", json={**more, **body}))[0][0]
    assert made == await lite.read("/event-type/a")


async def test_a_name_belongs_to_one_organization(api: Api) -> None:
    await api.made("/event-type", {"name": "a", **FULL})
    other = issue_org_token(SECRET, OrgId("org_other"), api.clock.now())

    assert 404 == (await api.call("PATCH", "/event-type/a", json={}, token=other)).status_code
    assert 404 == (await api.call("DELETE", "/event-type/a", token=other)).status_code
    assert 201 == (await api.call("PUT", "/event-type/a", json={"description": ""}, token=other)).status_code


async def test_a_removed_feature_flag_reveals_the_event_type_to_all(api: Api) -> None:
    await api.made("/event-type", {"name": "a", **FULL})
    token = issue_app_token(SECRET, ORG, AppId(await api.app()), api.clock.now())

    assert 404 == (await api.get("/event-type/a", token=token)).status_code
    await _call(api, "PATCH", "a", {"featureFlags": None})
    assert 200 == (await api.get("/event-type/a", token=token)).status_code
