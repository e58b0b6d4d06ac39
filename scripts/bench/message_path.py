# SPDX-License-Identifier: MIT
"""The message path: the maximum rate, and the latency at half of it."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import machine
from bench.databases import Measured
from bench.programs import Load, Sink, Traffic, load
from bench.service import Service, running, with_endpoints

DRAIN_SECONDS = 120.0
LOOK_SECONDS = 0.05
STEADY_RATE = 2_000
IDLE_SECONDS = 0.2
IDLE_CPU = 0.05
"""The share of a core below which a service counts as idle."""

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The shape of the traffic."""

    seconds: float
    """The measured seconds."""
    warm_up: float = 3
    """The seconds of warm-up before them."""
    connections: int = 256
    endpoints: int = 1
    """The number of endpoints that receive each message."""
    body: int = 0
    """The minimum bytes of a message; 0 means about 330."""
    batch: int = 1
    """The number of messages in a request."""
    rate: float | None = None
    """Messages per second in the open loop; None means half of the maximum rate, and 0 means no open loop."""
    workers: int = 1
    """The processes of the service; more than one needs PostgreSQL."""
    slow_disk: int = 0
    """The extra delay of each disk sync in microseconds."""
    count: int = 0
    """The size of a measurement: endpoints of which some hang, due messages, events, or starts."""


@dataclass(frozen=True, slots=True)
class _Window:
    """The resources used up to one timestamp."""

    at: float
    received: int
    app: float
    database: float
    sink: float
    machine: float


class Unequal(Exception):
    """The counts of accepted, received and recorded messages differ, so no figure is valid."""


class Run:
    """One service on one fresh database, driven with traffic and then checked.

    Messages are posted to `paths` in turn; the shape gives the number of endpoints of each.
    """

    def __init__(self, database: Measured, sink: Sink, folder: Path, shape: Shape, paths: Sequence[str]) -> None:
        self._database = database
        self._sink = sink
        self._folder = folder
        self.shape = shape
        self.paths = paths
        self.accepted = 0
        self.requests = 0
        self.expected = 0
        """The number of deliveries that the receiver must get."""

    def drive(
        self, service: Service, rate: float, *, warm_up: float | None = None, lost: Callable[[int], int] = lambda _: 0
    ) -> Figures:
        """Send at a rate (0: as fast as the service accepts); return the figures once everything is delivered.

        `lost` is the number of messages, out of all requests, that never arrive.
        """
        shape, sink = self.shape, self._sink
        traffic = Traffic(
            connections=shape.connections,
            rate=rate,
            seconds=shape.seconds,
            warm_up=shape.warm_up if warm_up is None else warm_up,
            paths=self.paths,
            body_bytes=shape.body,
            batch=shape.batch,
        )
        with (
            load(self._folder, service.port, service.token_file, traffic) as sender,
            machine.Memory(service.pid) as memory,
        ):
            before, after, result = self._watched(service, sender)
        if result["bad"] or result["unanswered"]:
            raise Unequal(f"{result['bad']} messages refused, {result['unanswered']} unanswered")
        self.accepted += result["accepted"]
        self.requests += result["requests"]
        self.expected += result["accepted"] * shape.endpoints - lost(result["requests"])
        drained = self._drained()
        seconds = after.at - before.at
        messages = result["measured"]
        delivered = (after.received - before.received) / max(1, shape.endpoints) / seconds
        waits = sink.figures()
        mine = sum(getattr(after, each) - getattr(before, each) for each in ("app", "database", "sink"))
        others = after.machine - before.machine - mine - result["cpu_ms"] * messages / 1e3
        return {
            "complete": min(result["per_second"], delivered),
            "accepted": result["per_second"],
            "delivered": delivered,
            "drain": drained,
            "unsent": result["unsent"],
            **{f"accept{name[1:]}": result[name] for name in ("p50", "p99", "p999")},
            **{f"receive{name[1:]}": waits[name] for name in ("p50", "p99", "p999")},
            **{
                f"{each}_ms": (getattr(after, each) - getattr(before, each)) * 1e3 / messages
                for each in ("app", "database", "sink")
            },
            "load_ms": result["cpu_ms"],
            "others": 100 * max(0.0, others) / seconds,
            **memory.figures(),
        }

    def check(self, *, owed: int = 0) -> None:
        """Compare the accepted, received and recorded counts after the service has stopped; all must agree.

        `owed` messages with one delivery each were in the database before, and must still be there.
        """
        seen, counted = self._sink.figures(), self._database.counts()
        lost = self.accepted * self.shape.endpoints - self.expected
        found = {
            "messages": counted["message"],
            "idempotency records": counted["idempotency_record"],
            "received": seen["requests"],
            "received_distinct": seen["distinct"],
            "delivered": counted["delivered"],
            "failed": 0 if lost or owed else counted["attempt"] - counted["delivered"],
            "outstanding": counted["delivery"],
        }
        wanted = dict(
            zip(
                found,
                (self.accepted + owed, self.requests, *[self.expected] * 3, 0, lost + owed),
                strict=True,
            )
        )
        if found != wanted:
            failures = "\n".join(self._database.failures())
            raise Unequal(f"found {found}, which should be {wanted}; failed attempts:\n{failures}")

    def _watched(self, service: Service, sender: Load) -> tuple[_Window, _Window, Figures]:
        sender.warmed_up()
        self._sink.reset()
        before = self._window(service)
        sender.measured()
        after = self._window(service)
        return before, after, sender.result()

    def _window(self, service: Service) -> _Window:
        return _Window(
            time.monotonic(),
            self._sink.figures()["requests"],
            machine.cpu_seconds([service.pid]),
            machine.cpu_seconds(self._database.pids),
            machine.cpu_seconds([self._sink.pid]),
            machine.busy_seconds(),
        )

    def _drained(self) -> float:
        """Wait until the receiver has every message; return the time since the last response."""
        limit = max(DRAIN_SECONDS, self.shape.seconds)
        return until(lambda: self._sink.figures()["distinct"] >= self.expected, limit, "not all was delivered")


def until(done: Callable[[], bool], seconds: float, complaint: str) -> float:
    """Wait until a condition holds; return the time that this took."""
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > seconds:
            raise Unequal(f"{complaint} within {seconds:.0f} s")
        time.sleep(LOOK_SECONDS)
    return time.monotonic() - began


def measure(folder: Path, database: Measured, shape: Shape) -> Figures:
    """Measure the message path on a fresh database: the maximum rate, then, unless the rate is 0, the latency."""
    calibration, workers = machine.calibration_ms(), str(shape.workers)
    with (
        Sink(folder, max(1, shape.endpoints)) as sink,
        running(folder, database, workers=workers) as service,
    ):
        run = Run(database, sink, folder, shape, [posting(service, sink.ports[: shape.endpoints], shape.batch)])
        told = run.drive(service, 0)
        if shape.rate != 0:
            told |= _at(run, service, shape.rate or round(told["complete"] / 2))
        service.stop()
        run.check()
    return {"calibration": calibration, **told}


def steady(folder: Path, database: Measured, shape: Shape) -> Figures:
    """Measure the latency at a rate, on a fresh database."""
    calibration, workers = machine.calibration_ms(), str(shape.workers)
    with Sink(folder, shape.endpoints) as sink, running(folder, database, workers=workers) as service:
        run = Run(database, sink, folder, shape, [posting(service, sink.ports)])
        told = run.drive(service, shape.rate or STEADY_RATE)
        service.stop()
        run.check()
    return {"calibration": calibration, "rate": shape.rate or STEADY_RATE, **told}


def sustained(folder: Path, database: Measured, shape: Shape) -> Figures:
    """Measure saturation in `count` parts on one database that grows; return the last part, and how it differs.

    The first part follows the warm-up. Short measurements do not show what autovacuum, checkpoints and growing indexes
    cost.
    """
    calibration = machine.calibration_ms()
    with Sink(folder, shape.endpoints) as sink, running(folder, database, workers=str(shape.workers)) as service:
        run = Run(database, sink, folder, shape, [posting(service, sink.ports)])
        first = last = run.drive(service, 0)
        for part in range(1, shape.count):
            _say_part(part, last)
            last = run.drive(service, 0, warm_up=0)
        _say_part(shape.count, last)
        service.stop()
        run.check()
    cpu = [part["app_ms"] + part["database_ms"] for part in (first, last)]
    return {
        "calibration": calibration,
        **last,
        **{f"first_{name}": value for name, value in first.items()},
        "cpu_times": cpu[1] / cpu[0],
        "wait_times": last["accept99"] / first["accept99"],
        "messages": run.accepted,
    }


def _say_part(number: int, part: Figures) -> None:
    """Print one part on stderr: between the first and the last, the cost rises and falls with maintenance."""
    cost = f"{part['app_ms']:.4f} + {part['database_ms']:.4f} ms"
    print(
        f"... part {number}: {part['complete']:.0f}/s, {cost}, accept p99 {part['accept99']:.0f} ms",
        file=sys.stderr,
        flush=True,
    )


def fan_out(folder: Path, database: Measured, shape: Shape) -> Figures:
    """Measure the cost of a delivery, from the first message to the last attempt that is recorded.

    Accept is faster than delivery, so a window of time would charge the deliveries with accept and omit the drain.
    """
    calibration = machine.calibration_ms()
    with Sink(folder, shape.endpoints) as sink, running(folder, database) as service:
        run = Run(database, sink, folder, replace(shape, seconds=shape.warm_up), [posting(service, sink.ports)])
        run.drive(service, shape.rate or 0, warm_up=0)  # opens the connections
        run.shape = shape
        idle(service)
        expected, began = run.expected, time.monotonic()
        before = [machine.cpu_seconds(pids) for pids in ([service.pid], database.pids)]
        told = run.drive(service, shape.rate or 0, warm_up=0)
        took = time.monotonic() - began
        idle(service)
        after = [machine.cpu_seconds(pids) for pids in ([service.pid], database.pids)]
        service.stop()
        run.check()
    deliveries = run.expected - expected
    app, stored = ((after[n] - before[n]) * 1e3 / deliveries for n in range(2))
    return {
        "calibration": calibration,
        "deliveries": deliveries,
        "per_second": deliveries / took,
        "delivery_app_ms": app,
        "delivery_database_ms": stored,
        "delivery_ms": app + stored,
        **{name: told[name] for name in ("accepted", "drain", "others", "rss_most")},
    }


def idle(service: Service) -> None:
    """Wait until the service does nothing: then every attempt is recorded, which the check at the end confirms."""
    used = machine.cpu_seconds([service.pid])
    for _ in range(round(DRAIN_SECONDS / IDLE_SECONDS)):
        time.sleep(IDLE_SECONDS)
        used, before = machine.cpu_seconds([service.pid]), used
        if used - before < IDLE_CPU * IDLE_SECONDS:
            return
    raise Unequal(f"the service was not idle within {DRAIN_SECONDS:.0f} s")


def posting(service: Service, ports: Sequence[int], batch: int = 1) -> str:
    """Create an application with an endpoint at each port; return the path that accepts its messages."""
    app, _ = with_endpoints(service, ports)
    return f"/api/v1/app/{app}/msg" + ("/batch" if batch > 1 else "")


def _at(run: Run, service: Service, rate: float) -> Figures:
    """Measure the latency at a rate; return it under field names of its own."""
    waits = run.drive(service, rate)
    names = ("accept50", "accept99", "receive50", "receive99")
    return {"rate": rate, **{f"half_{name}": waits[name] for name in names}}
