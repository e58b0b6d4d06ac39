# SPDX-License-Identifier: MIT
"""Every kind of task for the tests that kill processes: its seed data, its start, and its expected effects."""

import io
import json
import zipfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

from tasks.kinds import audit
from tasks.kinds.audit import Audit
from tasks.kit import rows, run_sql
from tasks.seed_data import FAILED, SeedData, an_endpoint
from tasks.world import NOW, PRINCIPAL, World, at
from tidings.clock import DAY, HOUR
from tidings.model.message import RETENTION_MS, Draft
from tidings.model.resending import ReplayFilters
from tidings.model.task import State, Task
from tidings.storage.drivers.database import Database
from tidings.tasks.kinds import app_stats, broadcast, bulk_replay, event_type_stats, export, purge, recover, replay
from tidings.tasks.kinds.app_stats import UsageFilters
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
    """A kind of task."""

    lay_out: Callable[[World, int, int], Awaitable[list[Work]]]
    """Create the data for a number of tasks with a number of items each."""
    got: Callable[[Database, Task], Awaitable[list[str]]]
    """Return the item of each effect, repeated if the effect is."""
    reported: Callable[[World, Task, Sequence[str]], Awaitable[int]]
    """Return the number of items that clients read, and check that it is these items."""
    many: int
    """The number of items of one task in the long runs."""
    rows: int
    """The rows of a chunk in all runs."""


# --- seed data


async def _endpoints(world: World, count: int) -> list[SeedData]:
    return [await an_endpoint(world.db, NOW - 20 * DAY - number * 8) for number in range(count)]


def _of_messages(
    start: Callable[[World, SeedData], Awaitable[Task]], *outcomes: int
) -> Callable[[World, int, int], Awaitable[list[Work]]]:
    async def lay_out(world: World, items: int, tasks: int) -> list[Work]:
        return [await work_on(world, seed, items) for seed in await _endpoints(world, tasks)]

    async def work_on(world: World, seed: SeedData, items: int) -> Work:
        made = [seed.message(at(5) + 4 * n, *((at(5) + 4 * n, outcome) for outcome in outcomes)) for n in range(items)]
        await seed.write(world.db)
        return Work(lambda: start(world, seed), sorted(made))

    return lay_out


def _of_applications(
    start: Callable[[World], Awaitable[Task]],
) -> Callable[[World, int, int], Awaitable[list[Work]]]:
    async def lay_out(world: World, items: int, tasks: int) -> list[Work]:
        made = [await an_endpoint(world.db, NOW - HOUR + number * 8) for number in range(items - 1)]
        for number, seed in enumerate(made):
            seed.message(at(4), *((at(4) + 4 * each, FAILED) for each in range(number % 4)))
            await seed.write(world.db)
        wanted = [world.seed.app.id, *(seed.app.id for seed in made)]
        return [Work(lambda: start(world), wanted, is_repeatable=True) for _ in range(tasks)]

    return lay_out


async def _event_types(world: World, items: int, tasks: int) -> list[Work]:
    names = [f"order.n{number:03}" for number in range(items)]
    for name in names:
        await run_sql(
            world.db,
            "INSERT INTO event_type (org_id, name, description, created_at, updated_at) VALUES (:org, :name, '', 1, 1)",
            org=PRINCIPAL.org_id,
            name=name,
        )

    def begin() -> Awaitable[Task]:
        return world.begin(export.build_task, PRINCIPAL, "https://here.test")

    return [Work(begin, names, is_repeatable=True) for _ in range(tasks)]


# --- starts


def _of_endpoint(kind: ModuleType, *more: object) -> Callable[[World, SeedData], Awaitable[Task]]:
    def begin(world: World, seed: SeedData) -> Awaitable[Task]:
        request = ResendWindow(endpoint_ref=seed.endpoint_id, since=at(10), until=None, created_by="me")
        return world.begin(kind.build_task, seed.app, request, *more)

    return begin


def _purge(world: World, seed: SeedData) -> Awaitable[Task]:
    return world.begin(purge.build_task, seed.app, "me")


# --- effects


def _effects(what: str) -> Callable[[Database, Task], Awaitable[list[str]]]:
    return lambda db, task: audit.effects(db, what, task.id)


async def _purged(db: Database, task: Task) -> list[str]:
    return await audit.effects(db, "purged", task.app_id or "")


async def _exported(db: Database, task: Task) -> list[str]:
    """The archive has each event type once only if each piece was made once: it is built from the pieces."""
    parts = await audit.effects(db, "part", task.id)
    ((content,),) = await rows(db, "SELECT content FROM export WHERE id = :id", id=task.id)
    with zipfile.ZipFile(io.BytesIO(content)) as found:
        names = list(json.loads(found.read("openapi.json"))["webhooks"])
    return names + names[: len(parts) - len(set(parts))]


# --- results for clients


async def _sent(world: World, task: Task, wanted: Sequence[str]) -> int:
    del wanted
    return int((await world.result(task))["messagesSent"])


async def _purge_told(world: World, task: Task, wanted: Sequence[str]) -> int:
    left = "SELECT count(*) FROM message WHERE app_id = :app AND payload IS NOT NULL"
    ((kept,),) = await rows(world.db, left, app=task.app_id)
    reported = int((await world.result(task))["messagesPurged"])
    return reported if kept == 0 else len(wanted) - kept


async def _counted(world: World, task: Task, wanted: Sequence[str]) -> int:
    reported = (await world.result(task))["appStats"]
    assert [0, *(number % 4 for number in range(len(wanted) - 1))] == [each["messageDestinations"] for each in reported]
    return len(reported)


async def _aggregated(world: World, task: Task, wanted: Sequence[str]) -> int:
    reported = (await world.result(task))["event_types"]
    assert list(wanted) == [each["appId"] for each in reported]
    return len(reported)


async def _broadcast(world: World, task: Task, wanted: Sequence[str]) -> int:
    """Each application has one message of the task, and the task reports its id."""
    reported = await world.result(task)
    sql = "SELECT DISTINCT d.app_id, m.id FROM delivery d JOIN message m ON m.id = d.msg_id WHERE d.task_id = :id"
    made = await rows(world.db, sql, id=task.id)
    assert {each["appId"]: each["msgId"] for each in reported["messagesCreated"]} == dict(made)
    assert [] == reported["messagesFailed"]
    created = await audit.effects(world.db, "created", task.id)
    return max(len(reported["messagesCreated"]), len(made), len(created)) if len(made) >= len(wanted) else len(made)


async def _export_told(world: World, task: Task, wanted: Sequence[str]) -> int:
    del wanted
    assert str((await world.result(task))["schemaZip"]).startswith("https://here.test/api/v1/export/")
    return task.done


_DRAFT = Draft("all.hands", b"{}", None, None, RETENTION_MS)
_ASKED = UsageFilters(since=at(10), until=NOW, refs=None)


def _stats(world: World) -> Awaitable[Task]:
    return world.begin(app_stats.build_task, PRINCIPAL, _ASKED)


def _subscriptions(world: World) -> Awaitable[Task]:
    return world.begin(event_type_stats.build_task, PRINCIPAL)


def _to_all(world: World) -> Awaitable[Task]:
    return world.begin(broadcast.build_task, PRINCIPAL, _DRAFT)


CASES = {
    "endpoint.recover": Case(_of_messages(_of_endpoint(recover), FAILED), _effects("sent"), _sent, 500, 5),
    "endpoint.replay": Case(_of_messages(_of_endpoint(replay)), _effects("sent"), _sent, 500, 5),
    "endpoint.bulk-replay": Case(
        _of_messages(_of_endpoint(bulk_replay, ReplayFilters()), FAILED), _effects("sent"), _sent, 500, 5
    ),
    "application.purge_content": Case(_of_messages(_purge), _purged, _purge_told, 500, 5),
    "application.stats": Case(_of_applications(_stats), _effects("counted"), _counted, 120, 1),
    "event-type.aggregate": Case(_of_applications(_subscriptions), _effects("aggregated"), _aggregated, 120, 1),
    "message.broadcast": Case(_of_applications(_to_all), _effects("heard"), _broadcast, 120, 1),
    "sdk.generate": Case(_event_types, _exported, _export_told, 25, 1),
}


async def audited(world: World, name: str, tasks: Sequence[tuple[Task, Sequence[str]]]) -> Audit:
    """Audit the effects after the tasks of one kind have ended."""
    case, reckoning = CASES[name], Audit()
    finished = {each["taskId"] for each in await world.finish_events() if each["status"] == "finished"}
    for task, wanted in tasks:
        if task.state is not State.SUCCEEDED or task.id not in finished:
            reckoning.wrong.append(f"{task.id} is {task.state}: {task.error}")
            continue
        if (task.done, task.skipped) != (len(wanted), 0) or task.total != len(wanted):
            reckoning.wrong.append(f"{task.id} did {task.done} and skipped {task.skipped} of {task.total}")
        reckoning.wrong += await audit.broken_links(world.db, task)
        reckoning.add(task, wanted, await case.got(world.db, task), await case.reported(world, task, wanted))
    return reckoning
