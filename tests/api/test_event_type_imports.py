# SPDX-License-Identifier: MIT
"""The import of event types from OpenAPI documents: a dry run says what a run changes, which is all or nothing."""

import asyncio
import json
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are another package
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.conftest import opened_api
from api.kit import ORG, SECRET, Api, Json, faults
from tidings.core.access import issue_org_token
from tidings.core.tuning import CoreTuning
from tidings.ids import OrgId
from tidings.model.api_key import KeyScope

IMPORT = "/event-type/import/openapi"
PET: Json = {"type": "object", "properties": {"id": {"type": "integer"}}}


def _document(webhooks: Json) -> Json:
    return {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "webhooks": webhooks}


def _webhook(description: str = "d", schema: object = None, **more: Any) -> Json:
    content = {"application/json": {"schema": PET if schema is None else schema}}
    return {"post": {"description": description, "requestBody": {"content": content}, **more}}


async def _imported(api: Api, spec: Json, **more: Any) -> Json:
    response = await api.post(IMPORT, json={"spec": spec, **more})
    assert 200 == response.status_code, response.text
    found: Json = response.json()["data"]
    return found


async def _all(api: Api) -> dict[str, Json]:
    listed = await api.read("/event-type", include_archived=True, with_content=True, limit=250)
    return {each["name"]: each for each in listed["data"]}


# ----------------------------------------------------------------------------------------------------------------------
# What an import does


async def test_an_import_creates_event_types_and_a_second_one_changes_nothing(api: Api) -> None:
    spec = _document({"pet.new": _webhook("A pet.", **{"x-svix-group-name": "pets"}), "pet.sold": {}})

    first = await _imported(api, spec)
    before = await _all(api)
    api.clock.advance(10)
    second = await _imported(api, spec)

    expected = {"created": ["pet.new", "pet.sold"], "updated": [], "archived": [], "inUse": [], "unchanged": 0}
    assert {"modified": ["pet.new", "pet.sold"], "to_modify": None, "x": expected} == first
    assert {"modified": [], "to_modify": None, "x": {**expected, "created": [], "unchanged": 2}} == second
    assert ("A pet.", "pets", {"1": PET}) == tuple(
        before["pet.new"][it] for it in ("description", "groupName", "schemas")
    )
    assert ("", None) == (before["pet.sold"]["description"], before["pet.sold"]["schemas"])
    assert before == await _all(api)


async def test_an_import_keeps_what_the_document_does_not_state(api: Api) -> None:
    body = {"description": "mine", "groupName": "g", "featureFlags": ["beta"], "schemas": {"1": {"type": "array"}}}
    await api.made("/event-type", {"name": "a", **body})
    await api.made("/event-type", {"name": "b", **body, "schemas": {"2": True, "1": {"type": "array"}}})

    data = await _imported(api, _document({"a": {}, "b": _webhook("theirs", **{"x-svix-feature-flags": []})}))

    found = await _all(api)
    assert ["b"] == data["modified"]
    assert body == {each: found["a"][each] for each in body}
    assert ("theirs", "g", None) == tuple(found["b"][each] for each in ("description", "groupName", "featureFlags"))
    assert {"2": True, "1": PET} == found["b"]["schemas"]


async def test_a_schema_with_its_members_in_another_order_changes_nothing(api: Api) -> None:
    schema = {"type": "object", "required": ["b", "a"], "properties": {"a": {"type": "string"}, "b": {"minimum": 1}}}
    reordered = json.loads(json.dumps(schema, sort_keys=True))
    reordered["properties"] = dict(reversed(schema["properties"].items()))  # type: ignore[attr-defined]
    assert json.dumps(reordered) != json.dumps(schema)
    await _imported(api, _document({"a": _webhook(schema=schema)}))
    before = await _all(api)
    api.clock.advance(10)

    for spec in (
        _document({"a": _webhook(schema=reordered)}),
        dict(reversed(_document({"a": _webhook(schema=reordered)}).items())),
    ):
        assert ([], 1) == ((data := await _imported(api, spec))["modified"], data["x"]["unchanged"])
    assert before == await _all(api)
    swapped = {**schema, "required": ["a", "b"]}
    assert ["a"] == (await _imported(api, _document({"a": _webhook(schema=swapped)})))["modified"]


async def test_an_archived_event_type_is_unarchived(api: Api) -> None:
    spec = _document({"a": _webhook()})
    await _imported(api, spec)
    await api.call("DELETE", "/event-type/a")

    data = await _imported(api, spec)

    assert (["a"], ["a"]) == (data["modified"], data["x"]["updated"])
    assert not (await _all(api))["a"]["archived"]


async def test_replace_all_archives_what_the_document_lacks_and_says_what_is_in_use(api: Api) -> None:
    app = await api.app()
    for name in ("old", "used", "kept", "archived", "used.by.a.deleted.endpoint"):
        await api.made("/event-type", {"name": name, "description": ""})
    await api.call("DELETE", "/event-type/archived")
    await api.endpoint(app, eventTypes=["used", "kept"])
    endpoint = await api.endpoint(app, eventTypes=["used.by.a.deleted.endpoint"])
    await api.call("DELETE", f"/app/{app}/endpoint/{endpoint}")
    foreign = issue_org_token(SECRET, OrgId("org_other"), api.clock.now())
    await api.post("/event-type", token=foreign, json={"name": "old", "description": ""})
    spec = _document({"kept": {}, "new": {}})

    untouched = await _imported(api, spec, dryRun=True)
    assert ([], []) == (untouched["x"]["archived"], untouched["x"]["inUse"])
    planned = await _imported(api, spec, replaceAll=True, dryRun=True)
    data = await _imported(api, spec, replaceAll=True)

    assert planned["x"] == data["x"], "a dry run says it before"
    archived = ["old", "used", "used.by.a.deleted.endpoint"]
    assert {"created": ["new"], "updated": [], "archived": archived, "inUse": ["used"], "unchanged": 1} == data["x"]
    assert sorted(["new", *archived]) == data["modified"]
    assert {"kept", "new"} == {name for name, each in (await _all(api)).items() if not each["archived"]}
    assert not (await api.get("/event-type/old", token=foreign)).json()["archived"]
    assert [] == (await _imported(api, spec, replaceAll=True))["modified"]


@pytest.mark.parametrize("text", [json.dumps, yaml.safe_dump, lambda spec: yaml.safe_dump(spec, indent=8)])
async def test_text_in_yaml_or_json_is_the_same_document(lite: Api, text: Any) -> None:
    spec = _document({"pet.new": _webhook("Ein Tier, größer als 😀", responses={"200": {"description": "ok"}})})

    response = await lite.post(IMPORT, json={"specRaw": text(spec)})

    assert ["pet.new"] == response.json()["data"]["modified"]
    assert [] == (await _imported(lite, spec))["modified"]


async def test_endpoints_may_subscribe_to_what_was_imported_and_send_its_example(lite: Api) -> None:
    await _imported(lite, _document({"a": _webhook(schema={**PET, "examples": [{"id": 7}]})}))
    app = await lite.app()
    endpoint = await lite.endpoint(app, eventTypes=["a"])

    response = await lite.post(f"/app/{app}/endpoint/{endpoint}/send-example", json={"eventType": "a"})

    assert 202 == response.status_code, response.text
    assert {"id": 7} == (await lite.read(f"/app/{app}/msg/{response.json()['id']}"))["payload"]


# ----------------------------------------------------------------------------------------------------------------------
# A dry run and a run

FLAGS = st.sampled_from(([], ["beta"], ["beta", "alpha"]))
SCHEMAS: Any = st.sampled_from((PET, {"type": "string"}, {"const": 1}, {"const": True}, {"const": 1.0}, True))
NAMES = st.sampled_from(("a", "a.b", "b", "c", "d"))
TEXTS = st.sampled_from(("", "one", "two"))
EXISTING = st.dictionaries(
    NAMES,
    st.fixed_dictionaries(
        {"description": TEXTS},
        optional={
            "archived": st.booleans(),
            "deprecated": st.booleans(),
            "groupName": st.sampled_from(("g", "h")),
            "featureFlags": FLAGS.filter(bool),
            "schemas": st.dictionaries(st.sampled_from(("1", "2")), SCHEMAS),
        },
    ),
)
OPERATIONS = st.fixed_dictionaries(
    {},
    optional={
        "description": TEXTS,
        "deprecated": st.booleans(),
        "x-svix-group-name": st.sampled_from(("g", "h")),
        "x-svix-feature-flags": FLAGS,
        "requestBody": SCHEMAS.map(lambda schema: {"content": {"application/json": {"schema": schema}}}),
    },
)
WEBHOOKS = st.dictionaries(NAMES, st.builds(lambda operation: {"post": operation}, OPERATIONS), min_size=1)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(existing=EXISTING, webhooks=WEBHOOKS, replaces=st.booleans())
def test_a_dry_run_says_what_a_run_changes(
    migrated_sqlite_url: str, existing: dict[str, Json], webhooks: dict[str, Json], *, replaces: bool
) -> None:
    """For any state and document: the results agree, exactly the named event types change, and then nothing is left."""

    async def check() -> None:
        async for api in opened_api(migrated_sqlite_url):
            await _check_dry_run(api, existing, webhooks, replaces=replaces)

    asyncio.run(check())


async def _check_dry_run(api: Api, existing: dict[str, Json], webhooks: dict[str, Json], *, replaces: bool) -> None:
    for name in await _all(api):
        await api.call("DELETE", f"/event-type/{name}", params={"expunge": "true"})
    for name, body in existing.items():
        assert (await api.call("PUT", f"/event-type/{name}", json=body)).status_code in (200, 201)
    before, spec = await _all(api), _document(webhooks)
    api.clock.advance(1_000)

    planned = await _imported(api, spec, replaceAll=replaces, dryRun=True)
    assert before == await _all(api), "a dry run changes nothing"
    done = await _imported(api, spec, replaceAll=replaces)
    after = await _all(api)

    assert {**planned, "to_modify": None} == done
    dated = {name: {**each, "updatedAt": "", "createdAt": ""} for name, each in after.items()}
    was = {name: {**each, "updatedAt": "", "createdAt": ""} for name, each in before.items()}
    texts = {name: json.dumps(each, sort_keys=True) for name, each in was.items()}  # 1, 1.0 and true differ
    changed = [name for name, each in dated.items() if json.dumps(each, sort_keys=True) != texts.get(name)]
    assert sorted(changed) == done["modified"]
    touched = [name for name, each in after.items() if each["updatedAt"] != before.get(name, {}).get("updatedAt")]
    assert sorted(touched) == done["modified"]
    for each in planned["to_modify"]:
        assert each == {member: after[each["name"]][member] for member in each}
    assert sorted(done["x"]["created"] + done["x"]["updated"]) == [each["name"] for each in planned["to_modify"]]
    active = {name for name, each in after.items() if not each["archived"]}
    assert active >= webhooks.keys()
    assert not replaces or active == webhooks.keys()
    assert [] == (await _imported(api, spec, replaceAll=replaces))["modified"], "a second import changes nothing"


async def test_a_dry_run_with_the_idempotency_key_of_the_run_does_not_replace_it(lite: Api) -> None:
    spec, headers = _document({"a": {}}), {"idempotency-key": "k"}
    await lite.post(IMPORT, json={"spec": spec, "dryRun": True}, headers=headers)
    first = await lite.post(IMPORT, json={"spec": spec}, headers=headers)
    again = await lite.post(IMPORT, json={"spec": spec}, headers=headers)

    assert ["a"] == first.json()["data"]["modified"]
    assert first.json() == again.json()


async def test_imports_at_the_same_time_both_succeed(api: Api) -> None:
    webhooks = {f"type.{number}": _webhook() for number in range(50)}
    specs = [_document(webhooks), _document(dict(reversed(webhooks.items())))] * 2

    results = await asyncio.gather(*(_imported(api, spec, replaceAll=True) for spec in specs))

    assert [0, 0, 0, 50] == sorted(len(each["modified"]) for each in results)
    assert webhooks.keys() == (await _all(api)).keys()


# ----------------------------------------------------------------------------------------------------------------------
# Bad input and bounds


@pytest.mark.parametrize("body", [{}, {"spec": None, "specRaw": None}, {"spec": {}, "specRaw": "a: 1"}])
async def test_a_request_needs_one_document(lite: Api, body: Json) -> None:
    response = await lite.post(IMPORT, json=body)

    assert (400, "invalid_spec") == (response.status_code, response.json()["code"])


async def test_a_document_with_a_fault_changes_nothing(api: Api) -> None:
    webhooks = {"good": _webhook(), "bad": _webhook(schema={"type": "nothing"}), "not a name": {}}

    for body in ({"spec": _document(webhooks)}, {"specRaw": json.dumps(_document(webhooks)), "dryRun": True}):
        member = next(iter(body))
        found = faults(await api.post(IMPORT, json=body))
        places = [["body", member, "webhooks", "bad", "requestBody"], ["body", member, "webhooks", "not a name"]]
        assert places == [loc for loc, _, _ in found]
    assert {} == await _all(api)


@pytest.mark.parametrize("text", ["a: [", "a: &x [*x]", "- 1\n- 2", "just text", "a: !!python/name:os.system", "\t"])
async def test_a_text_that_is_no_document_is_refused(lite: Api, text: str) -> None:
    [(loc, words, _)] = faults(await lite.post(IMPORT, json={"specRaw": text}))

    assert ["body", "specRaw"] == loc[:2]
    assert words


async def test_a_hundred_thousand_event_types_are_refused(api: Api) -> None:
    webhooks: Json = {f"type.{number}": {} for number in range(100_000)}
    text = "openapi: 3.1.0\nwebhooks:\n" + "".join(f" t{number}: {{}}\n" for number in range(100_000))

    for body in ({"spec": _document(webhooks)}, {"specRaw": text}):
        response = await api.post(IMPORT, json=body)
        assert (400, "too_many_event_types") == (response.status_code, response.json()["code"])
        assert "100,000 webhooks; an import takes at most 5,000" in response.json()["detail"]
    named = {f"type.{number}": {"post": {"description": "d"}} for number in range(100_000)}
    assert 413 == (await api.post(IMPORT, json={"spec": _document(named)})).status_code
    assert {} == await _all(api)


async def test_the_largest_number_of_event_types_is_imported(api: Api) -> None:
    webhooks = {f"type.{number:04}": {"post": {"description": "d"}} for number in range(5_000)}

    assert 5_000 == len((await _imported(api, _document(webhooks)))["modified"])
    assert 5_000 == (await _imported(api, _document(webhooks), replaceAll=True))["x"]["unchanged"]


async def test_what_is_stored_bounds_an_import(api: Api) -> None:
    await _imported(api, _document({"a": _webhook(), "b": _webhook()}))
    few, small = api.tuned(core=CoreTuning(import_active_types=1)), api.tuned(core=CoreTuning(import_stored_bytes=10))
    body = {"spec": _document({"a": {}}), "replaceAll": True}

    for bounded in (few, small):
        response = await bounded.post(IMPORT, json=body)
        assert (400, "too_many_event_types") == (response.status_code, response.json()["code"])
    assert 200 == (await few.post(IMPORT, json={**body, "replaceAll": False})).status_code


async def test_only_the_organization_imports(lite: Api) -> None:
    app = await lite.app()
    body = {"spec": _document({"a": {}})}
    for token in ((await lite.key(KeyScope.APPLICATION, app=app)).text, (await lite.key(read_only=True)).text):
        assert 403 == (await lite.post(IMPORT, token=token, json=body)).status_code
    foreign = issue_org_token(SECRET, OrgId("org_other"), lite.clock.now())
    assert 200 == (await lite.post(IMPORT, token=foreign, json=body)).status_code
    assert {} == await _all(lite), f"nothing was imported into {ORG}"
