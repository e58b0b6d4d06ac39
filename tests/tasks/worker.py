# SPDX-License-Identifier: MIT
"""The main function of a process that works on counting tasks until none is left.

The default limits apply, five failed attempts included; only lease, chunk and backoff are short.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import uvloop

from tasks.kit import QUICK, Counting, runner_of
from tasks.sabotage import sabotaged
from tidings import failpoint
from tidings.clock import SystemClock
from tidings.storage.drivers.database import Database, Dialect
from tidings.storage.drivers.store import opened

ITEMS = 400
LIMITS = replace(QUICK, chunk_rows=10, lease_seconds=0.4, slice_seconds=0.02, slots=1)
LEFT = "SELECT count(*) AS n FROM task WHERE state IN ('queued', 'running')"


@asynccontextmanager
async def database(url: str) -> AsyncIterator[Database]:
    db = await opened(url, connections=6)
    try:
        yield db
    finally:
        await db.close()


async def work(up: Callable[[], None], url: str, name: str, sabotage: str) -> None:
    async with database(url) as db:
        kinds = sabotaged(sabotage, [Counting(name)], db)
        # These chunks take no time: two tasks would end before a slice is over.
        runner = runner_of(db, *kinds, limits=replace(LIMITS, slice_seconds=0.0), clock=SystemClock())
        await runner.start()
        up()
        while await _left(db):
            if db.dialect is Dialect.POSTGRESQL:
                runner.wake()  # as the server does after each heartbeat query
            await asyncio.sleep(0.02)
        await runner.stop()


async def _left(db: Database) -> int:
    async with db.read() as read:
        return int((await read.one(LEFT))["n"])


def main(up: Callable[[], None], url: str, name: str, failpoints: str = "", sabotage: str = "none") -> None:
    """Work as NAME; `up` is called when the runner has started."""
    failpoint.arm(failpoints)
    uvloop.run(work(up, url, name, sabotage))
