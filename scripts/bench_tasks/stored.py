# SPDX-License-Identifier: MIT
"""A service with many stored tasks: the latency of its lists, and the start latency of a new task."""

import http.client
import itertools
import random
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from bench.databases import Measured
from bench.service import Service, running, with_endpoints
from bench_tasks.seeded_database import Figures, Inexact, SeededDatabase, insert, require
from tidings import ids
from tidings.clock import DAY, SystemClock
from tidings.ids import DEFAULT_ORG
from tidings.storage.drivers.database import Database, Dialect

TASKS: Final = 1_000_000
STARTS: Final = 200
DAYS: Final = 60
CALLS: Final = 10
"""The number of requests for each list, from each position."""
_SEED: Final = 7
_COMMON: Final = ("endpoint.recover", "endpoint.replay", "endpoint.bulk-replay", "application.purge_content")
_RARE: Final = {
    "message.broadcast": 50_000,
    "application.stats": 10_000,
    "event-type.aggregate": 100_000,
    "sdk.generate": 200_000,
}
"""The total number of tasks per task of each rare kind."""
_KINDS: Final = (None, *_COMMON, *_RARE)
_STATUSES: Final = (None, "running", "finished", "failed")
_FAILED, _OPEN, _MINE = 50, 20_000, 100
"""One task in this number has failed, is open (paused, so that no worker claims it), or belongs to the application."""
_TASK: Final = insert(
    "task",
    "id org_id app_id tenant kind args state wire_status fair_round ready_at size created_at updated_at finished_at",
    "text text text text text text text text int8 int8 int4 int8 int8 int8",
)
_INDEXES: Final = {
    Dialect.SQLITE: "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'task' AND sql > ''",
    Dialect.POSTGRESQL: (
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'task' AND indexname <> 'task_pkey'"
    ),
}


def measure(folder: Path, database: Measured, count: int) -> Figures:
    """Store a number of tasks, then request every list of them and start some more."""
    with running(folder, database) as service:
        app, endpoints = with_endpoints(service, [9])
        service.stop()
    database.use(lambda db: _store(db, app, count))
    with running(folder, database) as service:
        portal = service.call("POST", f"/auth/app-portal-access/{app}", {})["token"]
        lists = [
            figures
            for token in (service.token_file.read_text(), portal)
            for figures in _lists(service, token, is_portal=token == portal)
        ]
        waits = sorted(_started(service, f"/app/{app}/endpoint/{endpoints[0]}/recover") for _ in range(STARTS))
        service.stop()
    worst = max(lists, key=lambda each: float(each["p99"]))
    every = sorted(wait for each in lists for wait in each["waits"])
    return {
        "lists": len(lists),
        "p50": every[len(every) // 2],
        "p99": every[len(every) * 99 // 100],
        "worst": worst["list"],
        "worst_p99": worst["p99"],
        "start_p50": waits[STARTS // 2],
        "start_p99": waits[STARTS * 99 // 100],
    }


async def _store(db: Database, app: str, count: int) -> None:
    """Store the tasks; create the indexes afterwards."""
    seeded, chance = SeededDatabase.on(db), random.Random(_SEED)  # noqa: S311 - the same tasks each time
    async with db.read() as read:
        indexes = [(row[0], row[1]) for row in await read.rows(_INDEXES[db.dialect])]
    for name, _ in indexes:
        await seeded.run(f"DROP INDEX {name}")
    first = SystemClock().now() - DAYS * DAY
    others = [ids.new(ids.APP, first + 4 * number) for number in range(1_000)]
    for start in range(0, count, 50_000):
        numbers = range(start, min(start + 50_000, count))
        rows = [_task(chance, n, first + n * DAYS * DAY // count, app, others) for n in numbers]
        await seeded.bulk(_TASK, rows)
    for _, text in indexes:
        await seeded.run(text)
    await seeded.settle()


def _task(chance: random.Random, number: int, timestamp: int, app: str, others: list[str]) -> tuple[Any, ...]:
    kind = next((kind for kind, one_in in _RARE.items() if chance.randrange(one_in) == 0), chance.choice(_COMMON))
    state, status, ended = "succeeded", "finished", timestamp + 1_000
    if chance.randrange(_FAILED) == 0:
        state = status = "failed"
    owner = app if chance.randrange(_MINE) == 0 else chance.choice(others)
    open_ = chance.randrange(_OPEN) == 0
    if open_:
        state, status = "paused", "running"
    made = (DEFAULT_ORG, owner, owner, kind, "{}", state, status, number, 0, 100, timestamp, timestamp)
    return (ids.new(ids.TASK, timestamp), *made, None if open_ else ended)


def _lists(service: Service, token: str, *, is_portal: bool) -> Iterator[Figures]:
    """Request the tasks under every combination of filters, in both orders, from the beginning and from the middle."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port)
    now = SystemClock().now()
    places = [ids.new(ids.TASK, now - n * DAYS * DAY // CALLS) for n in range(CALLS)]
    for status, kind, order in itertools.product(_STATUSES, _KINDS, ("ascending", "descending")):
        asked = {"status": status, "task": kind, "order": order}
        query = "&".join(f"{name}={value}" for name, value in asked.items() if value is not None)
        waits = [wait for place in places for wait in _pages(connection, token, query, place)]
        waits.sort()
        p99 = waits[len(waits) * 99 // 100]
        yield {"list": f"{'portal' if is_portal else 'organization'} {query}", "waits": waits, "p99": p99}
    connection.close()


def _pages(connection: http.client.HTTPConnection, token: str, query: str, place: str) -> Iterator[float]:
    """Request a list from its beginning and from a position in it; yield the milliseconds of each request."""
    path, headers = f"/api/v1/background-task?{query}", {"authorization": f"Bearer {token}"}
    for iterator in ("", f"&iterator={place}"):
        began = time.perf_counter()
        connection.request("GET", path + iterator, headers=headers)
        response = connection.getresponse()
        body = response.read()
        wait = 1e3 * (time.perf_counter() - began)
        if response.status != http.HTTPStatus.OK:
            raise Inexact(f"{path}{iterator}: {response.status} {body[:500]!r}")
        yield wait


def _started(service: Service, path: str) -> float:
    """Start a task without items; return the milliseconds from its creation to its first claim."""
    since = datetime.fromtimestamp(time.time() - 60).astimezone().isoformat()
    task = service.call("POST", path, {"since": since})
    ended = service.call("GET", f"/background-task/{task['id']}/wait?timeout=10")
    require(expected="finished", found=ended["status"])
    created, began = (datetime.fromisoformat(ended["x"][each]) for each in ("createdAt", "startedAt"))
    return 1e3 * (began - created).total_seconds()
