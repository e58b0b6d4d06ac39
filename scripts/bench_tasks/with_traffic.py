# SPDX-License-Identifier: MIT
"""Tasks with live traffic: `tidings serve` with its defaults, a sender, a receiver, and one or more tasks.

The traffic is measured alone first, then with the task. A message's latency counts from its due time.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from bench.databases import Measured
from bench.message_path import until
from bench.programs import Sink, Traffic, load
from bench.service import Service, running, with_endpoints
from bench_tasks.seeded_database import Figures, Inexact, Receiver, SeededDatabase, require
from tidings.storage.drivers.database import Database

RATE: Final = 500
CONNECTIONS: Final = 256
ALONE_SECONDS: Final = 10.0
RECOVER_SECONDS: Final = 20.0
"""The measured seconds of traffic beside the recovery: the task and most of its sends."""
PURGE_SECONDS: Final = 5.0
CANCEL_SECONDS: Final = 6.0
CANCELS: Final = 3
WARM_UP: Final = 2.0
QUIET: Final = 1.0
TIMEOUT: Final = 120.0
RECOVERED: Final = 100_000
CANCELLED: Final = 50_000
GOT_SOMEWHERE: Final = 1_000
"""The number of messages requested before a recovery is canceled: by then its chunks are large and its sends many."""


@dataclass
class Live:
    """Messages to one application at a steady rate."""

    folder: Path
    service: Service
    sink: Sink
    app_id: str
    accepted: int = field(default=0, init=False)

    def drive(self, seconds: float, meanwhile: Callable[[], object] = lambda: None) -> Figures:
        """Send for some seconds after a warm-up; return the latencies. `meanwhile` runs when measuring begins."""
        traffic = Traffic(
            connections=CONNECTIONS,
            rate=RATE,
            seconds=seconds,
            warm_up=WARM_UP,
            paths=[f"/api/v1/app/{self.app_id}/msg"],
        )
        with load(self.folder, self.service.port, self.service.token_file, traffic) as sender:
            sender.warmed_up()
            self.sink.reset()
            meanwhile()
            sender.measured()
            result = sender.result()
        require(expected=(0, 0), found=(result["bad"], result["unanswered"]))
        self.accepted += result["accepted"]
        waits = self._settled()
        return {
            "accept_p50": result["p50"],
            "accept_p99": result["p99"],
            "receive_p50": waits["p50"],
            "receive_p99": waits["p99"],
        }

    def _settled(self) -> Figures:
        """Return the latencies once live messages have stopped arriving, including those that arrive late."""
        waits = self.sink.figures()
        while True:
            time.sleep(QUIET)
            later = self.sink.figures()
            if later["measured"] == waits["measured"]:
                return waits
            waits = later


def recover(folder: Path, database: Measured, count: int) -> Figures:
    """Recover failed messages of the endpoint that also receives the live ones; check that none is lost or doubled."""
    with Sink(folder, 1) as sink:
        to = _failed(folder, database, sink, count)
        with running(folder, database) as service:
            live = Live(folder, service, sink, to.app_id)
            alone = live.drive(ALONE_SECONDS)
            begun: list[tuple[str, float]] = []
            beside = live.drive(RECOVER_SECONDS, lambda: begun.append((_recover(service, to), time.monotonic())))
            sent = sink.figures()["distinct"] - live.accepted
            task_id, began = begun[0]
            until(lambda: sink.figures()["distinct"] >= count + live.accepted, TIMEOUT, "not all was delivered")
            seconds = time.monotonic() - began
            task = _ended(service, task_id)
            service.stop()
        counted, seen = database.counts(), sink.figures()
    whole = count + live.accepted
    found = (seen["requests"], seen["distinct"], counted["message"], counted["delivered"], counted["delivery"])
    require(expected=(whole, whole, whole, whole, 0), found=found)
    require(expected=count, found=task["data"]["messagesSent"])
    return {"alone": alone, "beside": beside, "seconds": seconds, "part": min(1.0, sent / count)}


def purge(folder: Path, database: Measured, to: Receiver, count: int) -> Figures:
    """Delete the payloads of an application beside live messages to another."""
    database.use(lambda db: SeededDatabase.on(db).settle())
    with Sink(folder, 1) as sink, running(folder, database) as service:
        app, _ = with_endpoints(service, sink.ports)
        live = Live(folder, service, sink, app)
        alone = live.drive(ALONE_SECONDS)
        begun: list[str] = []
        path = f"/app/{to.app_id}/msg/expunge-all-contents"
        beside = live.drive(PURGE_SECONDS, lambda: begun.append(service.call("POST", path)["id"]))
        task = _ended(service, begun[0])
        service.stop()
        require(expected=live.accepted, found=sink.figures()["distinct"])
    require(expected=count, found=task["data"]["messagesPurged"])
    require(expected=0, found=database.use(lambda db: _left(db, to.app_id)))
    seconds = _seconds(task, "createdAt", "finishedAt")
    return {"alone": alone, "beside": beside, "seconds": seconds, "part": min(1.0, seconds / PURGE_SECONDS)}


async def _left(db: Database, app_id: str) -> int:
    async with db.read() as read:
        text = "SELECT count(*) FROM message WHERE app_id = :app AND payload IS NOT NULL"
        return int((await read.one(text, app=app_id))[0])


def cancel(folder: Path, database: Measured, count: int) -> Figures:
    """Cancel recoveries during their chunks and sends, beside live messages, and check their accounts."""
    with Sink(folder, 1) as sink:
        to = _failed(folder, database, sink, count)
        with running(folder, database) as service:
            live = Live(folder, service, sink, to.app_id)
            ended: list[tuple[Figures, float]] = []
            live.drive(CANCEL_SECONDS, lambda: ended.extend(_cancelled(service, to) for _ in range(CANCELS)))
            for task, _ in ended:
                require(expected=task, found=service.call("GET", f"/background-task/{task['id']}"))
            service.stop()
        tasks = [task for task, _ in ended]
        accounts = database.use(lambda db: _accounts(db, [task["id"] for task in tasks]))
        sent, withdrawn = sum(each[0] for each in accounts), sum(each[1] for each in accounts)
        require(
            expected=[(each["data"]["messagesSent"], each["x"]["withdrawn"]) for each in tasks],
            found=[(tried + back, back) for tried, back in accounts],
        )
        counted, seen = database.counts(), sink.figures()
        require(expected=(sent + live.accepted, 0), found=(seen["requests"], seen["duplicates"]))
        require(expected=0, found=counted["delivery"])
    return {"cancels": CANCELS, "sent": sent, "withdrawn": withdrawn, "answer_ms": max(wait for _, wait in ended)}


def _cancelled(service: Service, to: Receiver) -> tuple[Figures, float]:
    """Start a recovery, cancel it after some progress; return the response and its milliseconds.

    Its sends in flight have ended by then, so that the next recovery's sends do not queue behind them.
    """
    task_id = _recover(service, to)
    deadline = time.monotonic() + TIMEOUT
    while (task := service.call("GET", f"/background-task/{task_id}"))["x"]["progress"]["done"] < GOT_SOMEWHERE:
        if time.monotonic() > deadline:
            raise Inexact(f"{task}")
    began = time.perf_counter()
    cancelled: Figures = service.call("POST", f"/background-task/{task_id}/cancel")
    wait = 1e3 * (time.perf_counter() - began)
    # The task's counts must not change from here on.
    require(expected=cancelled, found=service.call("GET", f"/background-task/{task_id}"))
    require(expected="cancelled", found=cancelled["x"]["state"])
    until(lambda: not _rearmed(service, task_id), TIMEOUT, "sends in flight did not end")
    return cancelled, wait


def _rearmed(service: Service, task_id: str) -> object:
    return service.call("GET", f"/background-task/{task_id}/items?limit=1&outcome=rearmed")["data"]


async def _accounts(db: Database, task_ids: list[str]) -> list[tuple[int, int]]:
    """Return the number of sends and of canceled deliveries of each task."""
    found = []
    async with db.read() as read:
        for task_id in task_ids:
            tried = await read.one("SELECT count(*) FROM attempt WHERE task_id = :id", id=task_id)
            back = await read.one(
                "SELECT count(*) FROM task_item WHERE task_id = :id AND outcome = 'withdrawn'", id=task_id
            )
            found.append((int(tried[0]), int(back[0])))
    return found


def _failed(folder: Path, database: Measured, sink: Sink, count: int) -> Receiver:
    """Create a receiver with a number of failed messages."""
    with running(folder, database) as service:
        app, endpoints = with_endpoints(service, sink.ports)
        service.stop()
    to = Receiver(app, endpoints[0])
    database.use(lambda db: _write(db, to, count))
    return to


async def _write(db: Database, to: Receiver, count: int) -> None:
    seeded = SeededDatabase.on(db)
    await seeded.messages(to, count)
    await seeded.settle()


def _recover(service: Service, to: Receiver) -> str:
    since = (datetime.now(UTC) - timedelta(hours=25)).isoformat()
    path = f"/app/{to.app_id}/endpoint/{to.endpoint_id}/recover"
    return str(service.call("POST", path, {"since": since})["id"])


def _ended(service: Service, task_id: str) -> Figures:
    """Wait for a task's end and return it."""
    deadline = time.monotonic() + TIMEOUT
    while (task := service.call("GET", f"/background-task/{task_id}/wait?timeout=10"))["status"] == "running":
        if time.monotonic() > deadline:
            raise Inexact(f"{task}")
    if task["status"] != "finished":
        raise Inexact(f"{task}")
    found: Figures = task
    return found


def _seconds(task: Figures, first: str, last: str) -> float:
    """Return the seconds between two timestamps of a task."""
    begin, end = (datetime.fromisoformat(task["x"][each]) for each in (first, last))
    return (end - begin).total_seconds()
