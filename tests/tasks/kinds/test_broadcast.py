# SPDX-License-Identifier: MIT
"""A broadcast creates one message in every application that existed at its start; it reports each failure."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tasks.kinds import audit
from tasks.kinds.case import Case, effects, of_applications, of_organization
from tasks.kit import ORG, rows, run_sql, until
from tasks.seed_data import an_endpoint
from tasks.world import FREE, NOW, PRINCIPAL, World
from tidings.clock import HOUR
from tidings.core import tasks as use_cases
from tidings.model.message import RETENTION_MS, Draft
from tidings.model.task import State, Task
from tidings.storage.tables import routing as stored
from tidings.tasks.kinds import broadcast as kind
from tidings.tasks.tuning import TaskTuning

PAYLOAD = '{"all":"å"}'.encode()


def draft(**more: Any) -> Draft:
    given: dict[str, Any] = {"event_id": None, "channels": None, "retention_ms": RETENTION_MS}
    return Draft("order.paid", PAYLOAD, **{**given, **more})


async def some_applications(world: World, number: int) -> list[str]:
    made = [await an_endpoint(world.db, NOW - HOUR + each * 8) for each in range(number)]
    return [seed.app.id for seed in made]


async def broadcast(world: World, **more: Any) -> Task:
    return await world.done(kind.build_task, PRINCIPAL, draft(**more))


async def _reported(world: World, task: Task, wanted: Sequence[str]) -> int:
    """Each application has one message of the task, and the task reports its id."""
    reported = await world.result(task)
    sql = "SELECT DISTINCT d.app_id, m.id FROM delivery d JOIN message m ON m.id = d.msg_id WHERE d.task_id = :id"
    made = await rows(world.db, sql, id=task.id)
    assert {each["appId"]: each["msgId"] for each in reported["messagesCreated"]} == dict(made)
    assert [] == reported["messagesFailed"]
    created = await audit.effects(world.db, "created", task.id)
    return max(len(reported["messagesCreated"]), len(made), len(created)) if len(made) >= len(wanted) else len(made)


_DRAFT = Draft("all.hands", b"{}", None, None, RETENTION_MS)
CASE = Case(of_applications(of_organization(kind, _DRAFT)), effects("heard"), _reported, is_keyed=True, many=120)


async def test_every_application_gets_a_message_of_its_own(world: World) -> None:
    apps = [world.seed.app.id, *await some_applications(world, 30)]
    woken: list[str] = []
    world.services.notifier.deliveries = woken.extend

    task = await broadcast(world)

    made = await rows(world.db, "SELECT app_id, id FROM message ORDER BY app_id")
    assert apps == [app for app, _ in made]
    assert {"messagesCreated": [{"appId": app, "msgId": msg} for app, msg in made], "messagesFailed": []} == (
        await world.result(task)
    )
    stored = await rows(
        world.db, "SELECT DISTINCT org_id, event_type, event_id, channels, payload, expires_at FROM message"
    )
    assert [(ORG, "order.paid", None, None, PAYLOAD, None)] == [(*row[:4], bytes(row[4]), row[5]) for row in stored]
    due = await rows(world.db, "SELECT msg_id FROM delivery WHERE lease IS NULL AND manual = 0 AND lane = 0")
    assert sorted(msg for _, msg in made) == sorted(row[0] for row in due)
    assert len(apps) == len(woken)
    (reported,) = await world.finish_events()
    assert (len(apps), []) == (len(reported["data"]["messages_created"]), reported["data"]["messages_failed"])


async def test_only_subscribed_endpoints_receive(world: World) -> None:
    apps = await some_applications(world, 4)
    for app, change in zip(
        apps,
        ("disabled = 1", "event_types = '[\"other\"]'", "channels = '[\"red\"]'", "event_types = '[\"order.paid\"]'"),
        strict=True,
    ):
        await run_sql(world.db, f"UPDATE endpoint SET {change} WHERE app_id = :app", app=app)

    await broadcast(world)
    plain = await rows(world.db, "SELECT app_id FROM delivery ORDER BY app_id")
    await run_sql(world.db, "DELETE FROM delivery")
    await broadcast(world, channels=("red", "blue"))
    routed = await rows(world.db, "SELECT app_id FROM delivery ORDER BY app_id")

    assert [(world.seed.app.id,), (apps[3],)] == plain
    assert [(world.seed.app.id,), (apps[2],), (apps[3],)] == routed


async def test_only_endpoints_whose_payload_filter_matches_receive(world: World) -> None:
    apps = await some_applications(world, 3)
    for app, value in zip(apps, ("å", "other", "å"), strict=True):
        text = json.dumps([{"path": "$.all", "operator": "==", "value": value}])
        await run_sql(world.db, "UPDATE endpoint SET filter = :text WHERE app_id = :app", text=text, app=app)

    task = await broadcast(world)

    receiving = await rows(world.db, "SELECT app_id FROM delivery ORDER BY app_id")
    assert receiving == [(world.seed.app.id,), (apps[0],), (apps[2],)]
    assert len((await world.result(task))["messagesCreated"]) == 4


async def test_a_taken_event_id_is_reported(world: World) -> None:
    apps = [world.seed.app.id, *await some_applications(world, 5)]
    for app in apps[2:4]:
        sql = "INSERT INTO event_id (app_id, event_id, msg_id) VALUES (:app, 'once', 'msg_before')"
        await run_sql(world.db, sql, app=app)

    task = await broadcast(world, event_id="once")

    reported = await world.result(task)
    reason = "A message with this event id exists already."
    assert [{"appId": app, "reason": reason} for app in apps[2:4]] == reported["messagesFailed"]
    assert [*apps[:2], *apps[4:]] == [each["appId"] for each in reported["messagesCreated"]]
    assert (State.SUCCEEDED, 4, 2) == (task.state, task.done, task.skipped)
    assert [(4,)] == await rows(world.db, "SELECT count(*) FROM event_id WHERE msg_id <> 'msg_before'")


async def test_all_failures_are_reported_beyond_the_first_hundred(world: World) -> None:
    apps = await some_applications(world, 150)
    for app in apps:
        sql = "INSERT INTO event_id (app_id, event_id, msg_id) VALUES (:app, 'once', 'msg_before')"
        await run_sql(world.db, sql, app=app)

    reported = await world.result(await broadcast(world, event_id="once"))

    assert apps == [each["appId"] for each in reported["messagesFailed"]]


async def test_applications_created_after_the_start_are_left_out(world: World) -> None:
    await some_applications(world, 3)
    task = await world.begin(kind.build_task, PRINCIPAL, draft())
    mark = json.loads((await rows(world.db, "SELECT args FROM task"))[0][0])["high_water_mark"]
    later = (await an_endpoint(world.db, NOW + HOUR)).app.id
    async with world.working(FREE):
        ended = await until(world.db, task.id)

    # On PostgreSQL the range ends once every transaction older than the task has ended.
    made = {row[0] for row in await rows(world.db, "SELECT app_id FROM message")}
    assert (mark is None) == (later in made)
    assert ended.done == len(made)


async def test_an_application_that_is_deleted_meanwhile_is_reported(world: World) -> None:
    apps = await some_applications(world, 3)
    task = await world.begin(kind.build_task, PRINCIPAL, draft())
    await run_sql(world.db, "UPDATE application SET deleted_at = 1 WHERE id = :id", id=apps[1])
    async with world.working(FREE):
        ended = await until(world.db, task.id)

    assert (State.SUCCEEDED, 3) == (ended.state, ended.done)


async def test_a_big_payload_is_written_to_few_applications_at_once(world: World) -> None:
    await some_applications(world, 12)
    big = Draft("order.paid", b'{"a":"%s"}' % (b"x" * 400_000), None, None, 5 * HOUR)

    task = await world.done(kind.build_task, PRINCIPAL, big)

    assert (13, True) == (task.done, task.chunks >= 6)
    assert [(400_008,)] == await rows(world.db, "SELECT DISTINCT length(payload) FROM message")


async def test_a_cancel_cancels_the_deliveries_not_in_flight(world: World) -> None:
    await some_applications(world, 3)
    task = await broadcast(world)
    await run_sql(world.db, "UPDATE task SET state = 'paused', wire_status = 'running', finished_at = NULL")

    cancelled = await use_cases.cancel(world.services, PRINCIPAL, task.id)

    assert (State.CANCELLED, {"withdrawn": 4}) == (cancelled.state, cancelled.counters)
    assert [] == await rows(world.db, "SELECT * FROM delivery")
    # In either order: both happened within the few milliseconds that an id cannot distinguish.
    assert ["failed", "finished"] == sorted(reported["status"] for reported in await world.finish_events())


async def test_a_chunk_is_bounded_in_deliveries(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.tuning = TaskTuning(broadcast_deliveries=3)
    await some_applications(world, 10)
    sizes: list[int] = []
    sound = stored.add_deliveries

    async def counting(tx: Any, due: Any) -> None:
        sizes.append(len(due))
        await sound(tx, due)

    monkeypatch.setattr(stored, "add_deliveries", counting)

    task = await broadcast(world)

    assert 11 == len((await world.result(task))["messagesCreated"])
    assert (11, 3) == (sum(sizes), max(sizes))
