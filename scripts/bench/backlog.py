# SPDX-License-Identifier: MIT
"""The rate at which a backlog drains, and the latency of requests meanwhile."""

import http.client
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bench import machine
from bench.databases import Measured
from bench.message_path import Figures, Shape, Unequal, until
from bench.programs import Sink
from bench.recover import owed_message
from bench.service import running, with_endpoints
from tidings.clock import SystemClock
from tidings.storage.drivers.database import Database
from tidings.storage.tables import intake
from tidings.storage.tables.intake import DeliveryRow

CHUNK: Final = 1_000
OVERDUE_MS: Final = 60_000
DRAIN_SECONDS: Final = 600.0
PING_SECONDS: Final = 0.005


def measure(folder: Path, database: Measured, shape: Shape) -> Figures:
    """Make deliveries due at a number of endpoints, start the service, and wait until all are delivered."""
    calibration = machine.calibration_ms()
    with Sink(folder, shape.endpoints) as sink:
        with running(folder, database) as service:
            app, endpoints = with_endpoints(service, sink.ports)
            service.stop()
        database.fill(lambda db: _owe(db, app, endpoints, shape.count))
        began = time.monotonic()
        with running(folder, database) as service, machine.Memory(service.pid, 0.05) as memory:
            with Pings(service.port) as pings:
                first = sink.figures()["distinct"]
                seconds = until(lambda: sink.figures()["distinct"] >= shape.count, DRAIN_SECONDS, "not all was sent")
            app_ms = machine.cpu_seconds([service.pid]) * 1e3 / shape.count
            service.stop()
        drained = time.monotonic() - began
        counted, seen = database.counts(), sink.figures()
    found = (seen["requests"], seen["distinct"], counted["delivered"], counted["attempt"], counted["delivery"])
    if found != (*[shape.count] * 4, 0):
        raise Unequal(f"received, distinct, delivered, attempts, outstanding: {found} of {shape.count} due")
    return {
        "calibration": calibration,
        "per_second": (shape.count - first) / seconds,
        "stall": pings.longest * 1e3,
        "app_ms": app_ms,
        "drained": drained,
        **memory.figures(),
    }


class Pings:
    """Requests the service's health repeatedly for the length of a block."""

    def __init__(self, port: int) -> None:
        self.longest = 0.0
        """The longest response time in seconds."""
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=DRAIN_SECONDS)
        while not self._over.wait(PING_SECONDS):
            began = time.monotonic()
            connection.request("GET", "/api/v1/health/ping")
            connection.getresponse().read()
            self.longest = max(self.longest, time.monotonic() - began)
        connection.close()


async def _owe(db: Database, app: str, endpoints: list[str], count: int) -> None:
    """Make the first attempts of a number of messages due, one endpoint after another."""
    now = SystemClock().now()
    for start in range(0, count, CHUNK):
        messages = [owed_message(app, now - OVERDUE_MS, now) for _ in range(min(CHUNK, count - start))]
        due = [
            DeliveryRow.of(each, endpoints[(start + n) % len(endpoints)], now - OVERDUE_MS)
            for n, each in enumerate(messages)
        ]
        async with db.write() as tx:
            await intake.add(tx, messages)
            await intake.add_deliveries(tx, due)
