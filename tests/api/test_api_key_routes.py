# SPDX-License-Identifier: MIT
"""API keys over HTTP: an organization manages its own, an operator those of all."""

from typing import Any

import pytest

from api.kit import ORG, SECRET, Api, Json, faults
from tidings.clock import DAY, SECOND
from tidings.core import wiping
from tidings.core.access import issue_app_token, issue_org_token
from tidings.ids import MANAGEMENT_ORG, AppId, OrgId
from tidings.model.api_key import KeyScope

OTHER = OrgId("org_other")
KEYS = f"/management/authentication/{ORG}/api-token"


def _keys(org: str) -> str:
    return KEYS.replace(ORG, org)


async def _made(api: Api, **body: Any) -> Json:
    response = await api.post(KEYS, json={"name": "ci", **body})
    assert 200 == response.status_code, response.text
    found: Json = response.json()
    return found


async def test_a_key_is_shown_once_and_listed_without_its_secret_part(api: Api) -> None:
    made = await _made(api, name="billing")
    listed = await api.read(KEYS)
    one = await api.read(f"{KEYS}/{made['id']}")

    assert [one] == listed["data"]
    assert made["token"] not in str(listed)
    assert f"tidings_…{made['token'][-4:]}" == one["censoredToken"]
    assert ("billing", ["organization"], None) == (one["name"], one["scopes"], one["expiresAt"])
    assert {"orgId": ORG, "createdBy": ORG, "lastUsedAt": None, "revokedAt": None} == one["x"]
    assert 200 == (await api.get("/app", token=made["token"])).status_code
    async with api.db.read() as read:
        rows = await read.rows("SELECT * FROM api_key")
    assert made["token"] not in str([list(row) for row in rows])


async def test_the_scopes_and_the_expiry_are_those_of_the_request(api: Api) -> None:
    app = await api.app(uid="mine")
    made = await _made(api, scopes=["application:mine", "read-only"], expiry=60)

    assert [f"application:{app}", "read-only"] == made["scopes"]
    assert 200 == (await api.get("/app/mine", token=made["token"])).status_code
    assert 403 == (await api.post("/app/mine/endpoint", token=made["token"], json={"url": "http://a"})).status_code
    api.clock.advance(60 * SECOND)
    assert 401 == (await api.get("/app/mine", token=made["token"])).status_code


async def test_a_page_continues_where_the_last_one_ended(api: Api) -> None:
    made = []
    for number in range(3):
        api.clock.advance(4)
        made.append((await _made(api, name=f"key {number}"))["id"])

    first = await api.read(KEYS, limit=2)
    second = await api.read(KEYS, limit=2, iterator=first["iterator"])

    assert made[::-1] == [each["id"] for each in (*first["data"], *second["data"])]
    assert (False, True) == (first["done"], second["done"])
    assert made == [each["id"] for each in (await api.read(KEYS, order="ascending"))["data"]]


async def test_a_revoked_key_stays_in_the_list(api: Api) -> None:
    made = await _made(api)
    assert 200 == (await api.get("/app", token=made["token"])).status_code

    assert 204 == (await api.post(f"{KEYS}/{made['id']}/expire", json={})).status_code

    assert 401 == (await api.get("/app", token=made["token"])).status_code
    assert (await api.read(f"{KEYS}/{made['id']}"))["x"]["revokedAt"] is not None
    assert 204 == (await api.post(f"{KEYS}/{made['id']}/expire", json={"expiry": 60})).status_code
    assert 401 == (await api.get("/app", token=made["token"])).status_code


async def test_a_change_of_scopes_applies_at_once(api: Api) -> None:
    made = await _made(api)
    assert 201 == (await api.post("/app", token=made["token"], json={"name": "a"})).status_code

    changed = await api.call("PATCH", f"{KEYS}/{made['id']}", json={"scopes": ["read-only"]})

    assert ["organization", "read-only"] == changed.json()["scopes"]
    assert 403 == (await api.post("/app", token=made["token"], json={"name": "a"})).status_code
    renamed = await api.call("PUT", f"{KEYS}/{made['id']}", json={"name": "new"})
    assert ("new", ["organization", "read-only"]) == (renamed.json()["name"], renamed.json()["scopes"])
    assert "x" == (await api.call("PATCH", f"{KEYS}/{made['id']}", json={"name": "x"})).json()["name"]


async def test_a_repeated_request_does_not_show_the_key_again(api: Api) -> None:
    headers = {"idempotency-key": "once"}
    first = await api.post(KEYS, json={"name": "ci"}, headers=headers)
    second = await api.post(KEYS, json={"name": "ci"}, headers=headers)

    assert (200, 409) == (first.status_code, second.status_code)
    assert 1 == len((await api.read(KEYS))["data"])
    async with api.db.read() as read:
        rows = await read.rows("SELECT * FROM idempotency_record")
    assert first.json()["token"] not in str([list(row) for row in rows])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "a" * 257},
        {"name": "a\nb"},
        {"name": "\x1b[2J"},
        {"name": 7},
        {"name": "a", "scopes": []},
        {"name": "a", "scopes": ["everything"]},
        {"name": "a", "scopes": ["read-only", "read-only"]},
        {"name": "a", "scopes": ["organization", "application:x"]},
        {"name": "a", "scopes": ["application:"]},
        {"name": "a", "scopes": ["application:a b"]},
        {"name": "a", "scopes": ["operator"]},
        {"name": "a", "expiry": 0},
        {"name": "a", "expiry": 10**12},
        {"name": "a", "expiry": -1},
    ],
)
async def test_input_that_breaks_a_rule_creates_no_key(lite: Api, body: Json) -> None:
    assert faults(await lite.post(KEYS, json=body))
    assert [] == (await lite.read(KEYS))["data"]


async def test_an_application_that_does_not_exist_gets_no_key(lite: Api) -> None:
    assert 404 == (await lite.post(KEYS, json={"name": "a", "scopes": ["application:absent"]})).status_code


async def test_an_organization_never_reaches_the_keys_of_another(api: Api) -> None:
    made = await _made(api)
    other = issue_org_token(SECRET, OTHER, api.clock.now())
    own = _keys(OTHER)

    for path in (KEYS, f"{KEYS}/{made['id']}", f"{own}/{made['id']}"):
        assert 404 == (await api.get(path, token=other)).status_code
    for path in (f"{KEYS}/{made['id']}/expire", f"{own}/{made['id']}/expire"):
        assert 404 == (await api.post(path, token=other, json={})).status_code
    assert 404 == (await api.call("PATCH", f"{own}/{made['id']}", token=other, json={"name": "b"})).status_code
    assert 404 == (await api.post(KEYS, token=other, json={"name": "b"})).status_code
    assert [] == (await api.get(own, token=other)).json()["data"]
    assert 200 == (await api.get("/app", token=made["token"])).status_code


async def test_an_application_cannot_manage_keys(lite: Api) -> None:
    app = await lite.app()
    tokens = [
        issue_app_token(SECRET, ORG, AppId(app), lite.clock.now()),
        (await lite.key(KeyScope.APPLICATION, app=app)).text,
        (await lite.key(read_only=True)).text,
    ]
    for token in tokens:
        assert 403 == (await lite.post(KEYS, token=token, json={"name": "a"})).status_code
    assert [403, 403, 200] == [(await lite.get(KEYS, token=token)).status_code for token in tokens]


async def test_an_operator_manages_the_keys_of_all_organizations(api: Api) -> None:
    operator = await api.key(KeyScope.OPERATOR)
    mine = await _made(api)
    theirs = (await api.post(_keys(OTHER), token=operator.text, json={"name": "a"})).json()

    everything = (await api.get(_keys(MANAGEMENT_ORG), token=operator.text)).json()["data"]
    assert {operator.key.id, mine["id"], theirs["id"]} == {each["id"] for each in everything}
    only = (await api.get(_keys(OTHER), token=operator.text)).json()["data"]
    assert [(theirs["id"], operator.key.id)] == [(each["id"], each["x"]["createdBy"]) for each in only]
    path = f"{_keys(MANAGEMENT_ORG)}/{mine['id']}/expire"
    assert 204 == (await api.post(path, token=operator.text, json={})).status_code
    assert 401 == (await api.get("/app", token=mine["token"])).status_code


async def test_only_the_command_line_creates_keys_of_operators(lite: Api) -> None:
    operator = await lite.key(KeyScope.OPERATOR)
    management = issue_org_token(SECRET, MANAGEMENT_ORG, lite.clock.now())
    body = {"name": "a", "scopes": ["operator"]}

    assert 422 == (await lite.post(_keys(MANAGEMENT_ORG), token=operator.text, json=body)).status_code
    assert 422 == (await lite.post(KEYS, json=body)).status_code
    for method, path in (("GET", ""), ("POST", ""), ("POST", f"/{operator.key.id}/expire")):
        response = await lite.call(method, _keys(MANAGEMENT_ORG) + path, token=management, json={"name": "a"})
        assert 403 == response.status_code
    path = f"{_keys(MANAGEMENT_ORG)}/{operator.key.id}"
    changed = await lite.call("PATCH", path, token=operator.text, json={"scopes": ["organization"]})
    assert 422 == changed.status_code


async def test_wiping_an_organization_deletes_its_keys(api: Api) -> None:
    made = await _made(api)
    await wiping.wipe(api.db, ORG, chunk=100)
    api.clock.advance(DAY)
    api.keyring.drop(made["id"])

    assert "The API key does not exist." == (await api.get("/app", token=made["token"])).json()["detail"]
