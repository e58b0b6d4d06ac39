# SPDX-License-Identifier: MIT
"""Every public operation of the contract is either served or refused by name."""

import json
import re
from pathlib import Path

import pytest

import docs
from api.kit import SECRET, Api, Json
from tidings.api.openapi import document
from tidings.api.routes import PREFIX
from tidings.api.unserved import OF_SDKS, UNSERVED, Unserved
from tidings.core.access import issue_org_token
from tidings.ids import OrgId
from tidings.table import TABLE

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
EVERY = (*UNSERVED, *OF_SDKS)
EACH = pytest.mark.parametrize("unserved", EVERY, ids=lambda unserved: unserved.operation)


def _plain(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def _url(unserved: Unserved) -> str:
    return unserved.path.replace("{", "a-").replace("}", "")


def _refusal(unserved: Unserved, request_id: str) -> Json:
    detail = f"The operation {unserved.operation} is not implemented. {unserved.reason} Request id: {request_id}"
    return {"code": "not_implemented", "detail": detail}


def test_no_operation_is_both_served_and_refused() -> None:
    served = {(route.method, _plain(PREFIX + route.path)) for route in TABLE}

    assert set() == {each.operation for each in EVERY} & {route.operation for route in TABLE}
    assert set() == {(each.method, _plain(each.path)) for each in EVERY} & served
    assert len(EVERY) == len({each.operation for each in EVERY})


def test_every_public_operation_of_the_contract_is_served_or_refused(shared_dir: Path) -> None:
    contract = json.loads((shared_dir / "contract" / "svix-openapi.json").read_text())
    expected = {
        (method.upper(), _plain(path), operation["operationId"])
        for path, methods in contract["paths"].items()
        for method, operation in methods.items()
        if not operation.get("x-internal")
    }
    refused = {(each.method, _plain(each.path), each.operation) for each in UNSERVED}

    assert expected <= refused | {(route.method, _plain(PREFIX + route.path), route.operation) for route in TABLE}
    assert refused <= expected


def test_the_page_lists_every_public_operation(shared_dir: Path) -> None:
    svix = json.loads((shared_dir / "contract" / "svix-openapi.json").read_text())
    operations = [each for methods in svix["paths"].values() for each in methods.values()]
    expected = sorted(each["operationId"] for each in operations if not each.get("x-internal"))
    internal = {each["operationId"] for each in operations} - set(expected)

    public = {operation for operation, _, _, _ in docs.public()}
    assert set() == public - set(expected), "add operations that the contract does not have to OWN in scripts/docs.py"
    assert expected == sorted(operation for operation, _, _, _ in docs.public())
    assert set(docs.INTERNAL) <= internal
    assert {(operation, route) for operation, route, _, _ in docs.internal()} == {
        (operation["operationId"], f"{method.upper()} {path}")
        for path, methods in svix["paths"].items()
        for method, operation in methods.items()
        if operation.get("x-internal")
    }
    assert set() == set(docs.OWN) & (internal | set(expected))


def test_the_other_operations_of_sdks_are_internal_or_not_in_the_contract(shared_dir: Path) -> None:
    contract = json.loads((shared_dir / "contract" / "svix-openapi.json").read_text())
    theirs = {
        (method.upper(), _plain(path)): operation
        for path, methods in contract["paths"].items()
        for method, operation in methods.items()
    }

    for each in OF_SDKS:
        operation = theirs.get((each.method, _plain(each.path)))
        assert operation is None or (each.operation, True) == (operation["operationId"], operation["x-internal"])


@EACH
async def test_an_unserved_operation_is_refused_by_its_name(lite: Api, unserved: Unserved) -> None:
    headers = {"authorization": f"Bearer {lite.token}"}
    for path in (_url(unserved), f"{_url(unserved)}/"):
        response = await lite.client.request(unserved.method, path, headers=headers, content=b"nonsense")
        expected = _refusal(unserved, response.headers["x-request-id"])
        assert (501, expected) == (response.status_code, response.json())

    unknown = await lite.client.request(unserved.method, _url(unserved))
    assert (401, "authentication_failed") == (unknown.status_code, unknown.json()["code"])


@EACH
async def test_another_method_at_its_path_is_not_allowed(lite: Api, unserved: Unserved) -> None:
    known = {each.method for each in EVERY if _plain(each.path) == _plain(unserved.path)}
    headers = {"authorization": f"Bearer {lite.token}"}

    for method in METHODS - known:
        response = await lite.client.request(method, _url(unserved), headers=headers)
        assert (405, "method_not_allowed") == (response.status_code, response.json()["code"])
        assert known == set(response.headers["allow"].split(", ")) - {"HEAD"}


@pytest.mark.parametrize("path", ["/ingest", "/ingest/api/v1", "/ingest/api/v1/app", "/api/v1/connectors"])
async def test_a_path_outside_the_contract_is_not_found(lite: Api, path: str) -> None:
    response = await lite.client.get(path, headers={"authorization": f"Bearer {lite.token}"})

    assert (404, "not_found") == (response.status_code, response.json()["code"])


async def test_every_kind_of_token_gets_the_same_refusal(lite: Api) -> None:
    app = await lite.app(uid="mine")
    portal = (await lite.post(f"/auth/app-portal-access/{app}", json={"readOnly": True})).json()["token"]
    stranger = issue_org_token(SECRET, OrgId("org_other"), lite.clock.now())

    for token in (portal, stranger, lite.token):
        response = await lite.get("/app/mine/poller/any", token=token)
        assert (501, "not_implemented") == (response.status_code, response.json()["code"])
    await lite.post("/auth/logout", token=portal)
    assert 401 == (await lite.get("/app/mine/poller/any", token=portal)).status_code


def test_the_document_has_only_served_operations() -> None:
    ours: Json = document(TABLE)
    operations = {each["operationId"] for methods in ours["paths"].values() for each in methods.values()}

    assert operations == {route.operation for route in TABLE}
