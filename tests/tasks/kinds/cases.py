# SPDX-License-Identifier: MIT
"""The cases of all kinds, from their test files: a kind without a case cannot be tested, and fails every crash test."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from tasks.kinds import audit
from tasks.kinds.audit import Audit
from tasks.kinds.case import Case
from tasks.world import World
from tidings.model.task import State, Task
from tidings.model.task_kind import SYSTEM
from tidings.tasks.declaration import Declaration
from tidings.tasks.registry import DECLARED


def _case_of(kind: Declaration) -> Case | None:
    """Return the case in the test file of a kind; an internal kind may have none."""
    name = f"test_{kind.handler.__module__.rpartition('.')[2]}"
    assert Path(__file__).with_name(f"{name}.py").exists(), f"write tests/tasks/kinds/{name}.py for {kind.name}"
    case: Case | None = getattr(import_module(f"tasks.kinds.{name}"), "CASE", None)
    assert case or kind.is_internal, f"add CASE to tests/tasks/kinds/{name}.py: the crash tests run {kind.name} with it"
    return case


CASES = {kind.name: case for kind in DECLARED if (case := _case_of(kind)) is not None}


async def audited(world: World, name: str, tasks: Sequence[tuple[Task, Sequence[str]]]) -> Audit:
    """Audit the effects after the tasks of one kind have ended."""
    case, reckoning = CASES[name], Audit()
    finished = {each["taskId"] for each in await world.finish_events() if each["status"] == "finished"}
    for task, wanted in tasks:
        if task.state is not State.SUCCEEDED:
            reckoning.wrong.append(f"{task.id} is {task.state}: {task.error}")
            continue
        if (task.id in finished) is name.startswith(SYSTEM):
            reckoning.wrong.append(f"{task.id} has a finish event although it is internal, or none although it is not")
        if (task.done, task.skipped) != (len(wanted), 0) or task.total != len(wanted):
            reckoning.wrong.append(f"{task.id} did {task.done} and skipped {task.skipped} of {task.total}")
        reckoning.wrong += await audit.broken_links(world.db, task)
        reckoning.add(task, wanted, await case.got(world.db, task), await case.reported(world, task, wanted))
    return reckoning
