# SPDX-License-Identifier: MIT
"""The claim statements over random sets of tasks and slices: how often, and how soon, each tenant is served."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from tasks.kit import KIND, KINDS, new_task
from tidings.ids import TaskId
from tidings.model.task import Task, TaskPolicy
from tidings.storage.drivers.database import Database, Write
from tidings.storage.tables import claims, tasks

NOW = 1_700_000_000_000
POLICY = TaskPolicy(per_tenant=100)
TASK_SETS = 12
ROUND = 2
"""The maximum number of one tenant's slices while another waits: the last of a round and the first of the next."""


@dataclass
class TaskSet:
    """Tasks of a few tenants, each with some slices to run, and the order of their claims."""

    dice: random.Random
    slices: dict[str, int] = field(default_factory=dict)
    """The remaining slices of each task."""
    ahead: dict[str, int] = field(default_factory=dict)
    """The number of slices that may run before each queued task."""
    since: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """For each waiting tenant, the slices of each other one since its own last one."""
    seen: int = 0

    async def gather(self, tx: Write) -> None:
        tenants = [f"app_{number}" for number in range(self.dice.randint(2, 4))]
        owners = [self.dice.choice(tenants) for _ in range(self.dice.randint(4, 10))]
        for number, tenant in enumerate(owners):
            task_id = TaskId(f"qtask_{number:027}")
            await tasks.add(tx, task_id, new_task(app=tenant), NOW, KINDS.names)
            self.slices[task_id] = self.dice.randint(1, 4)
            # Its tenant's own earlier tasks run first, one per round, and a round has one task of each tenant.
            self.ahead[task_id] = ROUND * len(tenants) * (owners[:number].count(tenant) + 1)

    async def run_to_end(self, tx: Write) -> None:
        """Run all of them to their ends."""
        while (task := await claims.claim(tx, POLICY, [KIND], "w", NOW)) is not None:
            self.slices[task.id] -= 1
            self.ahead.pop(task.id, None)
            waiting = {row["tenant"] for row in await tx.rows("SELECT tenant FROM task WHERE state = 'queued'")}
            self._note(task, waiting)
            if self.slices[task.id]:
                await claims.yield_task(tx, task, KINDS.names, NOW)
            else:
                await claims.finish(tx, task.claim, NOW)

    def _note(self, task: Task, waiting: set[str]) -> None:
        self.seen += 1
        for other in waiting - {task.tenant}:
            self.since[other][task.tenant] += 1
            assert self.since[other][task.tenant] <= ROUND, f"I12: {task.tenant} was served again before {other}"
        self.since[task.tenant].clear()
        for task_id in self.ahead:
            self.ahead[task_id] -= 1
            assert self.ahead[task_id] >= 0, f"I9: {task_id} was never claimed"


def task_sets() -> Iterator[TaskSet]:
    return (TaskSet(random.Random(seed)) for seed in range(TASK_SETS))  # noqa: S311


async def run_to_end(db: Database) -> None:
    for task_set in task_sets():
        async with db.write(advisory_lock=tasks.CLAIM_LOCK) as tx:
            await task_set.gather(tx)
            wanted = sum(task_set.slices.values())
            await task_set.run_to_end(tx)
            assert task_set.seen == wanted
            await tx.run("DELETE FROM task")


async def test_each_tenant_is_served_in_its_round(db: Database) -> None:
    """I9, I12: a queued task runs within a known number of slices, and no other tenant runs twice per round before."""
    await run_to_end(db)


async def test_the_checker_finds_claims_by_age_unfair(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sabotage: without fair-share rounds the oldest task always goes first."""

    async def oldest_first(tx: Write, tenant: str, priority: int, known: Sequence[str], *, behind: int = 0) -> int:
        del tx, tenant, priority, known, behind
        return 0

    monkeypatch.setattr(tasks, "next_round", oldest_first)
    monkeypatch.setattr(claims, "next_round", oldest_first)
    with pytest.raises(AssertionError, match=r"I9|I12"):
        await run_to_end(db)
