# SPDX-License-Identifier: MIT
"""What the crash tests need to know about a kind, and the parts from which the cases of most kinds are built.

The test file of each kind has its case, as `CASE`; `cases.py` collects them.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

from tasks.kinds import audit
from tasks.seed_data import FAILED, SeedData, an_endpoint
from tasks.worker import LIMITS
from tasks.world import NOW, PRINCIPAL, World, at
from tidings.clock import DAY, HOUR
from tidings.model.task import Task
from tidings.storage.drivers.database import Database
from tidings.tasks.resending import ResendWindow

Start = Callable[[], Awaitable[Task]]


@dataclass(frozen=True)
class Work:
    """One future task: how it is started, and the items that it must visit once each."""

    start: Start
    wanted: Sequence[str]
    is_repeatable: bool = False
    """Whether the same task can be started again, with the same items."""


@dataclass(frozen=True)
class Case:
    """How a kind is tested."""

    lay_out: Callable[[World, int, int], Awaitable[list[Work]]]
    """Create the data for a number of tasks with a number of items each."""
    got: Callable[[Database, Task], Awaitable[list[str]]]
    """Return the item of each effect, repeated if the effect is."""
    reported: Callable[[World, Task, Sequence[str]], Awaitable[int]]
    """Return the number of items that clients read, and check that it is these items."""
    is_keyed: bool
    """Whether a task has a row for each item, so that a second effect is refused instead of repeated."""
    many: int
    """The number of items of one task in the long runs."""
    rows: int = 1
    """The rows of a chunk in all runs."""
    few: int = 60
    """The number of items of one task in the short runs."""
    lease_seconds: float = LIMITS.lease_seconds
    """The shortest lease of its workers. Work outside the database has to renew it in time on a busy machine: a worker
    that is late gets a failed attempt, as a killed one does, and a task has five."""
    limit_seconds: int = 120
    """The limit of a short run, for pytest; the test itself has half of it."""


# --- seed data


async def _endpoints(world: World, count: int) -> list[SeedData]:
    return [await an_endpoint(world.db, NOW - 20 * DAY - number * 8) for number in range(count)]


def of_messages(
    start: Callable[[World, SeedData], Awaitable[Task]], *outcomes: int
) -> Callable[[World, int, int], Awaitable[list[Work]]]:
    """Create endpoints whose application has messages, with attempts of the given outcomes."""

    async def lay_out(world: World, items: int, tasks: int) -> list[Work]:
        return [await work_on(world, seed, items) for seed in await _endpoints(world, tasks)]

    async def work_on(world: World, seed: SeedData, items: int) -> Work:
        made = [seed.message(at(5) + 4 * n, *((at(5) + 4 * n, outcome) for outcome in outcomes)) for n in range(items)]
        await seed.write(world.db)
        return Work(lambda: start(world, seed), sorted(made))

    return lay_out


def of_applications(
    start: Callable[[World], Awaitable[Task]],
) -> Callable[[World, int, int], Awaitable[list[Work]]]:
    """Create applications with a different number of attempts."""

    async def lay_out(world: World, items: int, tasks: int) -> list[Work]:
        made = [await an_endpoint(world.db, NOW - HOUR + number * 8) for number in range(items - 1)]
        for number, seed in enumerate(made):
            seed.message(at(4), *((at(4) + 4 * each, FAILED) for each in range(number % 4)))
            await seed.write(world.db)
        wanted = [world.seed.app.id, *(seed.app.id for seed in made)]
        return [Work(lambda: start(world), wanted, is_repeatable=True) for _ in range(tasks)]

    return lay_out


# --- starts


def of_endpoint(kind: ModuleType, *more: object) -> Callable[[World, SeedData], Awaitable[Task]]:
    """Return the start of a kind that resends messages of the last ten hours."""

    def begin(world: World, seed: SeedData) -> Awaitable[Task]:
        request = ResendWindow(endpoint_ref=seed.endpoint_id, since=at(10), until=None, created_by="me")
        return world.begin(kind.build_task, seed.app, request, *more)

    return begin


def of_organization(kind: ModuleType, *more: object) -> Callable[[World], Awaitable[Task]]:
    """Return the start of a kind that works on an organization."""
    return lambda world: world.begin(kind.build_task, PRINCIPAL, *more)


# --- effects and results


def effects(what: str) -> Callable[[Database, Task], Awaitable[list[str]]]:
    """Return the query of the recorded effects of a task."""
    return lambda db, task: audit.effects(db, what, task.id)


async def sent(world: World, task: Task, wanted: Sequence[str]) -> int:
    """Return the number of sends that a task reports."""
    del wanted
    return int((await world.result(task))["messagesSent"])
