# SPDX-License-Identifier: MIT
"""Rules for every list: order, pages in both directions, `done`, and refusals."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from api.kit import Api, Json, faults

Listed = tuple[str, list[Json], str]
"""A list's path, its elements in default order, and the name of their key."""


async def _apps(api: Api) -> Listed:
    return "/app", [await api.made("/app", {"name": f"app {n}"}) for n in range(10)], "id"


async def _endpoints(api: Api) -> Listed:
    path = f"/app/{await api.app()}/endpoint"
    made = [await api.made(path, {"url": f"http://example.com/{n}"}) for n in range(10)]
    return path, made[::-1], "id"


async def _event_types(api: Api) -> Listed:
    made = [await api.made("/event-type", {"name": f"type.{n}", "description": "d"}) for n in range(10)]
    return "/event-type", made, "name"


async def _messages(api: Api) -> Listed:
    path = f"/app/{await api.app()}/msg"
    made = [await api.made(path, {"eventType": "a", "payload": {"n": n}}) for n in range(10)]
    return path, made[::-1], "id"


async def _attempts(api: Api) -> Listed:
    app = await api.app()
    endpoint = await api.endpoint(app)
    found = [await api.attempt(app, endpoint, await api.message(app)) for _ in range(10)]
    path = f"/app/{app}/attempt/endpoint/{endpoint}"
    body = (await api.read(path))["data"]
    assert found[::-1] == [attempt["id"] for attempt in body]
    return path, body, "id"


LISTS = [_apps, _endpoints, _event_types, _messages, _attempts]
Make = Callable[[Api], Awaitable[Listed]]


@pytest.mark.parametrize("make", LISTS)
async def test_a_list_returns_everything_in_its_order(api: Api, make: Make) -> None:
    path, items, key = await make(api)

    page = await api.read(path, limit=50)

    assert items == page["data"]
    assert page["done"]
    assert items[-1][key] == page["iterator"]
    assert f"-{items[0][key]}" == page["prevIterator"]


@pytest.mark.parametrize("make", LISTS)
async def test_each_page_continues_after_the_previous_one(api: Api, make: Make) -> None:
    path, items, _ = await make(api)

    first = await api.read(path, limit=6)
    second = await api.read(path, limit=6, iterator=first["iterator"])

    assert items[:6] == first["data"]
    assert not first["done"]
    assert items[6:] == second["data"]
    assert second["done"]


@pytest.mark.parametrize("make", LISTS)
async def test_a_page_is_done_if_no_element_follows(api: Api, make: Make) -> None:
    path, _, _ = await make(api)

    assert not (await api.read(path, limit=1))["done"]
    assert not (await api.read(path, limit=9))["done"]
    assert (await api.read(path, limit=10))["done"]


@pytest.mark.parametrize("make", LISTS)
async def test_the_previous_page_ends_before_this_one(api: Api, make: Make) -> None:
    path, items, _ = await make(api)
    first = await api.read(path, limit=3)
    second = await api.read(path, limit=3, iterator=first["iterator"])
    third = await api.read(path, limit=3, iterator=second["iterator"])

    back = await api.read(path, limit=3, iterator=third["prevIterator"])
    start = await api.read(path, limit=3, iterator=back["prevIterator"])

    assert items[3:6] == back["data"]
    assert not back["done"]
    assert items[:3] == start["data"]
    assert start["done"]


@pytest.mark.parametrize("make", LISTS)
async def test_an_empty_page_has_no_iterators(api: Api, make: Make) -> None:
    path, items, key = await make(api)

    page = await api.read(path, iterator=items[-1][key])

    assert {"data": [], "iterator": None, "done": True} == page


@pytest.mark.parametrize("make", LISTS[:3])
async def test_the_other_order_reverses_the_list(api: Api, make: Make) -> None:
    path, items, key = await make(api)
    default = "descending" if make is _endpoints else "ascending"
    other = "ascending" if default == "descending" else "descending"

    first = await api.read(path, limit=4, order=other)
    second = await api.read(path, limit=4, order=other, iterator=first["iterator"])
    back = await api.read(path, limit=4, order=other, iterator=second["prevIterator"])

    assert items == (await api.read(path, order=default))["data"]
    assert items[::-1][:4] == first["data"] == back["data"]
    assert items[::-1][4:8] == second["data"]
    assert f"-{items[-1][key]}" == first["prevIterator"]


MALFORMED = "Invalid id. Expected `app_` and 27 letters or digits that hold a timestamp"


@pytest.mark.parametrize(
    ("params", "place", "words"),
    [
        ({"limit": 300}, ["query", "limit", "limit"], "Given limit must not exceed 250"),
        ({"limit": 0}, ["query", "limit", "limit"], "Given limit must be at least 1"),
        ({"iterator": "BAD-$$$ITERATOR"}, ["query", "iterator", "__all__"], "Invalid id. Expected different prefix"),
        ({"iterator": "app_short"}, ["query", "iterator", "__all__"], MALFORMED),
        ({"iterator": "-app_" + "z" * 27}, ["query", "iterator", "__all__"], MALFORMED),
        ({"iterator": "app_" + "0" * 28}, ["query", "iterator", "__all__"], MALFORMED),
        ({"iterator": "app_" + "0" * 26 + "-"}, ["query", "iterator", "__all__"], MALFORMED),
        ({"iterator": "ep_" + "0" * 27}, ["query", "iterator", "__all__"], "Invalid id. Expected different prefix"),
        ({"iterator": ""}, ["query", "iterator", "__all__"], "Invalid id. Expected different prefix"),
    ],
)
async def test_invalid_page_parameters_are_refused(lite: Api, params: Json, place: list[str], words: str) -> None:
    response = await lite.get("/app", params=params)

    assert [(place, words, "value_error")] == faults(response)


@pytest.mark.parametrize(
    "query",
    [
        "limit=x",
        "limit=1.5",
        "limit=",
        "order=sideways",
        "limit=1&limit=2",
        "limit=%FF",
        "limit=99999999999999999999999",
    ],
)
async def test_an_unreadable_query_is_a_bad_request(lite: Api, query: str) -> None:
    response = await lite.get(f"/app?{query}")

    assert response.status_code == 400
    assert response.json()["code"] == "generic_error"
    assert response.json()["detail"].startswith("Failed to deserialize query string: ")


async def test_unknown_parameters_are_ignored(lite: Api) -> None:
    assert (await lite.get("/app?expanded_statuses=maybe&x=%20")).status_code == 200


async def test_the_element_of_an_iterator_need_not_exist(lite: Api) -> None:
    made = await lite.made("/app", {"name": "one"})

    page = await lite.read("/app", iterator="app_0000000000000000000000000aa")

    assert [made] == page["data"]


async def test_a_query_is_checked_before_the_token(lite: Api) -> None:
    assert (await lite.get("/app", params={"limit": 300}, token="wrong")).status_code == 422


def _numbers(page: Json) -> list[int]:
    return [message["payload"]["n"] for message in page["data"]]


class TestWindows:
    """Lists with a time range."""

    async def _made(self, api: Api) -> tuple[str, list[Json]]:
        path = f"/app/{await api.app()}/msg"
        return path, [await api.made(path, {"eventType": "a", "payload": {"n": n}}) for n in range(10)]

    async def test_after_is_inclusive_and_before_is_exclusive(self, api: Api) -> None:
        path, made = await self._made(api)

        assert list(range(9, 2, -1)) == _numbers(await api.read(path, after=made[3]["timestamp"]))
        assert list(range(2, -1, -1)) == _numbers(await api.read(path, before=made[3]["timestamp"]))

    async def test_after_and_before_combine(self, api: Api) -> None:
        path, made = await self._made(api)

        page = await api.read(path, after=made[2]["timestamp"], before=made[5]["timestamp"])

        assert [4, 3, 2] == _numbers(page)

    async def test_the_first_page_after_a_timestamp_begins_there_and_continues_towards_now(self, api: Api) -> None:
        path, made = await self._made(api)
        since = made[2]["timestamp"]

        first = await api.read(path, after=since, limit=3)
        second = await api.read(path, after=since, limit=3, iterator=first["prevIterator"])

        assert [4, 3, 2] == _numbers(first)
        assert not first["done"]
        assert [7, 6, 5] == _numbers(second)

    async def test_a_page_with_an_iterator_stays_within_the_window(self, api: Api) -> None:
        path, made = await self._made(api)

        page = await api.read(path, after=made[2]["timestamp"], iterator=made[5]["id"])

        assert [4, 3, 2] == _numbers(page)

    async def test_a_list_without_a_window_covers_ninety_days(self, api: Api) -> None:
        path, made = await self._made(api)
        api.clock.advance(91 * 24 * 3600 * 1000)

        assert [] == _numbers(await api.read(path))
        assert [9, 8, 7] == _numbers(await api.read(path, iterator=f"-{made[6]['id']}"))
        assert [2, 1, 0] == _numbers(await api.read(path, iterator=made[3]["id"]))
        assert 10 == len(_numbers(await api.read(path, before="2024-01-01 00:00:00.123 UTC")))

    @pytest.mark.parametrize("timestamp", ["yesterday", "2024-01-01T00:00:00", "2024-13-01T00:00:00Z", ""])
    async def test_an_invalid_timestamp_is_a_bad_request(self, lite: Api, timestamp: str) -> None:
        path = f"/app/{await lite.app()}/msg"

        assert (await lite.get(path, params={"after": timestamp})).status_code == 400


@pytest.mark.parametrize(
    "spelling", ["2023-11-14T22:13:20%2B00:00", "2023-11-14T22:13:20+00:00", "2023-11-14T22:13:20Z"]
)
async def test_timestamps_are_read_in_the_spellings_of_the_sdks(lite: Api, spelling: str) -> None:
    app = await lite.app()
    msg: Any = await lite.message(app)

    page = (await lite.get(f"/app/{app}/msg?after={spelling}")).json()

    assert [msg] == [message["id"] for message in page["data"]]
