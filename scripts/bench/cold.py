# SPDX-License-Identifier: MIT
"""The time from the start of the process to the first accepted message, and to its arrival."""

import http.client
import json
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Final

from bench import machine
from bench.databases import Measured
from bench.message_path import Figures, Shape, Unequal, posting, until
from bench.programs import Sink
from bench.service import Service, running

PAUSE_SECONDS: Final = 0.001
MOST_SECONDS: Final = 30.0


def measure(folder: Path, database: Measured, shape: Shape) -> Figures:
    """Start once on an empty database, which is migrated first, then repeatedly on the migrated one."""
    calibration = machine.calibration_ms()
    with Sink(folder, 1) as sink:
        began = time.monotonic()
        with running(folder, database) as service:
            empty = time.monotonic() - began
            path = posting(service, sink.ports)
            service.stop()
        starts = []
        for number in range(1, shape.count + 1):
            sink.reset()
            due = time.monotonic_ns()
            with running(folder, database, awaited=False) as service:
                accepted = _accepted(service, path, due) - due
                until(partial(_has, sink, number), MOST_SECONDS, "nothing was delivered")
                starts.append((accepted / 1e6, sink.figures()["p50"], machine.cpu_seconds([service.pid]) * 1e3))
                rss = machine.rss_mb(service.pid)
                service.stop()
        counted = database.counts()
    if counted["message"] != shape.count or counted["delivered"] != shape.count:
        raise Unequal(f"{counted} after {shape.count} messages")
    accepts, receives, used = zip(*starts, strict=True)
    return {
        "calibration": calibration,
        "empty": empty * 1e3,
        "accepted": statistics.median(accepts),
        "accepted_most": max(accepts),
        "received": statistics.median(receives),
        "received_most": max(receives),
        "used": statistics.median(used),
        "rss_most": rss,
    }


def _has(sink: Sink, messages: int) -> bool:
    return bool(sink.figures()["distinct"] >= messages)


def _accepted(service: Service, path: str, due: int) -> int:
    """Send a message repeatedly until it is accepted; return that time on the monotonic clock, in ns."""
    body = json.dumps({"eventType": "bench.began", "payload": {"ts": due}}, separators=(",", ":"))
    headers = {"authorization": f"Bearer {service.token_file.read_text()}", "idempotency-key": f"cold-{due}"}
    deadline = time.monotonic() + MOST_SECONDS
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=MOST_SECONDS)
        try:
            connection.request("POST", path, body, {**headers, "content-type": "application/json"})
            answer = connection.getresponse()
            if answer.status == http.client.ACCEPTED:
                return time.monotonic_ns()
            raise RuntimeError(f"refused: {answer.status} {answer.read()!r}")
        except OSError:
            time.sleep(PAUSE_SECONDS)
        finally:
            connection.close()
    raise RuntimeError(f"nothing was accepted within {MOST_SECONDS:.0f} s:\n{service.log()}")
