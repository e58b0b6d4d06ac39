# SPDX-License-Identifier: MIT
"""Updates and deletion of endpoints."""

import json
from typing import Any

import pytest

from api.kit import ORG, Api, Json, faults
from tidings.core.routing import RoutingCache
from tidings.model.routing import Routing

FULL: Json = {
    "url": "http://example.com/in",
    "description": "d",
    "uid": "one",
    "version": 2,
    "disabled": False,
    "channels": ["a"],
    "throttleRate": 5,
    "metadata": {"k": "v"},
}


async def _call(api: Api, method: str, path: str, body: Json | None = None) -> tuple[int, Any]:
    api.clock.advance(10)
    response = await api.call(method, path, json=body)
    return response.status_code, response.json() if response.content else None


async def _events(api: Api) -> list[tuple[str, Json]]:
    async with api.db.read() as read:
        rows = await read.rows("SELECT payload FROM operational_event WHERE org_id = :org ORDER BY id", org=ORG)
    events = [json.loads(row["payload"]) for row in rows]
    return [(event["type"], event["data"]) for event in events]


async def _routing(api: Api, app: str) -> Routing:
    found = await RoutingCache(api.db).load(ORG, app)
    assert found is not None
    return found


async def test_a_put_replaces_everything_except_secret_and_headers(api: Api) -> None:
    app = await api.app()
    made = await api.made(f"/app/{app}/endpoint", {**FULL, "headers": {"X-Mine": "1"}})
    path = f"/app/{app}/endpoint/{made['id']}"
    secret = await api.read(f"{path}/secret")

    status, put = await _call(api, "PUT", path, {"url": "https://Example.org", "secret": "whsec_" + "f" * 32})

    assert 200 == status
    assert put == await api.read(path)
    expected = {"url": "https://example.org/", "description": "", "version": 1, "disabled": False, "metadata": {}}
    assert expected.items() <= put.items()
    assert [None] * 6 == [put[n] for n in ("uid", "eventTypes", "filterTypes", "channels", "throttleRate", "rateLimit")]
    assert secret == await api.read(f"{path}/secret")
    assert {"X-Mine": "1"} == (await api.read(f"{path}/headers"))["headers"]
    assert made["createdAt"] == put["createdAt"] < put["updatedAt"]


async def test_a_put_creates_an_absent_endpoint(api: Api) -> None:
    app = await api.app()

    status, made = await _call(api, "PUT", f"/app/{app}/endpoint/unknown", FULL)

    assert 201 == status
    assert made == await api.read(f"/app/{app}/endpoint/one")
    assert (await api.read(f"/app/{app}/endpoint/one/secret"))["key"].startswith("whsec_")
    assert 404 == (await api.get(f"/app/{app}/endpoint/unknown")).status_code


async def test_an_endpoint_belongs_to_one_application(api: Api) -> None:
    app, other = await api.app(), await api.app()
    endpoint = await api.endpoint(app, uid="one")

    for ref in (endpoint, "one"):
        path = f"/app/{other}/endpoint/{ref}"
        assert [404] * 4 == [
            (await _call(api, method, path + more, body))[0]
            for method, more, body in (
                ("PATCH", "", {}),
                ("DELETE", "", None),
                ("GET", "/headers", None),
                ("POST", "/secret/rotate", {}),
            )
        ]
    status, made = await _call(api, "PUT", f"/app/{other}/endpoint/{endpoint}", FULL)
    assert 201 == status
    assert endpoint != made["id"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_uid_that_is_taken_is_a_conflict(api: Api, method: str) -> None:
    app = await api.app()
    await api.endpoint(app, uid="taken")
    mine = "" if method == "POST" else f"/{await api.endpoint(app)}"

    assert 409 == (await _call(api, method, f"/app/{app}/endpoint{mine}", {"url": "http://a", "uid": "taken"}))[0]


PATCHES: list[tuple[Json, Json]] = [
    ({"url": "https://Other.example"}, {"url": "https://other.example/"}),
    ({"description": "e"}, {"description": "e"}),
    ({"version": 3}, {"version": 3}),
    ({"disabled": True}, {"disabled": True}),
    ({"disabled": False}, {"disabled": False}),
    ({"uid": "two"}, {"uid": "two"}),
    ({"uid": None}, {"uid": None}),
    ({"throttleRate": 7}, {"throttleRate": 7, "rateLimit": 7}),
    ({"rateLimit": 8}, {"throttleRate": 8, "rateLimit": 8}),
    ({"throttleRate": None}, {"throttleRate": None, "rateLimit": None}),
    ({"channels": ["b", "c", "b"]}, {"channels": ["b", "c"]}),
    ({"channels": None}, {"channels": None}),
    ({"eventTypes": ["x"]}, {"eventTypes": ["x"], "filterTypes": ["x"]}),
    ({"eventTypes": None}, {"eventTypes": None, "filterTypes": None}),
    ({"filterTypes": ["x"]}, {"eventTypes": ["x"], "filterTypes": ["x"]}),
    ({"metadata": {"x": "y"}}, {"metadata": {"x": "y"}}),
    ({"metadata": None}, {"metadata": {}}),
    ({}, {}),
]


async def test_a_patch_keeps_the_members_that_it_omits(api: Api) -> None:
    app = await api.app()
    await api.made("/event-type", {"name": "x", "description": ""})
    made = await api.made(f"/app/{app}/endpoint", FULL)
    path = f"/app/{app}/endpoint/{made['id']}"

    seen = {name: value for name, value in made.items() if name != "x"}
    for patch, change in PATCHES:
        status, patched = await _call(api, "PATCH", path, patch)
        assert 200 == status, patched
        assert patched == await api.read(path)
        del patched["x"]
        seen |= {**change, "updatedAt": patched["updatedAt"]}
        assert seen == patched, patch


@pytest.mark.parametrize(
    ("method", "body", "place", "words"),
    [
        ("PUT", {"url": "ftp://a"}, ["body", "url"], "Endpoint URL schemes must be http or https"),
        ("PATCH", {"url": "ftp://a"}, ["body", "url"], "Endpoint URL schemes must be http or https"),
        ("PUT", {"url": "http://a", "version": 0}, ["body", "version"], "Endpoint versions must be at least one if"),
        ("PATCH", {"version": 0}, ["body", "version"], "Endpoint versions must be at least one"),
        ("PUT", {"url": "http://a", "rateLimit": 0}, ["body", "rateLimit"], "Endpoint rate limits must be at least on"),
        ("PATCH", {"throttleRate": 0}, ["body", "throttleRate"], "Endpoint rate limits must be at least 1 if set"),
        ("PATCH", {"eventTypes": []}, ["body", "eventTypes"], "eventTypes can't be empty"),
        ("PATCH", {"eventTypes": ["a", "b"]}, ["body", "eventTypes"], "The following event types don't exist: a, b"),
        ("PUT", {"url": "http://a", "eventTypes": ["a"]}, ["body", "eventTypes"], "The following event types don't ex"),
        ("PATCH", {"channels": []}, ["body", "channels"], "Channels must have at least 1 and at most 10 items"),
        ("PATCH", {"uid": "ep_x"}, ["body", "uid", "__all__"], "Uids are not allowed"),
        ("PATCH", {"description": None}, ["body", "description"], "Expected `str`"),
        ("PATCH", {"disabled": None}, ["body", "disabled"], "Expected `bool`"),
        ("PATCH", {"description": "\0"}, ["body", "description"], "Control characters"),
    ],
)
async def test_input_that_breaks_a_rule_is_reported(
    lite: Api, method: str, body: Json, place: list[str], words: str
) -> None:
    app = await lite.app()
    path = f"/app/{app}/endpoint/{await lite.endpoint(app)}"
    before = await lite.read(path)

    ((loc, msg, _),) = faults(await lite.call(method, path, json=body))

    assert place == loc
    assert msg.startswith(words)
    assert before == await lite.read(path)


async def test_plain_http_is_refused_everywhere_with_https_only(lite: Api) -> None:
    app = await lite.app()
    endpoint = await lite.endpoint(app)
    object.__setattr__(lite.context, "https_only", True)

    for method, path in (("POST", ""), ("PUT", f"/{endpoint}"), ("PATCH", f"/{endpoint}"), ("PUT", "/unknown")):
        response = await lite.call(method, f"/app/{app}/endpoint{path}", json={"url": "http://a"})
        ((loc, msg, _),) = faults(response)
        assert (["body", "url"], "Endpoint URL schemes must be https when endpoint_https_only is set.") == (loc, msg)
    assert 200 == (await _call(lite, "PATCH", f"/app/{app}/endpoint/{endpoint}", {"description": "d"}))[0]


async def test_archiving_an_event_type_changes_no_endpoint(api: Api) -> None:
    app = await api.app()
    await api.made("/event-type", {"name": "x", "description": ""})
    path = f"/app/{app}/endpoint/{await api.endpoint(app, eventTypes=['x'])}"
    await api.call("DELETE", "/event-type/x")

    status, patched = await _call(api, "PATCH", path, {"description": "e"})

    assert (200, ["x"]) == (status, patched["eventTypes"])
    assert 422 == (await _call(api, "PATCH", path, {"eventTypes": ["x"]}))[0]


async def test_a_deleted_endpoint_is_not_found_and_its_uid_is_free(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app, uid="one")
    woken: list[str] = []
    api.context.services.notifier.endpoints = woken.extend

    response = await api.call("DELETE", f"/app/{app}/endpoint/one")

    assert (204, b"") == (response.status_code, response.content)
    for path in (endpoint, "one", f"{endpoint}/secret", f"{endpoint}/headers", f"{endpoint}/stats"):
        assert 404 == (await api.get(f"/app/{app}/endpoint/{path}")).status_code
    assert 404 == (await api.call("DELETE", f"/app/{app}/endpoint/{endpoint}")).status_code
    assert [] == (await api.read(f"/app/{app}/endpoint"))["data"]
    assert () == (await _routing(api, app)).receivers
    assert [endpoint] == woken
    assert endpoint != await api.endpoint(app, uid="one")


async def test_every_write_increments_the_routing_version(api: Api) -> None:
    app = await api.app()
    endpoint = f"/app/{app}/endpoint/{await api.endpoint(app)}"
    versions = [(await _routing(api, app)).version]

    for method, path, body in (
        ("PUT", endpoint, {"url": "http://b"}),
        ("PATCH", endpoint, {"description": "d"}),
        ("PUT", f"{endpoint}/headers", {"headers": {}}),
        ("PATCH", f"{endpoint}/headers", {"headers": {}}),
        ("POST", f"{endpoint}/secret/rotate", {}),
        ("PATCH", f"/app/{app}", {"name": "b"}),
        ("PUT", f"/app/{app}", {"name": "c"}),
        ("DELETE", endpoint, None),
    ):
        assert (await _call(api, method, path, body))[0] in (200, 204)
        versions.append((await _routing(api, app)).version)

    assert list(range(versions[0], versions[0] + 9)) == versions


async def test_the_organization_is_notified_of_each_change_once(api: Api) -> None:
    app = await api.app(uid="acme")
    endpoint = await api.endpoint(app, uid="one")
    path = f"/app/{app}/endpoint/{endpoint}"

    await _call(api, "PATCH", path, {"disabled": True})
    await _call(api, "PUT", path, {"url": "http://b", "uid": "two"})
    await _call(api, "POST", f"{path}/secret/rotate", {})
    await _call(api, "PATCH", path, {"eventTypes": ["unknown"]})
    await _call(api, "DELETE", path)

    about = {"appId": app, "appUid": "acme", "endpointId": endpoint, "endpointUid": "one"}
    renamed = {**about, "endpointUid": "two"}
    # Events of one timestamp have no defined order.
    assert [
        ("endpoint.created", about),
        ("endpoint.deleted", renamed),
        ("endpoint.disabled", {**about, "failSince": None, "trigger": "manual"}),
        ("endpoint.enabled", renamed),
        ("endpoint.updated", about),
        ("endpoint.updated", renamed),
        ("endpoint.updated", renamed),
    ] == sorted(await _events(api), key=repr)


async def test_enabling_clears_the_failure_record(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app, disabled=True)
    async with api.db.write() as tx:
        await tx.run("UPDATE endpoint SET failing_since = 1, disabled_reason = 'failing' WHERE id = :id", id=endpoint)

    _, patched = await _call(api, "PATCH", f"/app/{app}/endpoint/{endpoint}", {"disabled": False})

    assert ("healthy", None) == (patched["x"]["health"]["status"], patched["x"]["health"]["failingSince"])
    assert patched == await api.read(f"/app/{app}/endpoint/{endpoint}")


async def test_only_changes_that_affect_sends_discard_pending_deliveries(lite: Api) -> None:
    app = await lite.app()
    endpoint = await lite.endpoint(app)
    path = f"/app/{app}/endpoint/{endpoint}"
    woken: list[str] = []
    lite.context.services.notifier.endpoints = woken.extend

    for method, more, body in (("PATCH", "", {"description": "d"}), ("PATCH", "", {"metadata": {"a": "b"}})):
        await _call(lite, method, path + more, body)
    assert [] == woken
    changes: list[tuple[str, str, Json | None]] = [
        ("PATCH", "", {"url": "http://b"}),
        ("PATCH", "", {"disabled": True}),
        ("PUT", "/headers", {"headers": {"a": "b"}}),
        ("POST", "/secret/rotate", {}),
        ("DELETE", "", None),
    ]
    for method, more, change in changes:
        await _call(lite, method, path + more, change)
    assert [endpoint] * 5 == woken
