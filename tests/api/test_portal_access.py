# SPDX-License-Identifier: MIT
"""Tokens for the users of an application: creation, capabilities and end."""

import base64
import json
from typing import Any

import jwt
import pytest

from api.kit import ORG, SECRET, Api, Json, faults
from tidings.api.routes import PREFIX, Access
from tidings.clock import DAY, HOUR, MINUTE, SECOND
from tidings.core.access import issue_app_token, issue_org_token
from tidings.ids import AppId, OrgId
from tidings.model.token import Capability
from tidings.table import TABLE

INSUFFICIENT = {"code": "insufficient access", "detail": "Insufficient access for the given operation."}


async def _access(api: Api, ref: str, body: Json | None = None, **more: Any) -> tuple[int, Json]:
    response = await api.post(f"/auth/app-portal-access/{ref}", json={} if body is None else body, **more)
    return response.status_code, response.json()


async def _token(api: Api, ref: str, **body: Any) -> str:
    status, found = await _access(api, ref, body)
    assert 200 == status, found
    return str(found["token"])


def _claims(token: str) -> Json:
    text = token.split(".")[1]
    found: Json = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


async def test_a_portal_token_reaches_its_own_application_only(api: Api) -> None:
    app, other = await api.app(uid="mine"), await api.app(uid="other")

    token = await _token(api, "mine")

    for ref in (app, "mine"):
        assert 200 == (await api.get(f"/app/{ref}", token=token)).status_code
    for ref in (other, "other", "unknown"):
        assert 404 == (await api.get(f"/app/{ref}", token=token)).status_code
    assert (403, INSUFFICIENT) == ((refused := await api.get("/app", token=token)).status_code, refused.json())


async def test_the_portal_url_is_this_servers_with_the_token_in_its_fragment(api: Api) -> None:
    await api.app(uid="mine")

    _, found = await _access(api, "mine")

    assert f"http://tidings/app-portal#key={found['token']}" == found["url"]


async def test_the_portal_url_follows_forwarded_headers_and_the_setting(lite: Api) -> None:
    await lite.app(uid="mine")

    _, behind = await _access(lite, "mine", headers={"x-forwarded-proto": "https", "host": "hooks.example"})
    object.__setattr__(lite.context, "portal_url", "https://portal.example")
    _, body = await _access(lite, "mine")

    assert behind["url"].startswith("https://hooks.example/app-portal#key=")
    assert body["url"].startswith("https://portal.example/app-portal#key=")


async def test_a_portal_token_has_the_requested_claims(lite: Api) -> None:
    app = await lite.app(uid="mine")
    now = lite.clock.now()

    plain = _claims(await _token(lite, "mine"))
    full = _claims(
        await _token(
            lite,
            "mine",
            featureFlags=["b", "a", "b"],
            capabilities=["ManageEndpoint"],
            expiry=3600,
            sessionId="user@1",
        )
    )

    assert {"sub": app, "org": ORG, "iss": "svix-server"}.items() <= plain.items()
    assert not {"feature_flags", "capabilities", "session"} & plain.keys()
    assert (now + 7 * DAY) // SECOND == plain["exp"]
    assert (now + HOUR) // SECOND == full["exp"]
    body = {"feature_flags": ["b", "a"], "capabilities": ["ManageEndpoint", "ViewBase"], "session": "user@1"}
    assert body.items() <= full.items()


async def test_the_former_route_accepts_any_body_or_none(api: Api) -> None:
    await api.app(uid="mine")

    for more in ({}, {"content": b"null"}, {"content": b"nonsense"}, {"json": {"featureFlags": 7}}):
        response = await api.post("/auth/dashboard-access/mine", **more)
        assert 200 == response.status_code
        assert 200 == (await api.get("/app/mine", token=response.json()["token"])).status_code
    missing = await api.post("/auth/dashboard-access/absent")
    assert (404, "Application not found") == (missing.status_code, missing.json()["detail"])


async def test_a_message_may_create_its_application(api: Api) -> None:
    missing = await _access(api, "new")
    assert (404, {"code": "not_found", "detail": "Application not found"}) == missing

    token = await _token(api, "new", application={"name": "n", "uid": "new"})
    assert 200 == (await api.get("/app/new", token=token)).status_code
    for ignored in [{"name": "ignored", "uid": "new"}, {"name": "ignored", "uid": "other"}, {"name": "ignored"}]:
        await _token(api, "new", application=ignored)
    assert "n" == (await api.read("/app/new"))["name"]


@pytest.mark.parametrize("route", ["app-portal-access", "dashboard-access"])
async def test_a_repeated_request_returns_the_same_token(api: Api, route: str) -> None:
    app = await api.app()

    async def link_for(key: str) -> str:
        response = await api.call("POST", f"/auth/{route}/{app}", json={}, headers={"idempotency-key": key})
        assert 200 == response.status_code
        return str(response.json()["token"])

    first = await link_for("a")
    api.clock.advance(SECOND)

    assert first == await link_for("a")
    assert first != await link_for("b")


@pytest.mark.parametrize(
    ("application", "type_"),
    [
        ({"name": "n"}, "application_uid_missing"),
        ({"name": "n", "uid": "other"}, "application_uid_mismatch"),
        ({"name": "", "uid": "new"}, "value_error"),
    ],
)
async def test_an_implicit_application_must_match_the_path(lite: Api, application: Json, type_: str) -> None:
    response = await lite.post("/auth/app-portal-access/new", json={"application": application})

    assert type_ == faults(response)[0][2]
    assert 404 == (await lite.get("/app/new")).status_code


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"expiry": 3599}, ["body", "expiry"]),
        ({"expiry": 604_801}, ["body", "expiry"]),
        ({"expiry": 10**40}, ["body", "expiry"]),
        ({"featureFlags": ["a b"]}, ["body", "featureFlags", "__all__"]),
        ({"featureFlags": [f"f{n}" for n in range(26)]}, ["body", "featureFlags"]),
        ({"featureFlags": None}, None),
        ({"capabilities": ["Everything"]}, ["body", "capabilities", "[0]"]),
        ({"sessionId": ""}, ["body", "sessionId", "__all__"]),
        ({"sessionId": "a b"}, ["body", "sessionId", "__all__"]),
        ({"sessionId": "s" * 65}, ["body", "sessionId", "__all__"]),
    ],
)
async def test_input_that_breaks_a_rule_is_reported(lite: Api, body: Json, place: list[str] | None) -> None:
    await lite.app(uid="mine")

    response = await lite.post("/auth/app-portal-access/mine", json=body)

    if place is None:
        assert 200 == response.status_code
    else:
        assert place == faults(response)[0][0]


async def test_only_the_organization_creates_tokens(api: Api) -> None:
    await api.app(uid="mine")
    token = await _token(api, "mine")
    other = issue_org_token(SECRET, OrgId("org_other"), api.clock.now())

    for path in ("app-portal-access/mine", "dashboard-access/mine", "app/mine/expire-all"):
        refused = await api.post(f"/auth/{path}", json={}, token=token)
        assert (403, INSUFFICIENT) == (refused.status_code, refused.json())
        assert 404 == (await api.post(f"/auth/{path}", json={}, token=other)).status_code


# ----------------------------------------------------------------------------------------------------------------------
# What a token is able to

NEEDS = {
    "v1.endpoint.create": Capability.MANAGE_ENDPOINT,
    "v1.endpoint.upsert": Capability.MANAGE_ENDPOINT,
    "v1.endpoint.patch": Capability.MANAGE_ENDPOINT,
    "v1.endpoint.delete": Capability.MANAGE_ENDPOINT,
    "v1.endpoint.set-headers": Capability.MANAGE_ENDPOINT,
    "v1.endpoint.patch-headers": Capability.MANAGE_ENDPOINT,
    "v1.endpoint.enable": Capability.MANAGE_ENDPOINT,
    "v1.endpoint.get-secret": Capability.VIEW_ENDPOINT_SECRET,
    "v1.endpoint.rotate-secret": Capability.MANAGE_ENDPOINT_SECRET,
    "v1.endpoint.recover": Capability.CREATE_ATTEMPTS,
    "v1.endpoint.replay-missing": Capability.CREATE_ATTEMPTS,
    "v1.endpoint.bulk-replay": Capability.CREATE_ATTEMPTS,
    "v1.endpoint.set-connector": Capability.MANAGE_TRANSFORMATIONS,
    "v1.endpoint.transformation.patch": Capability.MANAGE_TRANSFORMATIONS,
    "v1.endpoint.transformation.simulate": Capability.MANAGE_TRANSFORMATIONS,
    "v1.message-attempt.resend": Capability.CREATE_ATTEMPTS,
    "v1.background-task.cancel": Capability.CREATE_ATTEMPTS,
    "v1.background-task.pause": Capability.CREATE_ATTEMPTS,
    "v1.background-task.resume": Capability.CREATE_ATTEMPTS,
    "v1.background-task.retry": Capability.CREATE_ATTEMPTS,
}


# They change nothing: a token may always end its own session, and a dry run or a preview only reads.
HARMLESS = {"v1.authentication.logout", "v1.message.precheck", "v1.message.preview-filter"}
INCLUDED = {
    Capability.MANAGE_ENDPOINT_SECRET: {Capability.VIEW_ENDPOINT_SECRET},
    Capability.MANAGE_ENDPOINT: {Capability.VIEW_ENDPOINT_SECRET, Capability.MANAGE_ENDPOINT_SECRET},
}


def test_changes_need_more_than_the_view_capability() -> None:
    found = {
        route.operation: route.needs
        for route in TABLE
        if route.access in (Access.APP, Access.ANY) and route.operation not in HARMLESS
    }
    changing = {route.operation for route in TABLE if route.method != "GET"} & found.keys()

    assert changing | {"v1.endpoint.get-secret"} == NEEDS.keys()
    assert {operation: found[operation] for operation in NEEDS} == NEEDS


@pytest.mark.parametrize("able", [None, *Capability])
async def test_a_token_allows_exactly_its_capabilities(lite: Api, able: Capability | None) -> None:
    app = await lite.app(uid="mine")
    endpoint = await lite.endpoint(app)
    token = await _token(lite, "mine", **({} if able is None else {"capabilities": [able.value]}))
    able_to = set(Capability) if able is None else {able, Capability.VIEW_BASE, *INCLUDED.get(able, ())}

    for route in TABLE:
        if route.access is not Access.APP:
            continue
        path = route.path.replace("{app_id}", app).replace("{endpoint_id}", endpoint)
        response = await lite.client.request(
            route.method, PREFIX + path, headers={"authorization": f"Bearer {token}"}, content=b"nonsense"
        )
        is_refused = response.status_code == 403
        assert is_refused == (route.needs is not None and route.needs not in able_to), route.operation


async def test_a_read_only_token_cannot_write(lite: Api) -> None:
    app = await lite.app(uid="mine")
    path = f"/app/{app}/endpoint"

    token = await _token(lite, "mine", readOnly=True)

    assert 200 == (await lite.get(path, token=token)).status_code
    assert 403 == (await lite.post(path, json={"url": "http://a"}, token=token)).status_code
    token = await _token(lite, "mine", readOnly=False)
    assert 201 == (await lite.post(path, json={"url": "http://a"}, token=token)).status_code


async def test_a_feature_flag_of_the_token_reveals_resources_with_the_flag(api: Api) -> None:
    await api.app(uid="mine")
    await api.made("/event-type", {"name": "a", "description": "", "featureFlags": ["beta"]})

    assert 404 == (await api.get("/event-type/a", token=await _token(api, "mine"))).status_code
    flagged = await _token(api, "mine", featureFlags=["beta"])
    assert 200 == (await api.get("/event-type/a", token=flagged)).status_code


# ----------------------------------------------------------------------------------------------------------------------
# The end of tokens


async def _works(api: Api, token: str) -> bool:
    found = [(await api.get(path, token=token)).status_code for path in ("/app/mine", "/event-type")]
    assert found in ([200, 200], [401, 401])
    return found[0] == 200


async def test_a_logout_ends_only_its_own_session(api: Api) -> None:
    app = await api.app(uid="mine")
    first = await _token(api, "mine")
    api.clock.advance(1)
    second, old = await _token(api, "mine"), issue_app_token(SECRET, ORG, AppId(app), api.clock.now())

    assert [204, 401] == [(await api.post("/auth/logout", token=first)).status_code for _ in range(2)]

    assert [False, True, True] == [await _works(api, token) for token in (first, second, old)]
    assert 204 == (await api.post("/auth/logout", token=old)).status_code
    assert not await _works(api, old)


async def test_an_organization_token_does_not_expire(lite: Api) -> None:
    assert 403 == (await lite.post("/auth/logout")).status_code
    assert 401 == (await lite.client.post("/api/v1/auth/logout")).status_code
    assert 200 == (await lite.get("/app")).status_code


async def test_expiring_all_tokens_keeps_later_ones_valid(api: Api) -> None:
    await api.app(uid="mine")
    other = await api.app(uid="other")
    before, elsewhere = await _token(api, "mine"), await _token(api, "other")

    response = await api.post("/auth/app/mine/expire-all", json={})

    assert (204, b"") == (response.status_code, response.content)
    api.clock.advance(1)
    assert [False, True] == [await _works(api, token) for token in (before, await _token(api, "mine"))]
    assert 200 == (await api.get(f"/app/{other}", token=elsewhere)).status_code
    assert 200 == (await api.get("/app")).status_code


@pytest.mark.parametrize("scope", [{}, {"sessionIds": ["one"]}])
@pytest.mark.parametrize("ahead", [1, 60, 14 * 60])
async def test_expiring_all_tokens_includes_one_from_a_clock_that_is_ahead(api: Api, ahead: int, scope: Json) -> None:
    app = await api.app(uid="mine")
    claims = {"sub": app, "org": ORG, "session": "one", "iat": api.clock.now() // 1_000 + ahead}
    token = jwt.encode(claims, SECRET, algorithm="HS256")
    assert await _works(api, token)

    await api.post("/auth/app/mine/expire-all", json=scope)

    assert not await _works(api, token)
    api.clock.advance(1)
    assert await _works(api, await _token(api, "mine", sessionId="one"))
    api.clock.advance(16 * MINUTE)
    assert not await _works(api, token)
    assert await _works(api, jwt.encode({**claims, "iat": api.clock.now() // 1_000}, SECRET, algorithm="HS256"))


async def test_a_logout_covers_every_encoding_of_the_token(api: Api) -> None:
    await api.app(uid="mine")
    token = await _token(api, "mine")

    assert 204 == (await api.post("/auth/logout", token=token)).status_code

    for other in (token + "=", token + "==", f"{token[:-1]}{chr(ord(token[-1]) ^ 1)}", f" {token}", f"{token} "):
        assert not await _works(api, other), other


async def test_expiring_all_tokens_can_be_delayed(api: Api) -> None:
    await api.app(uid="mine")
    token = await _token(api, "mine")

    await api.post("/auth/app/mine/expire-all", json={"expiry": 60})
    assert await _works(api, token)
    api.clock.advance(MINUTE)
    assert not await _works(api, token)


async def test_the_earliest_of_several_expirations_counts(api: Api) -> None:
    await api.app(uid="mine")
    token = await _token(api, "mine")

    for expiry in (3600, 0, 7200):
        await api.post("/auth/app/mine/expire-all", json={"expiry": expiry})

    assert not await _works(api, token)


async def test_expiring_a_session_keeps_other_tokens_valid(api: Api) -> None:
    await api.app(uid="mine")
    tokens = [await _token(api, "mine", sessionId=session) for session in ("one", "two", "three")]
    plain = await _token(api, "mine")

    await api.post("/auth/app/mine/expire-all", json={"sessionIds": ["one", "three", "one", "absent"]})

    assert [False, True, False, True] == [await _works(api, token) for token in (*tokens, plain)]


@pytest.mark.parametrize(
    "body",
    [{"expiry": -1}, {"expiry": 259_201}, {"sessionIds": ["a b"]}, {"sessionIds": ["s"] * 1_001}, {"sessionIds": [7]}],
)
async def test_an_invalid_expiry_request_ends_no_token(lite: Api, body: Json) -> None:
    await lite.app(uid="mine")
    token = await _token(lite, "mine")

    assert 422 == (await lite.post("/auth/app/mine/expire-all", json=body)).status_code
    assert await _works(lite, token)
