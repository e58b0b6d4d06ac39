# SPDX-License-Identifier: MIT
"""The janitor deletes tasks that ended long ago, with all their rows; it never deletes an active task."""

from dataclasses import dataclass, replace

import pytest

from tasks.kit import new_task, reread, rows, run_sql, start, until, working
from tasks.world import FREE, NOW, PRINCIPAL, World
from tidings.clock import DAY, HOUR, Clock, ManualClock
from tidings.core import tasks as use_cases
from tidings.core.notifier import Notifier
from tidings.errors import AppError
from tidings.model.page import Cursor, Order
from tidings.model.task import Batch, State, Task
from tidings.storage.drivers.database import Read
from tidings.storage.tables import task_items
from tidings.tasks.handler import HandlerServices
from tidings.tasks.kinds import janitor
from tidings.tasks.kinds.janitor import Janitor
from tidings.tasks.registry import KINDS

TABLES = ("task", "task_item", "task_event", "task_input")


async def ended(world: World, days_ago: float, state: str = "succeeded", items: int = 0) -> str:
    """Store a task that ended some time ago, with items."""
    task = await start(world.services, new_task())
    wire = {"succeeded": "finished"}.get(state, "failed")
    await run_sql(
        world.db,
        "UPDATE task SET state = :state, wire_status = :wire, finished_at = CAST(:at AS BIGINT) WHERE id = :id",
        state=state,
        wire=wire,
        at=NOW - int(days_ago * DAY),
        id=task.id,
    )
    async with world.db.write() as tx:
        await task_items.add(tx, [(task.id, f"{number:06}", "created", "{}") for number in range(items)])
        await task_items.keep_input(tx, task.id, b"{}")
    return task.id


async def cleaned(world: World) -> Task:
    async with world.working(replace(FREE, chunk_rows=50)):
        assert await janitor.start_if_due(world.db, world.services.clock, world.services.notifier, KINDS)
        ((task_id,),) = await rows(world.db, "SELECT id FROM task WHERE kind = 'system.janitor'")
        return await until(world.db, task_id)


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
async def test_old_tasks_are_deleted_completely(world: World, state: str) -> None:
    gone = [await ended(world, 91, state, items) for items in (0, 3, 260)]
    kept = [await ended(world, 89, state, 2)]

    task = await cleaned(world)

    assert State.SUCCEEDED is task.state
    for table in TABLES:
        column = "id" if table == "task" else "task_id"
        left = {row[0] for row in await rows(world.db, f"SELECT {column} FROM {table}")} - {task.id}
        assert left == set(kept), table
    assert not left & set(gone)


@dataclass
class Watched(Janitor):
    """Checks before each chunk that each remaining task is complete."""

    clock: Clock
    wanted: dict[str, int]
    looks: int = 0

    def __post_init__(self) -> None:
        super().__init__(janitor.KIND, HandlerServices(self.clock, Notifier()))

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        sql = (
            "SELECT id, (SELECT count(*) FROM task_item WHERE task_id = id) AS items,"
            " (SELECT count(*) FROM task_event WHERE task_id = id) AS events FROM task WHERE kind <> :janitor"
        )
        for row in await read.rows(sql, janitor=janitor.KIND.name):
            assert (self.wanted[row["id"]], 1) == (row["items"], row["events"])
        self.looks += 1
        return await super().load(read, task, limit)


async def test_a_reader_never_sees_a_partly_deleted_task(world: World) -> None:
    """I16."""
    wanted = {await ended(world, 91 + number, items=20 * number): 20 * number for number in range(8)}
    watched = Watched(world.services.clock, wanted)
    await janitor.start_if_due(world.db, world.services.clock, world.services.notifier, KINDS)
    ((task_id,),) = await rows(world.db, "SELECT id FROM task WHERE kind = 'system.janitor'")
    async with working(world.db, watched, limits=replace(FREE, chunk_rows=3)):
        task = await until(world.db, task_id)

    assert (State.SUCCEEDED, 0) == (task.state, task.failed_attempts)
    assert watched.looks > 20
    assert [(task_id,)] == await rows(world.db, "SELECT id FROM task")


async def test_active_tasks_stay_however_old_they_are(world: World) -> None:
    """I16."""
    active = await start(world.services, new_task())
    paused = await start(world.services, new_task())
    await run_sql(world.db, "UPDATE task SET created_at = 1, updated_at = 1")
    await run_sql(world.db, "UPDATE task SET state = 'paused' WHERE id = :id", id=paused.id)
    await ended(world, 100)

    await cleaned(world)

    assert [State.QUEUED, State.PAUSED] == [(await reread(world.db, each.id)).state for each in (active, paused)]


async def test_expired_exports_are_deleted(world: World) -> None:
    sql = (
        "INSERT INTO export (id, part, org_id, content, expires_at) VALUES (:id, 0, 'o', :content, CAST(:at AS BIGINT))"
    )
    for number in range(12):
        await run_sql(world.db, sql, id=f"old{number}", content=b"x", at=NOW - 1)
    await run_sql(world.db, sql, id="new", content=b"x", at=NOW + HOUR)

    await cleaned(world)

    assert [("new",)] == await rows(world.db, "SELECT id FROM export")


async def test_the_janitor_starts_if_it_has_work_and_once_a_day(world: World) -> None:
    idle = await janitor.start_if_due(world.db, world.services.clock, world.services.notifier, KINDS)
    await ended(world, 100)
    first = await janitor.start_if_due(world.db, world.services.clock, world.services.notifier, KINDS)
    second = await janitor.start_if_due(world.db, world.services.clock, world.services.notifier, KINDS)
    tomorrow = ManualClock(world.services.clock.now() + DAY)
    third = await janitor.start_if_due(world.db, tomorrow, world.services.notifier, KINDS)

    assert [False, True, False, True] == [idle, first, second, third]


async def test_the_janitor_is_neither_listed_nor_reported_as_an_event(world: World) -> None:
    await ended(world, 100)
    task = await cleaned(world)

    page = await use_cases.page(world.services, PRINCIPAL, Cursor(Order.DESCENDING))

    assert () == page.items
    with pytest.raises(AppError):
        await use_cases.get(world.services, PRINCIPAL, task.id)
    assert [] == await world.finish_events()
