# SPDX-License-Identifier: MIT
"""Authentication, and the responses to callers without permission."""

import base64
import hashlib
import hmac
from typing import Any

import jwt
import pytest

from api.kit import ORG, SECRET, Api, Json
from tidings.api.tuning import ApiTuning
from tidings.clock import MINUTE, SECOND
from tidings.core.access import issue_app_token
from tidings.ids import AppId

INVALID = {"code": "authentication_failed", "detail": "Invalid token"}
README = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpYXQiOjE2NTUxNDA2MzksImV4cCI6MTk3MDUwMDYzOSwibmJmIjoxNjU1MTQwNjM5LCJpc3Mi"
    "OiJzdml4LXNlcnZlciIsInN1YiI6Im9yZ18yM3JiOFlkR3FNVDBxSXpwZ0d3ZFhmSGlyTXUifQ.USMuIPrqsZTSj3kyWupCzJO9eyQioBzh5alGlv"
    "RbrbA"
)


def _token(claims: Json, *, secret: str = SECRET) -> str:
    return jwt.encode(claims, secret, algorithm="HS256")


def _raw(head: bytes, body: bytes) -> str:
    def packed(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    signed = packed(head) + b"." + packed(body)
    return (signed + b"." + packed(hmac.digest(SECRET.encode(), signed, hashlib.sha256))).decode()


async def _response(api: Api, token: str) -> tuple[int, Json]:
    response = await api.get("/app", token=token)
    return response.status_code, response.json()


async def test_the_published_token_is_accepted(lite: Api) -> None:
    assert 200 == (await lite.get("/app", token=README)).status_code


async def test_an_organization_is_identified_by_its_prefix_alone(lite: Api) -> None:
    assert 200 == (await lite.get("/app", token=_token({"sub": "org_svix_python_tests"}))).status_code


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic eA==", "Bearer nonsense", "Bearer a.b.c", "Bearer ..", "Bearer é.é.é"]
)
async def test_an_invalid_token_is_refused(lite: Api, header: str) -> None:
    response = await lite.client.get("/api/v1/app", headers={b"authorization": header.encode("latin-1")})

    assert (401, INVALID) == (response.status_code, response.json())
    assert "www-authenticate" not in response.headers


async def test_a_request_without_a_token_is_refused(lite: Api) -> None:
    assert (401, INVALID) == ((response := await lite.client.get("/api/v1/app")).status_code, response.json())


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
async def test_the_scheme_is_case_insensitive(lite: Api, scheme: str) -> None:
    response = await lite.client.get("/api/v1/app", headers={"authorization": f"{scheme} {README}"})

    assert 200 == response.status_code


@pytest.mark.parametrize(
    "token",
    [
        _token({"sub": ORG}, secret="x" * 40),
        _raw(b'{"alg":"HS384"}', b'{"sub":"org_x"}'),
        _raw(b'{"alg":"none"}', b'{"sub":"org_x"}'),
        _raw(b'{"alg":"HS256"}', b"nonsense"),
        _raw(b'{"alg":"HS256"}', b'{"sub":7}'),
        _raw(b'{"alg":"HS256"}', b'{"sub":"org_x","exp":1e999}'),
        _raw(b'{"alg":"HS256"}', b"[" * 5000),
        README[:-1],
        README + "A",
        _raw(b'{"alg":"HS256","crit":["exp"]}', b'{"sub":"org_x"}'),
        _raw(b'{"alg":"HS256","crit":[]}', b'{"sub":"org_x"}'),
        _raw(b'{"alg":"HS256","b64":false}', b'{"sub":"org_x"}'),
        _raw(b'{"alg":"HS256","typ":"dpop+jwt"}', b'{"sub":"org_x"}'),
        _raw(b'{"alg":"HS256","typ":null}', b'{"sub":"org_x"}'),
        _raw(b'{"alg":"none","alg":"HS256"}', b'{"sub":"org_x"}'),
        _raw(b'["HS256"]', b'{"sub":"org_x"}'),
        _raw(b'{"alg":"HS256"}', b'{"sub":"org_y","sub":"org_x"}'),
        _raw(b'{"alg":"HS256"}', b'{"sub":"org_x","n":{"a":1,"a":2}}'),
    ],
)
async def test_a_token_with_another_signature_is_refused(lite: Api, token: str) -> None:
    assert (401, INVALID) == await _response(lite, token)


@pytest.mark.parametrize(
    "head", [b'{"alg":"HS256"}', b'{"alg":"HS256","typ":"at+JWT"}', b'{"typ":"jwt","alg":"HS256"}']
)
async def test_a_token_header_may_have_the_type_of_an_access_token(lite: Api, head: bytes) -> None:
    assert 200 == (await lite.get("/app", token=_raw(head, b'{"sub":"org_x"}'))).status_code


async def test_the_signing_secret_is_refused_as_a_token(lite: Api) -> None:
    status, body = await _response(lite, SECRET)

    assert (401, "authentication_failed") == (status, body["code"])
    assert body["detail"].startswith("Authentication failed. JWT signing secrets can not be used as tokens, ")


@pytest.mark.parametrize(
    ("claims", "status", "body"),
    [
        ({"iss": "x"}, 401, {"code": "authentication_failed", "detail": "Invalid token (missing `sub`)."}),
        ({"sub": "user_1"}, 400, {"code": "bad_token", "detail": "`user_1` is not a valid organization id."}),
        (
            {"sub": "app_1", "org": "user_1"},
            400,
            {"code": "bad token", "detail": "`user_1` is not a valid organization id"},
        ),
        (
            {"sub": "user_1", "org": "org_1"},
            400,
            {"code": "bad token", "detail": "`user_1` is not a valid application id"},
        ),
    ],
)
async def test_invalid_claims_are_reported(lite: Api, claims: Json, status: int, body: Json) -> None:
    assert (status, body) == await _response(lite, _token(claims))


@pytest.mark.parametrize(("claim", "fits"), [("exp", -14), ("nbf", 14), ("iat", 14)])
async def test_clocks_may_be_a_quarter_of_an_hour_apart(lite: Api, claim: str, fits: int) -> None:
    now = lite.clock.now()
    near = _token({"sub": ORG, claim: (now + fits * MINUTE) // SECOND})
    far = _token({"sub": ORG, claim: (now + (fits + (2 if fits > 0 else -2)) * MINUTE) // SECOND})

    assert 200 == (await lite.get("/app", token=near)).status_code
    assert (401, INVALID) == await _response(lite, far)


async def test_a_valid_token_expires(lite: Api) -> None:
    token = _token({"sub": ORG, "exp": lite.clock.now() // SECOND})
    assert 200 == (await lite.get("/app", token=token)).status_code

    lite.clock.advance(16 * MINUTE)

    assert (401, INVALID) == await _response(lite, token)


async def _mine(api: Api) -> tuple[str, str]:
    app = await api.app(uid="mine")
    return app, issue_app_token(SECRET, ORG, AppId(app), api.clock.now())


async def test_an_application_token_reaches_only_its_own_resources(api: Api) -> None:
    app, token = await _mine(api)
    other = await api.app(uid="other")
    endpoint = await api.endpoint(app)

    assert 200 == (await api.get(f"/app/{app}", token=token)).status_code
    assert 200 == (await api.get("/app/mine", token=token)).status_code
    assert 200 == (await api.get(f"/app/mine/endpoint/{endpoint}/secret", token=token)).status_code
    assert 201 == (await api.post("/app/mine/endpoint", token=token, json={"url": "http://a"})).status_code
    for ref in (other, "other"):
        response = await api.get(f"/app/{ref}", token=token)
        assert (404, {"code": "not_found", "detail": "Entity not found"}) == (response.status_code, response.json())


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/app"), ("POST", "/app"), ("POST", "/event-type"), ("POST", "/app/mine/msg")]
)
async def test_an_application_token_cannot_use_organization_routes(lite: Api, method: str, path: str) -> None:
    _, token = await _mine(lite)

    response = await lite.call(method, path, token=token, content=b"nonsense")

    expected = {"code": "insufficient access", "detail": "Insufficient access for the given operation."}
    assert (403, expected) == (response.status_code, response.json())


async def test_an_application_of_another_organization_is_not_found(api: Api) -> None:
    app = await api.app()

    assert 404 == (await api.get(f"/app/{app}", token=_token({"sub": "org_other"}))).status_code


async def test_the_token_cache_is_bounded(lite: Api) -> None:
    lite = lite.tuned(ApiTuning(tokens_cached=3))
    grants: dict[Any, Any] = lite.context.gatekeeper._grants  # noqa: SLF001 - not observable from outside

    for n in range(10):
        assert 200 == (await lite.get("/app", token=_token({"sub": ORG, "n": n}))).status_code

    assert 3 == len(grants)
