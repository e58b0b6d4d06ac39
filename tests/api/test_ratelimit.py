# SPDX-License-Identifier: MIT
"""A caller above the rate limit gets 429 with a retry time; other callers are not affected."""

from dataclasses import replace

import httpx

from api.kit import ORG, SECRET, Api
from tidings.api.app import build
from tidings.api.ratelimit import Limiter
from tidings.core.access import issue_app_token
from tidings.ids import AppId
from tidings.table import TABLE


def limited(api: Api, rate: int) -> Api:
    """Return the same API with a rate limit."""
    context = replace(api.context, limiter=Limiter(rate, api.clock))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(build(context, TABLE)), base_url="http://tidings")
    return replace(api, context=context, client=client)


async def test_each_second_allows_as_many_requests_as_the_limit(lite: Api) -> None:
    api = limited(lite, 3)

    first = [(await api.get("/app")).status_code for _ in range(5)]
    api.clock.advance(1_000)
    second = [(await api.get("/app")).status_code for _ in range(4)]

    assert [200, 200, 200, 429, 429] == first
    assert [200, 200, 200, 429] == second


async def test_a_refusal_is_json_with_a_retry_time(lite: Api) -> None:
    api = limited(lite, 1)
    await api.get("/app")

    refused = await api.get("/app")

    assert (429, "1") == (refused.status_code, refused.headers["retry-after"])
    assert {"code", "detail"} == refused.json().keys()
    assert "too_many_requests" == refused.json()["code"]


async def test_messages_count_towards_the_limit_and_a_refused_one_is_not_stored(lite: Api) -> None:
    app = await lite.app()
    api = limited(lite, 2)
    body = {"eventType": "a.b", "payload": {}}

    answers = [await api.post(f"/app/{app}/msg", json=body) for _ in range(3)]

    assert [202, 202, 429] == [answer.status_code for answer in answers]
    assert "1" == answers[2].headers["retry-after"]
    assert 2 == len((await lite.read(f"/app/{app}/msg"))["data"])


async def test_each_caller_has_its_own_limit(lite: Api) -> None:
    app = AppId(await lite.app())
    api = limited(lite, 1)
    portal = issue_app_token(SECRET, ORG, app, lite.clock.now())

    assert 200 == (await api.get("/app")).status_code
    assert 200 == (await api.get(f"/app/{app}/endpoint", token=portal)).status_code
    assert 429 == (await api.get(f"/app/{app}/endpoint", token=portal)).status_code


async def test_unauthenticated_requests_get_a_401_before_the_limit(lite: Api) -> None:
    api = limited(lite, 1)

    assert [401] * 3 == [(await api.get("/app", token="wrong")).status_code for _ in range(3)]
