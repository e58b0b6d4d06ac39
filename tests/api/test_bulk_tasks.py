# SPDX-License-Identifier: MIT
"""The routes that start background tasks: their input, responses, refusals and effects."""

from typing import Any

import pytest

from api.kit import ORG, SECRET, Api, Json, faults
from tasks.kit import QUICK, until, working
from tidings.clock import HOUR, MINUTE, SECOND, rfc3339
from tidings.core.access import issue_app_token
from tidings.ids import AppId
from tidings.tasks.registry import handlers

SINCE = "2023-11-14T00:00:00Z"  # the clock of these tests is stopped at 2023-11-14T22:13:20Z
NOW = "2023-11-14T22:00:00Z"
LATER = "2023-11-15T12:00:00Z"


async def started(api: Api, method: str, path: str, kind: str, body: Json | None = None, **more: Any) -> Json:
    """Start a task; check the response against the contract."""
    if body is not None:
        more["json"] = body
    response = await api.call(method, path, **more)
    assert response.status_code == 202, response.text
    found: Json = response.json()
    assert {"id", "status", "task", "updatedAt"} == set(found) - {"unresolvedAppIds"}
    assert ("running", kind) == (found["status"], found["task"])
    return found


async def finished(api: Api, task: Json) -> Json:
    """Let a runner finish the task; return it as the API renders it."""
    services = api.context.services
    async with working(api.db, *handlers(services.clock, services.notifier).values(), limits=QUICK):
        await until(api.db, task["id"])
    body = await api.read(f"/background-task/{task['id']}")
    (listed,) = (await api.read("/background-task"))["data"]
    assert body == listed
    assert ("finished", task["task"]) == (body["status"], body["task"])
    data: Json = body["data"]
    return data


async def test_replay_missing_sends_messages_that_were_never_sent(api: Api) -> None:
    app = await api.app()
    for _ in range(3):
        await api.message(app)
    endpoint = await api.endpoint(app)
    await api.message(app)

    path = f"/app/{app}/endpoint/{endpoint}/replay-missing"
    task = await started(api, "POST", path, "endpoint.replay", {"since": SINCE})

    assert {"messagesSent": 3} == await finished(api, task)


async def test_a_bulk_replay_resends_the_messages_that_match_its_filter(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    plain, tagged = await api.message(app), await api.message(app, tags=["vip"], channels=["red"])
    for message in (plain, tagged):
        await api.attempt(app, endpoint, message, status=2, code=503)

    path, body = f"/app/{app}/endpoint/{endpoint}/bulk-replay", {"since": SINCE, "until": LATER}
    everything = await started(api, "POST", path, "endpoint.bulk-replay", body)
    assert {"messagesSent": 2} == await finished(api, everything)


FILTERED: dict[str, Json] = {
    "eventTypes": {"eventTypes": ["user.signup"]},
    "channel": {"channel": "red"},
    "tag": {"tag": "vip"},
    "status": {"status": 3},
    "statusCodeClass": {"statusCodeClass": 500},
    "ratePerSecond": {"ratePerSecond": 100},
    "nothing, said so": dict.fromkeys(("eventTypes", "channel", "tag", "status", "statusCodeClass", "until")),
}


@pytest.mark.parametrize("more", FILTERED.values(), ids=FILTERED)
async def test_a_bulk_replay_accepts_each_filter(api: Api, more: Json) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    message = await api.message(app, tags=["vip"], channels=["red"])
    await api.attempt(app, endpoint, message, status=2, code=503)

    path = f"/app/{app}/endpoint/{endpoint}/bulk-replay"
    task = await started(api, "POST", path, "endpoint.bulk-replay", {"since": SINCE, **more})

    assert {"messagesSent": 1} == await finished(api, task)


async def test_usage_counts_the_destinations_of_the_requested_applications(api: Api) -> None:
    app, other = await api.app(uid="one"), await api.app()
    endpoint = await api.endpoint(app)
    message = await api.message(app)
    for status in (2, 0):
        await api.attempt(app, endpoint, message, status=status)

    body = {"since": SINCE, "until": LATER, "appIds": ["one", other, "nobody"]}
    task = await started(api, "POST", "/stats/usage/app", "application.stats", body)

    assert ["nobody"] == task["unresolvedAppIds"]
    assert {
        "appStats": [
            {"messageDestinations": 2, "appId": app, "appUid": "one"},
            {"messageDestinations": 0, "appId": other, "appUid": None},
        ]
    } == await finished(api, task)


async def test_usage_without_ids_counts_every_application(api: Api) -> None:
    await api.app()
    task = await started(api, "POST", "/stats/usage/app", "application.stats", {"since": SINCE, "until": NOW})

    assert [] == task["unresolvedAppIds"]
    assert 1 == len((await finished(api, task))["appStats"])


async def test_the_aggregation_reports_the_event_types_of_each_application(api: Api) -> None:
    app = await api.app()
    await api.made("/event-type", {"name": "a.b", "description": "ab"})
    await api.endpoint(app, filterTypes=["a.b"])

    task = await started(api, "PUT", "/stats/usage/event-types", "event-type.aggregate")

    body = {"appId": app, "explicitlySubscribedEventTypes": ["a.b"], "hasCatchAllEndpoint": False}
    assert {"event_types": [body]} == await finished(api, task)


async def test_expunging_all_contents_deletes_every_payload(api: Api) -> None:
    app = await api.app()
    message = await api.message(app)

    task = await started(api, "POST", f"/app/{app}/msg/expunge-all-contents", "application.purge_content")

    assert {"messagesPurged": 1} == await finished(api, task)
    assert {"expired": True} == (await api.read(f"/app/{app}/msg/{message}"))["payload"]


async def test_a_broadcast_creates_a_message_in_each_application(api: Api) -> None:
    apps = [await api.app(), await api.app()]
    await api.message(apps[0], eventId="once")

    body = {"eventType": "a.b", "payload": {"x": 1}, "eventId": "once", "payloadRetentionHours": 5, "channels": ["c"]}
    task = await started(api, "POST", "/msg/broadcast", "message.broadcast", body)

    data = await finished(api, task)
    (created,) = data["messagesCreated"]
    assert [{"appId": apps[0], "reason": "A message with this event id exists already."}] == data["messagesFailed"]
    assert apps[1] == created["appId"]
    message = await api.read(f"/app/{apps[1]}/msg/{created['msgId']}")
    assert ({"x": 1}, "a.b", "once", ["c"]) == tuple(
        message[name] for name in ("payload", "eventType", "eventId", "channels")
    )


async def test_an_export_is_fetched_by_its_link_without_a_token(api: Api) -> None:
    await api.made("/event-type", {"name": "a.b", "description": "ab", "schemas": {"1": {"type": "object"}}})
    task = await started(api, "POST", "/event-type/export/openapi", "sdk.generate")
    link = (await finished(api, task))["schemaZip"]

    response = await api.client.get(link)
    forged = await api.client.get(link[:-1] + ("0" if link[-1] != "0" else "1"))
    bare = await api.client.get(link.partition("?")[0])
    odd = await api.client.get(link.replace("expires=", "expires=x"))
    twins = [await api.client.get(link.replace("expires=", f"expires={more}")) for more in ("0", "%2B", "%20", "1_")]
    twins += [await api.client.get(link + more) for more in ("%20", "=", "%0A")]
    api.clock.advance(25 * 3_600_000)
    late = await api.client.get(link)

    assert link.startswith(f"http://tidings/api/v1/export/{task['id']}?expires=")
    assert {400, 403} >= {twin.status_code for twin in twins}
    assert (200, "application/zip", b"PK") == (
        response.status_code,
        response.headers["content-type"],
        response.content[:2],
    )
    assert [403, 403, 400, 404] == [each.status_code for each in (forged, bare, odd, late)]


REPLAYS = ("recover", "replay-missing", "bulk-replay")
WRONG: dict[str, tuple[Json, list[str]]] = {
    "no since": ({}, ["body", "since"]),
    "no timestamp": ({"since": "yesterday"}, ["body", "since"]),
    "backwards": ({"since": NOW, "until": SINCE}, ["body", "since"]),
    "the future": ({"since": LATER}, ["body", "since"]),
    "a rate of none": ({"since": SINCE, "ratePerSecond": 0}, ["body", "ratePerSecond"]),
    "no rate": ({"since": SINCE, "ratePerSecond": "fast"}, ["body", "ratePerSecond"]),
}
WRONG_FILTERS: dict[str, tuple[Json, list[str]]] = {
    "event type": ({"eventTypes": ["a b"]}, ["body", "eventTypes", "__all__"]),
    "event types": ({"eventTypes": "a.b"}, ["body", "eventTypes"]),
    "channel": ({"channel": "a b"}, ["body", "channel", "__all__"]),
    "tag": ({"tag": ""}, ["body", "tag", "__all__"]),
    "status": ({"status": 7}, ["body", "status"]),
    "class": ({"statusCodeClass": 404}, ["body", "statusCodeClass"]),
}


async def _missing_and_failed(api: Api, app: str, endpoint: str) -> None:
    """Create a message that was never sent to the endpoint, and one that is exhausted there."""
    await api.message(app)
    await api.attempt(app, endpoint, await api.message(app), status=2, code=500)
    async with api.db.write() as tx:
        await tx.run("DELETE FROM delivery WHERE endpoint_id = :endpoint", endpoint=endpoint)


@pytest.mark.parametrize("more", [{}, {"until": LATER}], ids=["up to now", "up to a time ahead"])
@pytest.mark.parametrize("ahead", [SECOND, 5 * MINUTE])
@pytest.mark.parametrize("route", REPLAYS)
async def test_a_range_from_a_clock_that_is_ahead_is_empty(api: Api, route: str, ahead: int, more: Json) -> None:
    """The task sends nothing while it is queued: neither existing messages nor messages that arrive before it runs."""
    app = await api.app()
    endpoint = await api.endpoint(app)
    await _missing_and_failed(api, app, endpoint)
    path = f"/app/{app}/endpoint/{endpoint}/{route}"
    body = {"since": rfc3339(api.clock.now() + ahead), **more}

    dry = await api.post(f"{path}?dryRun=true", json=body)
    task = await api.made(path, body)
    api.clock.advance(10 * MINUTE)
    await _missing_and_failed(api, app, endpoint)

    assert {"messagesSent": 0} == await finished(api, task)
    assert (200, 0, []) == (dry.status_code, dry.json()["total"], dry.json()["sample"])


async def test_usage_of_a_range_that_begins_slightly_ahead_is_empty(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    await api.attempt(app, endpoint, await api.message(app))
    since = api.clock.now() + 5 * MINUTE
    later = rfc3339(since + HOUR)

    task = await api.made("/stats/usage/app", {"since": rfc3339(since), "until": later})

    assert [0] == [each["messageDestinations"] for each in (await finished(api, task))["appStats"]]


@pytest.mark.parametrize("route", REPLAYS)
@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
async def test_invalid_ranges_are_refused(lite: Api, route: str, case: tuple[Json, list[str]]) -> None:
    body, place = case
    app = await lite.app()
    endpoint = await lite.endpoint(app)

    response = await lite.post(f"/app/{app}/endpoint/{endpoint}/{route}", json=body)

    assert [place] == [fault[0] for fault in faults(response)]
    assert [] == (await lite.read("/background-task"))["data"]


@pytest.mark.parametrize("case", WRONG_FILTERS.values(), ids=WRONG_FILTERS)
async def test_invalid_filters_are_refused(lite: Api, case: tuple[Json, list[str]]) -> None:
    body, place = case
    app = await lite.app()
    endpoint = await lite.endpoint(app)

    response = await lite.post(f"/app/{app}/endpoint/{endpoint}/bulk-replay", json={"since": SINCE, **body})

    assert [place] == [fault[0] for fault in faults(response)]


@pytest.mark.parametrize("route", REPLAYS)
async def test_absent_resources_cannot_be_replayed(lite: Api, route: str) -> None:
    app = await lite.app()
    for path in (f"/app/{app}/endpoint/ep_nobody/{route}", f"/app/nobody/endpoint/ep_nobody/{route}"):
        assert 404 == (await lite.post(path, json={"since": SINCE})).status_code


@pytest.mark.parametrize("route", REPLAYS)
async def test_a_replay_to_a_disabled_endpoint_is_refused_unless_forced(lite: Api, route: str) -> None:
    app = await lite.app()
    endpoint = await lite.endpoint(app, disabled=True)
    path = f"/app/{app}/endpoint/{endpoint}/{route}"

    refused = await lite.post(path, json={"since": SINCE})
    forced = await lite.post(f"{path}?force=true", json={"since": SINCE})

    ((place, words, _),) = faults(refused)
    assert (["path", "endpoint_id"], True, 202) == (place, "force=true" in words, forced.status_code)


BAD_USAGE: dict[str, tuple[Json, list[str]]] = {
    "no until": ({"since": SINCE}, ["body", "until"]),
    "backwards": ({"since": NOW, "until": SINCE}, ["body", "since"]),
    "the future": ({"since": LATER, "until": LATER}, ["body", "since"]),
    "nobody": ({"since": SINCE, "until": NOW, "appIds": ["nobody"]}, ["body", "appIds"]),
    "no name": ({"since": SINCE, "until": NOW, "appIds": ["no name"]}, ["body", "appIds", "__all__"]),
}


@pytest.mark.parametrize("case", BAD_USAGE.values(), ids=BAD_USAGE)
async def test_an_invalid_usage_request_is_refused(lite: Api, case: tuple[Json, list[str]]) -> None:
    body, place = case
    await lite.app()

    assert [place] == [fault[0] for fault in faults(await lite.post("/stats/usage/app", json=body))]


BAD_BROADCASTS: dict[str, tuple[Json, list[str]]] = {
    "no payload": ({"eventType": "a.b"}, ["body", "payload"]),
    "a list": ({"eventType": "a.b", "payload": []}, ["body", "payload"]),
    "no name": ({"eventType": "a b", "payload": {}}, ["body", "eventType", "__all__"]),
    "no channels": ({"eventType": "a.b", "payload": {}, "channels": []}, ["body", "channels"]),
    "both": (
        {"eventType": "a.b", "payload": {}, "payloadRetentionPeriod": 5, "payloadRetentionHours": 5},
        ["body", "payloadRetentionHours"],
    ),
}


@pytest.mark.parametrize("case", BAD_BROADCASTS.values(), ids=BAD_BROADCASTS)
async def test_invalid_broadcasts_are_refused(lite: Api, case: tuple[Json, list[str]]) -> None:
    body, place = case

    assert place in [fault[0] for fault in faults(await lite.post("/msg/broadcast", json=body))]


async def test_an_application_token_may_replay_only_its_own_messages(lite: Api) -> None:
    app = await lite.app()
    endpoint = await lite.endpoint(app)
    token = issue_app_token(SECRET, ORG, AppId(app), lite.clock.now())

    replay = await lite.post(f"/app/{app}/endpoint/{endpoint}/bulk-replay", json={"since": SINCE}, token=token)
    others = [
        await lite.post("/stats/usage/app", json={"since": SINCE, "until": NOW}, token=token),
        await lite.call("PUT", "/stats/usage/event-types", token=token),
        await lite.post("/msg/broadcast", json={"eventType": "a.b", "payload": {}}, token=token),
        await lite.post("/event-type/export/openapi", token=token),
        await lite.post(f"/app/{app}/msg/expunge-all-contents", token=token),
    ]

    assert 202 == replay.status_code
    assert [403] * 5 == [response.status_code for response in others]


async def test_a_repeated_request_starts_one_task(api: Api) -> None:
    app = await api.app()
    path = f"/app/{app}/msg/expunge-all-contents"
    answers = [await api.post(path, headers={"idempotency-key": "k"}) for _ in range(2)]
    bodies = [
        await api.post("/stats/usage/app", json={"since": SINCE, "until": NOW}, headers={"idempotency-key": "k2"})
        for _ in range(2)
    ]

    assert answers[0].json() == answers[1].json()
    assert bodies[0].json() == bodies[1].json()
    assert 2 == len((await api.read("/background-task"))["data"])
