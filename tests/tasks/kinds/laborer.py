# SPDX-License-Identifier: MIT
"""What a process of its own does that knows every kind and works until no task is left."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import uvloop

from tasks.kit import runner_of
from tasks.worker import LEFT, LIMITS, database
from tidings import failpoint
from tidings.clock import SystemClock
from tidings.core.wake import Wake
from tidings.model.task import Batch, Plan, Tally, Task
from tidings.storage.database import Database, Dialect, Read, StorageError, Write
from tidings.tasks.handler import Handler
from tidings.tasks.kinds.registry import handlers
from tidings.tasks.runner import Limits, Runner


class WrongClock(SystemClock):
    """A clock that is off."""

    __slots__ = ("_off_ms",)

    def __init__(self, off_ms: int) -> None:
        self._off_ms = off_ms

    def now(self) -> int:
        return super().now() + self._off_ms


@dataclass
class Split:
    """A kind whose effects are committed in a transaction before that of the checkpoint: what must never be done."""

    sound: Handler
    db: Database
    kind: str = field(init=False)
    tally: Tally = field(default_factory=lambda: Tally(0))

    def __post_init__(self) -> None:
        self.kind = self.sound.kind

    async def plan(self, read: Read, task: Task) -> Plan:
        return await self.sound.plan(read, task)

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        batch = await self.sound.load(read, task, limit)
        self.tally = Tally(0)
        if batch.scanned:
            async with self.db.write() as tx:
                self.tally = await self.sound.apply(tx, task, batch)
            failpoint.point("test.between")
        return batch

    async def apply(self, tx: Write, task: Task, batch: Batch) -> Tally:
        del tx, task, batch
        return self.tally

    async def backlog(self, read: Read, task: Task, limit: int) -> int:
        return await self.sound.backlog(read, task, limit)


async def labor(db: Database, runner: Runner, up: Callable[[], None]) -> None:
    """Work until no task is left, whatever the database goes through meanwhile."""
    await runner.start()
    up()
    left = 1
    while left:
        runner.wake()  # as the server's pulse does
        await asyncio.sleep(0.02)
        with contextlib.suppress(StorageError):
            async with db.read() as read:
                left = int((await read.one(LEFT))["n"])
    await runner.stop()


async def work(up: Callable[[], None], url: str, limits: Limits, off_ms: int, sabotage: str) -> None:
    clock = WrongClock(off_ms)
    async with database(url) as db:
        if db.dialect is Dialect.SQLITE:
            async with db.write() as tx:  # the log is copied into the file all the time: kills from outside meet that
                await tx.run("PRAGMA wal_autocheckpoint = 8")
        known: list[Handler] = list(handlers(clock, Wake()).values())
        if sabotage == "split":
            known = [Split(handler, db) for handler in known]
        await labor(db, runner_of(db, *known, limits=limits, clock=clock), up)


def main(
    up: Callable[[], None],
    url: str,
    failpoints: str = "",
    limits: dict[str, Any] | None = None,
    off_ms: int = 0,
    sabotage: str = "none",
) -> None:
    """Work within limits with a clock that is off; `up` is called when the runner has begun."""
    failpoint.arm(failpoints)
    uvloop.run(work(up, url, replace(LIMITS, **(limits or {})), off_ms, sabotage))
