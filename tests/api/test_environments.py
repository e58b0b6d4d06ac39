# SPDX-License-Identifier: MIT
"""Export and import of an organization's configuration."""

import asyncio
import json
from typing import Any

import pytest

from api.kit import ORG, SECRET, Api, Json, faults
from tidings.core import wiping
from tidings.core.access import issue_app_token, issue_org_token
from tidings.core.environments import SETTINGS_MAX, TYPES_MAX
from tidings.ids import AppId, OrgId
from tidings.model.api_key import KeyScope
from tidings.model.connector import CONNECTORS_MAX

SCRIPT = "function handler(webhook) { return webhook; }"
STRANGER = OrgId("org_2AAAAAAAAAAAAAAAAAAAAAAAAAA")
TYPES: list[Json] = [
    {"name": "a.plain", "description": ""},
    {
        "name": "b.full",
        "description": "d",
        "archived": True,
        "deprecated": True,
        "schemas": {"1": {"type": "object", "z": 1, "a": [1.5, None]}, "2": True},
        "featureFlags": ["beta", "alpha"],
        "groupName": "b",
    },
]
CONNECTORS: list[Json] = [
    {"name": "Same", "transformation": SCRIPT},
    {"name": "Same", "transformation": f"{SCRIPT} // another"},
    {
        "name": "Mine",
        "uid": "mine",
        "logo": "https://example.com/logo.png",
        "description": "d",
        "kind": "Slack",
        "instructions": "i",
        "allowedEventTypes": ["b", "a"],
        "transformation": SCRIPT,
        "featureFlags": ["beta"],
        "productType": "Stream",
    },
]
EVERYTHING: Json = {
    "eventTypes": TYPES,
    "connectors": CONNECTORS,
    "settings": {"displayName": "Acme", "customColor": None, "nested": {"z": [1, 2.5]}},
}
NAMES = ("id", "orgId", "createdAt", "updatedAt", "transformationUpdatedAt", "x")


async def _export(api: Api, **more: str) -> Json:
    response = await api.post("/environment/export", **more)
    assert response.status_code == 200, response.text
    found: Json = response.json()
    return found


async def _import(api: Api, body: Json, **more: Any) -> None:
    api.clock.advance(1000)
    response = await api.post("/environment/import", json=body, **more)
    assert (204, b"") == (response.status_code, response.content), response.text


def _content(exported: Json) -> Json:
    """Return an export without ids and timestamps, which a new object cannot have again."""
    lists = {
        name: [{key: value for key, value in each.items() if key not in NAMES} for each in exported[name]]
        for name in ("eventTypes", "connectors")
    }
    return {"version": exported["version"], "settings": exported["settings"], **lists}


async def test_an_export_that_is_wiped_and_imported_is_exported_equal(api: Api) -> None:
    await _import(api, EVERYTHING)
    before = await _export(api)

    await wiping.wipe(api.db, ORG, chunk=100)
    empty = await _export(api)
    await _import(api, before)

    assert (None, [], []) == tuple(empty[name] for name in ("settings", "eventTypes", "connectors"))
    assert _content(before) == _content(await _export(api))
    for name in ("eventTypes", "connectors"):
        for given, found in zip(EVERYTHING[name], before[name], strict=True):
            assert given.items() <= found.items()
    assert EVERYTHING["settings"] == before["settings"]


async def test_a_repeated_import_changes_nothing(api: Api) -> None:
    await _import(api, EVERYTHING)
    before = await _export(api)

    await _import(api, EVERYTHING)
    await _import(api, before)

    after = await _export(api)
    assert {"createdAt"} == {name for name in before if before[name] != after[name]}


async def test_schemas_with_their_members_in_another_order_change_nothing(api: Api) -> None:
    def body(*names: str, required: str = "ab") -> Json:
        schema = {"type": "object", "properties": {name: {} for name in names}, "required": list(required)}
        return {"eventTypes": [{"name": "a", "description": "d", "schemas": {"1": schema, "2": True}}]}

    await _import(api, body("a", "b"))
    before = (await _export(api))["eventTypes"]
    await _import(api, body("b", "a"))
    assert json.dumps(before) == json.dumps((await _export(api))["eventTypes"])

    for changed in (body("b", "a", required="ba"), body("b", "c", required="ba")):
        await _import(api, changed)
        [after] = (await _export(api))["eventTypes"]
        assert after["updatedAt"] > before[0]["updatedAt"]
        assert changed["eventTypes"][0]["schemas"] == after["schemas"]
        before = [after]


async def test_an_import_deletes_nothing_and_updates_what_it_contains(api: Api) -> None:
    await _import(api, EVERYTHING)
    before = await _export(api)

    await _import(api, {"settings": {"displayName": "New", "more": 1}})
    await _import(api, {"eventTypes": [{"name": "a.plain", "description": "new"}], "settings": None})
    await _import(
        api, {"connectors": [{**CONNECTORS[0], "description": "new"}, {"name": "4", "transformation": SCRIPT}]}
    )
    await _import(api, {"eventTypes": None, "connectors": None})

    after = await _export(api)
    assert {**EVERYTHING["settings"], "displayName": "New", "more": 1} == after["settings"]
    assert ["new", "d"] == [each["description"] for each in after["eventTypes"]]
    assert before["eventTypes"][1] == after["eventTypes"][1]
    assert before["eventTypes"][0]["createdAt"] == after["eventTypes"][0]["createdAt"]
    assert [each["id"] for each in before["connectors"]] == [each["id"] for each in after["connectors"]][:-1]
    assert ["new", "", "d", ""] == [each["description"] for each in after["connectors"]]
    assert before["connectors"][1:] == after["connectors"][1:-1]


async def test_an_import_with_another_script_keeps_the_former_one(api: Api) -> None:
    await _import(api, EVERYTHING)

    await _import(api, {"connectors": [{**CONNECTORS[2], "transformation": f"{SCRIPT} // 2"}]})

    found = (await api.read("/connector/mine/version"))["data"]
    assert [f"{SCRIPT} // 2", SCRIPT] == [each["transformation"] for each in found]


async def test_an_import_that_fails_at_its_end_changes_nothing(api: Api) -> None:
    await _import(api, {**EVERYTHING, "settings": {"a": "x" * (SETTINGS_MAX - 100)}})
    before = await _export(api)

    new = {"eventTypes": [{"name": "new", "description": ""}], "connectors": [{"name": "n", "transformation": SCRIPT}]}
    refused = await api.post("/environment/import", json={**new, "settings": {"b": "x" * 100}})

    assert (400, "limit_reached") == (refused.status_code, refused.json()["code"])
    assert _content(before) == _content(await _export(api))


async def test_concurrent_imports_end_in_the_state_of_one_of_them(api: Api) -> None:
    def body(number: int) -> Json:
        types = [{"name": f"t{each}", "description": f"{number}"} for each in range(50)]
        own = [{"name": f"{number}", "uid": f"c{each}", "transformation": SCRIPT} for each in range(5)]
        order = -1 if number % 2 else 1
        return {"eventTypes": types[::order], "connectors": own[::order], "settings": {"n": number}}

    answers = await asyncio.gather(*(api.post("/environment/import", json=body(number)) for number in range(8)))

    assert [204] * 8 == [each.status_code for each in answers]
    found = await _export(api)
    [number] = {each["description"] for each in found["eventTypes"]}
    assert {number} == {each["name"] for each in found["connectors"]} == {str(found["settings"]["n"])}
    assert (50, 5) == (len(found["eventTypes"]), len(found["connectors"]))


async def test_an_export_during_imports_is_of_one_of_them(api: Api) -> None:
    def body(number: int) -> Json:
        own = [{"name": "n", "uid": "c", "description": f"{number}", "transformation": SCRIPT}]
        return {"eventTypes": [{"name": "t", "description": f"{number}"}], "connectors": own, "settings": {"n": number}}

    await _import(api, body(0))
    imports = [api.post("/environment/import", json=body(number)) for number in range(10)]
    answers = await asyncio.gather(*imports, *(_export(api) for _ in imports))

    for found in answers[10:]:
        assert isinstance(found, dict)
        values = [found["eventTypes"][0]["description"], found["connectors"][0]["description"], found["settings"]["n"]]
        assert 1 == len(set(map(str, values))), values


async def test_another_organization_is_neither_exported_nor_changed(api: Api) -> None:
    token = issue_org_token(SECRET, STRANGER, api.clock.now())
    await _import(api, EVERYTHING)
    await _import(api, {"eventTypes": [{"name": "theirs", "description": ""}]}, token=token)

    assert ["theirs"] == [each["name"] for each in (await _export(api, token=token))["eventTypes"]]
    assert ["a.plain", "b.full"] == [each["name"] for each in (await _export(api))["eventTypes"]]
    await wiping.wipe(api.db, ORG, chunk=100)
    assert ["theirs"] == [each["name"] for each in (await _export(api, token=token))["eventTypes"]]


async def test_an_application_token_neither_exports_nor_imports(lite: Api) -> None:
    token = issue_app_token(SECRET, ORG, AppId(await lite.app()), lite.clock.now())

    for path in ("export", "import"):
        assert 403 == (await lite.post(f"/environment/{path}", json={}, token=token)).status_code
        assert 401 == (await lite.post(f"/environment/{path}", json={}, token="nonsense")).status_code


async def test_a_read_only_key_exports_and_does_not_import(lite: Api) -> None:
    key = await lite.key(KeyScope.ORGANIZATION, read_only=True)

    assert 200 == (await lite.post("/environment/export", token=key.text)).status_code
    assert 403 == (await lite.post("/environment/import", json={}, token=key.text)).status_code


async def test_a_repeated_idempotency_key_imports_once(lite: Api) -> None:
    for _ in range(2):
        await _import(lite, EVERYTHING, headers={"idempotency-key": "k"})

    assert 3 == len((await _export(lite))["connectors"])


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({"eventTypes": [TYPES[0], {"name": "a b", "description": ""}]}, [["eventTypes", "[1]", "name", "__all__"]]),
        ({"eventTypes": [{"name": "a", "description": "\0"}]}, [["eventTypes", "[0]", "description"]]),
        ({"eventTypes": [{"name": "a"}]}, [["eventTypes", "[0]", "description"]]),
        ({"eventTypes": [TYPES[0], TYPES[0]]}, [["eventTypes", "[1]", "name"]]),
        ({"connectors": [CONNECTORS[2], CONNECTORS[2]]}, [["connectors", "[1]", "uid"]]),
        ({"connectors": [{"name": "n", "transformation": "short"}]}, [["connectors", "[0]", "transformation"]]),
        ({"connectors": [{**CONNECTORS[0], "uid": "tidings.slack"}]}, [["connectors", "[0]", "uid", "__all__"]]),
        ({"settings": []}, [["settings"]]),
        ({"settings": {"a": "x" * SETTINGS_MAX}}, [["settings"]]),
        ({"eventTypes": {}}, [["eventTypes"]]),
    ],
)
async def test_each_broken_rule_is_reported_with_its_location_and_changes_nothing(
    lite: Api, body: Json, places: list[list[str]]
) -> None:
    response = await lite.post("/environment/import", json={**EVERYTHING, **body})

    assert [["body", *place] for place in places] == [place for place, _, _ in faults(response)]
    assert [] == (await _export(lite))["eventTypes"]


async def test_an_import_of_100_000_event_types_is_refused(api: Api) -> None:
    types = [{"name": f"t{number}", "description": ""} for number in range(50_000)]
    body = json.dumps({"eventTypes": types}, separators=(",", ":")).encode()
    twice = json.dumps({"eventTypes": types * 2}, separators=(",", ":")).encode()

    response = await api.post("/environment/import", content=body)

    expected = f"eventTypes has 50,000 items; an import takes at most {TYPES_MAX:,}."
    assert [(["body", "eventTypes"], expected, "value_error")] == faults(response)
    assert 413 == (await api.post("/environment/import", content=twice)).status_code


async def test_the_faults_of_one_response_are_limited(lite: Api) -> None:
    types = [{"name": "a b", "description": ""}] * TYPES_MAX

    response = await lite.post("/environment/import", json={"eventTypes": types})

    assert 100 == len(faults(response))


async def test_the_largest_import_is_exported_again(api: Api) -> None:
    types = [{"name": f"t{number:05}", "description": "d"} for number in range(TYPES_MAX)]
    await _import(api, {"eventTypes": types})

    found = (await _export(api))["eventTypes"]
    await api.made("/event-type", {"name": "one.more", "description": ""})
    refused = await api.post("/environment/export")

    assert [each["name"] for each in types] == [each["name"] for each in found]
    assert (400, "limit_reached") == (refused.status_code, refused.json()["code"])


async def test_an_export_of_too_many_bytes_is_refused(lite: Api) -> None:
    for number in range(9):
        schemas = {"1": {"type": "object", "description": "x" * 1_900_000}}
        await lite.made("/event-type", {"name": f"t{number}", "description": "d", "schemas": schemas})

    refused = await lite.post("/environment/export")

    assert (400, "limit_reached") == (refused.status_code, refused.json()["code"])
    await lite.call("DELETE", "/event-type/t0?expunge=true")
    assert 8 == len((await _export(lite))["eventTypes"])


async def test_an_import_over_the_limit_of_connectors_changes_nothing(lite: Api) -> None:
    full = [{"name": f"n{number}", "transformation": SCRIPT} for number in range(CONNECTORS_MAX)]
    await _import(lite, {"connectors": full})

    more = {"eventTypes": TYPES, "connectors": [{"name": "one more", "transformation": SCRIPT}]}
    refused = await lite.post("/environment/import", json=more)
    await _import(lite, {"connectors": full})

    assert (400, "limit_reached") == (refused.status_code, refused.json()["code"])
    assert ([], CONNECTORS_MAX) == tuple(
        found if name == "eventTypes" else len(found)
        for name, found in (await _export(lite)).items()
        if name in ("eventTypes", "connectors")
    )
