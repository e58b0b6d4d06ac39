# SPDX-License-Identifier: MIT
"""The message path: how many messages go all the way at most, and how long they take at half of that."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import machine
from bench.databases import Measured
from bench.programs import Load, Sink, load
from bench.service import Service, running, with_endpoints

DRAIN_SECONDS = 120.0
LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What is sent."""

    seconds: float
    warm_up: float
    connections: int
    endpoints: int


@dataclass(frozen=True, slots=True)
class _Window:
    """What has been used at one moment."""

    at: float
    received: int
    app: float
    database: float
    sink: float
    machine: float


class Unequal(Exception):
    """Accepted, received and recorded are not the same: nothing that was measured counts."""


class Run:
    """One service on one fresh database, driven and then checked."""

    def __init__(self, service: Service, database: Measured, sink: Sink, folder: Path, shape: Shape) -> None:
        self._service = service
        self._database = database
        self._sink = sink
        self._folder = folder
        self._shape = shape
        self._app, _ = with_endpoints(service, sink.ports)
        self.accepted = 0

    def drive(self, rate: float) -> dict[str, Any]:
        """Send at a rate (0: as fast as they are taken); return what came of it once everything is delivered."""
        shape, sink = self._shape, self._sink
        path = f"/api/v1/app/{self._app}/msg"
        arguments = (self._service.port, shape.connections, rate, shape.seconds, shape.warm_up)
        with load(self._folder, *arguments, path, self._service.token_file) as sender:
            before, after, result = self._watched(sender)
        if result["bad"] or result["unanswered"]:
            raise Unequal(f"{result['bad']} messages refused, {result['unanswered']} unanswered")
        self.accepted += result["accepted"]
        drained = self._drained()
        seconds = after.at - before.at
        messages = result["measured"]
        received = (after.received - before.received) / shape.endpoints
        waits = sink.figures()
        mine = sum(getattr(after, each) - getattr(before, each) for each in ("app", "database", "sink"))
        others = after.machine - before.machine - mine - result["cpu_ms"] * messages / 1e3
        return {
            "rate": rate,
            "accepted_per_second": result["per_second"],
            "delivered_per_second": received / seconds,
            "drain_seconds": drained,
            "unsent": result["unsent"],
            "accept_ms": {name: result[name] for name in ("p50", "p99", "p999")},
            "accept_to_receive_ms": {name: waits[name] for name in ("p50", "p99", "p999")},
            "cpu_ms_per_message": {
                "app": (after.app - before.app) * 1e3 / messages,
                "database": (after.database - before.database) * 1e3 / messages,
                "sink": (after.sink - before.sink) * 1e3 / messages,
                "load": result["cpu_ms"],
            },
            "others_percent": 100 * max(0.0, others) / seconds,
        }

    def check(self) -> dict[str, int]:
        """Compare, once the service has been stopped, what was accepted, received and recorded; all must agree."""
        deliveries = self.accepted * self._shape.endpoints
        seen, counted = self._sink.figures(), self._database.counts()
        found = {
            "accepted": self.accepted,
            "messages": counted["message"],
            "receipts": counted["idempotency"],
            "received": seen["requests"],
            "received_distinct": seen["distinct"],
            "attempts": counted["attempt"],
            "outstanding": counted["delivery"],
        }
        wanted = dict(
            zip(found, [self.accepted] * 3 + [deliveries] * 3 + [0], strict=True),
        )
        if found != wanted:
            raise Unequal(f"found {found}, which should be {wanted}")
        return found

    def _watched(self, sender: Load) -> tuple[_Window, _Window, dict[str, Any]]:
        sender.warmed_up()
        self._sink.reset()
        before = self._window()
        sender.measured()
        after = self._window()
        return before, after, sender.result()

    def _window(self) -> _Window:
        return _Window(
            time.monotonic(),
            self._sink.figures()["requests"],
            machine.cpu_seconds([self._service.pid]),
            machine.cpu_seconds(self._database.pids),
            machine.cpu_seconds([self._sink.pid]),
            machine.busy_seconds(),
        )

    def _drained(self) -> float:
        """Wait until the receiver has everything; return how long after the last answer that was."""
        wanted = self.accepted * self._shape.endpoints
        return until(lambda: self._sink.figures()["distinct"] >= wanted, DRAIN_SECONDS, "not all was delivered")


def until(done: Callable[[], bool], seconds: float, complaint: str) -> float:
    """Wait for something; return how long it took."""
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > seconds:
            raise Unequal(f"{complaint} within {seconds:.0f} s")
        time.sleep(LOOK_SECONDS)
    return time.monotonic() - began


def measure(folder: Path, database: Measured, shape: Shape) -> dict[str, Any]:
    """Measure the message path on a fresh database: the most it takes, then its waits at half of that."""
    calibration = machine.calibration_ms()
    with Sink(folder, shape.endpoints) as sink, running(folder, database.dsn) as service:
        run = Run(service, database, sink, folder, shape)
        most = run.drive(0)
        half = run.drive(round(min(most["accepted_per_second"], most["delivered_per_second"]) / 2))
        rss = machine.rss_mb(service.pid)
        service.stop()
        check = run.check()
    return {
        "database": database.kind,
        "shape": asdict(shape),
        "durability": database.durability(),
        "calibration_ms": calibration,
        "saturation": most,
        "half": half,
        "rss_mb": rss,
        "check": check,
    }
