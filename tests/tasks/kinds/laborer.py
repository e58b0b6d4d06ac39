# SPDX-License-Identifier: MIT
"""A process of its own that knows every kind and works until no task is left: `laborer.py URL FAILPOINTS`."""

import asyncio
import sys

import uvloop

from tasks.kit import runner_of
from tasks.worker import LEFT, LIMITS, database
from tidings import failpoint
from tidings.clock import SystemClock
from tidings.core.wake import Wake
from tidings.storage.database import Database
from tidings.tasks.kinds.registry import handlers


async def work(url: str) -> None:
    clock = SystemClock()
    async with database(url) as db:
        runner = runner_of(db, *handlers(clock, Wake()).values(), limits=LIMITS, clock=clock)
        await runner.start()
        while await _left(db):
            runner.wake()
            await asyncio.sleep(0.02)
        await runner.stop()


async def _left(db: Database) -> int:
    async with db.read() as read:
        return int((await read.one(LEFT))["n"])


def main() -> None:
    url, failpoints = sys.argv[1:3]
    failpoint.arm(failpoints)
    uvloop.run(work(url))


if __name__ == "__main__":
    main()
