# SPDX-License-Identifier: MIT
"""A kind does what its declaration says: its arguments, its lock, and every effect."""

import msgspec
import pytest

from tasks.kinds.cases import CASES
from tasks.kit import rows, until
from tasks.world import World
from tidings.model.task import State
from tidings.model.task_kind import Effect
from tidings.tasks.registry import DECLARED

KINDS = {kind.name: kind for kind in DECLARED}
MESSAGES = "SELECT count(*), count(payload) FROM message"


@pytest.mark.parametrize("name", CASES)
async def test_a_task_has_the_declared_arguments_and_lock(world: World, name: str) -> None:
    kind = KINDS[name]
    (work,) = await CASES[name].lay_out(world, 3, 1)

    task = await work.start()

    assert msgspec.json.encode(msgspec.json.decode(task.args, type=kind.args)).decode() == task.args
    assert (task.lock_key or "").partition(":")[0] == (kind.lock or "")


@pytest.mark.parametrize("name", CASES)
async def test_a_task_has_the_declared_effects_and_no_other(world: World, name: str) -> None:
    (work,) = await CASES[name].lay_out(world, 3, 1)
    ((before, kept_before),) = await rows(world.db, MESSAGES)

    async with world.working() as runner:
        task = await work.start()
        runner.wake()
        ended = await until(world.db, task.id)

    assert ended.state is State.SUCCEEDED
    ((after, kept),) = await rows(world.db, MESSAGES)
    ((resent,),) = await rows(world.db, "SELECT count(*) FROM delivery WHERE task_id = :id", id=task.id)
    ((exports,),) = await rows(world.db, "SELECT count(*) FROM export")
    seen = {
        Effect.CREATES: after > before,
        Effect.RESENDS: resent > 0 and after == before,
        Effect.PURGES: kept < kept_before,
        Effect.EXPORTS: exports > 0,
    }
    assert {effect for effect, is_seen in seen.items() if is_seen} == KINDS[name].effects
