# SPDX-License-Identifier: MIT
"""Updates and deletion of applications."""

import pytest

from api.kit import SECRET, Api, Json, faults
from tidings.core.access import issue_org_token
from tidings.ids import OrgId


async def _put(api: Api, ref: str, body: Json) -> tuple[int, Json]:
    api.clock.advance(10)
    response = await api.call("PUT", f"/app/{ref}", json=body)
    return response.status_code, response.json()


async def _patch(api: Api, ref: str, body: Json) -> Json:
    api.clock.advance(10)
    response = await api.call("PATCH", f"/app/{ref}", json=body)
    assert 200 == response.status_code, response.text
    found: Json = response.json()
    return found


async def test_a_put_replaces_everything(api: Api) -> None:
    made = await api.made("/app", {"name": "a", "uid": "one", "throttleRate": 5, "metadata": {"k": "v"}})

    status, put = await _put(api, made["id"], {"name": "b"})

    assert 200 == status
    assert put == await api.read(f"/app/{made['id']}")
    assert ("b", None, {}) == (put["name"], put["throttleRate"], put["metadata"])
    assert not {"uid", "rateLimit"} & put.keys()
    assert made["createdAt"] == put["createdAt"] < put["updatedAt"]
    assert 404 == (await api.get("/app/one")).status_code


async def test_a_put_creates_an_absent_application_under_the_uid_in_the_body(api: Api) -> None:
    status, first = await _put(api, "unknown", {"name": "a"})
    again, second = await _put(api, "unknown", {"name": "a", "uid": "two"})

    assert (201, 201) == (status, again)
    assert first["id"] != second["id"] == (await api.read("/app/two"))["id"]
    assert 404 == (await api.get("/app/unknown")).status_code


async def test_a_put_by_uid_updates_the_application(api: Api) -> None:
    made = await api.made("/app", {"name": "a", "uid": "one"})

    status, put = await _put(api, "one", {"name": "a", "uid": "other"})

    assert (200, made["id"]) == (status, put["id"])
    assert made["id"] == (await api.read("/app/other"))["id"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_uid_that_is_taken_is_a_conflict_and_changes_nothing(api: Api, method: str) -> None:
    await api.app(uid="taken")
    made = await api.made("/app", {"name": "a", "uid": "mine"})

    response = await api.call(method, "/app/mine", json={"name": "b", "uid": "taken"})

    assert (
        409,
        {
            "code": "conflict",
            "detail": "This uid or event id is already in use. Choose another one, or update the existing object.",
        },
    ) == (response.status_code, response.json())
    assert made == await api.read("/app/mine")


async def test_an_upsert_with_a_taken_uid_is_a_conflict(api: Api) -> None:
    await api.app(uid="taken")

    assert 409 == (await _put(api, "unknown", {"name": "b", "uid": "taken"}))[0]


async def test_a_patch_keeps_the_members_that_it_omits(api: Api) -> None:
    body = {"name": "a", "uid": "one", "throttleRate": 5, "metadata": {"k": "v"}}
    made = await api.made("/app", body)
    app = made["id"]

    seen = dict(made)
    for patch, change in (
        ({"name": "b"}, {"name": "b"}),
        ({"throttleRate": 7}, {"throttleRate": 7, "rateLimit": 7}),
        ({"rateLimit": 8}, {"throttleRate": 8, "rateLimit": 8}),
        ({"uid": "two"}, {"uid": "two"}),
        ({"metadata": {"x": "y"}}, {"metadata": {"x": "y"}}),
        ({"metadata": None}, {"metadata": {}}),
        ({}, {}),
    ):
        patched = await _patch(api, app, patch)
        seen |= {**change, "updatedAt": patched["updatedAt"]}
        assert seen == patched == await api.read(f"/app/{app}")
    cleared = await _patch(api, app, {"uid": None, "throttleRate": None})
    assert (None, False, False) == (cleared["throttleRate"], "uid" in cleared, "rateLimit" in cleared)


async def test_a_deleted_application_is_not_found_and_its_uid_is_free(api: Api) -> None:
    app = await api.app(uid="one")
    endpoint = await api.endpoint(app)

    response = await api.call("DELETE", "/app/one")

    assert (204, b"") == (response.status_code, response.content)
    for path in (f"/app/{app}", "/app/one", f"/app/{app}/endpoint", f"/app/{app}/endpoint/{endpoint}"):
        assert 404 == (await api.get(path)).status_code
    assert 404 == (await api.call("DELETE", f"/app/{app}")).status_code
    assert 404 == (await api.post(f"/app/{app}/msg", json={"eventType": "a", "payload": {}})).status_code
    assert [] == (await api.read("/app"))["data"]
    assert app != await api.app(uid="one")


async def test_a_uid_belongs_to_one_organization(api: Api) -> None:
    await api.app(uid="one")
    other = issue_org_token(SECRET, OrgId("org_other"), api.clock.now())

    response = await api.call("PUT", "/app/one", json={"name": "theirs", "uid": "one"}, token=other)

    assert 201 == response.status_code
    assert "acme" == (await api.read("/app/one"))["name"]
    for method in ("PATCH", "DELETE"):
        made = (await api.read("/app/one"))["id"]
        assert 404 == (await api.call(method, f"/app/{made}", json={}, token=other)).status_code


@pytest.mark.parametrize(
    ("method", "body", "place", "words"),
    [
        ("PUT", {"name": ""}, ["body", "name"], "Application names must be at least one character"),
        ("PATCH", {"name": ""}, ["body", "name"], "Application names must be at least one character"),
        ("PUT", {"name": "a", "throttleRate": 0}, ["body", "throttleRate"], "Application throttle rate must be at"),
        ("PATCH", {"throttleRate": 0}, ["body", "throttleRate"], "Application rate limits must be at least 1 if set"),
        ("PATCH", {"rateLimit": 0}, ["body", "rateLimit"], "Application rate limits must be at least 1 if set"),
        ("PATCH", {"uid": "app_x"}, ["body", "uid", "__all__"], "Uids are not allowed to have the same prefix"),
        ("PATCH", {"name": None}, ["body", "name"], "Expected `str`"),
        ("PATCH", {"metadata": {"k": "v" * 5000}}, ["body", "metadata"], "metadata may have at most 4096 bytes"),
    ],
)
async def test_input_that_breaks_a_rule_is_reported(
    lite: Api, method: str, body: Json, place: list[str], words: str
) -> None:
    app = await lite.app()

    ((loc, msg, _),) = faults(await lite.call(method, f"/app/{app}", json=body))

    assert place == loc
    assert msg.startswith(words)


async def test_a_list_excludes_applications_by_their_endpoints(api: Api) -> None:
    nothing = await api.app()
    usual, off, play = await api.app(), await api.app(), await api.app()
    await api.endpoint(usual)
    await api.endpoint(usual, disabled=True)
    await api.endpoint(off, disabled=True)
    await api.endpoint(play, url="https://play.svix.com/in/e_x/")
    gone = await api.app()
    await api.call("DELETE", f"/app/{gone}/endpoint/{await api.endpoint(gone)}")

    async def listed(*flags: str) -> set[str]:
        page = await api.read("/app", **{f"exclude_apps_with_{flag}_endpoints": "true" for flag in flags})
        return {app["id"] for app in page["data"]}

    assert {nothing, usual, off, play, gone} == await listed()
    assert {usual, off, play} == await listed("no")
    assert {nothing, usual, play, gone} == await listed("disabled")
    assert {nothing, usual, off, gone} == await listed("svix_play")
    assert {usual} == await listed("no", "disabled", "svix_play")
