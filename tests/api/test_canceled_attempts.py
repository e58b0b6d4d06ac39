# SPDX-License-Identifier: MIT
"""A message that a transformation canceled: in lists, statistics, explanations and tasks it is sent, and no failure."""

import pytest

from api.kit import Api
from tidings.model.attempt import MessageStatus

CANCELED = int(MessageStatus.CANCELED)


@pytest.fixture
async def ids(api: Api) -> tuple[str, str, str, str]:
    """Give an application, an endpoint, and two messages: a canceled one, and one that was canceled at its retry."""
    app = await api.app()
    endpoint = await api.endpoint(app)
    first, second = await api.message(app), await api.message(app)
    await api.attempt(app, endpoint, first, status=CANCELED, code=0)
    await api.attempt(app, endpoint, second, status=2, code=500, next_at=api.clock.now())
    await api.attempt(app, endpoint, second, status=CANCELED, code=0)
    async with api.db.write() as tx:
        await tx.run("DELETE FROM delivery")
    return app, endpoint, first, second


async def test_lists_have_its_status(api: Api, ids: tuple[str, str, str, str]) -> None:
    app, endpoint, first, second = ids
    path = f"/app/{app}/attempt/endpoint/{endpoint}"
    assert [4, 2, 4] == [each["status"] for each in (await api.read(path))["data"]]
    assert {4} == {each["status"] for each in (await api.read(path, status=4))["data"]}
    assert [] == (await api.read(path, status=0))["data"]
    assert [second] == [each["msgId"] for each in (await api.read(path, status=2))["data"]]
    messages = f"/app/{app}/endpoint/{endpoint}/msg"
    assert {first: 4, second: 4} == {each["id"]: each["status"] for each in (await api.read(messages))["data"]}
    assert [second, first] == [each["id"] for each in (await api.read(messages, status=4))["data"]]
    assert [] == (await api.read(messages, status=2))["data"]
    assert [] == (await api.read(messages, status=0))["data"]


async def test_statistics_count_it_apart(api: Api, ids: tuple[str, str, str, str]) -> None:
    app, endpoint, *_ = ids
    found = await api.read(f"/app/{app}/endpoint/{endpoint}/stats")
    assert {"success": 0, "pending": 0, "sending": 0, "fail": 1, "canceled": 2} == found


async def test_the_explanation_names_the_transformation(api: Api, ids: tuple[str, str, str, str]) -> None:
    app, _, first, _ = ids
    [found] = (await api.read(f"/app/{app}/msg/{first}/delivery"))["data"]
    assert ("canceled", "transformation_canceled") == (found["state"], found["reason"]["code"])


async def test_health_does_not_count_it(api: Api, ids: tuple[str, str, str, str]) -> None:
    app, endpoint, first, _ = ids
    before = (await api.read(f"/app/{app}/endpoint/{endpoint}"))["x"]["health"]
    await api.attempt(app, endpoint, first, status=CANCELED, code=0)
    assert before == (await api.read(f"/app/{app}/endpoint/{endpoint}"))["x"]["health"]
