# SPDX-License-Identifier: MIT
"""The runner on both databases, with a kind that counts."""

from tasks.kit import database, desk_of, new_task, start, until, working, wrongs
from tidings.core.wake import Wake
from tidings.model.task import State


async def test_a_task_is_done_to_its_end(database_url: str) -> None:
    async with database(database_url) as db, working(db) as runner:
        task = await start(desk_of(db, wake=Wake(tasks=runner.wake)), new_task(2_500))

        ended = await until(db, task.id)

        assert ended.state is State.SUCCEEDED
        assert (ended.done, ended.skipped, ended.counters) == (2_500, 0, {"counted": 2_500})
        assert await wrongs(db, ended) == []
