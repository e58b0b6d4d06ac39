# SPDX-License-Identifier: MIT
"""Transformations of endpoints over HTTP: what is stored, what is refused, and what a simulation returns."""

from dataclasses import replace

import pytest

from api.kit import ORG, Api, Json
from tidings.core import lookup, transformations
from tidings.core.transformations import Transformation
from tidings.errors import AppError
from tidings.model.encryption import Encryption
from tidings.sandbox import pool

CODE = "function handler(webhook) { webhook.method = 'PUT'; return webhook }"


async def _path(api: Api, **more: object) -> str:
    app = await api.app()
    return f"/app/{app}/endpoint/{await api.endpoint(app, **more)}/transformation"


async def _patch(api: Api, path: str, body: Json) -> None:
    response = await api.call("PATCH", path, json=body)
    assert (204, b"") == (response.status_code, response.content), response.text


async def test_an_endpoint_has_no_transformation_at_first(api: Api) -> None:
    nothing = {"code": None, "enabled": False, "variables": None, "updatedAt": None}
    assert nothing == await api.read(await _path(api))


async def test_a_patch_changes_what_it_names(api: Api) -> None:
    path = await _path(api)
    await _patch(api, path, {"code": CODE, "enabled": True, "variables": {"TOKEN": "é"}})
    found = await api.read(path)
    assert (CODE, True, {"TOKEN": "é"}) == (found["code"], found["enabled"], found["variables"])
    assert found["updatedAt"] is not None
    await _patch(api, path, {"enabled": False})
    await _patch(api, path, {"variables": None})
    found = await api.read(path)
    assert (CODE, False, None) == (found["code"], found["enabled"], found["variables"])
    await _patch(api, path, {"enabled": True})
    await _patch(api, path, {"code": None})
    found = await api.read(path)
    assert (None, False) == (found["code"], found["enabled"])


async def test_a_script_that_does_not_compile_is_refused_with_its_place(api: Api) -> None:
    path = await _path(api)
    response = await api.call("PATCH", path, json={"code": "function handler(webhook) {\n  let x = ;\n}"})
    assert 422 == response.status_code
    [fault] = response.json()["detail"]
    assert ["body", "code"] == fault["loc"]
    assert fault["msg"].endswith("(line 2, column 11)")
    assert (await api.read(path))["code"] is None


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"code": "short"}, "code"),
        ({"code": "x" * 51_201}, "code"),
        ({"code": "let x = '\0';"}, "code"),
        ({"code": "let handlers = 1;"}, "code"),
        ({"code": 7}, "code"),
        ({"enabled": True}, "enabled"),
        ({"code": None, "enabled": True}, "enabled"),
        ({"enabled": "yes"}, "enabled"),
        ({"variables": {"a": 1}}, "variables"),
        ({"variables": {str(number): "" for number in range(65)}}, "variables"),
        ({"variables": {"a": "x" * 16_384}}, "variables"),
    ],
)
async def test_invalid_bodies_are_refused(lite: Api, body: Json, loc: str) -> None:
    path = await _path(lite)
    response = await lite.call("PATCH", path, json=body)
    assert 422 == response.status_code, response.text
    assert {loc} == {fault["loc"][1] for fault in response.json()["detail"]}
    assert (await lite.read(path))["updatedAt"] is None


async def test_without_the_extra_enabling_is_refused_and_storing_is_not(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await _path(api)
    monkeypatch.setattr(transformations, "is_installed", lambda: False)
    await _patch(api, path, {"code": CODE})
    response = await api.call("PATCH", path, json={"enabled": True})
    assert 422 == response.status_code
    assert pool.MISSING == response.json()["detail"][0]["msg"]
    assert not (await api.read(path))["enabled"]


async def test_another_application_does_not_find_it(api: Api) -> None:
    path = await _path(api)
    other = await api.app()
    foreign = f"/app/{other}/endpoint/{path.split('/')[4]}/transformation"
    assert 404 == (await api.call("GET", foreign)).status_code
    assert 404 == (await api.call("PATCH", foreign, json={"code": CODE})).status_code
    body = {"code": CODE, "eventType": "a.b", "payload": {}}
    assert 404 == (await api.call("POST", f"{foreign}/simulate", json=body)).status_code


async def test_a_simulation_returns_the_request_and_stores_nothing(api: Api) -> None:
    path = await _path(api, url="https://example.com/hook")
    code = """function handler(webhook) {
      webhook.headers["x-channels"] = webhook.channels.join();
      webhook.payload = { text: webhook.eventType + webhook.payload.id + webhook.env.A };
      return webhook;
    }"""
    body = {"code": code, "eventType": "a.b", "payload": {"id": 7}, "channels": ["eu"], "variables": {"A": "é"}}
    assert {
        "url": "https://example.com/hook",
        "method": "POST",
        "payload": '{"text":"a.b7é"}',
        "cancel": False,
        "x": {"headers": {"x-channels": "eu"}},
    } == (await api.call("POST", f"{path}/simulate", json=body)).json()
    assert (await api.read(path))["code"] is None


async def test_a_simulation_uses_the_variables_of_the_endpoint_by_default(api: Api) -> None:
    path = await _path(api)
    await _patch(api, path, {"variables": {"A": "stored"}})
    code = "function handler(webhook) { webhook.payload = webhook.env; return webhook }"
    body = {"code": code, "eventType": "a.b", "payload": {}}
    assert '{"A":"stored"}' == (await api.call("POST", f"{path}/simulate", json=body)).json()["payload"]
    assert "{}" == (await api.call("POST", f"{path}/simulate", json={**body, "variables": {}})).json()["payload"]


@pytest.mark.parametrize(
    ("more", "loc", "text"),
    [
        ({"code": "function handler(w) {\n  return w.a.b\n}"}, "code", "(line 2, column 10)"),
        ({"code": "function handler(w) { for (;;); }"}, "code", "ms"),
        ({"code": "const handler = (w) => ({ ...w, url: 'x' })"}, "code", "url: invalid URL"),
        ({"payload": []}, "payload", ""),
        ({"eventType": "not a name"}, "eventType", ""),
        ({"channels": ["not a name"]}, "channels", ""),
        ({"channels": [f"c{number}" for number in range(11)]}, "channels", "10"),
        ({"variables": {"a": "x" * 16_384}}, "variables", "16384"),
    ],
)
async def test_a_simulation_that_fails_is_an_error(lite: Api, more: Json, loc: str, text: str) -> None:
    body = {"code": CODE, "eventType": "a.b", "payload": {}, **more}
    response = await lite.call("POST", f"{await _path(lite)}/simulate", json=body)
    assert 422 == response.status_code, response.text
    [fault] = response.json()["detail"][:1]
    assert loc == fault["loc"][1]
    assert text in fault["msg"]


async def test_enabling_is_refused_while_a_node_of_an_older_release_runs(api: Api) -> None:
    path = await _path(api)
    async with api.db.write() as tx:
        await tx.run("INSERT INTO node (id, worker, release) VALUES (7, 'old-host:1:7', '0.1.0')")
    await _patch(api, path, {"code": CODE})
    response = await api.call("PATCH", path, json={"enabled": True})
    assert (409, "older_release") == (response.status_code, response.json()["code"])
    assert "the node old-host:1:7 runs 0.1.0" in response.json()["detail"]
    assert not (await api.read(path))["enabled"]


async def test_variables_are_encrypted_under_a_main_secret(api: Api) -> None:
    encryption = Encryption("0123456789abcdef0123456789abcdef")
    services = replace(api.context.services, encryption=encryption)
    [app] = await lookup.search_apps(services, ORG, await api.app())
    endpoint = await api.endpoint(app.id)
    secret = Transformation(variables={"TOKEN": "s3cret"})
    await transformations.change(services, app, endpoint, lambda _: secret)
    async with api.db.read() as read:
        stored = str((await read.one("SELECT variables FROM transformation"))[0])
    assert "s3cret" not in stored
    assert {"TOKEN": "s3cret"} == (await transformations.get(services, app, endpoint)).variables
    with pytest.raises(AppError, match="main_secret"):
        await transformations.get(api.context.services, app, endpoint)
