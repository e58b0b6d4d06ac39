# SPDX-License-Identifier: MIT
"""Operational events: the time from a cause to the first attempt at the operational endpoint, and how fast many drain.

The causes happen one at a time, at random times, so that each event meets an idle relay.
"""

import asyncio
import json
import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bench import machine
from bench.databases import Measured
from bench.message_path import Figures, Shape, Unequal, until
from bench.programs import Sink
from bench.service import Service, hook, running
from tidings.clock import SystemClock
from tidings.core import operational
from tidings.core.operational import ATTEMPT_EXHAUSTED, ENDPOINT_DISABLED, OperationalEvent
from tidings.ids import DEFAULT_ORG
from tidings.storage.drivers.database import Database

DRAINED: Final = 10_000
EVENTS_PER_SECOND: Final = 10
CHUNK: Final = 1_000
MOST_SECONDS: Final = 120.0
PATH: Final = "/operational-webhook/endpoint"
NO_RETRIES: Final = "[]"


class Absent(float):
    """A figure that a database does not have."""

    def __format__(self, _spec: str) -> str:
        return "-"


class Receiver:
    """Takes operational events and fails everything else, on a thread of its own; keeps the time of each request."""

    def __init__(self) -> None:
        self.port = 0
        self.events: dict[str, float] = {}
        """When the first event about a message or an endpoint arrived."""
        self.failed: dict[str, float] = {}
        """When a message was refused."""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                fields = dict(line.split(": ", 1) for line in head.strip().split("\r\n")[1:])
                body = json.loads(await reader.readexactly(int(fields["content-length"])))
                is_event = head.startswith("post /ops")
                self._note(body, time.monotonic(), is_event=is_event)
                writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % (200 if is_event else 500))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _note(self, body: Mapping[str, dict[str, str]], at: float, *, is_event: bool) -> None:
        if is_event:
            self.events.setdefault(body["data"].get("msgId") or body["data"]["endpointId"], at)
        else:
            self.failed[str(body["number"])] = at


def measure(folder: Path, database: Measured, shape: Shape) -> Figures:
    """Measure the latency of `count` events of each kind, on one node and across two, and a drain of many."""
    calibration, began, busy = machine.calibration_ms(), time.monotonic(), machine.busy_seconds()
    rate = shape.rate or EVENTS_PER_SECOND
    with Receiver() as receiver:
        disabled, exhausted = _on_one_node(folder, database, receiver, shape.count, rate)
        across = _across_nodes(folder, database, receiver, shape.count, rate)
    events = len(disabled) + len(exhausted) + len(across)
    _check(database, events, delivered=events, failed=shape.count)
    used = machine.cpu_seconds([os.getpid(), *database.pids])
    others = 100 * max(0.0, machine.busy_seconds() - busy - used) / (time.monotonic() - began)
    return {
        "calibration": calibration,
        "others": others,
        "events": events,
        **_drained(folder, database),
        **_quantiles("disabled", disabled),
        **_quantiles("exhausted", exhausted),
        **_quantiles("across", across),
    }


def _on_one_node(
    folder: Path, database: Measured, receiver: Receiver, count: int, rate: float
) -> tuple[list[float], list[float]]:
    with running(folder, database, retry_schedule=NO_RETRIES) as service:
        types = [ENDPOINT_DISABLED, ATTEMPT_EXHAUSTED]
        service.call("POST", PATH, {"url": f"http://127.0.0.1:{receiver.port}/ops", "eventTypes": types})
        disabled = _disabled(service, receiver, count, rate)
        exhausted = _exhausted(service, receiver, count, rate)
        service.stop()
    return disabled, exhausted


def _across_nodes(folder: Path, database: Measured, receiver: Receiver, count: int, rate: float) -> list[float]:
    """Measure events of a node that does not send: the other node finds them."""
    if database.kind != "postgresql":
        return []
    with (
        running(folder, database, retry_schedule=NO_RETRIES) as back,
        running(folder, database, arguments=("--no-delivery", "--no-tasks"), retry_schedule=NO_RETRIES) as front,
    ):
        found = _disabled(front, receiver, count, rate)
        front.stop()
        back.stop()
    return found


def _disabled(service: Service, receiver: Receiver, count: int, rate: float) -> list[float]:
    """Disable endpoints; return the seconds from each request to the arrival of its event."""
    app = service.call("POST", "/app", {"name": "bench"})["id"]
    path = f"/app/{app}/endpoint"
    made = [service.call("POST", path, {"url": hook(receiver.port)})["id"] for _ in range(count)]
    caused: dict[str, float] = {}

    def disable(number: int) -> None:
        caused[made[number]] = time.monotonic()
        service.call("PATCH", f"{path}/{made[number]}", {"disabled": True})

    _paced(count, rate, disable)
    return _arrived(receiver, caused)


def _exhausted(service: Service, receiver: Receiver, count: int, rate: float) -> list[float]:
    """Exhaust messages with their first attempt; return the seconds from each refusal to the arrival of its event."""
    app = service.call("POST", "/app", {"name": "bench"})["id"]
    service.call("POST", f"/app/{app}/endpoint", {"url": hook(receiver.port)})
    sent: dict[str, str] = {}

    def send(number: int) -> None:
        body = {"eventType": "bench.exhausted", "payload": {"number": number}}
        sent[service.call("POST", f"/app/{app}/msg", body)["id"]] = str(number)

    _paced(count, rate, send)
    until(lambda: set(sent.values()) <= set(receiver.failed), MOST_SECONDS, "not every message was tried")
    return _arrived(receiver, {message: receiver.failed[number] for message, number in sent.items()})


def _paced(count: int, rate: float, cause: Callable[[int], None]) -> None:
    """Cause events at random times, `rate` a second on average."""
    for number in range(count):
        time.sleep(random.expovariate(rate))
        cause(number)


def _arrived(receiver: Receiver, caused: Mapping[str, float]) -> list[float]:
    until(lambda: caused.keys() <= receiver.events.keys(), MOST_SECONDS, "not every event arrived")
    return [receiver.events[each] - at for each, at in caused.items()]


def _drained(folder: Path, database: Measured) -> Figures:
    """Store events while no node runs; measure from the start of a node until all have arrived."""
    before = database.counts()
    with Sink(folder, 1) as sink:
        with running(folder, database, retry_schedule=NO_RETRIES) as service:
            for each in service.call("GET", PATH)["data"]:
                service.call("DELETE", f"{PATH}/{each['id']}")
            service.call("POST", PATH, {"url": hook(sink.ports[0]), "eventTypes": [ATTEMPT_EXHAUSTED]})
            service.stop()
        database.fill(_store)
        used = machine.cpu_seconds(database.pids)
        with running(folder, database, awaited=False, retry_schedule=NO_RETRIES) as service:
            lasted = until(lambda: sink.figures()["distinct"] >= DRAINED, MOST_SECONDS, "not all events arrived")
            app_ms = 1e3 * machine.cpu_seconds([service.pid]) / DRAINED
            service.stop()
        database_ms = 1e3 * (machine.cpu_seconds(database.pids) - used) / DRAINED
        seen, counted = sink.figures(), database.counts()
    found = (seen["requests"], counted["message"] - before["message"], counted["delivered"] - before["delivered"])
    if found != (DRAINED, DRAINED, DRAINED) or counted["delivery"]:
        raise Unequal(f"requests, messages and delivered of {DRAINED} events: {found}")
    return {"drained": lasted, "app_ms": app_ms, "database_ms": database_ms}


async def _store(db: Database) -> None:
    for start in range(0, DRAINED, CHUNK):
        events = [_event(number) for number in range(start, min(start + CHUNK, DRAINED))]
        async with db.write() as tx:
            await operational.emit_all(tx, events, SystemClock().now())


def _event(number: int) -> OperationalEvent:
    data = {"appId": "app_bench", "appUid": None, "endpointId": "ep_bench", "msgId": f"msg_{number}"}
    last = {"id": "atmpt_bench", "responseStatusCode": 500, "timestamp": "2026-11-30T00:00:00Z"}
    return OperationalEvent(DEFAULT_ORG, ATTEMPT_EXHAUSTED, {**data, "msgEventId": None, "lastAttempt": last})


def _check(database: Measured, events: int, *, delivered: int, failed: int) -> None:
    """Check that each event made one message with one attempt, and that nothing else was delivered."""
    counted = database.counts()
    found = (counted["message"], counted["attempt"], counted["delivered"], counted["delivery"])
    if found != (events + failed, events + failed, delivered, 0):
        raise Unequal(f"messages, attempts, delivered, outstanding: {found} for {events} events")


def _quantiles(name: str, waits: Sequence[float]) -> Figures:
    """Return the median and the 99th percentile in milliseconds."""
    if not waits:
        return {f"{name}50": Absent("nan"), f"{name}99": Absent("nan")}
    ordered = sorted(waits)
    return {f"{name}{part}": 1e3 * ordered[-(-part * len(ordered) // 100) - 1] for part in (50, 99)}
