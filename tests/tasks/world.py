# SPDX-License-Identifier: MIT
"""An organization with seed data, the use cases that start tasks in it, and their runner."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from tasks.kit import ORG, QUICK, reread, rows, services_of, until, working
from tasks.seed_data import SeedData, an_endpoint
from tidings.clock import DAY, HOUR, SystemClock
from tidings.core import outcomes, tasks
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.model.task import NewTask, Task
from tidings.model.token import Principal
from tidings.storage.drivers.database import Database
from tidings.storage.tables import task_items
from tidings.tasks.registry import handlers
from tidings.tasks.runner import Runner, RunnerLimits
from tidings.tasks.tuning import TaskTuning

NOW = SystemClock().now()
FREE = replace(QUICK, backlog=0)
PRINCIPAL = Principal(ORG)

Build = Callable[..., Awaitable[NewTask]]


@dataclass
class World:
    """A database, one endpoint with seed data, and services."""

    db: Database
    seed: SeedData
    services: Services
    tuning: TaskTuning = TaskTuning()

    async def begin(self, build: Build, *args: Any) -> Task:
        """Build a task and start it; return it."""
        begun: list[Task] = []

        def render(task: Task) -> Response:
            begun.append(task)
            return Response(202)

        services = self.services
        await tasks.begin(services, lambda tx: build(services, tx, *args), idempotency_key=None, render=render)
        return begun[-1]

    async def done(self, build: Build, *args: Any, limits: RunnerLimits = FREE) -> Task:
        """Start a task and run it to its end."""
        async with self.working(limits):
            return await until(self.db, (await self.begin(build, *args)).id)

    @asynccontextmanager
    async def working(self, limits: RunnerLimits = FREE) -> AsyncIterator[Runner]:
        """Run a runner that knows all kinds and is woken as in a server."""
        known = handlers(self.services.clock, self.services.notifier, self.tuning)
        async with working(self.db, *known.values(), limits=limits, tuning=self.tuning) as runner:
            self.services.notifier.tasks = runner.wake
            yield runner

    async def result(self, task: Task) -> dict[str, Any]:
        """Return a finished task as a client reads it."""
        async with self.db.read() as read:
            return await outcomes.result(read, await reread(self.db, task.id), self.services.kinds)

    async def skipped(self, task: Task) -> list[tuple[str, str]]:
        async with self.db.read() as read:
            found = await task_items.first_of_each(read, [(task.id, "skipped")], limit=1_000)
            return found[task.id, "skipped"]

    async def finish_events(self) -> list[dict[str, Any]]:
        """Return the data of the events that report the end of tasks, in the order of their ids."""
        sql = "SELECT payload FROM operational_event WHERE type = 'background_task.finished' ORDER BY id"
        return [json.loads(row[0])["data"] for row in await rows(self.db, sql)]


async def a_world(db: Database) -> World:
    return World(db, await an_endpoint(db, NOW - 20 * DAY), services_of(db))


def at(hours: float) -> int:
    """Return the timestamp some hours ago."""
    return NOW - int(hours * HOUR)
