# SPDX-License-Identifier: MIT
"""A database with seed data written straight into its tables, and a runner with a server's settings."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psutil

from bench import machine
from tidings import ids
from tidings.clock import DAY, HOUR, SystemClock
from tidings.core import tasks
from tidings.core.idempotency import Idempotency
from tidings.core.notifier import Notifier
from tidings.core.services import Services
from tidings.ids import DEFAULT_ORG, AppId
from tidings.model.app import App
from tidings.model.attempt import DeliveryEnd
from tidings.model.task import NewTask, State, Task
from tidings.storage.drivers import store as database_store
from tidings.storage.drivers.database import Database, Dialect, Sql
from tidings.storage.drivers.store import migrate, opened
from tidings.storage.tables import tasks as store
from tidings.tasks.registry import KINDS, handlers
from tidings.tasks.runner import Runner, RunnerLimits

FAILED: Final = 2
STEP: Final = 10_000
PAYLOAD: Final = b'{"order":"ord_7GkQ2mZx41","status":"shipped","items":[1,2,3]}'
URL: Final = "https://e.test/"
NOW: Final = SystemClock().now()
SINCE: Final = NOW - DAY

Figures = dict[str, Any]
Build = Callable[..., Awaitable[NewTask]]


class Inexact(Exception):
    """The effects of a task differ from its report, so no figure is valid."""


def require(*, expected: object, found: object) -> None:
    """Raise Inexact unless the found value equals the expected one."""
    if expected != found:
        raise Inexact(f"expected {expected}, found {found}")


def insert(table: str, columns: str, types: str) -> Sql:
    """Return an INSERT statement; both arguments are lists separated by spaces."""
    names = columns.split()
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(types.split(), 1))
    into = f"INSERT INTO {table} ({', '.join(names)})"
    return Sql(f"{into} VALUES ({', '.join('?' * len(names))})", f"{into} SELECT * FROM unnest({arrays})")  # noqa: S608 - constants


_APPLICATION: Final = insert(
    "application", "id org_id name metadata created_at updated_at routed_at", "text text text text int8 int8 int8"
)
_ENDPOINT: Final = insert(
    "endpoint",
    "id app_id org_id url description metadata headers secret created_at updated_at",
    "text text text text text text text bytea int8 int8",
)
_MESSAGE: Final = insert("message", "id app_id org_id event_type payload", "text text text text bytea")
_ATTEMPT_COLUMNS: Final = (
    "msg_id id endpoint_id app_id org_id url status response_status_code response response_duration_ms trigger_type"
    " ended"
)
_ATTEMPT: Final = insert("attempt", _ATTEMPT_COLUMNS, "text text text text text text int2 int4 text int4 int2 int2")


@dataclass(frozen=True, slots=True)
class Receiver:
    """An application and its one endpoint."""

    app_id: str
    endpoint_id: str

    @property
    def app(self) -> App:
        """The application as use cases accept it."""
        return App(
            id=AppId(self.app_id),
            org_id=DEFAULT_ORG,
            uid=None,
            name="an app",
            throttle_rate=None,
            metadata={},
            created_at=1,
            updated_at=1,
        )


@dataclass
class SeededDatabase:
    """A database with seed data, and the runner that works on it."""

    db: Database
    services: Services

    @classmethod
    def on(cls, db: Database) -> "SeededDatabase":
        """Wrap an open database."""
        clock = SystemClock()
        return cls(db, Services(db, clock, Notifier(), Idempotency(db, clock), KINDS))

    async def receivers(self, count: int) -> list[Receiver]:
        """Store applications with one endpoint each."""
        found = [AppId(ids.new(ids.APP, NOW - DAY + number * 4)) for number in range(count)]
        made = [Receiver(app, app.replace("app_", "ep_")) for app in found]
        owner = (DEFAULT_ORG, "an app", "{}", 1, 1, 1)
        await self.bulk(_APPLICATION, [(each.app_id, *owner) for each in made])
        rest = (DEFAULT_ORG, URL, "", "{}", "{}", b"\x01" + bytes(24), 1, 1)
        await self.bulk(_ENDPOINT, [(each.endpoint_id, each.app_id, *rest) for each in made])
        return made

    async def messages(self, to: Receiver, count: int, *, hours: int = 20) -> None:
        """Store messages of the past day with one failed attempt each, spread over the first hours of it."""
        for start in range(0, count, STEP):
            timestamps = [SINCE + HOUR + n * hours * HOUR // count for n in range(start, min(start + STEP, count))]
            made = [(ids.new(ids.MESSAGE, timestamp), timestamp + 50) for timestamp in timestamps]
            await self.bulk(_MESSAGE, [(msg, to.app_id, DEFAULT_ORG, "order.shipped", PAYLOAD) for msg, _ in made])
            await self.attempts([(msg, at, to) for msg, at in made])

    async def attempts(self, failed: Sequence[tuple[str, int, Receiver]]) -> None:
        """Store failed attempts: message, timestamp, and endpoint."""
        end = (DEFAULT_ORG, URL, FAILED, 500, "", 5, 0, int(DeliveryEnd.EXHAUSTED))
        rows = [(msg, ids.new(ids.ATTEMPT, at), to.endpoint_id, to.app_id, *end) for msg, at, to in failed]
        await self.bulk(_ATTEMPT, rows)

    async def tenfold(self) -> None:
        """Store ten attempts for each existing one, at the same time."""
        columns = ", ".join(_ATTEMPT_COLUMNS.split())
        more = columns.replace(", id,", ", id || '{}',", 1)
        for digit in range(1, 10):
            text = (
                f"INSERT INTO attempt ({columns}) SELECT {more.format(digit)} FROM attempt WHERE length(id) = :length"  # noqa: S608
            )
            await self.run(text, length=len(ids.new(ids.ATTEMPT, NOW)))

    async def bulk(self, sql: Sql, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows, a few thousand per transaction."""
        for start in range(0, len(rows), STEP):
            async with self.db.write() as tx:
                await tx.bulk(sql, rows[start : start + STEP])

    async def run(self, text: str, **values: Any) -> None:  # noqa: ANN401 - the parameters of a statement
        """Run a statement that may exceed the service's statement timeout."""
        async with self.db.write() as tx:
            if self.db.dialect is Dialect.POSTGRESQL:
                await tx.run("SET LOCAL statement_timeout = 0")
            await tx.run(text, **values)

    async def clear(self, *tables: str) -> None:
        """Empty tables."""
        for table in tables:
            await self.run(f"TRUNCATE {table}" if self.db.dialect is Dialect.POSTGRESQL else f"DELETE FROM {table}")  # noqa: S608

    async def settle(self) -> None:
        """Vacuum and analyze the tables, as autovacuum does in time; SQLite keeps no statistics here.

        Also force a checkpoint of the bulk writes: otherwise its I/O would fall into the measurement.
        """
        if self.db.dialect is Dialect.POSTGRESQL:
            for table in ("message", "attempt", "application", "endpoint", "delivery", "task"):
                async with self.db.read() as read:
                    await read.rows(f"VACUUM ANALYZE {table}")
            async with self.db.read() as read:
                await read.rows("CHECKPOINT")

    async def count(self, text: str) -> int:
        """Return the single number that a query returns."""
        async with self.db.read() as read:
            return int((await read.one(text))[0])

    async def work(self, build: Build, *args: object) -> Figures:
        """Run a task to its end; return its duration and its memory."""
        await self.settle()
        runner = Runner(
            self.db, self.services.clock, RunnerLimits(backlog=0), handlers(self.services.clock, self.services.notifier)
        )
        self.services.notifier.tasks = runner.wake
        await runner.start()
        calibration = machine.calibration_ms()
        with watched() as memory:
            began = time.monotonic()
            task = await self._ended(await self._begun(build, *args))
            seconds = time.monotonic() - began
        await runner.stop()
        return {
            "seconds": seconds,
            "rss_growth_mb": memory["peak"] - memory["before"],
            "done": task.done,
            "counters": dict(task.counters),
            "calibration_ms": calibration,
        }

    async def _begun(self, build: Build, *args: object) -> str:
        async with self.services.db.write() as tx:
            return (await tasks.start(self.services, tx, await build(self.services, tx, *args))).id

    async def _ended(self, task_id: str) -> Task:
        while True:
            async with self.db.read() as read:
                task = await store.get(read, task_id)
            if task is None or task.state in (State.FAILED, State.CANCELLED):
                raise Inexact(f"{task}")
            if task.state is State.SUCCEEDED:
                return task
            await asyncio.sleep(0.05)


async def set_up(dsn: str, work: Callable[[SeededDatabase], Awaitable[Figures]]) -> Figures:
    """Open a database with its schema and a server's partitions, and run a measurement on it."""
    db = await opened(dsn, connections=4)
    try:
        await migrate(db)
        await database_store.create_partitions(db, SINCE)
        return await work(SeededDatabase.on(db))
    finally:
        await db.close()


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """Watch this process's resident memory, in MB."""
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
