# SPDX-License-Identifier: MIT
"""What a process of its own does that works on counting tasks until none is left.

The shipped limits hold, five strikes included; only lease, chunk and backoff are short. The sabotage is done here, to
the statements of this process, so that the product has no switch for it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import uvloop

from tasks.kit import QUICK, Counting, runner_of
from tidings import failpoint
from tidings.clock import SystemClock
from tidings.model.task import Batch, Claim, Tally, Task
from tidings.storage import claims
from tidings.storage.database import Database, Dialect, Read, Sql, Write
from tidings.storage.store import opened

ITEMS = 400
LIMITS = replace(QUICK, chunk_rows=10, lease_seconds=0.4, slice_seconds=0.02, slots=1)
LEFT = "SELECT count(*) AS n FROM task WHERE state IN ('queued', 'running')"


class Split(Counting):
    """Commits its effects in a transaction before that of the checkpoint: what must never be done."""

    def __init__(self, worker: str, db: Database) -> None:
        super().__init__(worker)
        self.db = db

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        batch = await super().load(read, task, limit)
        if batch.items:
            async with self.db.write() as tx:
                await super().apply(tx, task, batch)
            failpoint.point("test.between")
        return batch

    async def apply(self, tx: Write, task: Task, batch: Batch) -> Tally:
        del tx, task
        return Tally(len(batch.items), (), {"counted": len(batch.items)})


class Blind(Counting):
    """Works in a process without a fence: statements forget the epoch, and the row is believed to stand as loaded."""

    def __init__(self, worker: str) -> None:
        super().__init__(worker)
        self.loaded: dict[str, str | None] = {}
        for name, sound in list(vars(claims).items()):
            if isinstance(sound, str) and name != "OWNED":
                setattr(claims, name, sound.replace(claims.OWNED, "id = :id"))
            elif isinstance(sound, Sql):
                texts = (sound.sqlite, sound.postgresql)
                setattr(claims, name, Sql(*(text.replace(claims.OWNED, "id = :id") for text in texts)))
        vars(claims)["fence"] = self.fence

    async def fence(self, tx: Write, held: Claim) -> Task:
        return replace(await claims.owned(tx, held), cursor=self.loaded[held.id])

    async def load(self, read: Read, task: Task, limit: int) -> Batch:
        self.loaded[task.id] = task.cursor
        return await super().load(read, task, limit)


@asynccontextmanager
async def database(url: str) -> AsyncIterator[Database]:
    db = await opened(url, connections=6)
    try:
        yield db
    finally:
        await db.close()


def _sabotaged(sabotage: str, name: str, db: Database) -> Counting:
    match sabotage:
        case "split":
            return Split(name, db)
        case "fence":
            return Blind(name)
        case _:
            return Counting(name)


async def work(up: Callable[[], None], url: str, name: str, sabotage: str) -> None:
    async with database(url) as db:
        handler = _sabotaged(sabotage, name, db)
        runner = runner_of(db, handler, limits=LIMITS, clock=SystemClock())
        await runner.start()
        up()
        while await _left(db):
            if db.dialect is Dialect.POSTGRESQL:
                runner.wake()  # as the server's pulse does
            await asyncio.sleep(0.02)
        await runner.stop()


async def _left(db: Database) -> int:
    async with db.read() as read:
        return int((await read.one(LEFT))["n"])


def main(up: Callable[[], None], url: str, name: str, failpoints: str = "", sabotage: str = "none") -> None:
    """Work as NAME; `up` is called when the runner has begun."""
    failpoint.arm(failpoints)
    uvloop.run(work(up, url, name, sabotage))
