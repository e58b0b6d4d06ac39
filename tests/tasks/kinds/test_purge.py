# SPDX-License-Identifier: MIT
"""A purge deletes every payload that the application had at its start, and nothing else."""

from collections.abc import Awaitable, Sequence

from tasks.kinds import audit
from tasks.kinds.case import Case, of_messages
from tasks.kit import rows, until
from tasks.seed_data import SeedData, an_endpoint
from tasks.world import FREE, NOW, World, at
from tidings.model.task import State, Task
from tidings.storage.drivers.database import Database
from tidings.tasks.kinds import purge


def _begin(world: World, seed: SeedData) -> Awaitable[Task]:
    return world.begin(purge.build_task, seed.app, "me")


async def _purged(db: Database, task: Task) -> list[str]:
    return await audit.effects(db, "purged", task.app_id or "")


async def _reported(world: World, task: Task, wanted: Sequence[str]) -> int:
    left = "SELECT count(*) FROM message WHERE app_id = :app AND payload IS NOT NULL"
    ((kept,),) = await rows(world.db, left, app=task.app_id)
    reported = int((await world.result(task))["messagesPurged"])
    return reported if kept == 0 else len(wanted) - kept


CASE = Case(of_messages(_begin), _purged, _reported, is_keyed=False, many=500, rows=5)


async def test_every_payload_of_the_application_is_deleted(world: World) -> None:
    other = await an_endpoint(world.db, NOW)
    for number in range(2_500):
        world.seed.message(at(9) + number, payload=None if number % 5 == 0 else b'{"a":1}')
    kept = other.message(at(5))
    await world.seed.write(world.db)
    await other.write(world.db)

    task = await world.done(purge.build_task, world.seed.app, "me")

    assert (State.SUCCEEDED, 2_500, 2_500, True) == (task.state, task.done, task.total, task.total_exact)
    assert {"messagesPurged": 2_000} == await world.result(task)
    assert [(kept,)] == await rows(world.db, "SELECT id FROM message WHERE payload IS NOT NULL")
    (reported,) = await world.finish_events()
    assert ("application.purge_content", "finished", {"messages_purged": 2_000}) == (
        reported["task"],
        reported["status"],
        reported["data"],
    )


async def test_messages_created_after_the_start_keep_their_payload(world: World) -> None:
    world.seed.message(at(5))
    await world.seed.write(world.db)
    task = await world.begin(purge.build_task, world.seed.app, "me")
    args = (await rows(world.db, "SELECT args FROM task"))[0][0]
    if args != '{"high_water_mark":null}':  # otherwise the range ends at the start
        later = world.seed.message(NOW + 60_000)
        await world.seed.write(world.db)
        async with world.working(FREE):
            await until(world.db, task.id)

        assert [(later,)] == await rows(world.db, "SELECT id FROM message WHERE payload IS NOT NULL")


async def test_a_purge_of_an_empty_application_succeeds(world: World) -> None:
    task = await world.done(purge.build_task, world.seed.app, "me")

    assert (State.SUCCEEDED, {"messagesPurged": 0}) == (task.state, await world.result(task))
