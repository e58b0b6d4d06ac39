# SPDX-License-Identifier: MIT
"""Commands to background tasks over HTTP: each command in each state, permissions, and effects."""

import asyncio
import json
from typing import Any

import pytest

from api.kit import ORG, SECRET, Api, Json
from api.task_kit import LEASED, commanded, failing, recovering, stored, tables
from tasks.kit import until
from tidings import observe
from tidings.clock import HOUR, rfc3339
from tidings.core.access import PortalTerms, issue_portal_token
from tidings.core.signer import as_signer
from tidings.core.tuning import CoreTuning
from tidings.ids import AppId, OrgId
from tidings.model.app import App
from tidings.model.task import TRANSITIONS, Command, State, allows
from tidings.model.token import Capability
from tidings.storage.tables import deliveries
from tidings.tasks.runner import RunnerLimits

COMMANDS = [Command.CANCEL, Command.PAUSE, Command.RESUME, Command.RETRY]
REPEATED = {(Command.PAUSE, State.PAUSED), (Command.CANCEL, State.CANCELLED)}


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_command_follows_the_transition_table(api: Api, command: Command) -> None:
    for state in State:
        task_id = await stored(api, state)
        body = observe.counters[f"task.{command}"]

        response = await api.post(f"/background-task/{task_id}/{command}")

        assert observe.counters[f"task.{command}"] == body + allows(command, state)
        now = await api.read(f"/background-task/{task_id}")
        if allows(command, state):
            assert (response.status_code, now["x"]["state"]) == (200, TRANSITIONS[command].target)
        elif (command, state) in REPEATED:
            assert (response.status_code, now["x"]["state"]) == (200, state)
        else:
            refused = response.json()
            assert (response.status_code, refused["code"]) == (409, "invalid_state")
            assert {State.CANCELLED: "canceled"}.get(state, state) in refused["detail"]
            assert now["x"]["state"] == state
            continue
        assert response.json() == now


def test_the_tested_commands_are_those_of_the_transition_table() -> None:
    assert {command for command in Command if TRANSITIONS[command].why.startswith("requested")} == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("ref", ["qtask_nobody", "qtask_1srOrx2ZWZBpBUvZwXKQmoEYga2"])
async def test_a_command_to_an_absent_task_is_not_found(lite: Api, command: Command, ref: str) -> None:
    response = await lite.post(f"/background-task/{ref}/{command}")

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def _token(api: Api, app: str, *capabilities: Capability) -> str:
    owner = App(
        id=AppId(app),
        org_id=OrgId(ORG),
        uid=None,
        name="an app",
        throttle_rate=None,
        metadata={},
        created_at=0,
        updated_at=0,
    )
    terms = PortalTerms(HOUR, capabilities=frozenset({Capability.VIEW_BASE, *capabilities}))
    return issue_portal_token(as_signer(SECRET), owner, terms, api.clock.now())


async def test_an_application_token_with_the_capability_commands_its_own_tasks_only(api: Api) -> None:
    mine, other = await api.app(), await api.app()
    task_id = await stored(api, State.QUEUED, app=mine)
    anothers = await stored(api, State.QUEUED, app=other)
    of_nobody = await stored(api, State.QUEUED)
    able, unable = _token(api, mine, Capability.CREATE_ATTEMPTS), _token(api, mine)

    for command in COMMANDS:
        for hidden in (anothers, of_nobody):
            path = f"/background-task/{hidden}/{command}"
            assert (await api.post(path, token=able)).status_code == 404
        assert (await api.post(f"/background-task/{task_id}/{command}", token=unable)).status_code == 403
    for name in ("wait?timeout=0", "events", "items"):
        assert (await api.get(f"/background-task/{anothers}/{name}", token=able)).status_code == 404
    assert (await api.get(f"/background-task/{task_id}/items", token=unable)).status_code == 200
    assert (await api.get(f"/background-task/{task_id}/wait?timeout=0", token=unable)).status_code == 200
    assert (await api.post(f"/background-task/{task_id}/cancel", token=able)).status_code == 200


async def test_a_cancel_cancels_the_deliveries_not_in_flight_and_counts_them(api: Api) -> None:
    app, endpoint, messages = await failing(api, 7)
    async with recovering(api):
        task_id = (await commanded(api, app, endpoint))["id"]
        await until(api.db, task_id)
    await _store(api, task_id, state="paused", wire_status="running", finished_at=None)
    await _lease(api, messages[:2])

    cancelled = (await api.post(f"/background-task/{task_id}/cancel")).json()
    again = (await api.post(f"/background-task/{task_id}/cancel")).json()

    assert (cancelled["x"]["state"], cancelled["x"]["withdrawn"]) == ("cancelled", 5)
    assert again == cancelled
    items = (await api.read(f"/background-task/{task_id}/items"))["data"]
    assert [(item["msgId"], item["outcome"]) for item in items] == [
        *((msg, "rearmed") for msg in messages[:2]),
        *((msg, "withdrawn") for msg in messages[2:]),
    ]


async def _store(api: Api, task_id: str, **columns: Any) -> None:
    changes = ", ".join(f"{name} = :{name}" for name in columns)
    async with api.db.write() as tx:
        await tx.run(f"UPDATE task SET {changes} WHERE id = :id", id=task_id, **columns)


async def _lease(api: Api, messages: list[str]) -> None:
    async with api.db.write() as tx:
        for msg in messages:
            await tx.run(f"UPDATE delivery SET {LEASED} WHERE msg_id = :msg", msg=msg)


async def test_a_task_writes_nothing_after_the_response_to_its_cancel(api: Api) -> None:
    """I8: the task has chunks of one row, and the cancel arrives during one of them, over HTTP."""
    app, endpoint, _ = await failing(api, 60)
    async with recovering(api, limits=RunnerLimits(chunk_rows=1)):
        task_id = (await commanded(api, app, endpoint))["id"]
        async with asyncio.timeout(30):
            while not await _sent(api, task_id):
                pass
        cancelled = (await api.post(f"/background-task/{task_id}/cancel")).json()
        before = await tables(api)

    assert await tables(api) == before, "the runner wrote before it stopped"
    sent = cancelled["data"]["messagesSent"]
    assert 0 < sent < 60
    assert cancelled["x"]["withdrawn"] == cancelled["data"]["withdrawn"] == sent
    async with api.db.read() as read:
        assert await deliveries.backlog(read, endpoint, limit=100) == 0
    assert 60 == (await _count(api, "attempt"))


async def _sent(api: Api, task_id: str) -> int:
    return int((await api.read(f"/background-task/{task_id}"))["data"]["messagesSent"])


async def _count(api: Api, table: str) -> int:
    async with api.db.read() as read:
        return int((await read.one(f"SELECT count(*) AS n FROM {table}"))["n"])


async def test_the_backlog_of_an_endpoint_includes_leased_deliveries(api: Api) -> None:
    app, endpoint, messages = await failing(api, 4)
    await api.message(app)
    async with recovering(api):
        await until(api.db, (await commanded(api, app, endpoint))["id"])

    await _lease(api, messages[:3])

    async with api.db.read() as read:
        assert await deliveries.backlog(read, endpoint, limit=100) == 4
        assert await deliveries.backlog(read, endpoint, limit=2) == 2


# --- waiting


async def _watched(api: Api) -> None:
    """Wait until a request waits for a task."""
    while "1 tasks" not in repr(api.context.task_watcher):  # noqa: ASYNC110 - the watcher offers no event
        await asyncio.sleep(0)


async def test_a_wait_ends_with_the_task_and_not_with_the_next_query(api: Api) -> None:
    api = api.tuned(core=CoreTuning(watch_seconds=3_600))
    task_id = await stored(api, State.QUEUED)

    waiting = asyncio.gather(*(api.read(f"/background-task/{task_id}/wait", timeout=60) for _ in range(3)))
    await _watched(api)
    await api.post(f"/background-task/{task_id}/cancel")
    body = await waiting

    assert [task["x"]["state"] for task in body] == ["cancelled"] * 3
    assert "0 tasks" in repr(api.context.task_watcher)


async def test_a_wait_ends_after_a_change_by_another_node(api: Api) -> None:
    task_id = await stored(api, State.QUEUED)

    waiting = asyncio.create_task(api.get(f"/background-task/{task_id}/wait?timeout=30"))
    await _watched(api)
    await _store(api, task_id, state="cancelled", wire_status="failed", finished_at=1)

    assert (await waiting).json()["x"]["state"] == "cancelled"


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
async def test_a_wait_for_an_ended_task_returns_at_once(lite: Api, state: State) -> None:
    task_id = await stored(lite, state)

    assert (await lite.read(f"/background-task/{task_id}/wait", timeout=60))["x"]["state"] == state


async def test_a_wait_times_out_with_the_state_of_the_task(lite: Api) -> None:
    task_id = await stored(lite, State.PAUSED)

    assert (await lite.read(f"/background-task/{task_id}/wait", timeout=1))["x"]["state"] == "paused"
    assert (await lite.read(f"/background-task/{task_id}/wait", timeout=0))["x"]["state"] == "paused"


@pytest.mark.parametrize(("given", "status"), [("61", 422), ("-1", 422), ("soon", 400)])
async def test_a_wait_longer_than_the_maximum_is_refused(lite: Api, given: str, status: int) -> None:
    task_id = await stored(lite, State.QUEUED)

    assert (await lite.get(f"/background-task/{task_id}/wait?timeout={given}")).status_code == status


async def test_a_waiting_caller_is_released_when_the_process_stops(lite: Api) -> None:
    task_id = await stored(lite, State.QUEUED)
    waiting = asyncio.create_task(lite.get(f"/background-task/{task_id}/wait?timeout=60"))
    await _watched(lite)

    await lite.context.task_watcher.close()

    assert (await waiting).json()["x"]["state"] == "queued"


# --- dry runs


async def _creating(api: Api) -> tuple[str, list[tuple[str, str, Json | None, int]]]:
    """Return an application, and every route that starts a task, with a body and the expected count of the dry run."""
    app, endpoint, _ = await failing(api, 3)
    await api.message(app)
    await api.made("/event-type", {"name": "user.signup", "description": "Somebody has signed up"})
    since, until_ = rfc3339(api.clock.now() - HOUR), rfc3339(api.clock.now())
    at = f"/app/{app}/endpoint/{endpoint}"
    return app, [
        ("POST", f"{at}/recover", {"since": since}, 3),
        ("POST", f"{at}/replay-missing", {"since": since}, 1),
        ("POST", f"{at}/bulk-replay", {"since": since, "ratePerSecond": 1}, 3),
        ("POST", "/stats/usage/app", {"since": since, "until": until_}, 1),
        ("PUT", "/stats/usage/event-types", None, 1),
        ("POST", f"/app/{app}/msg/expunge-all-contents", None, 4),
        ("POST", "/msg/broadcast", {"eventType": "user.signup", "payload": {}}, 1),
        ("POST", "/event-type/export/openapi", None, 1),
    ]


async def test_a_dry_run_reports_the_effects_and_writes_nothing(api: Api) -> None:
    app, creating = await _creating(api)
    async with api.db.write() as tx:  # this leaves messages that were never sent, for the replay
        await tx.run("DELETE FROM delivery WHERE app_id = :app", app=app)
    before = await tables(api)

    for method, path, body, total in creating:
        key = {"idempotency-key": "one"}
        response = await api.call(method, f"{path}?dryRun=true", json=body, headers=key)
        result = response.json()
        assert response.status_code == 200, (path, result)
        assert (result["total"], result["exact"]) == (total, True), path
        assert len(result["sample"]) == min(total, 5), path
        assert result["estimateSeconds"] >= (3 if "bulk" in path else 0)

    assert await tables(api) == before
    assert (await api.call("POST", creating[0][1], json=creating[0][2])).status_code == 202


async def test_a_dry_run_is_refused_like_the_real_request(api: Api) -> None:
    app, creating = await _creating(api)
    disabled = await api.endpoint(app, disabled=True)
    since, future = rfc3339(api.clock.now() - HOUR), rfc3339(api.clock.now() + HOUR)
    wrong: list[tuple[str, str, Json | None]] = [
        ("POST", f"/app/{app}/endpoint/{disabled}/recover", {"since": since}),
        ("POST", f"/app/{app}/endpoint/nobody/replay-missing", {"since": since}),
        ("POST", f"/app/nobody/endpoint/{disabled}/bulk-replay", {"since": since}),
        ("POST", "/stats/usage/app", {"since": since, "until": since, "appIds": ["nobody"]}),
        ("POST", "/msg/broadcast", {"eventType": "not a name", "payload": {}}),
        ("POST", "/msg/broadcast", {"eventType": "user.signup", "payload": []}),
        *((method, path, {**body, "since": future}) for method, path, body, _ in creating if body and "since" in body),
        *((method, path, {**body, "since": "soon"}) for method, path, body, _ in creating if body and "since" in body),
    ]
    for method, path, body in wrong:
        dry = await api.call(method, f"{path}?dryRun=true", json=body)
        real = await api.call(method, path, json=body)
        assert real.status_code >= 400, path
        assert (dry.status_code, dry.json()) == (real.status_code, real.json()), path


async def test_the_dry_run_parameter_is_a_boolean(lite: Api) -> None:
    _, creating = await _creating(lite)

    assert (await lite.call("POST", f"{creating[0][1]}?dryRun=maybe", json=creating[0][2])).status_code == 400
    assert (await lite.call("POST", f"{creating[0][1]}?dryRun=false", json=creating[0][2])).status_code == 202


# --- items


async def test_items_report_the_state_of_each_message(api: Api) -> None:
    """Resent messages in four states: delivered, failed again, still scheduled, and impossible to send."""
    app, endpoint, messages = await failing(api, 9)
    async with api.db.write() as tx:
        await tx.run("UPDATE message SET payload = NULL WHERE id = :id", id=messages[0])
    async with recovering(api):
        task_id = (await commanded(api, app, endpoint))["id"]
        await until(api.db, task_id)
    for number, msg in enumerate(messages[1:8]):
        await _settle(api, task_id, app, endpoint, msg, works=number % 2 == 0)

    body = await api.read(f"/background-task/{task_id}/items")

    expected = ["skipped", *(["delivered", "failed"] * 4)[:7], "rearmed"]
    assert [(item["msgId"], item["outcome"]) for item in body["data"]] == list(zip(messages, expected, strict=True))
    assert body["data"][0]["reason"] == "payload_expired"
    assert {item["responseStatusCode"] for item in body["data"] if item["outcome"] == "failed"} == {503}
    assert all(item["attemptId"] for item in body["data"] if item["outcome"] in ("delivered", "failed"))
    for outcome in set(expected):
        only = (await api.read(f"/background-task/{task_id}/items", outcome=outcome))["data"]
        assert only == [item for item in body["data"] if item["outcome"] == outcome]
    assert (await api.read(f"/background-task/{task_id}/items", outcome="withdrawn"))["data"] == []


async def _settle(api: Api, task_id: str, app: str, endpoint: str, msg: str, *, works: bool) -> None:
    attempt = await api.attempt(app, endpoint, msg, status=0 if works else 2, code=200 if works else 503)
    async with api.db.write() as tx:
        await tx.run("UPDATE attempt SET task_id = :task WHERE id = :id", task=task_id, id=attempt)
        await tx.run("DELETE FROM delivery WHERE msg_id = :msg", msg=msg)


async def test_items_are_paged_like_every_list(api: Api) -> None:
    app, endpoint, messages = await failing(api, 7)
    async with recovering(api):
        task_id = (await commanded(api, app, endpoint))["id"]
        await until(api.db, task_id)
    await _settle(api, task_id, app, endpoint, messages[2], works=True)

    async def listed(**params: Any) -> tuple[list[str], Json]:
        page = await api.read(f"/background-task/{task_id}/items", **params)
        return [item["msgId"] for item in page["data"]], page

    found, page = await listed(limit=3)
    assert (found, page["done"]) == (messages[:3], False)
    following, second = await listed(limit=3, iterator=page["iterator"])
    assert (following, second["done"]) == (messages[3:6], False)
    assert (await listed(limit=3, iterator=second["prevIterator"]))[0] == messages[:3]
    last, third = await listed(limit=3, iterator=second["iterator"])
    assert (last, third["done"]) == (messages[6:], True)
    assert (await listed(order="descending", limit=4))[0] == messages[:2:-1]
    assert (await api.get(f"/background-task/{task_id}/items?outcome=lost")).status_code == 400
    assert (await api.get(f"/background-task/{task_id}/items?iterator=")).status_code == 422


async def test_items_of_other_kinds_are_their_recorded_results(lite: Api) -> None:
    task_id = await stored(lite, State.SUCCEEDED)
    async with lite.db.write() as tx:
        for key, outcome, data in [
            ("app_1", "created", json.dumps({"appId": "app_1", "msgId": "msg_1"})),
            ("app_2", "skipped", "application_deleted"),
            ("app_3", "counted", json.dumps({"messageDestinations": 4})),
        ]:
            await tx.run(
                "INSERT INTO task_item (task_id, key, outcome, data) VALUES (:task, :key, :outcome, :data)",
                task=task_id,
                key=key,
                outcome=outcome,
                data=data,
            )

    items = (await lite.read(f"/background-task/{task_id}/items"))["data"]

    assert [(item["id"], item["outcome"], item["reason"], item["data"]) for item in items] == [
        ("app_1", "created", None, {"appId": "app_1", "msgId": "msg_1"}),
        ("app_2", "skipped", "application_deleted", None),
        ("app_3", "counted", None, {"messageDestinations": 4}),
    ]
