# SPDX-License-Identifier: MIT
"""Integrations: their life, and what their keys reach, on both databases."""

import asyncio
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api.kit import ORG, SECRET, Api, Json, faults
from api.task_kit import stored
from api.test_task_stream import reading
from tidings.clock import DAY, MINUTE
from tidings.core import api_keys, integrations, wiping
from tidings.core.access import issue_app_token, issue_org_token
from tidings.core.keyring import Keyring
from tidings.core.signer import Signer
from tidings.core.tuning import CoreTuning
from tidings.errors import AppError
from tidings.ids import AppId, OrgId
from tidings.model.api_key import KeyScope
from tidings.model.task import State
from tidings.storage.tables import apps

OTHER = OrgId("org_other")
UNKNOWN = (401, "The API key does not exist.")
REVOKED = (401, "The API key was revoked.")
MISSING = (404, "not_found")


async def _made(api: Api, app: str, **body: Any) -> Json:
    return await api.made(f"/app/{app}/integration", {"name": "Zapier", **body})


async def _rotated(api: Api, app: str, integration: str, **more: Any) -> str:
    response = await api.post(f"/app/{app}/integration/{integration}/key/rotate", **more)
    assert 200 == response.status_code, response.text
    return str(response.json()["key"])


async def _with_key(api: Api, app: str, **body: Any) -> tuple[str, str]:
    made = await _made(api, app, **body)
    return made["id"], await _rotated(api, app, made["id"])


async def _answer(api: Api, token: str, path: str) -> tuple[int, str]:
    response = await api.get(path, token=token)
    return response.status_code, response.json().get("detail", "")


async def _stored_keys(api: Api) -> list[Json]:
    async with api.db.read() as read:
        rows = await read.rows("SELECT id, hash, expires_at, integration_id FROM api_key ORDER BY id")
    return [dict(zip(("id", "hash", "expires_at", "integration_id"), tuple(row), strict=True)) for row in rows]


# ----------------------------------------------------------------------------------------------------------------------
# The life of an integration


async def test_an_integration_is_created_changed_listed_and_deleted(api: Api) -> None:
    app = await api.app(uid="mine")
    made = await _made(api, "mine", featureFlags=["beta", "alpha", "beta"])
    assert made["id"].startswith("integ_")
    assert ("Zapier", ["beta", "alpha"]) == (made["name"], made["featureFlags"])
    second = await _made(api, app)
    path = f"/app/{app}/integration"
    assert [made, second] == (await api.read(path))["data"]
    assert [second, made] == (await api.read(path, order="descending"))["data"]
    first_page = await api.read(path, limit=1)
    assert ([made], False) == (first_page["data"], first_page["done"])
    assert [second] == (await api.read(path, limit=1, iterator=first_page["iterator"]))["data"]

    api.clock.advance(MINUTE)
    changed = await api.call("PUT", f"{path}/{made['id']}", json={"name": "Make"})

    # Without feature flags the member is absent: the contract has no empty list.
    left = {name: value for name, value in made.items() if name != "featureFlags"}
    expected = {**left, "name": "Make", "updatedAt": changed.json()["updatedAt"]}
    assert (200, expected) == (changed.status_code, changed.json())
    assert changed.json()["updatedAt"] > made["updatedAt"]
    assert expected == await api.read(f"{path}/{made['id']}")
    assert 204 == (await api.call("DELETE", f"{path}/{made['id']}")).status_code
    for method in ("GET", "DELETE"):
        gone = await api.call(method, f"{path}/{made['id']}")
        assert MISSING == (gone.status_code, gone.json()["code"])
    assert [second] == (await api.read(path))["data"]


async def test_a_name_may_be_empty(lite: Api) -> None:
    app = await lite.app()
    made = await _made(lite, app, name="")
    assert "" == made["name"]
    renamed = await lite.call("PUT", f"/app/{app}/integration/{made['id']}", json={"name": ""})
    assert (200, "") == (renamed.status_code, renamed.json()["name"])
    assert 200 == (await lite.post(f"/app/{app}/integration/{made['id']}/key/rotate")).status_code


async def test_a_repeated_request_creates_one_integration(api: Api) -> None:
    app = await api.app()
    headers = {"idempotency-key": "k"}

    first, second = [await api.post(f"/app/{app}/integration", json={"name": "a"}, headers=headers) for _ in range(2)]

    assert (201, first.json()) == (second.status_code, second.json())
    assert [first.json()] == (await api.read(f"/app/{app}/integration"))["data"]


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({"name": "x" * 4_097}, ["body", "name"]),
        ({"name": "a\x00"}, ["body", "name"]),
        ({"name": "a", "featureFlags": []}, ["body", "featureFlags"]),
        ({"name": "a", "featureFlags": [f"f{number}" for number in range(26)]}, ["body", "featureFlags"]),
        ({"name": "a", "featureFlags": ["not a name"]}, ["body", "featureFlags", "__all__"]),
        ({"name": "a", "featureFlags": ["x" * 257]}, ["body", "featureFlags", "__all__"]),
    ],
)
async def test_a_bad_value_is_refused_by_its_name(lite: Api, body: Json, at: list[str]) -> None:
    app = await lite.app()
    made = await _made(lite, app)

    for method, path in (("POST", ""), ("PUT", f"/{made['id']}")):
        assert [at] == [
            loc for loc, _, _ in faults(await lite.call(method, f"/app/{app}/integration{path}", json=body))
        ]
    assert (
        201
        == (
            await lite.post(f"/app/{app}/integration", json={"name": "a", "featureFlags": [f"f{n}" for n in range(25)]})
        ).status_code
    )


async def test_an_application_has_a_limited_number_of_integrations(api: Api) -> None:
    app = await api.app()
    few = api.tuned(core=CoreTuning(integrations_per_application=2))
    made = [await _made(few, app) for _ in range(2)]

    refused = await few.post(f"/app/{app}/integration", json={"name": "a"})
    assert (400, "too_many_integrations") == (refused.status_code, refused.json()["code"])
    await few.call("DELETE", f"/app/{app}/integration/{made[0]['id']}")
    await _made(few, app)


# ----------------------------------------------------------------------------------------------------------------------
# What a key reaches


async def test_a_key_does_in_its_application_what_a_token_of_it_may_do(api: Api) -> None:
    app = await api.app(uid="mine")
    _, key = await _with_key(api, app)

    assert 201 == (await api.post("/app/mine/endpoint", token=key, json={"url": "http://a", "uid": "e"})).status_code
    for path in ("/app/mine", "/app/mine/endpoint", "/app/mine/endpoint/e/secret", "/app/mine/msg", "/event-type"):
        assert 200 == (await api.get(path, token=key)).status_code, path
    assert 204 == (await api.post("/app/mine/endpoint/e/secret/rotate", token=key, json={})).status_code
    for path in ("/app", "/app/mine/integration", "/operational-webhook/endpoint"):
        assert 403 == (await api.get(path, token=key)).status_code, path
    message = {"eventType": "a", "payload": {}}
    for _ in range(2):  # the first one looks the key up
        assert 403 == (await api.post("/app/mine/msg", token=key, json=message)).status_code


async def test_a_key_reaches_neither_another_application_nor_another_organization(api: Api) -> None:
    app, other = await api.app(uid="mine"), await api.app(uid="other")
    foreign = issue_org_token(SECRET, OTHER, api.clock.now())
    theirs = (await api.post("/app", token=foreign, json={"name": "theirs", "uid": "theirs"})).json()["id"]
    integration, key = await _with_key(api, app)

    for ref in (other, "other", theirs, "theirs", "absent"):
        for path in (f"/app/{ref}", f"/app/{ref}/endpoint", f"/app/{ref}/msg"):
            response = await api.get(path, token=key)
            assert MISSING == (response.status_code, response.json()["code"]), path
    for token, ref in ((foreign, app), (foreign, theirs), (api.token, other)):
        for method, rest, body in (("GET", "", None), ("PUT", "", {"name": "a"}), ("POST", "/key/rotate", None)):
            response = await api.call(method, f"/app/{ref}/integration/{integration}{rest}", token=token, json=body)
            assert MISSING == (response.status_code, response.json()["code"]), (ref, method)
        assert 404 == (await api.call("DELETE", f"/app/{ref}/integration/{integration}", token=token)).status_code
    assert 200 == (await api.get(f"/app/{app}", token=key)).status_code


async def test_only_the_organization_manages_integrations(api: Api) -> None:
    app = await api.app()
    integration, key = await _with_key(api, app)
    one = f"/app/{app}/integration/{integration}"
    tokens = [key, issue_app_token(SECRET, ORG, AppId(app), api.clock.now())]
    tokens += [(await api.key(KeyScope.APPLICATION, app=app)).text, (await api.key(KeyScope.OPERATOR)).text]

    for token in tokens:
        for method, path in (("GET", one), ("PUT", one), ("DELETE", one), ("POST", f"{one}/key/rotate")):
            assert 403 == (await api.call(method, path, token=token, json={"name": "a"})).status_code, path
    reader = (await api.key(read_only=True)).text
    assert 200 == (await api.get(one, token=reader)).status_code
    assert 403 == (await api.post(f"{one}/key/rotate", token=reader)).status_code


async def test_a_key_sees_the_event_types_of_its_feature_flags(api: Api) -> None:
    app = await api.app()
    for name, flags in (("open", None), ("beta.a", ["beta"]), ("gamma.a", ["gamma"])):
        await api.made("/event-type", {"name": name, "description": "", "featureFlags": flags})
    integration, key = await _with_key(api, app, featureFlags=["beta"])

    async def seen() -> list[str]:
        response = await api.get("/event-type", token=key)
        return [each["name"] for each in response.json()["data"]]

    assert ["beta.a", "open"] == await seen()
    assert 404 == (await api.get("/event-type/gamma.a", token=key)).status_code
    change = {"name": "a", "featureFlags": ["gamma"]}
    await api.call("PUT", f"/app/{app}/integration/{integration}", json=change)
    assert ["gamma.a", "open"] == await seen()
    await api.call("PUT", f"/app/{app}/integration/{integration}", json={"name": "a"})
    assert ["open"] == await seen()


# ----------------------------------------------------------------------------------------------------------------------
# The end of a key


async def test_a_rotation_ends_the_previous_key(api: Api) -> None:
    app = await api.app()
    integration, first = await _with_key(api, app)
    _, untouched = await _with_key(api, app)
    assert 200 == (await _answer(api, first, f"/app/{app}"))[0]

    second = await _rotated(api, app, integration)

    assert first != second
    assert UNKNOWN == await _answer(api, first, f"/app/{app}")
    for key in (second, untouched):
        assert 200 == (await _answer(api, key, f"/app/{app}"))[0]
    assert 2 == len(await _stored_keys(api)), "a rotation adds no row"
    assert second not in str(await _stored_keys(api))


async def test_a_repeated_rotation_returns_the_same_key_which_nothing_stores(api: Api) -> None:
    app = await api.app()
    made = await _made(api, app)
    path, headers = f"/app/{app}/integration/{made['id']}/key/rotate", {"idempotency-key": "k"}
    first = await api.post(path, headers=headers)
    key = first.json()["key"]

    again = await api.post(path, headers=headers)

    assert (200, first.json()) == (again.status_code, again.json())
    assert 200 == (await _answer(api, key, f"/app/{app}"))[0]
    second = await _rotated(api, app, made["id"], headers={"idempotency-key": "l"})
    assert second != key
    assert first.json() == (await api.post(path, headers=headers)).json(), "as answered then, though it has ended"
    assert UNKNOWN == await _answer(api, key, f"/app/{app}")
    async with api.db.read() as read:
        records = await read.rows("SELECT body FROM idempotency_record WHERE body IS NOT NULL")
    assert [False] * 2 == [key.encode() in bytes(row["body"]) for row in records]
    await api.call("DELETE", f"/app/{app}")
    assert first.json() == (await api.post(path, headers=headers)).json(), "as every response outlives its application"
    assert 404 == (await api.post(path, headers={"idempotency-key": "unused"})).status_code


async def test_a_repeated_rotation_is_a_conflict_after_a_change_of_the_secret(lite: Api) -> None:
    async with lite.db.read() as read:
        app = await apps.get(read, ORG, await lite.app())
    made = await _made(lite, app.id)
    verifying = Ed25519PrivateKey.generate().public_key()
    public = verifying.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    async def rotated(signer: Signer, key: str) -> str:
        services = lite.context.services
        return await integrations.rotate_key(
            services, app, made["id"], signer=signer, created_by="test", idempotency_key=key
        )

    key = await rotated(Signer("old"), "k")
    assert key == await rotated(Signer("old"), "k")
    for signer in (Signer("new"), Signer(public, "EdDSA")):
        with pytest.raises(AppError, match="cannot be shown again"):
            await rotated(signer, "k")
    assert key != await rotated(Signer(public, "EdDSA"), "l")
    with pytest.raises(AppError, match="cannot be shown again"):
        await rotated(Signer(public, "EdDSA"), "l")


async def test_a_deleted_integration_ends_its_key(api: Api) -> None:
    app = await api.app()
    integration, key = await _with_key(api, app)
    _, other = await _with_key(api, app)
    assert 200 == (await _answer(api, key, "/event-type"))[0]

    await api.call("DELETE", f"/app/{app}/integration/{integration}")

    assert REVOKED == await _answer(api, key, "/event-type")
    assert 200 == (await _answer(api, other, "/event-type"))[0]


async def test_a_deleted_application_ends_the_keys_of_its_integrations(api: Api) -> None:
    app, other = await api.app(uid="mine"), await api.app()
    _, key = await _with_key(api, app)
    _, kept = await _with_key(api, other)
    assert 200 == (await _answer(api, key, "/event-type"))[0]

    await api.call("DELETE", f"/app/{app}")

    assert REVOKED == await _answer(api, key, "/event-type")
    assert 200 == (await _answer(api, kept, "/event-type"))[0]
    assert app != await api.app(uid="mine")
    assert [] == (await api.read("/app/mine/integration"))["data"]


async def test_a_wiped_organization_has_no_integrations(api: Api) -> None:
    app = await api.app()
    await _with_key(api, app)

    await wiping.wipe(api.db, ORG, chunk=10)

    assert [] == await _stored_keys(api)
    async with api.db.read() as read:
        assert [] == await read.rows("SELECT id FROM integration")


@pytest.mark.parametrize("end", ["rotate", "delete", "delete the application", "change the flags"])
async def test_another_node_hears_that_a_key_changed(api: Api, end: str) -> None:
    """The heartbeat query reports the row of the key, with a new version, however the key ended."""
    app = await api.app()
    integration, key = await _with_key(api, app)
    other, header = Keyring(api.db, api.clock), f"Bearer {key}".encode()
    other.hear({}, asked_at=api.clock.monotonic(), now=api.clock.now())
    caller = (await other.look_up(header, key)).principal
    assert await other.is_live(caller)

    api.clock.advance(1)
    one = f"/app/{app}/integration/{integration}"
    if end == "rotate":
        await _rotated(api, app, integration)
    elif end == "change the flags":
        await api.call("PUT", one, json={"name": "a", "featureFlags": ["x"]})
    else:
        await api.call("DELETE", one if end == "delete" else f"/app/{app}")

    async with api.db.read() as read:
        rows = await read.rows("SELECT id, version FROM api_key WHERE changed_at >= :since", since=api.clock.now() - 9)
    assert other.cached(header) is not None
    other.hear({row["id"]: row["version"] for row in rows}, asked_at=api.clock.monotonic(), now=api.clock.now())
    assert other.cached(header) is None
    assert not await other.is_live(caller), "its streams end"


async def test_an_open_stream_ends_with_a_rotation(api: Api) -> None:
    app = await api.app()
    task_id = await stored(api, State.QUEUED, app=app)
    integration, key = await _with_key(api, app)
    _, kept = await _with_key(api, app)
    async with reading(api, task_id) as reader, reading(api, task_id) as other:
        reader.headers["authorization"] = f"Bearer {key}"
        other.headers["authorization"] = f"Bearer {kept}"
        await reader.has("created")
        await other.has("created")

        await _rotated(api, app, integration)

        async with asyncio.timeout(10):  # the keep-alive of a stream is 15 seconds
            await reader.over.wait()
        assert not other.over.is_set()


# ----------------------------------------------------------------------------------------------------------------------
# Beside the API keys of the organization


async def test_the_key_of_an_integration_is_no_api_key_of_the_organization(api: Api) -> None:
    app = await api.app()
    integration, key = await _with_key(api, app)
    [row] = await _stored_keys(api)
    path = f"/management/authentication/{ORG}/api-token"

    assert [] == (await api.read(path))["data"]
    assert integration == row["integration_id"]
    for method, rest, body in (
        ("GET", "", None),
        ("PATCH", "", {"scopes": ["organization"]}),
        ("POST", "/expire", {}),
    ):
        assert 404 == (await api.call(method, f"{path}/{row['id']}{rest}", json=body)).status_code
    assert 200 == (await _answer(api, key, f"/app/{app}"))[0]
    draft = api_keys.KeyDraft(ORG, "n", api_keys.KeyRights(KeyScope.ORGANIZATION), "test")
    await api_keys.create(api.db, draft, api.clock.now(), CoreTuning(keys_per_organization=1))


async def test_ended_keys_of_deleted_integrations_are_deleted(api: Api) -> None:
    """They stay for a minute, so that every node hears of their end; then new keys take their place."""
    app = await api.app()
    for _ in range(3):
        integration, _ = await _with_key(api, app)
        await api.call("DELETE", f"/app/{app}/integration/{integration}")
    assert 3 == len(await _stored_keys(api))

    api.clock.advance(MINUTE + 1)
    _, key = await _with_key(api, app)

    assert 1 == len(await _stored_keys(api))
    await api_keys.prune(api.db, api.clock.now() + 91 * DAY)
    assert 200 == (await _answer(api, key, f"/app/{app}"))[0]


async def test_rotations_at_the_same_time_leave_one_key(api: Api) -> None:
    app = await api.app()
    made = await _made(api, app)

    keys = await asyncio.gather(*(_rotated(api, app, made["id"]) for _ in range(4)))

    assert 1 == len(await _stored_keys(api))
    statuses = [(await _answer(api, key, f"/app/{app}"))[0] for key in keys]
    assert [200, 401, 401, 401] == sorted(statuses)
