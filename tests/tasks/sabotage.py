# SPDX-License-Identifier: MIT
"""Deliberate violations, applied to any kind in a separate process, for the tests that must fail with them.

The product has no switch for this; the sabotage replaces its statements.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tidings import failpoint
from tidings.model.task import Batch, ChunkResult, Claim, Plan, Task
from tidings.model.task_kind import TaskKind
from tidings.storage.drivers.database import Database, Read, Write
from tidings.storage.tables import claims
from tidings.tasks.handler import ExternalWork, Handler, TaskHandler


@dataclass
class Split(TaskHandler, ExternalWork):
    """A kind that commits its effects in a transaction before that of the checkpoint."""

    sound: Handler
    db: Database
    kind: TaskKind = field(init=False)
    tally: ChunkResult = field(default_factory=lambda: ChunkResult(0))

    def __post_init__(self) -> None:
        self.kind = self.sound.kind

    async def plan(self, read: Read, task: Task) -> Plan:
        return await self.sound.plan(read, task)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        return await self.sound.load(read, task, limit)

    async def work(self, task: Task, batch: Batch) -> Batch:
        self.tally = ChunkResult(0)
        if isinstance(self.sound, ExternalWork):
            batch = await self.sound.work(task, batch)
        if batch.scanned:
            async with self.db.write() as tx:
                self.tally = await self.sound.apply(tx, task, batch)
            failpoint.point("test.between")
        return batch

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        del tx, task, batch
        return self.tally

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        return await self.sound.backlog(read, task, limit)


@dataclass
class Blind(TaskHandler, ExternalWork):
    """A kind whose loads are recorded, for a process that trusts a row to be as it was loaded."""

    sound: Handler
    loaded: dict[str, str | None]
    kind: TaskKind = field(init=False)

    def __post_init__(self) -> None:
        self.kind = self.sound.kind

    async def plan(self, read: Read, task: Task) -> Plan:
        return await self.sound.plan(read, task)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        self.loaded[task.id] = task.cursor
        return await self.sound.load(read, task, limit)

    async def work(self, task: Task, batch: Batch) -> Batch:
        return await self.sound.work(task, batch) if isinstance(self.sound, ExternalWork) else batch

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        return await self.sound.apply(tx, task, batch)

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        return await self.sound.backlog(read, task, limit)


def _without_a_fence(loaded: dict[str, str | None]) -> None:
    """Remove the epoch and state conditions from the statements of this process."""

    async def fence(tx: Write, held: Claim) -> Task:
        return replace(await claims.owned(tx, held), cursor=loaded[held.id])

    for name, sound in list(vars(claims).items()):
        if isinstance(sound, str) and name != "OWNED":
            setattr(claims, name, sound.replace(claims.OWNED, "id = :id"))
    vars(claims)["fence"] = fence


def sabotaged(how: str, sound: Sequence[Handler], db: Database) -> list[Handler]:
    """Return kinds with one fault: `split`, `fence`, or `none`, which is no fault."""
    match how:
        case "split":
            return [Split(each, db) for each in sound]
        case "fence":
            loaded: dict[str, str | None] = {}
            _without_a_fence(loaded)
            return [Blind(each, loaded) for each in sound]
        case _:
            return list(sound)
