# SPDX-License-Identifier: MIT
"""A message that a transformation canceled: in lists, statistics, explanations and tasks it is sent, and no failure."""

import pytest

from api.kit import Api, Json
from tidings.model.attempt import MessageStatus

CANCELED = int(MessageStatus.CANCELED)
OLD, NEW = (0, "success"), (4, "canceled")


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

    async def listed(path: str, **params: object) -> list[Json]:
        found: list[Json] = (await api.read(path, expanded_statuses="true", **params))["data"]
        return found

    assert [4, 2, 4] == [each["status"] for each in await listed(path)]
    assert {4} == {each["status"] for each in await listed(path, status=4)}
    assert [] == await listed(path, status=0)
    assert [second] == [each["msgId"] for each in await listed(path, status=2)]
    messages = f"/app/{app}/endpoint/{endpoint}/msg"
    assert {first: 4, second: 4} == {each["id"]: each["status"] for each in await listed(messages)}
    assert [second, first] == [each["id"] for each in await listed(messages, status=4)]
    assert [] == await listed(messages, status=2)
    assert [] == await listed(messages, status=0)


async def test_it_is_a_success_for_clients_that_do_not_ask_for_more(api: Api, ids: tuple[str, str, str, str]) -> None:
    app, endpoint, first, _ = ids
    [newest] = (await api.read(f"/app/{app}/attempt/msg/{first}"))["data"]
    one = f"/app/{app}/msg/{first}/attempt/{newest['id']}"
    lists = (
        f"/app/{app}/attempt/msg/{first}",
        f"/app/{app}/attempt/endpoint/{endpoint}",
        f"/app/{app}/endpoint/{endpoint}/msg",
        f"/app/{app}/msg/{first}/attempt",
        f"/app/{app}/msg/{first}/endpoint/{endpoint}/attempt",
    )

    for params, expected in (({}, OLD), ({"expanded_statuses": "false"}, OLD), ({"expanded_statuses": "true"}, NEW)):
        for path in lists:
            found = (await api.read(path, **params))["data"][-1]
            assert expected == (found["status"], found["statusText"]), path
        found = await api.read(one, **params)
        assert expected == (found["status"], found["statusText"])
    [destination] = (await api.read(f"/app/{app}/msg/{first}/endpoint"))["data"]
    assert OLD == (destination["status"], destination["statusText"])


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
