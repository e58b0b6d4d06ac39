# SPDX-License-Identifier: MIT
"""Drive chaos: start tasks in worker processes, kill or stop the processes, and audit the effects."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tasks.kinds import audit
from tasks.kinds.audit import Audit
from tasks.kinds.case import Work
from tasks.kinds.cases import CASES, audited
from tasks.kit import database, reread, rows, services_of
from tasks.process_pool import ChildProcess, ProcessPool
from tasks.worker import LEFT, LIMITS
from tasks.world import World, a_world
from tidings.model.task import Task
from tidings.storage.drivers.database import Database

WORKER = "tasks.kinds.worker:main"
PLACES = (
    "task.after_load",
    "task.after_begin",
    "task.after_fence",
    "task.after_effects",
    "task.before_commit",
    "task.after_commit",
)
OUTSIDE = ""
_HELD = "SELECT id, done, total FROM task WHERE state = 'running' AND worker LIKE :worker"


@dataclass
class Held:
    """A task at the time when its worker was killed or stopped."""

    id: str
    done: int
    total: int | None

    @property
    def is_in_the_middle(self) -> bool:
        return self.total is not None and 0 < self.done < self.total


@dataclass
class ChaosRun:
    """Tasks of some kinds on one database. With SQLite the test opens it only while no worker has the file."""

    pool: ProcessPool
    url: str
    world: World
    begun: dict[str, list[tuple[Task, Sequence[str]]]] = field(default_factory=dict)
    works: dict[str, Work] = field(default_factory=dict)

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite")

    async def begin(self, name: str, works: Sequence[Work]) -> None:
        """Start tasks of a kind."""
        self.begun.setdefault(name, []).extend([(await work.start(), work.wanted) for work in works])
        self.works[name] = works[-1]

    async def keep_busy(self, tasks: int) -> None:
        """Start tasks until enough are active, so that the worker to kill has one."""
        async with self.looking() as db:
            ((left,),) = await rows(db, LEFT)
            if left < tasks:
                (name,) = self.begun
                again, more = self.works[name], tasks - left
                if again.is_repeatable:
                    await self.begin(name, [again] * more)
                else:
                    await self.begin(name, await CASES[name].lay_out(self.world, len(again.wanted), more))

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[Database]:
        """Have the world's database, which a worker must not be using if it is SQLite."""
        if not self.is_sqlite:
            yield self.world.db
            return
        async with database(self.url, fresh=False) as db:
            self.world.db, self.world.services = db, services_of(db)
            yield db

    async def held(self, pid: int) -> list[Held]:
        """Return the tasks of a process that was just killed or stopped."""
        async with self.looking() as db:
            return [Held(*row) for row in await rows(db, _HELD, worker=f"%:{pid}")]

    async def ended(self) -> dict[str, Audit]:
        """Audit the effects, by kind, after all tasks have ended."""
        async with self.looking() as db:
            return {
                name: await audited(self.world, name, [(await reread(db, task.id), wanted) for task, wanted in tasks])
                for name, tasks in self.begun.items()
            }


@asynccontextmanager
async def chaos_run(
    pool: ProcessPool, url: str, names: Sequence[str], *, tasks: int, items: int | None = None
) -> AsyncIterator[ChaosRun]:
    """Create and start tasks of each kind; `items` of each, or as many as the long runs use."""
    async with database(url) as db:
        await audit.install(db)
        chaos = ChaosRun(pool, url, await a_world(db))
        laid_out = {name: await CASES[name].lay_out(chaos.world, items or CASES[name].many, tasks) for name in names}
        for name, works in laid_out.items():
            await chaos.begin(name, works)
        if not chaos.is_sqlite:
            yield chaos
            return
    yield chaos


def limits_of(name: str, lease_seconds: float = LIMITS.lease_seconds) -> dict[str, float]:
    """Return the limits of the workers of a kind, with this lease or the longer one that the kind needs."""
    case = CASES[name]
    return {"chunk_rows": case.rows, "lease_seconds": max(lease_seconds, case.lease_seconds)}


# --- kills


def kill_points(dice: random.Random) -> Iterator[str]:
    """Yield failpoints without end: each one in every round, and two external kills; the first after some work."""
    yield "task.before_commit=kill@3"
    while True:
        some_round = [f"{place}=kill@{dice.randint(2, 6)}" for place in PLACES]
        some_round += [f"task.after_claim=kill@{dice.randint(2, 3)}", f"task.before_yield=kill@{dice.randint(1, 2)}"]
        some_round += [OUTSIDE, OUTSIDE]
        dice.shuffle(some_round)
        yield from some_round


@dataclass
class ChaosDriver:
    """Kills the workers of a chaos run repeatedly, each in the middle of a task."""

    chaos: ChaosRun
    dice: random.Random
    kills: int
    nodes: int = 1
    """The number of concurrent workers."""
    off_ms: Sequence[int] = (0,)
    """The clock offsets of the nodes, one after the other; the last one is that of the worker that ends the tasks."""
    tasks: int = 1
    """The minimum number of tasks at each kill."""
    lease_seconds: float = LIMITS.lease_seconds
    sabotage: str = "none"
    failpoints: Iterator[str] | None = None
    hits: int = 0
    starts: int = 0

    async def run(self) -> None:
        """Kill workers, then let the last ones finish the tasks."""
        self.failpoints = self.failpoints or kill_points(self.dice)
        async with asyncio.TaskGroup() as group:
            for node in range(self.nodes):
                group.create_task(self._kill_on_node(node))
        children = [self._child("", self.off_ms[(node - 1) % len(self.off_ms)]) for node in range(self.nodes)]
        try:
            assert [await child.ended(self._seconds) for child in children] == [0] * self.nodes
        finally:
            _end(children)

    async def _kill_on_node(self, node: int) -> None:
        while self.hits < self.kills:
            assert self.starts < 3 * self.kills, f"{self.hits} of {self.starts} kills were in the middle of a task"
            assert self.failpoints is not None
            # With one worker at a time on one database, clocks only move forward: otherwise every worker would wait for
            # them.
            off = self.off_ms[
                (node if self.nodes > 1 else self.hits * len(self.off_ms) // self.kills) % len(self.off_ms)
            ]
            await self.chaos.keep_busy(self.tasks)
            await self._kill_once(next(self.failpoints), off)

    async def _kill_once(self, failpoint: str, off_ms: int) -> None:
        self.starts += 1
        child = self._child(failpoint, off_ms)
        try:
            if failpoint == OUTSIDE:
                await asyncio.to_thread(child.wait_until_up)
                await asyncio.sleep(self.dice.uniform(0.0, 0.04))
                child.send_signal(signal.SIGKILL)
            if await child.ended(self._seconds) == 0:
                return  # all work ended before the kill: it does not count, and more work follows
            assert child.returncode.result() == -signal.SIGKILL
        finally:
            _end([child])
        held = await self.chaos.held(child.pid)
        self.hits += any(task.is_in_the_middle for task in held)

    @property
    def _seconds(self) -> float:
        """How long a worker may take."""
        (name,) = self.chaos.begun
        return CASES[name].limit_seconds / 2

    def _child(self, failpoint: str, off_ms: int) -> ChildProcess:
        (name,) = self.chaos.begun
        limits = limits_of(name, self.lease_seconds)
        return self.chaos.pool.start(WORKER, self.chaos.url, failpoint, limits, off_ms, self.sabotage)


def _end(children: Sequence[ChildProcess]) -> None:
    for child in children:
        child.send_signal(signal.SIGKILL)


# --- stops

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc to see a process stopped")


async def overtaken(chaos: ChaosRun, sabotage: str = "none") -> None:
    """Stop a process in the middle of a chunk, let another one work on its task, and then resume the first one."""
    (name,) = chaos.begun
    limits = limits_of(name)
    for at in (5, 7, 9):
        with chaos.pool.started(WORKER, chaos.url, f"task.after_load=stop@{at}", limits, 0, sabotage) as zombie:
            await until_stopped(zombie)
            (held,) = await chaos.held(zombie.pid)
            if held.is_in_the_middle:
                await _overtaken(chaos, zombie, held, sabotage)
                return
        # On a slow machine the slice may end just before, so the process stops at the start of another task.
    raise AssertionError(held)


async def _overtaken(chaos: ChaosRun, zombie: ChildProcess, held: Held, sabotage: str) -> None:
    (name,) = chaos.begun
    limits = limits_of(name)
    with chaos.pool.started(WORKER, chaos.url, "", limits, 0, sabotage) as heir:
        await until_worked(chaos, held.id, heir)
        zombie.send_signal(signal.SIGCONT)
        assert [await heir.ended(), await zombie.ended()] == [0, 0]


async def until_stopped(child: ChildProcess) -> None:
    """Wait until a process is stopped; Linux shows the state in /proc."""
    async with asyncio.timeout(30):
        while _state(child.pid) != "T":  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.01)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def until_worked(chaos: ChaosRun, task_id: str, child: ChildProcess) -> None:
    """Wait until a process has committed two chunks of a task."""
    sql = "SELECT count(*) FROM audit_chunk WHERE task_id = :id AND worker LIKE :worker"
    async with asyncio.timeout(30):
        while (await rows(chaos.world.db, sql, id=task_id, worker=f"%:{child.pid}"))[0][0] < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
