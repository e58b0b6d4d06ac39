# SPDX-License-Identifier: MIT
"""A failing listener, or the deletion of the task's own resources, while a task runs."""

from dataclasses import replace

import pytest

from tasks.kinds.cases import CASES
from tasks.kit import events_of, reread, rows, run_sql, until
from tasks.world import FREE, PRINCIPAL, World
from tidings import observe
from tidings.core import apps
from tidings.core import tasks as use_cases
from tidings.model.app import App
from tidings.model.task import State, Task
from tidings.model.task_kind import Effect
from tidings.storage.tables import apps as store
from tidings.tasks.registry import KINDS

ITEMS = 40
TENS = replace(FREE, chunk_rows=10)
OF_ENDPOINTS = [name for name in CASES if KINDS.has_effect(name, Effect.RESENDS)]


def fail(*_: object) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("name", [*OF_ENDPOINTS, "message.broadcast"])
async def test_a_failing_listener_changes_no_task(world: World, name: str) -> None:
    """I14: listeners are notified after the commit, and only of committed changes."""
    (work,) = await CASES[name].lay_out(world, ITEMS, 1)
    failures = observe.counters["failures"]
    observe.listen(fail)
    try:
        async with world.working(TENS) as runner:
            world.services.notifier.deliveries = world.services.notifier.tasks = fail
            task = await work.start()
            runner.wake()
            ended = await until(world.db, task.id)
    finally:
        observe.ignore(fail)

    assert observe.counters["failures"] > failures + 4
    assert (ended.state, ended.done, ended.failed_attempts) == (State.SUCCEEDED, ITEMS, 0)
    assert await events_of(world.db, ended) == ["created", "succeeded"]


@pytest.mark.parametrize("name", [*OF_ENDPOINTS, "application.purge_content"])
async def test_a_deleted_application_leaves_no_task_behind(world: World, name: str) -> None:
    """I15: the running task, those queued behind it and the paused one all end, and nothing more is sent."""
    (work,) = await CASES[name].lay_out(world, ITEMS, 1)
    async with world.working(replace(TENS, backlog=20)):
        tasks = [await work.start() for _ in range(3)]
        await use_cases.pause(world.services, PRINCIPAL, tasks[2].id)
        while (begun := await reread(world.db, tasks[0].id)).done < 20:
            pass
        await apps.delete(world.services, await _app_of(world, begun))
        await run_sql(world.db, "DELETE FROM delivery")
        await use_cases.resume(world.services, PRINCIPAL, tasks[2].id)
        ended = [await until(world.db, task.id) for task in tasks]

    if name not in OF_ENDPOINTS:  # the purge of a deleted application's data does not depend on it
        assert {State.SUCCEEDED} == {task.state for task in ended}
        return
    assert [(State.FAILED, "endpoint_deleted")] * 3 == [(task.state, task.error and task.error.code) for task in ended]
    assert [20, 0, 0] == [task.done for task in ended]
    assert [(0,)] == await rows(world.db, "SELECT count(*) FROM delivery")


async def _app_of(world: World, task: Task) -> App:
    assert task.app_id is not None
    async with world.db.read() as read:
        return await store.get(read, PRINCIPAL.org_id, task.app_id)
