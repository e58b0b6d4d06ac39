# SPDX-License-Identifier: MIT
"""An endpoint's health as callers see it, and the commands that repair it."""

import json
from itertools import groupby
from typing import Any, Final

import pytest

from api.kit import Api, Json
from tidings import ids
from tidings.clock import DAY, HOUR, rfc3339
from tidings.core.health import prune_idle_limits
from tidings.model.throttle import SECOND_US

OK: Final = 200
FRESH: Json = {
    "status": "healthy",
    "successRate": None,
    "consecutiveFailures": 0,
    "failingSince": None,
    "lastError": None,
    "lastFailureAt": None,
    "disablesAt": None,
    "unreachableSince": None,
    "disabledAt": None,
    "disabledReason": None,
}


async def mark(api: Api, endpoint: str, **values: Any) -> None:
    async with api.db.write() as tx:
        for name, value in values.items():
            await tx.run(f"UPDATE endpoint SET {name} = :value WHERE id = :id", value=value, id=endpoint)


async def health(api: Api, app: str, endpoint: str) -> Json:
    found: Json = (await api.read(f"/app/{app}/endpoint/{endpoint}"))["x"]["health"]
    return found


async def test_a_healthy_endpoint_is_reported_as_healthy(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)

    assert FRESH == await health(api, app, endpoint)
    assert FRESH == (await api.read(f"/app/{app}/endpoint"))["data"][0]["x"]["health"]


async def test_a_failing_endpoint_reports_since_when_and_when_it_will_be_disabled(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    now = api.clock.now()
    await mark(api, endpoint, failing_since=now, last_failure_at=now + HOUR, disables_at=now + 120 * HOUR)

    body = await health(api, app, endpoint)

    since, last, disables = (rfc3339(now + hours * HOUR) for hours in (0, 1, 120))
    assert (
        FRESH
        | {
            "status": "failing",
            "failingSince": since,
            "lastFailureAt": last,
            "disablesAt": disables,
        }
        == body
    )


async def tried(api: Api, app: str, endpoint: str, *codes: int) -> list[str]:
    """Store attempts at an endpoint, each for a message of its own; code 0 means no response."""
    found = []
    for code in codes:
        api.clock.advance(1_000)
        msg = ids.new(ids.MESSAGE, api.clock.now())
        found.append(await api.attempt(app, endpoint, msg, status=0 if code == OK else 2, code=code))
    return found


def _runs(value: object) -> str:
    """Return an id such as `1x200 101x500` for a list of status codes."""
    return (
        " ".join(f"{len(list(run))}x{code}" for code, run in groupby(value)) if isinstance(value, list) else str(value)
    )


@pytest.mark.parametrize(
    ("codes", "status", "rate", "in_a_row"),
    [
        ([OK], "healthy", 1.0, 0),
        ([500], "degraded", 0.0, 1),
        ([500] * 9, "degraded", 0.0, 9),
        ([500] * 10, "failing", 0.0, 10),
        ([OK] * 30 + [500] * 10, "failing", 0.75, 10),
        ([500] * 10 + [OK], "degraded", 0.0909, 0),
        ([500] * 10 + [OK] + [500] * 9, "degraded", 0.05, 9),
        ([500] + [OK] * 19, "healthy", 0.95, 0),
        ([500] + [OK] * 18, "degraded", 0.9474, 0),
        ([500] * 3 + [OK] * 100, "healthy", 1.0, 0),
        ([OK] + [500] * 101, "failing", 0.0, 100),
    ],
    ids=_runs,
)
async def test_health_is_computed_from_the_last_hundred_attempts(
    api: Api, codes: list[int], status: str, rate: float, in_a_row: int
) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    await tried(api, app, endpoint, *codes)

    body = await health(api, app, endpoint)

    assert (status, rate, in_a_row) == (body["status"], body["successRate"], body["consecutiveFailures"])
    assert (body["failingSince"] is not None) == (status == "failing")


async def test_a_failing_endpoint_reports_its_first_and_its_last_failure(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    attempts = await tried(api, app, endpoint, OK, *[500] * 9, 503)
    without_response = await api.endpoint(app)
    [unanswered] = await tried(api, app, without_response, 0)

    first, other = await health(api, app, endpoint), await health(api, app, without_response)

    assert rfc3339(ids.timestamp_of(attempts[1])) == first["failingSince"]
    assert {
        "attemptId": attempts[-1],
        "timestamp": rfc3339(ids.timestamp_of(attempts[-1])),
        "responseStatusCode": 503,
        "detail": "The receiver responded with status 503.",
    } == first["lastError"]
    assert (unanswered, 0, "thanks") == tuple(
        other["lastError"][name] for name in ("attemptId", "responseStatusCode", "detail")
    )


async def test_attempts_of_the_day_before_do_not_count(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    await tried(api, app, endpoint, *[500] * 10)
    api.clock.advance(DAY + 1_000)

    idle = await health(api, app, endpoint)
    await tried(api, app, endpoint, OK)
    works = await health(api, app, endpoint)
    await tried(api, app, endpoint, 500)
    fails = await health(api, app, endpoint)

    assert FRESH == idle
    assert ("healthy", 1.0) == (works["status"], works["successRate"])
    assert ("degraded", 0.5, 1) == (fails["status"], fails["successRate"], fails["consecutiveFailures"])


async def test_a_run_of_failures_counts_from_its_beginning(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    [first, *_] = await tried(api, app, endpoint, *[500] * 10)
    api.clock.advance(DAY - HOUR)
    await tried(api, app, endpoint, 500)
    api.clock.advance(2 * HOUR)

    body = await health(api, app, endpoint)

    assert ("failing", 0.0, 11) == (body["status"], body["successRate"], body["consecutiveFailures"])
    assert rfc3339(ids.timestamp_of(first)) == body["failingSince"]


async def test_every_response_with_an_endpoint_has_its_health(api: Api) -> None:
    app = await api.app()
    endpoint, other = await api.endpoint(app), await api.endpoint(app)
    await tried(api, app, endpoint, *[500] * 10)
    path = f"/app/{app}/endpoint/{endpoint}"

    answers = [
        (await api.read(f"/app/{app}/endpoint"))["data"][1],
        (await api.call("PATCH", path, json={"description": "new"})).json(),
        (await api.call("PUT", path, json={"url": "http://example.com/"})).json(),
        (await api.post(f"{path}/enable")).json(),
    ]

    assert [("failing", 10)] * 4 == [
        (each["x"]["health"]["status"], each["x"]["health"]["consecutiveFailures"]) for each in answers
    ]
    assert FRESH == await health(api, app, other)


async def disabled(api: Api) -> tuple[str, str, int]:
    """Return an application, its endpoint that was disabled after long failure, and the start of that failure."""
    app = await api.app(uid="mine")
    endpoint = await api.endpoint(app, uid="hook")
    began = api.clock.now()
    api.clock.advance(6 * DAY)
    now = api.clock.now()
    await mark(api, endpoint, failing_since=began, disabled=1, disabled_at=now, disabled_reason="failing")
    return app, endpoint, began


async def test_a_disabled_endpoint_reports_the_reason(api: Api) -> None:
    app, endpoint, _ = await disabled(api)

    body = await health(api, app, endpoint)

    assert ("disabled", "failing") == (body["status"], body["disabledReason"])


async def test_enabling_an_endpoint_clears_its_record_and_is_reported(api: Api) -> None:
    app, endpoint, _ = await disabled(api)

    answer = await api.post(f"/app/{app}/endpoint/hook/enable")

    assert (200, False) == (answer.status_code, answer.json()["disabled"])
    assert {"health": FRESH, "filter": None, "tasks": []} == answer.json()["x"]
    assert FRESH == await health(api, app, endpoint)
    async with api.db.read() as read:
        [row] = await read.rows("SELECT type, payload FROM operational_event WHERE type = 'endpoint.enabled'")
    data = {"appId": app, "appUid": "mine", "endpointId": endpoint, "endpointUid": "hook"}
    assert data == json.loads(row["payload"])["data"]


async def test_an_enabled_endpoint_receives_the_next_message(api: Api) -> None:
    app, _, _ = await disabled(api)
    await api.message(app)

    await api.post(f"/app/{app}/endpoint/hook/enable")
    await api.message(app)

    async with api.db.read() as read:
        assert 1 == (await read.one("SELECT count(*) AS n FROM delivery"))["n"]


async def test_enabling_can_start_a_recovery_in_the_same_call(api: Api) -> None:
    app, endpoint, began = await disabled(api)

    answer = await api.post(f"/app/{app}/endpoint/hook/enable", params={"recover": "true"})

    async with api.db.read() as read:
        rows = [
            await read.one("SELECT kind, args FROM task WHERE id = :id", id=each)
            for each in answer.json()["x"]["tasks"]
        ]
    assert ["endpoint.recover", "endpoint.replay"] == [row["kind"] for row in rows]
    for row in rows:
        args = json.loads(row["args"])
        assert endpoint == args["endpoint_id"]
        assert 0 <= began - args["since"] <= 120_000


async def test_a_manually_disabled_endpoint_catches_up_on_missed_messages(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    await api.call("PATCH", f"/app/{app}/endpoint/{endpoint}", json={"disabled": True})
    body = await health(api, app, endpoint)
    since = api.clock.now()
    api.clock.advance(HOUR)

    answer = await api.post(f"/app/{app}/endpoint/{endpoint}/enable?recover=true")

    async with api.db.read() as read:
        row = await read.one("SELECT args FROM task WHERE kind = 'endpoint.replay'")
    assert ("disabled", rfc3339(since), None) == (body["status"], body["disabledAt"], body["disabledReason"])
    assert 0 <= since - json.loads(row["args"])["since"] <= 120_000
    assert 2 == len(answer.json()["x"]["tasks"])


async def test_enabling_twice_with_one_key_starts_everything_once(api: Api) -> None:
    app, _, _ = await disabled(api)
    headers = {"idempotency-key": "k"}
    path = f"/app/{app}/endpoint/hook/enable?recover=true"

    answers = [await api.post(path, headers=headers) for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    async with api.db.read() as read:
        assert 2 == (await read.one("SELECT count(*) AS n FROM task"))["n"]


async def test_enabling_an_enabled_endpoint_changes_nothing_and_sends_no_event(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    before = await api.read(f"/app/{app}/endpoint/{endpoint}")

    answer = await api.post(f"/app/{app}/endpoint/{endpoint}/enable?recover=true")

    assert before | {"x": {"health": FRESH, "filter": None, "tasks": []}} == answer.json()
    async with api.db.read() as read:
        rows = await read.rows("SELECT type FROM operational_event WHERE type = 'endpoint.enabled'")
    assert rows == []


async def test_an_endpoint_below_its_rate_is_ok(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app, throttleRate=5)

    body = await api.read(f"/app/{app}/endpoint/{endpoint}/rate-limit-status")

    assert {"status": "Ok", "throttledSince": None} == body


async def test_a_delay_by_the_endpoints_or_the_applications_rate_is_reported(api: Api) -> None:
    app = await api.app()
    one, other = await api.endpoint(app), await api.endpoint(app)
    async with api.db.read() as read:
        micros = api.clock.now() * 1_000
        if read.dialect.value == "postgresql":
            micros = (await read.one("SELECT CAST(extract(epoch FROM now()) * 1000000 AS BIGINT) AS n"))["n"]
    busy, idle = micros + 60 * SECOND_US, micros - SECOND_US
    since = api.clock.now() - 5_000
    async with api.db.write() as tx:
        for key, tat in ((one, busy), (other, idle)):
            sql = "INSERT INTO throttle (key, tat_us, limited_since) VALUES (:key, :tat, :since)"
            await tx.run(sql, key=key, tat=tat, since=since)

    path = f"/app/{app}/endpoint/%s/rate-limit-status"
    own = [await api.read(path % each) for each in (one, other)]
    async with api.db.write() as tx:
        await tx.run("UPDATE throttle SET key = :app WHERE key = :one", app=app, one=one)
    shared = [await api.read(path % each) for each in (one, other)]

    limited = {"status": "RateLimited", "throttledSince": rfc3339(since)}
    assert [limited, {"status": "Ok", "throttledSince": None}] == own
    assert [limited, limited] == shared


async def test_an_idle_limit_is_deleted(api: Api) -> None:
    now = api.clock.now()
    async with api.db.write() as tx:
        for key, age in (("ep_old", 2 * DAY), ("ep_new", HOUR)):
            await tx.run("INSERT INTO throttle (key, tat_us) VALUES (:key, :tat)", key=key, tat=(now - age) * 1_000)

    await prune_idle_limits(api.db, now)

    async with api.db.read() as read:
        assert ["ep_new"] == [row["key"] for row in await read.rows("SELECT key FROM throttle")]


async def test_health_and_limits_of_an_absent_endpoint_are_not_found(lite: Api) -> None:
    app = await lite.app()

    assert 404 == (await lite.get(f"/app/{app}/endpoint/nothing/rate-limit-status")).status_code
    assert 404 == (await lite.post(f"/app/{app}/endpoint/nothing/enable")).status_code
