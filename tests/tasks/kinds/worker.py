# SPDX-License-Identifier: MIT
"""A worker process that knows every kind and works until no task is left."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import uvloop

from tasks.kit import runner_of
from tasks.sabotage import sabotaged
from tasks.worker import LEFT, LIMITS, database
from tidings import failpoint
from tidings.clock import SystemClock
from tidings.core.notifier import Notifier
from tidings.storage.drivers.database import Database, Dialect, StorageError
from tidings.tasks.registry import handlers
from tidings.tasks.runner import Runner, RunnerLimits


class WrongClock(SystemClock):
    """A clock with an offset."""

    __slots__ = ("_off_ms",)

    def __init__(self, off_ms: int) -> None:
        self._off_ms = off_ms

    def now(self) -> int:
        return super().now() + self._off_ms


async def work_until_done(db: Database, runner: Runner, up: Callable[[], None]) -> None:
    """Work until no task is left, whatever happens to the database meanwhile."""
    await runner.start()
    up()
    left = 1
    while left:
        runner.wake()  # as the server does after each heartbeat query
        await asyncio.sleep(0.02)
        with contextlib.suppress(StorageError):
            async with db.read() as read:
                left = int((await read.one(LEFT))["n"])
    await runner.stop()


async def work(up: Callable[[], None], url: str, limits: RunnerLimits, off_ms: int, sabotage: str) -> None:
    clock = WrongClock(off_ms)
    async with database(url) as db:
        if db.dialect is Dialect.SQLITE:
            async with db.write() as tx:  # the log is copied into the file all the time: kills from outside meet that
                await tx.run("PRAGMA wal_autocheckpoint = 8")
        known = sabotaged(sabotage, list(handlers(clock, Notifier()).values()), db)
        await work_until_done(db, runner_of(db, *known, limits=limits, clock=clock), up)


def main(
    up: Callable[[], None],
    url: str,
    failpoints: str = "",
    limits: dict[str, Any] | None = None,
    off_ms: int = 0,
    sabotage: str = "none",
) -> None:
    """Work within limits and with a clock offset; `up` is called when the runner has started."""
    failpoint.arm(failpoints)
    uvloop.run(work(up, url, replace(LIMITS, **(limits or {})), off_ms, sabotage))
