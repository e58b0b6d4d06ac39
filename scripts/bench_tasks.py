# SPDX-License-Identifier: MIT
"""How fast background tasks work, and how much memory they take: `make bench-tasks ARGS="--scale 0.1"`.

Each figure is of a fresh database with a past written straight into its tables, and of a runner as a server has it,
alone in its process. Every run is checked for exactness before it counts. The commit waits for the disk on both
databases.
"""

import argparse
import asyncio
import json
import os
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import uvloop

from bench import machine
from bench.databases import KINDS, POSTGRES_SETTINGS
from postgres import Cluster, find_binaries
from tidings import ids
from tidings.clock import DAY, HOUR, SECOND, SystemClock
from tidings.core import broadcasts, purges, resending, tasks, usage
from tidings.core.desk import Desk
from tidings.core.receipts import Answer, Receipts
from tidings.core.usage import Asked
from tidings.core.wake import Wake
from tidings.ids import DEFAULT_ORG, AppId, EndpointId
from tidings.model.app import App
from tidings.model.message import RETENTION_MS, Draft
from tidings.model.resending import Chosen, Narrowed, Which
from tidings.model.task import State, Task
from tidings.model.token import Principal
from tidings.storage import tasks as store
from tidings.storage.database import Database, Dialect, Sql
from tidings.storage.migrate import migrate
from tidings.storage.store import opened
from tidings.tasks.kinds.registry import handlers
from tidings.tasks.runner import Limits, Runner

FAILED: Final = 2
STEP: Final = 10_000
PAYLOAD: Final = b'{"order":"ord_7GkQ2mZx41","status":"shipped","items":[1,2,3]}'
NOW: Final = SystemClock().now()
SINCE: Final = NOW - DAY
PRINCIPAL: Final = Principal(DEFAULT_ORG)

Begin = Callable[..., Awaitable[Answer]]


class Inexact(Exception):
    """A task did not do what it said."""


def _insert(table: str, columns: str, types: str) -> Sql:
    names = columns.split()
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(types.split(), 1))
    into = f"INSERT INTO {table} ({', '.join(names)})"
    return Sql(f"{into} VALUES ({', '.join('?' * len(names))})", f"{into} SELECT * FROM unnest({arrays})")  # noqa: S608 - our own words


APPLICATION: Final = _insert(
    "application", "id org_id name metadata created_at updated_at routed_at", "text text text text int8 int8 int8"
)
ENDPOINT: Final = _insert(
    "endpoint",
    "id app_id org_id url description metadata headers secret created_at updated_at",
    "text text text text text text text bytea int8 int8",
)
MESSAGE: Final = _insert("message", "id app_id org_id event_type payload", "text text text text bytea")
ATTEMPT: Final = _insert(
    "attempt",
    "msg_id id endpoint_id app_id org_id url status response_status_code response response_duration_ms trigger_type",
    "text text text text text text int2 int4 text int4 int2",
)


@dataclass
class Bench:
    """A database and who works on it."""

    db: Database
    desk: Desk
    scale: float

    def of(self, whole: int) -> int:
        return max(1, int(whole * self.scale))

    async def applications(self, count: int) -> list[App]:
        """Store applications with one endpoint each."""
        found = [AppId(ids.new(ids.APP, NOW - DAY + number * 4)) for number in range(count)]
        owner = (DEFAULT_ORG, "an app", "{}", 1, 1, 1)
        await self._bulk(APPLICATION, [(app, *owner) for app in found])
        rest = (DEFAULT_ORG, "https://e.test/", "", "{}", "{}", b"\x01" + bytes(24), 1, 1)
        await self._bulk(ENDPOINT, [(app.replace("app_", "ep_"), app, *rest) for app in found])
        return [_app(app) for app in found]

    async def messages(self, app: App, count: int, *, attempts: int = 1) -> None:
        """Store messages of the past day, each with failed attempts."""
        endpoint = app.id.replace("app_", "ep_")
        for start in range(0, count, STEP):
            some = range(start, min(start + STEP, count))
            moments = [SINCE + HOUR + number * (20 * HOUR) // count for number in some]
            new = [ids.new(ids.MESSAGE, moment) for moment in moments]
            owner = (app.id, DEFAULT_ORG)
            await self._bulk(MESSAGE, [(msg, *owner, "order.shipped", PAYLOAD) for msg in new])
            end = ("https://e.test/", FAILED, 500, "", 5, 0)
            made = [
                (msg, ids.new(ids.ATTEMPT, moment + 50 + number), endpoint, *owner, *end)
                for msg, moment in zip(new, moments, strict=True)
                for number in range(attempts)
            ]
            await self._bulk(ATTEMPT, made)

    async def _bulk(self, sql: Sql, rows: Sequence[Sequence[Any]]) -> None:
        for start in range(0, len(rows), STEP):
            async with self.db.write() as tx:
                await tx.bulk(sql, rows[start : start + STEP])

    async def settle(self) -> None:
        """Let PostgreSQL see to its tables, as it does by itself in time; SQLite keeps no statistics here."""
        if self.db.dialect is Dialect.POSTGRESQL:
            for table in ("message", "attempt", "application", "endpoint", "delivery"):
                async with self.db.read() as read:
                    await read.rows(f"VACUUM ANALYZE {table}")

    async def count(self, text: str) -> int:
        async with self.db.read() as read:
            return int((await read.one(text))[0])

    async def begin(self, use_case: Begin, *args: object) -> str:
        begun: list[str] = []

        def render(task: Task, *_: object) -> Answer:
            begun.append(task.id)
            return Answer(202)

        await use_case(self.desk, *args, receipt=None, render=render)
        return begun[0]

    async def run(self, use_case: Begin, *args: object) -> dict[str, Any]:
        """Run a task to its end; return what it took."""
        await self.settle()
        limits = Limits(backlog=0)
        runner = Runner(self.db, self.desk.clock, limits, handlers(self.desk.clock, self.desk.wake))
        self.desk.wake.tasks = runner.wake
        await runner.start()
        calibration = machine.calibration_ms()
        with watched() as memory:
            began = time.monotonic()
            task_id = await self.begin(use_case, *args)
            task = await self._ended(task_id)
            seconds = time.monotonic() - began
        await runner.stop()
        return {
            "seconds": round(seconds, 2),
            "rss_growth_mb": round(memory["peak"] - memory["before"], 1),
            "chunks": task.chunks,
            "done": task.done,
            "counters": dict(task.counters),
            "task_seconds": round(((task.finished_at or 0) - (task.started_at or 0)) / SECOND, 2),
            "calibration_ms": round(calibration, 1),
        }

    async def _ended(self, task_id: str) -> Task:
        while True:
            async with self.db.read() as read:
                task = await store.get(read, task_id)
            if task is None or task.state in (State.FAILED, State.CANCELLED):
                raise Inexact(f"{task}")
            if task.state is State.SUCCEEDED:
                return task
            await asyncio.sleep(0.05)


def _app(app_id: AppId) -> App:
    return App(
        id=app_id,
        org_id=DEFAULT_ORG,
        uid=None,
        name="an app",
        throttle_rate=None,
        metadata={},
        created_at=1,
        updated_at=1,
    )


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """Watch this process's resident memory."""
    process, over = psutil.Process(), threading.Event()
    before = process.memory_info().rss / 2**20
    found = {"before": before, "peak": before}

    def look() -> None:
        while not over.wait(0.05):
            found["peak"] = max(found["peak"], process.memory_info().rss / 2**20)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def require(*, expected: object, found: object) -> None:
    if expected != found:
        raise Inexact(f"expected {expected}, found {found}")


async def recover(bench: Bench) -> dict[str, Any]:
    """Recover a million messages whose one attempt failed."""
    (app,) = await bench.applications(1)
    number = bench.of(1_000_000)
    await bench.messages(app, number)
    wanted = tasks.Recovery(endpoint_ref=_endpoint(app), since=SINCE, until=None, created_by="bench")
    found = await bench.run(tasks.recover, app, wanted)
    require(expected=number, found=await bench.count("SELECT count(*) FROM delivery"))
    return found


async def bulk_replay(bench: Bench) -> dict[str, Any]:
    """Replay a million messages that were attempted, without a filter."""
    (app,) = await bench.applications(1)
    number = bench.of(1_000_000)
    await bench.messages(app, number)
    found = await bench.run(resending.replay, app, _chosen(app, Which.SENT))
    require(expected=number, found=await bench.count("SELECT count(*) FROM delivery"))
    return found


async def replay_missing(bench: Bench) -> dict[str, Any]:
    """Replay a million messages that were never sent."""
    (app,) = await bench.applications(1)
    number = bench.of(1_000_000)
    await bench.messages(app, number, attempts=0)
    found = await bench.run(resending.replay, app, _chosen(app, Which.MISSING))
    require(expected=number, found=await bench.count("SELECT count(*) FROM delivery"))
    return found


async def purge(bench: Bench) -> dict[str, Any]:
    """Delete a million payloads."""
    (app,) = await bench.applications(1)
    number = bench.of(1_000_000)
    await bench.messages(app, number, attempts=0)
    found = await bench.run(purges.purge, app, "bench")
    require(expected=number, found=found["counters"]["messagesPurged"])
    require(expected=0, found=await bench.count("SELECT count(*) FROM message WHERE payload IS NOT NULL"))
    return found


async def app_stats(bench: Bench) -> dict[str, Any]:
    """Count five million attempts of ten thousand applications, half of them of one."""
    apps = await bench.applications(bench.of(10_000))
    whole = bench.of(5_000_000)
    await bench.messages(apps[0], whole // 20, attempts=10)
    each = (whole - whole // 20 * 10) // (len(apps) - 1)
    await _spread(bench, apps[1:], each)
    total = await bench.count("SELECT count(*) FROM attempt")
    found = await bench.run(usage.count_attempts, PRINCIPAL, Asked(since=SINCE, until=NOW, refs=None))
    async with bench.db.read() as read:
        rows = await read.rows("SELECT data FROM task_item WHERE outcome = 'counted'")
    told = [json.loads(row[0])["messageDestinations"] for row in rows]
    require(expected=(len(apps), total), found=(len(told), sum(told)))
    return {**found, "attempts": total}


async def _spread(bench: Bench, apps: list[App], each: int) -> None:
    """Store attempts of many applications, one message each."""
    made: list[Sequence[Any]] = []
    for app in apps:
        msg, owner = ids.new(ids.MESSAGE, SINCE + HOUR), (app.id.replace("app_", "ep_"), app.id, DEFAULT_ORG)
        end = ("https://e.test/", FAILED, 500, "", 5, 0)
        made += [(msg, ids.new(ids.ATTEMPT, SINCE + HOUR + number * 4), *owner, *end) for number in range(each)]
        if len(made) >= STEP:
            await bench._bulk(ATTEMPT, made)  # noqa: SLF001 - it is ours
            made.clear()
    if made:
        await bench._bulk(ATTEMPT, made)  # noqa: SLF001


async def broadcast(bench: Bench) -> dict[str, Any]:
    """Make a message in ten thousand applications."""
    apps = await bench.applications(bench.of(10_000))
    draft = Draft("order.shipped", PAYLOAD, None, None, RETENTION_MS)
    found = await bench.run(broadcasts.broadcast, PRINCIPAL, draft)
    require(expected=len(apps), found=await bench.count("SELECT count(*) FROM message"))
    require(expected=len(apps), found=await bench.count("SELECT count(*) FROM delivery WHERE lease IS NULL"))
    return found


def _endpoint(app: App) -> str:
    return EndpointId(app.id.replace("app_", "ep_"))


def _chosen(app: App, which: Which) -> Chosen:
    return Chosen(
        which=which,
        endpoint_ref=_endpoint(app),
        since=SINCE,
        until=None,
        narrowed=Narrowed(),
        created_by="bench",
    )


CASES: Final = {
    "recover": (recover, 20.0),
    "bulk-replay": (bulk_replay, 20.0),
    "replay-missing": (replay_missing, 20.0),
    "purge": (purge, 60.0),
    "app-stats": (app_stats, 20.0),
    "broadcast": (broadcast, 10.0),
}
"""What is measured, and the seconds that it may take at full size."""


@contextmanager
def fresh(kind: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="bench-tasks-", dir=os.environ.get("TMPDIR")) as folder:
        if kind == "sqlite":
            yield f"sqlite:///{Path(folder) / 'bench.db'}"
            return
        binaries = find_binaries()
        if binaries is None:
            raise FileNotFoundError("no PostgreSQL server was found; install one (apt-get install postgresql)")
        with Cluster(binaries, POSTGRES_SETTINGS) as cluster:
            yield cluster.dsn(cluster.create_database())


async def measured(url: str, case: Callable[[Bench], Awaitable[dict[str, Any]]], scale: float) -> dict[str, Any]:
    db = await opened(url, connections=4)
    try:
        await migrate(db)
        clock = SystemClock()
        return await case(Bench(db, Desk(db, clock, Wake(), Receipts(db, clock)), scale))
    finally:
        await db.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="a part of the full size")
    parser.add_argument("--only", nargs="*", choices=list(CASES), default=list(CASES))
    parser.add_argument("--databases", nargs="*", choices=list(KINDS), default=list(KINDS))
    given = parser.parse_args()
    for name, value in machine.described(Path(tempfile.gettempdir())).items():
        print(f"{name}: {value}")
    for kind in given.databases:
        for name in given.only:
            case, target = CASES[name]
            with fresh(kind) as url:
                found = uvloop.run(measured(url, case, given.scale))
            told = {"database": kind, "case": name, "scale": given.scale, "target_seconds": target, **found}
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
