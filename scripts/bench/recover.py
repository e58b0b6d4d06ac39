# SPDX-License-Identifier: MIT
"""The rate at which a recovery makes failed messages due, with a check that each becomes due once."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from bench import machine
from bench.databases import Measured
from bench.message_path import Unequal, until
from bench.programs import Sink
from bench.service import Service, running, with_endpoints
from tidings import ids
from tidings.clock import DAY, SystemClock
from tidings.ids import DEFAULT_ORG, AppId, MessageId
from tidings.model.attempt import DeliveryEnd
from tidings.model.message import AcceptedMessage
from tidings.storage.drivers.database import Database
from tidings.storage.tables import intake, settlement
from tidings.storage.tables.settlement import AttemptRow

CHUNK: Final = 1_000
TASK_SECONDS: Final = 300.0
DELIVER_SECONDS: Final = 600.0
FAILED: Final = 2
SPACING_MS: Final = 1
PAYLOAD: Final = b'{"order":"ord_7GkQ2mZx41","status":"shipped","items":[1,2,3]}'


def measure(folder: Path, database: Measured, count: int) -> dict[str, Any]:
    """Recover a number of failed messages, without a limit on the task's outstanding deliveries."""
    with Sink(folder, 1) as sink:
        with running(folder, database) as service:
            app, endpoints = with_endpoints(service, sink.ports)
            service.stop()
        database.fill(lambda db: _fail(db, app, endpoints[0], count))
        calibration = machine.calibration_ms()
        with running(folder, database, replay_backlog="0") as service:
            task, armed = _recovered(service, f"/app/{app}/endpoint/{endpoints[0]}/recover")
            began = time.monotonic()
            until(lambda: sink.figures()["distinct"] >= count, DELIVER_SECONDS, "not all was delivered")
            delivered = armed + time.monotonic() - began
            rss = machine.rss_mb(service.pid)
            service.stop()
        counted, seen = database.counts(), sink.figures()
    found = (seen["requests"], seen["distinct"], counted["attempt"], counted["delivery"], task["data"]["messagesSent"])
    if found != (count, count, 2 * count, 0, count):
        raise Unequal(f"received, distinct, attempts, outstanding, reported: {found} for {count} failed messages")
    return {
        "database": database.kind,
        "messages": count,
        "armed_seconds": armed,
        "delivered_seconds": delivered,
        "rss_mb": rss,
        "calibration_ms": calibration,
    }


def _recovered(service: Service, path: str) -> tuple[dict[str, Any], float]:
    """Run the task to its end; return it, and the time since the call."""
    since = (datetime.now(UTC) - timedelta(hours=12)).isoformat()
    began = time.monotonic()
    task: dict[str, Any] = service.call("POST", path, {"since": since})
    while task["status"] == "running":
        if time.monotonic() - began > TASK_SECONDS:
            raise Unequal(f"the task is still at {task} after {TASK_SECONDS:.0f} s")
        time.sleep(0.05)
        task = service.call("GET", f"/background-task/{task['id']}")
    return task, time.monotonic() - began


async def _fail(db: Database, app: str, endpoint: str, count: int) -> None:
    """Write messages whose only attempt has failed, over the past hours."""
    now = SystemClock().now()
    first = now - DAY // 4
    for start in range(0, count, CHUNK):
        timestamps = [first + SPACING_MS * n for n in range(start, min(start + CHUNK, count))]
        messages = [owed_message(app, timestamp, now) for timestamp in timestamps]
        async with db.write() as tx:
            await intake.add(tx, messages)
            await settlement.add_attempts(
                tx, [_attempt(each, endpoint, timestamp) for each, timestamp in zip(messages, timestamps, strict=True)]
            )


def owed_message(app: str, timestamp: int, now: int) -> AcceptedMessage:
    """Return a message that was accepted at a timestamp and whose payload is kept for a day from now."""
    new = MessageId(ids.new(ids.MESSAGE, timestamp))
    return AcceptedMessage(new, AppId(app), DEFAULT_ORG, "order.shipped", PAYLOAD, expires_at=now + DAY)


def _attempt(message: AcceptedMessage, endpoint: str, timestamp: int) -> AttemptRow:
    new = ids.new(ids.ATTEMPT, timestamp)
    who = (message.id, new, endpoint, message.app_id, DEFAULT_ORG, "http://127.0.0.1/hook")
    return AttemptRow(*who, FAILED, 500, "", 1, 0, ended=int(DeliveryEnd.EXHAUSTED))
