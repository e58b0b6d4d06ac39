# SPDX-License-Identifier: MIT
"""Every kind is killed in the middle, for real, and gone on with by others: all is done, and all of it once."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.kit import database, reread, rows, run_sql, until
from tasks.outage import FAILED, an_endpoint, sent_again
from tasks.world import NOW, PRINCIPAL, Begin, World, a_world, at
from tidings.clock import HOUR
from tidings.core import broadcasts, exports, purges, resending, usage
from tidings.core import tasks as use_cases
from tidings.core.receipts import Answer
from tidings.core.usage import Asked
from tidings.model.message import RETENTION_MS, Draft
from tidings.model.resending import Chosen, Narrowed, Which
from tidings.model.task import State, Task

HERE = Path(__file__).resolve().parent
MANY = 120
PATIENCE = 60
POINTS = (
    "task.after_claim",
    "task.after_load",
    "task.after_begin",
    "task.after_fence",
    "task.after_effects",
    "task.before_commit",
    "task.after_commit",
)


@dataclass(frozen=True)
class Case:
    """A kind: what it works on, how it is started, and what must be there when it has finished."""

    lay_out: Callable[[World], Awaitable[Any]]
    begin: Callable[[World], Awaitable[Task]]
    check: Callable[[World, Task, Any], Awaitable[None]]


async def failed_messages(world: World) -> list[str]:
    made = [world.past.message(at(5) + number, (at(5) + number, FAILED)) for number in range(MANY)]
    await world.past.write(world.db)
    return sorted(made)


async def unsent_messages(world: World) -> list[str]:
    made = [world.past.message(at(5) + number) for number in range(MANY)]
    await world.past.write(world.db)
    return sorted(made)


async def applications(world: World) -> list[str]:
    made = [await an_endpoint(world.db, NOW - HOUR + number * 8) for number in range(MANY // 2)]
    for number, past in enumerate(made):
        past.message(at(4), *((at(4) + each, FAILED) for each in range(number % 4)))
        await past.write(world.db)
    return [world.past.app.id, *(past.app.id for past in made)]


async def event_types(world: World) -> list[str]:
    names = [f"order.n{number:03}" for number in range(MANY // 2)]
    for name in names:
        await run_sql(
            world.db,
            "INSERT INTO event_type (org_id, name, description, created_at, updated_at) VALUES (:org, :name, '', 1, 1)",
            org=PRINCIPAL.org_id,
            name=name,
        )
    return names


def _begun(use_case: Begin, *args: Any) -> Callable[[World], Awaitable[Task]]:
    return lambda world: world.begin(use_case, *args)


def _replay(which: Which) -> Callable[[World], Awaitable[Task]]:
    def begin(world: World) -> Awaitable[Task]:
        given: dict[str, Any] = {"narrowed": Narrowed(), "since": at(10), "until": None, "created_by": "me"}
        chosen = Chosen(which=which, endpoint_ref=world.past.endpoint_id, **given)
        return world.begin(resending.replay, world.past.app, chosen)

    return begin


def _recover(world: World) -> Awaitable[Task]:
    wanted = use_cases.Recovery(endpoint_ref=world.past.endpoint_id, since=at(10), until=None, created_by="me")
    return world.begin(use_cases.recover, world.past.app, wanted)


async def _aggregate(desk: Any, principal: Any, *, receipt: str | None, render: Any) -> Answer:
    del receipt
    return await usage.aggregate(desk, principal, render=render)


async def sent_once(world: World, task: Task, wanted: list[str]) -> None:
    assert wanted == await sent_again(world.db, task.id)
    assert {"messagesSent": MANY} == await world.result(task)


async def purged(world: World, task: Task, wanted: list[str]) -> None:
    assert {"messagesPurged": len(wanted)} == await world.result(task)
    assert [] == await rows(world.db, "SELECT id FROM message WHERE payload IS NOT NULL")


async def counted(world: World, task: Task, wanted: list[str]) -> None:
    told = (await world.result(task))["appStats"]
    assert wanted == [each["appId"] for each in told]
    assert [0, *(number % 4 for number in range(MANY // 2))] == [each["messageDestinations"] for each in told]


async def aggregated(world: World, task: Task, wanted: list[str]) -> None:
    assert wanted == [each["appId"] for each in (await world.result(task))["event_types"]]


async def broadcast(world: World, task: Task, wanted: list[str]) -> None:
    sql = "SELECT app_id, id FROM message WHERE event_type = 'all.hands' ORDER BY app_id"
    made = await rows(world.db, sql)
    told = await world.result(task)
    assert [{"appId": app, "msgId": msg} for app, msg in made] == told["messagesCreated"]
    assert wanted == [app for app, _ in made]
    assert sorted(msg for _, msg in made) == await sent_again(world.db, task.id)
    assert [] == told["messagesFailed"]


async def exported(world: World, task: Task, wanted: list[str]) -> None:
    ((content,),) = await rows(world.db, "SELECT content FROM export")
    with zipfile.ZipFile(io.BytesIO(content)) as found:
        assert wanted == list(json.loads(found.read("openapi.json"))["webhooks"])
    assert str((await world.result(task))["schemaZip"]).startswith("https://here.test/api/v1/export/")


_DRAFT = Draft("all.hands", b"{}", None, None, RETENTION_MS)
_ASKED = Asked(since=at(10), until=NOW, refs=None)
CASES = {
    "endpoint.recover": Case(failed_messages, _recover, sent_once),
    "endpoint.replay": Case(unsent_messages, _replay(Which.MISSING), sent_once),
    "endpoint.bulk-replay": Case(failed_messages, _replay(Which.SENT), sent_once),
    "application.purge_content": Case(
        unsent_messages, lambda world: world.begin(purges.purge, world.past.app, "me"), purged
    ),
    "application.stats": Case(applications, _begun(usage.count_attempts, PRINCIPAL, _ASKED), counted),
    "event-type.aggregate": Case(applications, _begun(_aggregate, PRINCIPAL), aggregated),
    "message.broadcast": Case(applications, _begun(broadcasts.broadcast, PRINCIPAL, _DRAFT), broadcast),
    "sdk.generate": Case(event_types, _begun(exports.export_event_types, PRINCIPAL, "https://here.test"), exported),
}


def killed(url: str, failpoints: str) -> None:
    """Have a process work until it is killed at a failpoint."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "laborer.py"), url, failpoints],
        env={**os.environ, "PYTHONPATH": str(HERE.parent.parent)},
    )
    try:
        assert process.wait(PATIENCE) == -signal.SIGKILL, "the failpoint was never reached"
    finally:
        process.kill()
        process.wait()


async def exact_through(url: str, case: Case, deaths: list[str]) -> None:
    """Start a task, let processes die of it, go on to its end, and look at what is there."""
    async with database(url) as db:
        world = await a_world(db)
        wanted = await case.lay_out(world)
        task = await case.begin(world)
    for death in deaths:
        await asyncio.to_thread(killed, url, death)
    async with database(url, fresh=False) as db:
        world.db = db
        halfway = await reread(db, task.id)
        world.desk = type(world.desk)(db, world.desk.clock, world.desk.wake, world.desk.receipts)
        async with world.working():
            ended = await until(db, task.id)
        assert State.SUCCEEDED is ended.state, ended.error
        assert 0 < halfway.chunks < ended.chunks
        assert (ended.done, ended.skipped) == (ended.total, 0)
        await case.check(world, ended, wanted)
        (told,) = await world.told()
        assert (task.id, task.kind, "finished") == (told["taskId"], told["task"], told["status"])


@pytest.mark.parametrize("name", CASES)
async def test_killed_in_the_middle_it_is_exact(database_url: str, name: str) -> None:
    await exact_through(database_url, CASES[name], ["task.before_commit=kill@3", "task.after_commit=kill"])


@pytest.mark.chaos
@pytest.mark.timeout(240)
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("name", CASES)
async def test_killed_again_and_again_at_each_place_it_is_exact(database_url: str, name: str, point: str) -> None:
    again = 2 if point == "task.after_commit" else 1
    await exact_through(database_url, CASES[name], ["task.after_commit=kill"] + [f"{point}=kill@{again}"] * 2)
