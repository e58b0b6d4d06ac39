# SPDX-License-Identifier: MIT
"""Transformed deliveries: their cost, and what hostile scripts of other endpoints change for the rest."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import httpx
import psutil

from bench import machine
from bench.databases import Measured
from bench.message_path import Figures, Run, Shape, Unequal, idle, posting
from bench.programs import Sink
from bench.service import Service, hook, running

RENAMING: Final = """
function handler(webhook) {
  const { order, ...rest } = webhook.payload;
  webhook.payload = { ...rest, reference: order };
  return webhook;
}
"""
ENDLESS: Final = "function handler() { for (;;); }"
BOMB: Final = "function handler() { const kept = []; for (;;) kept.push('x'.repeat(1000) + kept.length); }"
STEADY_RATE: Final = 200
HOSTILE_AT_ONCE: Final = 20
HOSTILE_EVERY_SECONDS: Final = 0.05
COMPILED_TIMES: Final = 10


def measure(folder: Path, database: Measured, shape: Shape) -> Figures:
    """Measure a delivery whose script renames a member, from the first message to the last attempt that is recorded.

    Accept is faster than the scripts, so most deliveries wait in the database; claiming them is part of the cost.
    """
    calibration = machine.calibration_ms()
    with Sink(folder, 1) as sink, running(folder, database) as service:
        path = _transformed(service, sink.ports[0], RENAMING)
        run = Run(database, sink, folder, replace(shape, seconds=shape.warm_up), [path])
        run.drive(service, STEADY_RATE, warm_up=0)  # starts the child processes
        run.shape = shape
        idle(service)
        expected, began, before = run.expected, time.monotonic(), _used(service, database)
        told = run.drive(service, 0, warm_up=0)
        took = time.monotonic() - began
        idle(service)
        used = [after - earlier for after, earlier in zip(_used(service, database), before, strict=True)]
        deliveries = run.expected - expected
        rate = shape.rate or round(deliveries / took / 2)
        waits = run.drive(service, rate)
        service.stop()
        run.check()
    node, child, stored = (each * 1e3 / deliveries for each in used)
    return {
        "calibration": calibration,
        "deliveries": deliveries,
        "per_second": deliveries / took,
        "node_ms": node,
        "child_ms": child,
        "stored_ms": stored,
        "per_core": 1e3 / (node + child + stored),
        "rate": rate,
        **{f"half_{name}": waits[name] for name in ("receive50", "receive99")},
        **{name: told[name] for name in ("others", "rss_most")},
    }


def isolation(folder: Path, database: Measured, shape: Shape) -> Figures:
    """Measure an endpoint with a script and one without: alone, and beside a script that harms only itself.

    One such script loops for ever, and another takes all the memory that it gets.
    """
    figures: Figures = {"calibration": machine.calibration_ms(), "rate": shape.rate or STEADY_RATE}
    owed = 0
    with Sink(folder, 1) as sink, running(folder, database) as service:
        [port] = sink.ports
        paths = {"scripted": _transformed(service, port, RENAMING), "plain": posting(service, [port])}
        run = Run(database, sink, folder, shape, [])
        for beside, code in (("alone", ""), ("loop", ENDLESS), ("bomb", BOMB)):
            with _hostile(service, port, code) as posted:
                for name, path in paths.items():
                    run.paths = [path]
                    told = run.drive(service, figures["rate"])
                    figures |= {
                        f"{name}_{beside}_{each}": told[each] for each in ("complete", "receive50", "receive99")
                    }
            owed += len(posted)
        figures |= {each: told[each] for each in ("others", "rss_most")}
        service.stop()
        run.check(owed=owed)
    return figures


def _transformed(service: Service, port: int, code: str) -> str:
    """Create an application with a transformed endpoint at a port; return the path that accepts its messages."""
    app = service.call("POST", "/app", {"name": "bench"})["id"]
    endpoint = service.call("POST", f"/app/{app}/endpoint", {"url": hook(port)})["id"]
    change = {"code": code, "enabled": True}
    for left in reversed(range(COMPILED_TIMES)):  # where others use the machine, a script may compile for too long
        try:
            service.call("PATCH", f"/app/{app}/endpoint/{endpoint}/transformation", change)
            break
        except httpx.HTTPStatusError:
            if not left:
                raise
    return f"/api/v1/app/{app}/msg"


@contextlib.contextmanager
def _hostile(service: Service, port: int, code: str) -> Iterator[list[str]]:
    """Post messages to an endpoint with a hostile script for the length of a block; yield their ids."""
    posted: list[str] = []
    if not code:
        yield posted
        return
    path, over = _transformed(service, port, code).removeprefix("/api/v1"), threading.Event()

    def post() -> None:
        while True:
            body = {"eventType": "hostile.called", "payload": {"number": len(posted)}}
            posted.append(service.call("POST", path, body)["id"])
            if len(posted) >= HOSTILE_AT_ONCE and over.wait(HOSTILE_EVERY_SECONDS):
                return

    thread = threading.Thread(target=post)
    thread.start()
    try:
        yield posted
    finally:
        over.set()
        thread.join()
    if len(posted) <= HOSTILE_AT_ONCE:
        raise Unequal("the hostile endpoint got too few messages")


def _used(service: Service, database: Measured) -> tuple[float, float, float]:
    """Return the CPU time of the node, of its child processes, and of the database."""
    times = psutil.Process(service.pid).cpu_times()
    own = times.user + times.system
    return own, machine.cpu_seconds([service.pid]) - own, machine.cpu_seconds(database.pids)
