# SPDX-License-Identifier: MIT
"""What all slices of a process share."""

import asyncio
import contextlib
from dataclasses import dataclass

from tidings.clock import Clock
from tidings.model.task import TaskPolicy
from tidings.model.task_kind import TaskKinds
from tidings.storage.drivers.database import Database
from tidings.tasks.pace import Pace


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerContext:
    """The context that all slices of a process share: database, clock, limits and the stop flag."""

    db: Database
    clock: Clock
    policy: TaskPolicy
    pace: Pace
    slice_seconds: float
    backlog: int
    kinds: TaskKinds
    stopping: asyncio.Event

    @property
    def now(self) -> int | None:
        """The timestamp for leases. None if other nodes write, too: then the clock of the database serves them all."""
        return self.clock.now() if self.db.has_one_writer else None

    async def rest(self, seconds: float) -> None:
        """Sleep, or return early when the worker stops."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
