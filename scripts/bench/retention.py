# SPDX-License-Identifier: MIT
"""What callers feel of many old messages, and of retention while it deletes them."""

from pathlib import Path
from typing import Final

from bench import machine
from bench.databases import Measured
from bench.message_path import Figures, Run, Shape, Unequal
from bench.programs import Sink
from bench.service import running, with_endpoints
from tidings import ids
from tidings.clock import DAY, SystemClock
from tidings.core import rollups
from tidings.ids import DEFAULT_ORG
from tidings.storage.drivers import store
from tidings.storage.drivers.database import Database, Dialect, Table
from tidings.storage.tables import intake, nodes, settlement
from tidings.storage.tables.intake import DeliveryRow
from tidings.storage.tables.settlement import AttemptRow

RATE: Final = 500
RETENTION: Final = "91d"
OLDEST_DAYS, NEWEST_DAYS = 140, 100
"""The ages of the old messages. Their payloads are deleted after 90 days, so they have none."""
KEPT_DAYS: Final = 3
"""A message with an outstanding delivery stays: one of every three days, so no week of PostgreSQL is dropped whole."""
CHUNK: Final = 2_000
_MESSAGE: Final = Table("message", ("id", "app_id", "org_id", "event_type"))
_NUMBER: Final = "SELECT count(*) AS n FROM {table} WHERE id {than} :first"


def measure(folder: Path, database: Measured, shape: Shape) -> Figures:
    """Measure the waits beside old messages, then again while retention deletes them."""
    calibration, rate, began = machine.calibration_ms(), shape.rate or RATE, SystemClock().now()
    with Sink(folder, 1) as sink:
        with running(folder, database) as service:
            app, [endpoint] = with_endpoints(service, sink.ports[:1])
            service.stop()
        database.fill(lambda db: _fill(db, app, endpoint, shape.count))
        run = Run(database, sink, folder, shape, [f"/api/v1/app/{app}/msg"])
        with running(folder, database) as service:
            calm = run.drive(service, rate)
            service.stop()
        old = _old(database, began)
        with running(folder, database, message_retention=RETENTION) as service:
            beside = run.drive(service, rate)
            service.stop()
        left = _old(database, began)
    _require_all(database, run, began)
    kept = (OLDEST_DAYS - NEWEST_DAYS) // KEPT_DAYS + 1
    if not kept < left < old:
        raise Unequal(f"retention did not last as long as the measurement: of {old} old messages, {left} are left")
    names = ("accept50", "accept99", "receive50", "receive99", "app_ms", "database_ms", "others")
    return {
        "calibration": calibration,
        "rate": rate,
        **{f"calm_{name}": calm[name] for name in names},
        **{name: beside[name] for name in names},
        "times": beside["accept99"] / calm["accept99"],
        "deleted": (old - left) / (shape.warm_up + shape.seconds),
        "rss_most": beside["rss_most"],
    }


async def _fill(db: Database, app: str, endpoint: str, count: int) -> None:
    """Write old messages with an attempt each, as a service leaves them that never deleted any."""
    now = SystemClock().now()
    first, lasts = now - OLDEST_DAYS * DAY, (OLDEST_DAYS - NEWEST_DAYS) * DAY
    for day in range(OLDEST_DAYS, NEWEST_DAYS - 7, -7):
        await store.create_partitions(db, now - day * DAY)
    times = [first + lasts * number // count for number in range(count)]
    for start in range(0, count, CHUNK):
        made = sorted((ids.new(ids.MESSAGE, at), at) for at in times[start : start + CHUNK])
        attempts = [
            AttemptRow(msg, ids.new(ids.ATTEMPT, at), endpoint, app, DEFAULT_ORG, "http://a", 0, 200, "ok", 9, 0)
            for msg, at in made
        ]
        async with db.write() as tx:
            await tx.add(_MESSAGE, [(msg, app, DEFAULT_ORG, "order.created") for msg, _ in made])
            await settlement.add_attempts(tx, attempts)
    await _keep(db, app, endpoint, now)
    if db.dialect is Dialect.POSTGRESQL:
        async with db.read() as read:
            for table in ("message", "attempt"):
                await read.rows(f"VACUUM (ANALYZE) {table}")


async def _keep(db: Database, app: str, endpoint: str, now: int) -> None:
    """Add messages with a delivery that is due much later, and say that all attempts are counted."""
    days = range(OLDEST_DAYS, NEWEST_DAYS, -KEPT_DAYS)
    made = [ids.new(ids.MESSAGE, now - day * DAY) for day in days]
    due = [DeliveryRow(msg, endpoint, app, DEFAULT_ORG, now + DAY) for msg in made]
    async with db.write() as tx:
        await tx.add(_MESSAGE, [(msg, app, DEFAULT_ORG, "order.created") for msg in made])
        await intake.add_deliveries(tx, due)
        await nodes.advance_setting(tx, rollups.MARK, str(now))


def _old(database: Measured, began: int) -> int:
    """Return how many old messages there are."""
    return database.use(lambda db: _number(db, "message", "<", ids.first_at(ids.MESSAGE, began)))


async def _number(db: Database, table: str, than: str, first: str) -> int:
    async with db.read() as read:
        return int((await read.one(_NUMBER.format(table=table, than=than), first=first))["n"])


def _require_all(database: Measured, run: Run, began: int) -> None:
    """Require each accepted message and its attempt."""
    found = [
        database.use(lambda db: _number(db, "message", ">=", ids.first_at(ids.MESSAGE, began))),
        database.use(lambda db: _number(db, "attempt", ">=", ids.first_at(ids.ATTEMPT, began))),
    ]
    if found != [run.accepted, run.expected]:
        raise Unequal(f"messages and attempts: {found}, which should be {[run.accepted, run.expected]}")
