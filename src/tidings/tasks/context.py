# SPDX-License-Identifier: MIT
"""What all slices of a process share."""

import asyncio
import contextlib
from dataclasses import dataclass

from tidings.clock import SECOND, Clock
from tidings.model.task import TaskPolicy
from tidings.model.task_kind import TaskKinds
from tidings.storage.drivers.database import Database
from tidings.tasks.pace import REST, Pace
from tidings.tasks.tuning import TaskTuning


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
    tuning: TaskTuning

    @property
    def now(self) -> int | None:
        """The timestamp for leases. None if other nodes write, too: then the clock of the database serves them all."""
        return self.clock.now() if self.db.has_one_writer else None

    async def rest(self, seconds: float) -> None:
        """Sleep, or return early when the worker stops."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopping.wait()

    @property
    def look_seconds(self) -> float:
        """The interval at which a slice that waits checks its claim."""
        return self.tuning.look_within(self.policy.lease_ms)

    async def rest_after(self, took: float) -> None:
        """Rest after a chunk, to let foreground writes proceed. A rest takes at most a quarter of the lease."""
        await self.rest(min(REST * took, self.policy.lease_ms / SECOND / 4))

    async def back_off(self, errors: int) -> None:
        """Rest after a number of successive database errors, longer after each one."""
        seconds = self.tuning.backoff_first_seconds * 2 ** min(errors, 10)
        await self.rest(min(self.tuning.backoff_max_seconds, seconds))
