# SPDX-License-Identifier: MIT
"""Attempt counts of endpoints."""

import pytest

from api.kit import Api, Json
from tidings import ids
from tidings.clock import DAY, HOUR, MINUTE, rfc3339

NOTHING = {"success": 0, "pending": 0, "sending": 0, "fail": 0, "canceled": 0}


async def _made(api: Api) -> tuple[str, str]:
    app = await api.app()
    return app, await api.endpoint(app)


async def _stats(api: Api, app: str, endpoint: str, **params: int) -> Json:
    return await api.read(
        f"/app/{app}/endpoint/{endpoint}/stats", **{name: rfc3339(timestamp) for name, timestamp in params.items()}
    )


async def test_a_new_endpoint_has_no_attempts(api: Api) -> None:
    assert NOTHING == await _stats(api, *await _made(api))


async def test_attempts_are_counted_by_status_and_time(api: Api) -> None:
    app, endpoint = await _made(api)
    other = await api.endpoint(app)
    msg = await api.message(app)
    made = [await api.attempt(app, endpoint, msg, status=status) for status in (0, 2, 0, 0)]
    await api.attempt(app, other, msg)
    timestamps = [ids.timestamp_of(each) for each in made]

    assert {**NOTHING, "success": 3, "fail": 1} == await _stats(api, app, endpoint)
    assert {**NOTHING, "success": 2} == await _stats(api, app, endpoint, since=timestamps[2])
    assert {**NOTHING, "success": 1, "fail": 1} == await _stats(api, app, endpoint, until=timestamps[1])
    assert {**NOTHING, "fail": 1} == await _stats(api, app, endpoint, since=timestamps[1], until=timestamps[1])
    assert NOTHING == await _stats(api, app, endpoint, since=timestamps[1], until=timestamps[0])
    api.clock.advance(29 * DAY)
    assert NOTHING == await _stats(api, app, endpoint)


@pytest.mark.parametrize(
    ("since", "until", "words"),
    [
        (None, 6 * MINUTE, "'until' cannot be in the future"),
        (-29 * DAY, None, "'since' cannot be more than 28 days prior to "),
        (-40 * DAY, -11 * DAY, "'since' cannot be more than 28 days prior to "),
    ],
)
async def test_a_range_that_is_too_long_or_in_the_future_is_refused(
    lite: Api, since: int | None, until: int | None, words: str
) -> None:
    app, endpoint = await _made(lite)
    now = lite.clock.now()
    filters = {name: rfc3339(now + by) for name, by in (("since", since), ("until", until)) if by is not None}

    response = await lite.get(f"/app/{app}/endpoint/{endpoint}/stats", params=filters)

    assert (400, "invalid_range") == (response.status_code, response.json()["code"])
    assert response.json()["detail"].startswith(words)


async def test_a_clock_that_is_slightly_ahead_is_tolerated(lite: Api) -> None:
    app, endpoint = await _made(lite)

    assert NOTHING == await _stats(lite, app, endpoint, until=lite.clock.now() + 4 * MINUTE)


@pytest.mark.parametrize("timestamp", ["soon", "2024-01-01T00:00:00", ""])
async def test_an_invalid_timestamp_is_refused_as_json(lite: Api, timestamp: str) -> None:
    app, endpoint = await _made(lite)

    response = await lite.get(f"/app/{app}/endpoint/{endpoint}/stats", params={"since": timestamp})

    assert (400, "generic_error") == (response.status_code, response.json()["code"])


async def test_attempt_stats_cover_whole_hours(api: Api) -> None:
    app, endpoint = await _made(api)
    msg = await api.message(app)
    await api.attempt(app, endpoint, msg, status=2)
    timestamp = api.clock.now()
    path = f"/app/{app}/endpoint/{endpoint}/attempt-stats"

    assert {"success": 0, "fail": 1, "canceled": 0} == await api.read(path)
    assert 1 == (await api.read(path, since=rfc3339(timestamp + 1)))["fail"]
    api.clock.advance(2 * HOUR)
    assert 0 == (await api.read(path, since=rfc3339(timestamp + HOUR)))["fail"]
