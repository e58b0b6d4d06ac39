# SPDX-License-Identifier: MIT
"""Task rows of another release: kinds, states and JSON that this release does not know."""

import json
from typing import Any

import pytest

from api.kit import Api
from api.task_kit import recovering, stored
from tidings.model.task import State
from tidings.storage.drivers.database import Dialect

UNKNOWN = "endpoint.rewind"
COMMANDS = [
    ("cancel", State.QUEUED, "cancelled"),
    ("pause", State.QUEUED, "paused"),
    ("resume", State.PAUSED, "queued"),
]


async def change(api: Api, task_id: str, **columns: Any) -> None:
    async with api.db.write() as tx:
        for name, value in columns.items():
            await tx.run(f"UPDATE task SET {name} = :value WHERE id = :id", id=task_id, value=value)


async def item(api: Api, task_id: str, key: str, outcome: str, data: str | None) -> None:
    async with api.db.write() as tx:
        await tx.run(
            "INSERT INTO task_item (task_id, key, outcome, data) VALUES (:id, :key, :outcome, :data)",
            id=task_id,
            key=key,
            outcome=outcome,
            data=data,
        )


async def event(api: Api, task_id: str, data: str) -> None:
    async with api.db.write() as tx:
        await tx.run(
            "INSERT INTO task_event (task_id, seq, at, type, data) VALUES (:id, 2, 1, 'rewound', :data)",
            id=task_id,
            data=data,
        )


async def test_a_list_leaves_out_unknown_kinds_and_its_pages_stay_full(api: Api) -> None:
    known = [await stored(api, State.QUEUED)]
    for _ in range(3):
        await stored(api, State.QUEUED, kind=UNKNOWN)
    known.append(await stored(api, State.QUEUED))

    page = await api.read("/background-task", limit=2)

    assert known[::-1] == [task["id"] for task in page["data"]]
    assert page["done"]


async def test_a_task_of_an_unknown_kind_is_rendered_by_its_id(api: Api) -> None:
    task_id = await stored(api, State.SUCCEEDED, kind=UNKNOWN)
    await change(api, task_id, counters='{"rewound": 3, "of": {"a": 1}}')

    found = await api.read(f"/background-task/{task_id}")

    assert (UNKNOWN, "succeeded") == (found["x"]["kind"], found["x"]["state"])
    assert {"rewound": 3} == found["data"]


async def test_a_known_kind_is_named_in_both_places(api: Api) -> None:
    found = await api.read(f"/background-task/{await stored(api, State.QUEUED)}")

    assert found["task"] == found["x"]["kind"] == "endpoint.recover"


@pytest.mark.parametrize(("command", "state", "then"), [*COMMANDS, ("retry", State.FAILED, "queued")])
async def test_a_task_of_an_unknown_kind_accepts_commands(api: Api, command: str, state: State, then: str) -> None:
    task_id = await stored(api, state, kind=UNKNOWN)
    await change(api, task_id, args='{"since": "yesterday", "endpoint_id": {}}')

    answer = await api.post(f"/background-task/{task_id}/{command}")

    assert (200, then) == (answer.status_code, answer.json()["x"]["state"])


async def test_a_task_with_arguments_that_are_not_json_can_be_canceled(api: Api) -> None:
    task_id = await stored(api, State.QUEUED)
    await change(api, task_id, args="v2:since=1")

    answer = await api.post(f"/background-task/{task_id}/cancel")

    assert (200, "cancelled") == (answer.status_code, answer.json()["x"]["state"])


@pytest.mark.parametrize("error", ['{"code": "c", "detail": "d", "hint": "h"}', '{"why": 1}', "broken", "[]"])
async def test_an_error_with_other_members_breaks_no_list(api: Api, error: str) -> None:
    task_id = await stored(api, State.FAILED)
    await change(api, task_id, error=error)
    await event(api, task_id, error)

    (task,) = (await api.read("/background-task"))["data"]
    waited = await api.get(f"/background-task/{task_id}/wait?timeout=0")
    followed = await api.get(f"/background-task/{task_id}/events")

    assert {"code", "detail"} == set(task["x"]["error"])
    assert 200 == waited.status_code
    assert '"event":"rewound"' in followed.text


@pytest.mark.parametrize("counters", ["[]", "broken", '{"messagesSent": "many"}'])
async def test_counters_of_another_shape_break_no_list(api: Api, counters: str) -> None:
    await change(api, await stored(api, State.SUCCEEDED), counters=counters)

    (task,) = (await api.read("/background-task"))["data"]

    assert {"messagesSent": 0} == task["data"]


async def test_items_of_another_shape_break_no_list(api: Api) -> None:
    task_id = await stored(api, State.SUCCEEDED, kind="message.broadcast")
    for key, outcome, data in [("a", "created", "broken"), ("b", "created", "[1]"), ("c", "rewound", "{}")]:
        await item(api, task_id, key, outcome, data)

    items = await api.read(f"/background-task/{task_id}/items")
    listed = await api.read("/background-task")

    assert [("a", {}), ("b", {})] == [(each["id"], each["data"]) for each in items["data"]]
    assert [{}, {}] == listed["data"][0]["data"]["messagesCreated"]


async def _in_an_unknown_state(api: Api) -> str:
    """Store a task in a state that the schema of a newer release allows."""
    task_id = await stored(api, State.QUEUED)
    async with api.db.write() as tx:
        if api.db.dialect is Dialect.SQLITE:
            await tx.run("PRAGMA ignore_check_constraints = ON")
        else:
            names = await tx.rows(
                "SELECT conname FROM pg_constraint WHERE conrelid = 'task'::regclass AND contype = 'c'"
            )
            for row in names:
                await tx.run(f"ALTER TABLE task DROP CONSTRAINT {row['conname']}")
        await tx.run("UPDATE task SET state = 'hibernating' WHERE id = :id", id=task_id)
    return task_id


async def test_a_task_in_an_unknown_state_breaks_no_list(api: Api) -> None:
    known = await stored(api, State.QUEUED)
    unknown = await _in_an_unknown_state(api)

    assert [known] == [task["id"] for task in (await api.read("/background-task"))["data"]]
    assert 404 == (await api.get(f"/background-task/{unknown}")).status_code
    assert 404 == (await api.post(f"/background-task/{unknown}/cancel")).status_code


async def test_a_task_of_an_unknown_kind_blocks_no_other_task(api: Api) -> None:
    """Tasks whose arguments this release cannot read are neither queued nor expired."""
    app = await api.app()
    await stored(api, State.QUEUED, kind=UNKNOWN)
    expired = await stored(api, State.RUNNING, kind=UNKNOWN)
    await change(api, expired, args="v2", lease_until=1, failed_attempts=4)

    async with recovering(api):
        started = (await api.call("PUT", "/stats/usage/event-types")).json()
        ended = await api.read(f"/background-task/{started['id']}/wait", timeout=20)

    assert "finished" == ended["status"]
    assert app in json.dumps(ended["data"])
    assert "failed" == (await api.read(f"/background-task/{expired}"))["x"]["state"]
