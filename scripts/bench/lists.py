# SPDX-License-Identifier: MIT
"""The latency of the lists on a large application, with every filter, over HTTP from one client."""

import http.client
import itertools
import random
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from bench import machine, seed_data
from bench.databases import Measured
from bench.seed_data import SeedData
from bench.service import Service, running
from tidings.clock import DAY, SystemClock, rfc3339

CALLS: Final = 200
WARM_UP: Final = 20
MESSAGES: Final = 100_000
_SEED: Final = 11
_PLACES: Final = ("", "iterator", "back", "before", "after")

# List, endpoint, filters. Each list is also requested from random positions, in both directions.
_MSG: Final = (
    "",
    "limit=250",
    "event_types=order.step3",
    "event_types=order.rare",
    "event_types=order.old",
    "event_types=order.none",
    "channel=eu",
    "channel=vip",
    "tag=bulk",
    "tag=test",
)
_ATTEMPT: Final = (
    ("steady-0", ""),
    ("steady-0", "with_msg=true"),
    ("steady-0", "status=0"),
    ("steady-0", "status=2"),
    ("steady-0", "status_code_class=500"),
    ("steady-0", "status_code_class=400"),
    ("steady-0", "event_types=order.step3"),
    ("steady-0", "event_types=order.rare"),
    ("steady-0", "event_types=order.old"),
    ("steady-0", "event_types=order.none"),
    ("steady-0", "channel=vip"),
    ("steady-0", "tag=test"),
    ("steady-0", "status=2&event_types=order.step3"),
    ("dead", "status=0"),
    ("dead", "status=2"),
    ("dead", "status_code_class=0"),
    ("dead", "status_code_class=400"),
    ("dead", "event_types=order.old"),
    ("sparse", ""),
    ("idle", ""),
)
_ATTEMPTED: Final = (
    ("steady-0", ""),
    ("steady-0", "status=0"),
    ("steady-0", "status=2"),
    ("steady-0", "status=3"),
    ("steady-0", "event_types=order.step3"),
    ("steady-0", "event_types=order.rare"),
    ("steady-0", "channel=vip"),
    ("flaky", "status=2"),
    ("dead", "status=0"),
    ("dead", "status=2"),
    ("dead", "status=3"),
    ("dead", "status=2&event_types=order.rare"),
    ("seldom", ""),
    ("sparse", ""),
    ("idle", ""),
)
_FAR: Final = (
    ("msg", "event_types=order.step3&channel=eu&tag=bulk"),
    ("attempt/endpoint/steady-0", "event_types=order.step3&channel=eu"),
    ("attempt/endpoint/steady-0", "event_types=order.step3&channel=eu&tag=bulk"),
    ("attempt/endpoint/dead", "status=2&event_types=order.step3&channel=eu"),
    ("attempt/endpoint/seldom", "event_types=order.step3&channel=eu"),
    ("endpoint/seldom/msg", "event_types=order.step3"),
    ("endpoint/seldom/msg", "channel=eu"),
)
"""Names that are each frequent but rarely occur together, or rare at an endpoint: the worst case scans everything."""


def measure(folder: Path, database: Measured, messages: int) -> dict[str, Any]:
    """Write seed data, then request each list repeatedly."""
    with running(folder, database) as service:
        app = service.call("POST", "/app", {"name": "Measured"})["id"]
        made = {
            name: service.call("POST", f"/app/{app}/endpoint", {"url": "http://127.0.0.1:9/"})["id"]
            for name in seed_data.GETS
        }
        service.stop()
    began = time.monotonic()
    written = database.fill(lambda db: seed_data.write(db, app, made, messages))
    filled = time.monotonic() - began
    with running(folder, database) as service:
        pids = [service.pid, *database.pids]
        figures = [_measured(service, pids, name, ask) for name, ask in _lists(written)]
        far = [_measured(service, pids, name, ask) for name, ask in _far(written)]
        service.stop()
    return {
        "database": database.kind,
        "messages": len(written.messages),
        "attempts": written.attempts,
        "fill_seconds": filled,
        "lists": figures,
        "far": far,
    }


def _lists(written: SeedData) -> Iterator[tuple[str, Callable[[random.Random], str]]]:
    """Yield each list: its label, and a function that builds a request for it."""
    root = f"/api/v1/app/{written.app}"
    named = written.endpoints
    yield from _placed("messages", f"{root}/msg", "", written, "msg_")
    for asked in _MSG[1:]:
        yield f"messages, {asked}", _fixed(f"{root}/msg", asked)
    yield from _placed("attempts of an endpoint", f"{root}/attempt/endpoint/{named['steady-0']}", "", written, "atmpt_")
    for name, asked in _ATTEMPT:
        yield f"attempts of {name}, {asked or 'all'}", _fixed(f"{root}/attempt/endpoint/{named[name]}", asked)
    yield from _placed("messages of an endpoint", f"{root}/endpoint/{named['steady-0']}/msg", "", written, "msg_")
    for name, asked in _ATTEMPTED:
        yield f"messages of {name}, {asked or 'all'}", _fixed(f"{root}/endpoint/{named[name]}/msg", asked)
    yield "attempts of a message", lambda chance: f"{root}/attempt/msg/{chance.choice(written.messages)}"
    yield "endpoints of a message", lambda chance: f"{root}/msg/{chance.choice(written.messages)}/endpoint"
    yield "endpoints", _fixed(f"{root}/endpoint", "")


def _far(written: SeedData) -> Iterator[tuple[str, Callable[[random.Random], str]]]:
    """Yield the lists whose length grows with the application's data."""
    for path, asked in _FAR:
        there = "/".join(written.endpoints.get(each, each) for each in path.split("/"))
        yield f"{path}, {asked}", _fixed(f"/api/v1/app/{written.app}/{there}", asked)


def _fixed(path: str, query: str) -> Callable[[random.Random], str]:
    return lambda _: f"{path}?{query}"


def _placed(
    what: str, path: str, query: str, written: SeedData, prefix: str
) -> Iterator[tuple[str, Callable[[random.Random], str]]]:
    """Yield a list from its beginning and from positions in its middle."""
    for place in _PLACES:

        def ask(chance: random.Random, place: str = place) -> str:
            key = prefix + chance.choice(written.messages).removeprefix("msg_")
            timestamp = SystemClock().now() - chance.randrange(seed_data.DAYS * DAY)
            values = {"iterator": key, "back": f"-{key}", "before": rfc3339(timestamp), "after": rfc3339(timestamp)}
            name = "iterator" if place == "back" else place
            asked = f"{name}={urllib.parse.quote(values[place])}" if place else ""
            return f"{path}?{asked}&{query}"

        yield f"{what}{f', from {place}' if place else ''}", ask


def _measured(service: Service, pids: list[int], name: str, ask: Callable[[random.Random], str]) -> dict[str, Any]:
    chance = random.Random(_SEED)  # noqa: S311 - the same positions each time
    connection = http.client.HTTPConnection("127.0.0.1", service.port)
    headers = {"authorization": f"Bearer {service.token_file.read_text()}"}
    waits: list[float] = []
    began_cpu = 0.0
    for number in itertools.count():
        began = time.perf_counter()
        connection.request("GET", ask(chance), headers=headers)
        response = connection.getresponse()
        size = len(response.read())
        if response.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{name}: {response.status}\n{service.log()}")
        if number == WARM_UP:
            began_cpu = machine.cpu_seconds(pids)
        if number >= WARM_UP:
            waits.append(1e3 * (time.perf_counter() - began))
        if len(waits) == CALLS:
            break
    connection.close()
    cpu = 1e3 * (machine.cpu_seconds(pids) - began_cpu) / CALLS
    waits.sort()
    return {"list": name, "bytes": size, "cpu_ms": cpu, "p50_ms": waits[CALLS // 2], "p99_ms": waits[CALLS * 99 // 100]}
