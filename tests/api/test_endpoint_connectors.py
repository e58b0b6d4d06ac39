# SPDX-License-Identifier: MIT
"""How an endpoint gets the script of a connector, and which scripts a connector may have."""

import pytest

from api.kit import ORG, SECRET, Api, Json, faults
from tidings.core import endpoint_connectors
from tidings.core.access import issue_org_token
from tidings.core.connectors import get as get_connector
from tidings.core.idempotency import Response
from tidings.errors import AppError
from tidings.ids import OrgId
from tidings.model.endpoint import EndpointDraft
from tidings.model.token import Principal
from tidings.storage.tables import apps

pytest.importorskip("_quickjs", reason="the extra `transformations` is not installed")

SCRIPT = "function handler(webhook) { return webhook; }"
OTHER_SCRIPT = "function handler(webhook) { webhook.cancel = true; return webhook; }"
BROKEN = "function handler(webhook) {\n  return webhook +;\n}"
NEW: Json = {"name": "Mine", "uid": "mine", "transformation": SCRIPT}
STRANGER = OrgId("org_2AAAAAAAAAAAAAAAAAAAAAAAAAA")


def _path(app: str, endpoint: str, suffix: str = "connector") -> str:
    return f"/app/{app}/endpoint/{endpoint}/{suffix}"


async def _use(api: Api, app: str, endpoint: str, connector: str, **more: object) -> Json:
    response = await api.call("PUT", _path(app, endpoint), json={"connectorId": connector, **more})
    assert response.status_code == 200, response.text
    found: Json = response.json()
    return found


async def test_a_script_that_does_not_compile_is_refused_with_its_place(api: Api) -> None:
    await api.made("/connector", NEW)

    answers = [
        await api.post("/connector", json={**NEW, "uid": "other", "transformation": BROKEN}),
        await api.call("PUT", "/connector/other", json={"transformation": BROKEN}),
        await api.call("PUT", "/connector/mine", json={"transformation": BROKEN}),
        await api.call("PATCH", "/connector/mine", json={"transformation": BROKEN}),
    ]

    for each in answers:
        [(place, message, _)] = faults(each)
        assert ["body", "transformation"] == place
        assert "line 2" in message
    assert SCRIPT == (await api.read("/connector/mine"))["transformation"]
    assert 404 == (await api.get("/connector/other")).status_code
    without = await api.post("/connector", json={**NEW, "uid": "other", "transformation": "const other = 1 + 1;"})
    assert [["body", "transformation"]] == [place for place, _, _ in faults(without)]


async def test_an_import_with_a_broken_script_changes_nothing(api: Api) -> None:
    types = [{"name": "a.b", "description": ""}]
    own = [NEW, {"name": "same", "transformation": SCRIPT}, {"name": "broken", "transformation": BROKEN}]

    refused = await api.post("/environment/import", json={"eventTypes": types, "connectors": own})

    [(place, message, _)] = faults(refused)
    assert (["body", "connectors", "[2]", "transformation"], True) == (place, "line 2" in message)
    exported = (await api.post("/environment/export")).json()
    assert ([], []) == (exported["eventTypes"], exported["connectors"])


async def test_an_endpoint_gets_the_script_of_a_connector(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app, uid="one")
    await api.made("/connector", NEW)
    assert 204 == (await api.get(_path(app, endpoint))).status_code

    used = await _use(api, app, "one", "mine", variables={"TOKEN": "t"})

    transformation = await api.read(_path(app, endpoint, "transformation"))
    assert (SCRIPT, True, {"TOKEN": "t"}) == tuple(transformation[name] for name in ("code", "enabled", "variables"))
    assert ("mine", 1, False) == (used["uid"], used["x"]["endpoint"]["version"], used["x"]["endpoint"]["isModified"])
    assert used == await api.read(_path(app, endpoint))


async def test_a_new_version_changes_no_endpoint_before_it_is_applied(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    await api.made("/connector", NEW)
    await _use(api, app, endpoint, "mine", variables={"TOKEN": "t"})
    await api.call("PATCH", "/connector/mine", json={"transformation": OTHER_SCRIPT})

    between = await api.read(_path(app, endpoint))
    assert (2, 1, False) == (
        between["x"]["version"],
        between["x"]["endpoint"]["version"],
        between["x"]["endpoint"]["isModified"],
    )
    assert SCRIPT == (await api.read(_path(app, endpoint, "transformation")))["code"]

    assert 2 == (await _use(api, app, endpoint, "mine"))["x"]["endpoint"]["version"]
    transformation = await api.read(_path(app, endpoint, "transformation"))
    assert (OTHER_SCRIPT, {"TOKEN": "t"}) == (transformation["code"], transformation["variables"])


@pytest.mark.parametrize("change", [{"code": OTHER_SCRIPT}, {"enabled": False}, {"code": None}])
async def test_a_change_of_the_script_of_the_endpoint_is_said(lite: Api, change: Json) -> None:
    app = await lite.app()
    endpoint = await lite.endpoint(app)
    await _use(lite, app, endpoint, "tidings.slack")

    await lite.call("PATCH", _path(app, endpoint, "transformation"), json=change)

    assert (await lite.read(_path(app, endpoint)))["x"]["endpoint"]["isModified"]


async def test_an_endpoint_keeps_the_script_of_a_deleted_connector(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    await api.made("/connector", NEW)
    await _use(api, app, endpoint, "mine")

    await api.call("DELETE", "/connector/mine")

    assert 204 == (await api.get(_path(app, endpoint))).status_code
    transformation = await api.read(_path(app, endpoint, "transformation"))
    assert (SCRIPT, True) == (transformation["code"], transformation["enabled"])


async def test_an_endpoint_subscribes_only_to_what_its_connector_allows(api: Api) -> None:
    app = await api.app()
    for name in ("a", "b"):
        await api.made("/event-type", {"name": name, "description": ""})
    await api.made("/connector", {**NEW, "allowedEventTypes": ["a"]})
    every, wrong, right = [await api.endpoint(app, eventTypes=types) for types in (None, ["a", "b"], ["a"])]

    for endpoint in (every, wrong):
        refused = await api.call("PUT", _path(app, endpoint), json={"connectorId": "mine"})
        assert [["body", "eventTypes"]] == [place for place, _, _ in faults(refused)]
        assert not (await api.read(_path(app, endpoint, "transformation")))["enabled"]
    await _use(api, app, right, "mine")


async def test_who_may_give_an_endpoint_which_connector(api: Api) -> None:
    app, other = await api.app(), await api.app()
    endpoint = await api.endpoint(app)
    await api.made("/connector", {**NEW, "featureFlags": ["beta"]})

    async def token(owner: str, flags: tuple[str, ...], *capabilities: str) -> str:
        body = {"featureFlags": list(flags) or ["none"], "capabilities": capabilities}
        return str((await api.made(f"/auth/app-portal-access/{owner}", body))["token"])

    async def status(caller: str, connector: str = "mine") -> int:
        answer = await api.call("PUT", _path(app, endpoint), json={"connectorId": connector}, token=caller)
        return answer.status_code

    rights = ("ViewBase", "ManageTransformations")
    assert 422 == await status(await token(app, (), *rights))
    assert 200 == await status(await token(app, (), *rights), "tidings.slack")
    assert 200 == await status(await token(app, ("beta",), *rights))
    assert 403 == await status(await token(app, ("beta",), "ViewBase", "ManageEndpoint"))
    assert 404 == await status(await token(other, ("beta",), *rights))
    assert 404 == await status(issue_org_token(SECRET, STRANGER, api.clock.now()))
    hidden = await api.get(_path(app, endpoint), token=await token(app, (), "ViewBase"))
    seen = await api.get(_path(app, endpoint), token=await token(app, ("beta",), "ViewBase"))
    assert (204, 200) == (hidden.status_code, seen.status_code)


@pytest.mark.parametrize("connector", ["absent", "", "tidings.absent", "trtmpl_" + "0" * 27, "\0", "x" * 3000])
async def test_an_unknown_connector_is_refused(lite: Api, connector: str) -> None:
    app = await lite.app()
    endpoint = await lite.endpoint(app)

    refused = await lite.call("PUT", _path(app, endpoint), json={"connectorId": connector})

    assert [["body", "connectorId"]] == [place for place, _, _ in faults(refused)]


async def test_a_connector_of_streams_is_for_no_endpoint(lite: Api) -> None:
    app = await lite.app()
    endpoint = await lite.endpoint(app)
    await lite.made("/connector", {**NEW, "productType": "Stream"})

    refused = await lite.call("PUT", _path(app, endpoint), json={"connectorId": "mine"})

    assert [["body", "connectorId"]] == [place for place, _, _ in faults(refused)]


async def test_an_endpoint_and_its_script_are_created_together_or_not_at_all(api: Api) -> None:
    app_id = await api.app()
    services = api.context.services
    async with api.db.read() as read:
        app = await apps.get(read, ORG, app_id)
    slack = await get_connector(services, Principal(ORG), "tidings.slack")
    draft = EndpointDraft(
        url="https://hooks.example.com/",
        description="",
        uid="one",
        version=1,
        disabled=False,
        event_types=None,
        channels=None,
        throttle_rate=1,
        metadata={},
        headers={},
        secret=None,
    )

    async def create() -> Response:
        return await endpoint_connectors.create(
            services, app, slack, draft, idempotency_key=None, render=lambda made: Response(201, made.id.encode())
        )

    made = (await create()).body.decode()
    assert "tidings.slack" == (await api.read(_path(app_id, made)))["uid"]
    assert (await api.read(_path(app_id, "one", "transformation")))["enabled"]
    with pytest.raises(AppError):
        await create()
    async with api.db.read() as read:
        assert 1 == len(await read.rows("SELECT * FROM endpoint_connector"))
