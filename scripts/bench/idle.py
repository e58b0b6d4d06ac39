# SPDX-License-Identifier: MIT
"""The cost of an idle service."""

import json
import time
from pathlib import Path
from typing import Any

from bench import machine
from bench.databases import Measured
from bench.message_path import until
from bench.programs import Sink
from bench.service import running, with_endpoints

SETTLE_SECONDS = 12.0  # a PostgreSQL session may hold back its statistics for ten seconds
DELIVER_SECONDS = 10.0


def measure(folder: Path, database: Measured, seconds: float) -> dict[str, Any]:
    """Deliver one message, then measure the idle service for a while.

    On PostgreSQL the measurement counts transactions; each of them is one query here. On SQLite it watches the process:
    a process that never wakes up runs no statement, and one that reads and writes nothing has run none.
    """
    with Sink(folder, 1) as sink, running(folder, database) as service:
        app, _ = with_endpoints(service, sink.ports)
        service.call("POST", f"/app/{app}/msg", {"eventType": "idle.began", "payload": json.loads("{}")})
        until(lambda: sink.figures()["distinct"] == 1, DELIVER_SECONDS, "the message was not delivered")
        time.sleep(SETTLE_SECONDS)
        before = _seen(service.pid, database)
        began = time.monotonic()
        time.sleep(seconds)
        after = _seen(service.pid, database)
        lasted = time.monotonic() - began
        service.stop()
    return {
        "database": database.kind,
        "seconds": lasted,
        "rss_mb": after["rss_mb"],
        **{f"{name}_per_second": (after[name] - before[name]) / lasted for name in before if name != "rss_mb"},
    }


def _seen(pid: int, database: Measured) -> dict[str, float]:
    lines = (line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    calls = {name: int(value) for name, value in lines}
    seen = {
        "wake_ups": machine.wake_ups(pid),
        "reads_and_writes": calls["syscr"] + calls["syscw"],
        "cpu_ms": 1e3 * machine.cpu_seconds([pid]),
        "rss_mb": machine.rss_mb(pid),
    }
    if database.kind == "postgresql":
        seen["transactions"] = database.transactions()
    return seen
