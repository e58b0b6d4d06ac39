# SPDX-License-Identifier: MIT
"""Concurrent upserts each return 200 or 201, never a conflict, and leave one row."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from api.kit import Api, Json

MANY = 20
REPEATS = 10
MESSAGE: Json = {"eventType": "a.b", "payload": {}}
NEW: Json = {"name": "n", "uid": "new"}


async def _call(api: Api, method: str, path: str, **more: Any) -> httpx.Response:
    """Call as a client does: repeat a request that a busy machine did not admit in time, as its response says.

    A database on a busy machine makes requests wait longer than any of its timeouts. How often work that met another
    writer is repeated within one request is a fact of `retried`.
    """
    response = await api.call(method, path, **more)
    for _ in range(REPEATS):
        if response.status_code != 503:
            break
        assert "repeat the request later" in response.json()["detail"]
        response = await api.call(method, path, **more)
    return response


async def _all_at_once(api: Api, method: str, path: str, body: Callable[[int], Json]) -> list[tuple[int, Any]]:
    """Make many concurrent calls; every call has its own body."""
    answers = await asyncio.gather(*(_call(api, method, path, json=body(number)) for number in range(MANY)))
    return [(each.status_code, each.json()) for each in answers]


def _named(uid: str, number: int) -> Json:
    return {"name": f"{number}", "uid": uid}


async def test_concurrent_puts_create_one_event_type(api: Api) -> None:
    for turn in range(3):
        answers = await _all_at_once(api, "PUT", f"/event-type/t{turn}", lambda number: {"description": f"{number}"})

        assert [200] * (MANY - 1) + [201] == sorted(status for status, _ in answers)
        assert (await api.read(f"/event-type/t{turn}"))["description"] in {body["description"] for _, body in answers}
    assert 3 == len((await api.read("/event-type"))["data"])


async def test_concurrent_puts_create_one_application(api: Api) -> None:
    for uid in ("one", "two", "three"):
        answers = await _all_at_once(api, "PUT", f"/app/{uid}", partial(_named, uid))

        assert [200] * (MANY - 1) + [201] == sorted(status for status, _ in answers)
        assert 1 == len({body["id"] for _, body in answers})


async def test_concurrent_puts_create_one_endpoint(api: Api) -> None:
    app = await api.app()

    answers = await _all_at_once(
        api, "PUT", f"/app/{app}/endpoint/new", lambda number: {"url": f"http://a/{number}", "uid": "new"}
    )

    assert [200] * (MANY - 1) + [201] == sorted(status for status, _ in answers)
    assert 1 == len({body["id"] for _, body in answers}) == len((await api.read(f"/app/{app}/endpoint"))["data"])


async def test_concurrent_get_or_create_requests_create_one_application(api: Api) -> None:
    answers = await _all_at_once(api, "POST", "/app?get_if_exists=true", lambda number: {**NEW, "name": f"{number}"})

    assert [200] * (MANY - 1) + [201] == sorted(status for status, _ in answers)
    assert 1 == len({body["id"] for _, body in answers})


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/app/new/msg", {**MESSAGE, "application": NEW}, 202),
        ("/auth/app-portal-access/new", {"application": NEW}, 200),
    ],
)
async def test_concurrent_messages_create_one_implicit_application(
    api: Api, path: str, body: Json, status: int
) -> None:
    answers = await _all_at_once(api, "POST", path, lambda _: body)

    assert {status} == {each for each, _ in answers}
    assert 1 == len((await api.read("/app"))["data"])


async def test_a_put_with_the_uid_of_another_application_is_still_a_conflict(api: Api) -> None:
    await api.app(uid="taken")

    answers = await _all_at_once(api, "PUT", "/app/other", lambda _: {"name": "n", "uid": "taken"})

    assert {409} == {status for status, _ in answers}


@pytest.mark.parametrize(
    ("method", "path", "body", "removed"),
    [
        ("PUT", "/app/new", NEW, "/app/new"),
        ("POST", "/app?get_if_exists=true", NEW, "/app/new"),
        ("POST", "/auth/app-portal-access/new", {"application": NEW}, "/app/new"),
        ("PUT", "/event-type/new", {"description": ""}, "/event-type/new?expunge=true"),
    ],
)
async def test_an_upsert_beside_concurrent_deletions_succeeds(
    api: Api, method: str, path: str, body: Json, removed: str
) -> None:
    async def deleted() -> list[tuple[int, Any]]:
        for _ in range(MANY):
            assert (await _call(api, "DELETE", removed)).status_code in (204, 404)
        return []

    rounds = [_all_at_once(api, method, path, lambda _: body) for _ in range(3)]
    answers = [each for found in await asyncio.gather(deleted(), *rounds, deleted()) for each in found]

    assert {200, 201} >= {status for status, _ in answers}, [each for each in answers if each[0] > 201][:2]
