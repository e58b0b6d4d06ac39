# SPDX-License-Identifier: MIT
"""Estimates of tasks for dry runs, from the task's plan and a scan of its range. Nothing is written.

A task that resends messages visits more rows than it sends, so the estimate counts the messages that the task would
send. Only the beginning of a long range is scanned; the estimate extrapolates to the rest.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tidings.clock import Clock
from tidings.core.dry_run import Estimate
from tidings.model.task import Plan, Task
from tidings.storage.drivers.database import Database
from tidings.storage.tables import tasks
from tidings.tasks.handler import SAMPLE, DryRunPart, Handler
from tidings.tasks.tuning import TaskTuning


@dataclass(slots=True)
class _Scan:
    """The part of a range that has been scanned."""

    scanned: int = 0
    matching: int = 0
    sample: list[str] = field(default_factory=list)
    is_whole: bool = False

    def add(self, part: DryRunPart) -> None:
        """Add the next part."""
        self.scanned += part.scanned
        self.matching += part.matching
        self.sample += part.sample[: SAMPLE - len(self.sample)]
        self.is_whole = part.last

    def visited(self, plan: Plan) -> int:
        """Return the rows of the whole range."""
        return self.scanned if self.is_whole else max(plan.total or 0, self.scanned)

    def total(self, plan: Plan) -> int:
        """Return the matching rows of the whole range, extrapolated from the scanned part."""
        if self.is_whole or not self.scanned:
            return self.matching
        return round(self.visited(plan) * self.matching / self.scanned)


class Estimator:
    """Estimates tasks without starting them. `first_rates` are the rows per second of kinds that have not run yet."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        handlers: Mapping[str, Handler],
        first_rates: Mapping[str, float],
        tuning: TaskTuning = TaskTuning(),
    ) -> None:
        self._db = db
        self._clock = clock
        self._handlers = handlers
        self._first_rates = first_rates
        self._tuning = tuning

    async def estimate(self, task: Task) -> Estimate:
        """Return the estimate of a task. The task need not be stored."""
        if task.kind not in self._first_rates:
            return Estimate(task.kind, None, exact=False, estimate_seconds=None, sample=())
        handler = self._handlers[task.kind]
        async with self._db.read() as read:
            plan = await handler.plan(read, task)
            rate = await tasks.last_rate(read, task.org_id, task.kind) or self._first_rates[task.kind]
        scan = await self._scan(handler, replace(task, cursor=plan.cursor))
        if scan is None:
            async with self._db.read() as read:
                sample = await handler.sample(read, task, SAMPLE)
            return Estimate(task.kind, plan.total, plan.exact, math.ceil((plan.total or 0) / rate), tuple(sample))
        total = scan.total(plan)
        seconds = math.ceil(scan.visited(plan) / rate)
        if task.rate_limit is not None:
            seconds = max(seconds, math.ceil(total / task.rate_limit))
        return Estimate(task.kind, total, scan.is_whole, seconds, tuple(scan.sample))

    async def _scan(self, handler: Handler, task: Task) -> _Scan | None:
        """Scan the range of a task within bounds of rows and time; None for a kind that processes every row."""
        scan = _Scan()
        deadline = self._clock.monotonic() + self._tuning.dry_run_seconds
        while not scan.is_whole and scan.scanned < self._tuning.dry_run_rows and self._clock.monotonic() <= deadline:
            async with self._db.read() as read:
                part = await handler.scan_dry(read, task, self._tuning.dry_run_page)
            if part is None:
                return None
            scan.add(part)
            task = replace(task, cursor=part.cursor)
        return scan
