# SPDX-License-Identifier: MIT
"""The effect of dead, slow and refusing endpoints on the others, and on the service."""

import time
from pathlib import Path
from typing import Final

from bench import machine
from bench.databases import Measured
from bench.message_path import Figures, Run, Shape, Unequal, posting
from bench.programs import Sink
from bench.recover import owed_message
from bench.service import hook, running, with_endpoints
from tidings.clock import SystemClock
from tidings.storage.drivers.database import Database
from tidings.storage.tables import intake
from tidings.storage.tables.intake import DeliveryRow

HANGING_PART: Final = 0.01
NOBODY: Final = 9
"""A port without a listener: every connection is refused."""
CHUNK: Final = 1_000
OVERDUE_MS: Final = 60_000
STEADY_RATE: Final = 1_000
SETTLED_SECONDS: Final = 35
"""The time until each hanging send has first reached the service's timeout (30 s)."""


def hanging(folder: Path, database: Measured, shape: Shape) -> Figures:
    """Measure the latency with many endpoints, one per application; then again while one in a hundred hangs."""
    calibration = machine.calibration_ms()
    hung = max(1, round(shape.count * HANGING_PART))
    rate = shape.rate or STEADY_RATE
    with Sink(folder, shape.count, hanging=hung) as sink, running(folder, database) as service:
        made = [with_endpoints(service, [port]) for port in sink.ports[: shape.count]]
        run = Run(database, sink, folder, shape, [f"/api/v1/app/{app}/msg" for app, _ in made])
        calm = run.drive(service, rate)
        for (app, [endpoint]), port in zip(made[-hung:], sink.ports[shape.count :], strict=True):
            service.call("PATCH", f"/app/{app}/endpoint/{endpoint}", {"url": hook(port)})
        healthy = shape.count - hung
        beside = run.drive(
            service,
            rate,
            warm_up=SETTLED_SECONDS if shape.seconds >= shape.warm_up else shape.warm_up,
            lost=lambda requests: requests // shape.count * hung + max(0, requests % shape.count - healthy),
        )
        service.stop()
        run.check()
    return {"calibration": calibration, "rate": rate, "unhealthy": hung, **_compared(calm, beside)}


def isolation(folder: Path, database: Measured, shape: Shape, *, hangs: bool) -> Figures:
    """Measure the latency of an endpoint; then again beside a dead one with many due retries."""
    calibration = machine.calibration_ms()
    rate = shape.rate or STEADY_RATE
    with Sink(folder, 1, hanging=1) as sink:
        with running(folder, database) as service:
            path = posting(service, sink.ports[:1])
            app, [dead] = with_endpoints(service, sink.ports[1:] if hangs else [NOBODY])
            run = Run(database, sink, folder, shape, [path])
            calm = run.drive(service, rate)
            service.stop()
        database.fill(lambda db: _owe(db, app, dead, shape.count))
        before = database.counts()
        with running(folder, database) as service:
            began = time.monotonic()
            beside = run.drive(service, rate)
            lasted = time.monotonic() - began
            service.stop()
        counted = database.counts()
        failed = counted["attempt"] - counted["delivered"] - (before["attempt"] - before["delivered"])
        run.check(owed=shape.count)
    return {"calibration": calibration, "rate": rate, "tried": failed / lasted, **_compared(calm, beside)}


def failing(folder: Path, database: Measured, shape: Shape) -> Figures:
    """Measure the maximum rate for an endpoint that responds with 500 to everything."""
    calibration = machine.calibration_ms()
    with Sink(folder, 0, failing=1) as sink, running(folder, database) as service:
        run = Run(database, sink, folder, shape, [posting(service, sink.ports)])
        told = run.drive(service, 0, lost=lambda requests: requests)
        service.stop()
        seen, counted = sink.figures(), database.counts()
    found = (counted["message"], counted["delivery"], counted["attempt"], counted["delivered"])
    wanted = (run.accepted, run.accepted, seen["requests"], 0)
    if found != wanted:
        raise Unequal(f"messages, outstanding, attempts, delivered: {found}, which should be {wanted}")
    return {"calibration": calibration, **told}


def _compared(calm: Figures, beside: Figures) -> Figures:
    names = ("accept50", "accept99", "receive50", "receive99", "app_ms", "database_ms", "others")
    return {
        **{f"calm_{name}": calm[name] for name in names},
        **{name: beside[name] for name in names},
        "times": beside["receive99"] / calm["receive99"],
        "rss_most": beside["rss_most"],
    }


async def _owe(db: Database, app: str, endpoint: str, count: int) -> None:
    """Make the second attempts of a number of messages due."""
    now = SystemClock().now()
    for start in range(0, count, CHUNK):
        messages = [owed_message(app, now - OVERDUE_MS, now) for _ in range(min(CHUNK, count - start))]
        async with db.write() as tx:
            await intake.add(tx, messages)
            due = [DeliveryRow.of(each, endpoint, now - OVERDUE_MS) for each in messages]
            await intake.add_deliveries(tx, due)
    async with db.write() as tx:
        await tx.run("UPDATE delivery SET attempts = 1 WHERE endpoint_id = :endpoint", endpoint=endpoint)
