# SPDX-License-Identifier: MIT
"""Background tasks as a client sees them."""

import json
from typing import Any

import pytest

from api.kit import ORG, SECRET, Api, Json, faults
from tasks.kit import until
from tidings import ids
from tidings.clock import DAY, HOUR, rfc3339
from tidings.core.access import issue_app_token, issue_org_token
from tidings.core.notifier import Notifier
from tidings.ids import AppId, OrgId, TaskId
from tidings.model.task import NewTask
from tidings.storage.tables import tasks
from tidings.tasks.registry import KINDS, handlers
from tidings.tasks.runner import Runner, RunnerLimits

OLD = {"user-agent": "svix-libs/1.86.0/python python/3.11.7 Linux/x86_64"}
NEW = {"user-agent": "svix-libs/1.87.0/javascript node/20"}


async def _recover(api: Api, app: str, endpoint: str, **more: Any) -> Json:
    since = rfc3339(api.clock.now() - HOUR)
    return await api.made(f"/app/{app}/endpoint/{endpoint}/recover", {"since": since}, **more)


async def _stored(api: Api, kind: str, app: str | None = None, **columns: Any) -> str:
    """Store a task of any kind, in any state."""
    api.clock.advance(ids.STEP_MS)
    task_id = TaskId(ids.new(ids.TASK, api.clock.now()))
    new = NewTask(kind=kind, org_id=ORG, app_id=AppId(app) if app else None, args="{}")
    async with api.db.write(advisory_lock=tasks.CLAIM_LOCK) as tx:
        await tasks.add(tx, task_id, new, api.clock.now(), KINDS.names)
        changes = ", ".join(f"{name} = :{name}" for name in columns)
        if columns:
            await tx.run(f"UPDATE task SET {changes} WHERE id = :id", id=task_id, **columns)
    return task_id


async def _failing(api: Api, messages: int) -> tuple[str, str]:
    app = await api.app()
    endpoint = await api.endpoint(app)
    for _ in range(messages):
        await api.attempt(app, endpoint, await api.message(app), status=2, code=500)
    return app, endpoint


async def test_recover_responds_with_a_task_that_can_be_fetched(api: Api) -> None:
    app = await api.app(uid="acme-1")
    await api.endpoint(app, uid="hook-1")

    started = await _recover(api, "acme-1", "hook-1")

    assert set(started) == {"id", "status", "task", "updatedAt"}
    assert (started["status"], started["task"]) == ("running", "endpoint.recover")
    assert ids.is_id(started["id"], ids.TASK)
    found = await api.read(f"/background-task/{started['id']}")
    assert {key: found[key] for key in started} == started
    assert found["data"] == {"messagesSent": 0, "progress": found["x"]["progress"]}
    assert found["x"] == {
        "kind": "endpoint.recover",
        "state": "queued",
        "progress": {
            "done": 0,
            "skipped": 0,
            "total": None,
            "totalExact": False,
            "percent": None,
            "ratePerSecond": None,
            "etaSeconds": None,
        },
        "error": None,
        "createdAt": started["updatedAt"],
        "startedAt": None,
        "finishedAt": None,
        "createdBy": ORG,
    }


async def test_a_finished_recovery_reports_exactly_how_many_were_sent(api: Api) -> None:
    app, endpoint = await _failing(api, 3)
    started = await _recover(api, app, endpoint)
    runner = Runner(api.db, api.clock, RunnerLimits(), handlers(api.clock, Notifier()))
    await runner.start()
    await until(api.db, started["id"])
    await runner.stop()

    found = await api.read(f"/background-task/{started['id']}")

    assert (found["status"], found["data"]) == ("finished", {"messagesSent": 3})
    assert found["x"]["state"] == "succeeded"
    assert found["x"]["progress"]["percent"] == 100.0


async def test_a_running_task_reports_its_progress(lite: Api) -> None:
    task_id = await _stored(
        lite,
        "endpoint.recover",
        state="running",
        lease_until=1 << 50,
        done=30,
        skipped=10,
        total=160,
        total_exact=1,
        rate=20.0,
        chunks=5,
        busy_ms=9_000,
        counters=json.dumps({"messagesSent": 25}),
    )

    data = (await lite.read(f"/background-task/{task_id}"))["data"]

    progress = {
        "done": 30,
        "skipped": 10,
        "total": 160,
        "totalExact": True,
        "percent": 25.0,
        "ratePerSecond": 20.0,
        "etaSeconds": 6,
    }
    assert data == {"messagesSent": 25, "progress": progress}


async def test_a_paused_task_has_the_status_running(lite: Api) -> None:
    task_id = await _stored(lite, "endpoint.recover", state="paused")

    found = await lite.read(f"/background-task/{task_id}")

    assert (found["status"], found["x"]["state"]) == ("running", "paused")


@pytest.mark.parametrize("state", ["failed", "cancelled"])
async def test_a_failed_task_reports_why(lite: Api, state: str) -> None:
    error = {"code": "endpoint_deleted", "detail": "It is gone."}
    task_id = await _stored(
        lite,
        "endpoint.recover",
        state=state,
        wire_status="failed",
        finished_at=1_700_000_000_000,
        error=json.dumps(error),
        counters=json.dumps({"messagesSent": 7}),
    )

    found = await lite.read(f"/background-task/{task_id}")

    assert (found["status"], found["data"]) == ("failed", {"messagesSent": 7, "error": error})
    assert (found["x"]["state"], found["x"]["error"]) == (state, error)


@pytest.mark.parametrize("ref", ["qtask_nobody", "nonsense", "qtask_1srOrx2ZWZBpBUvZwXKQmoEYga2"])
async def test_an_absent_task_is_not_found(lite: Api, ref: str) -> None:
    response = await lite.get(f"/background-task/{ref}")

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_an_application_sees_its_own_tasks_only(api: Api) -> None:
    apps = [await api.app(), await api.app()]
    started = [(await _recover(api, app, await api.endpoint(app)))["id"] for app in apps]
    token = issue_app_token(SECRET, OrgId(ORG), AppId(apps[0]), api.clock.now())

    listed = (await api.get("/background-task", token=token)).json()["data"]

    assert [task["id"] for task in listed] == [started[0]]
    assert (await api.get(f"/background-task/{started[0]}", token=token)).status_code == 200
    assert (await api.get(f"/background-task/{started[1]}", token=token)).status_code == 404
    assert [task["id"] for task in (await api.read("/background-task"))["data"]] == started[::-1]


async def test_internal_tasks_are_not_visible_to_callers(lite: Api) -> None:
    task_id = await _stored(lite, "system.janitor")

    assert (await lite.read("/background-task"))["data"] == []
    assert (await lite.get(f"/background-task/{task_id}")).status_code == 404


async def test_the_list_is_paged_filtered_and_ordered(api: Api) -> None:
    made = [await _stored(api, "endpoint.recover") for _ in range(4)]
    replay = await _stored(api, "endpoint.bulk-replay", state="cancelled", wire_status="failed", finished_at=1)
    newest = [replay, *made[::-1]]

    async def listed(**params: Any) -> list[str]:
        return [task["id"] for task in (await api.read("/background-task", **params))["data"]]

    page = await api.read("/background-task", limit=2)
    assert [task["id"] for task in page["data"]] == newest[:2]
    assert (page["iterator"], page["prevIterator"], page["done"]) == (newest[1], f"-{newest[0]}", False)
    assert await listed(limit=2, iterator=newest[1]) == newest[2:4]
    assert await listed(limit=2, iterator=f"-{newest[3]}") == newest[1:3]
    assert await listed(order="ascending") == newest[::-1]
    assert await listed(status="failed") == await listed(task="endpoint.bulk-replay") == [replay]
    assert await listed(task="endpoint.bulk_replay", status="failed") == [replay]
    assert await listed(task="endpoint.recover", status="running", order="ascending", limit=3) == made[:3]
    assert await listed(status="finished") == []


async def test_the_list_ends_after_ninety_days(lite: Api) -> None:
    old = await _stored(lite, "endpoint.recover")
    lite.clock.advance(91 * DAY)

    async with lite.db.read() as read:
        assert await tasks.get(read, old) is not None
    token = _org_token(lite)
    assert (await lite.get("/background-task", token=token)).json()["data"] == []
    assert (await lite.get(f"/background-task/{old}", token=token)).status_code == 200


def _org_token(api: Api) -> str:
    return issue_org_token(SECRET, OrgId(ORG), api.clock.now())


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=0", 422),
        ("limit=251", 422),
        ("iterator=app_1srOrx2ZWZBpBUvZwXKQmoEYga2", 422),
        ("status=cancelled", 400),
        ("task=endpoint.replay-missing", 400),
        ("order=down", 400),
    ],
)
async def test_an_invalid_query_is_refused(lite: Api, query: str, status: int) -> None:
    assert (await lite.get(f"/background-task?{query}")).status_code == status


async def test_old_clients_get_the_former_name_of_a_kind(lite: Api) -> None:
    task_id = await _stored(lite, "endpoint.bulk-replay")

    async def name(headers: Json) -> str:
        one = (await lite.get(f"/background-task/{task_id}", headers=headers)).json()["task"]
        (listed,) = (await lite.get("/background-task", headers=headers)).json()["data"]
        assert listed["task"] == one
        return str(one)

    assert await name(OLD) == "endpoint.bulk_replay"
    assert await name(NEW) == "endpoint.bulk-replay"
    assert await name({"user-agent": "curl/8"}) == "endpoint.bulk-replay"
    assert await name({"user-agent": "svix-libs/0.99/ruby"}) == "endpoint.bulk_replay"


async def test_two_recoveries_with_one_idempotency_key_start_one_task(api: Api) -> None:
    app = await api.app()
    endpoint = await api.endpoint(app)
    body = {"since": rfc3339(api.clock.now() - HOUR)}
    path, headers = f"/app/{app}/endpoint/{endpoint}/recover", {"idempotency-key": "once"}

    answers = [await api.post(path, json=body, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert len((await api.read("/background-task"))["data"]) == 1


async def test_a_recovery_that_cannot_be_done_is_refused(lite: Api) -> None:
    app = await lite.app()
    endpoint = await lite.endpoint(app)
    disabled = await lite.endpoint(app, disabled=True)
    now = lite.clock.now()

    async def refused(ref: str, **body: Any) -> list[tuple[list[str], str, str]]:
        return faults(await lite.post(f"/app/{app}/endpoint/{ref}/recover", json=body))

    too_long = (["body", "since"], "Cannot recover more than 14 days of messages", "value_error")
    assert await refused(endpoint, since=rfc3339(now - 15 * DAY)) == [too_long]
    backwards = (["body", "since"], "'since' must not be later than 'until'", "value_error")
    assert await refused(endpoint, since=rfc3339(now - HOUR), until=rfc3339(now - 2 * HOUR)) == [backwards]
    assert (await refused(disabled, since=rfc3339(now)))[0][0] == ["path", "endpoint_id"]
    assert (await refused(endpoint))[0][0] == ["body", "since"]
    assert (await refused(endpoint, since="2024-01-01T00:00:00"))[0][0] == ["body", "since"]
    for path in (f"/app/{app}/endpoint/nobody/recover", f"/app/nobody/endpoint/{endpoint}/recover"):
        assert (await lite.post(path, json={"since": rfc3339(now)})).status_code == 404
    assert (await lite.read("/background-task"))["data"] == []
