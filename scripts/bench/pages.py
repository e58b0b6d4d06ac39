# SPDX-License-Identifier: MIT
"""The pages of portal and console on a large installation, over HTTP from one client."""

import http.client
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bench import installation, machine
from bench.databases import Measured
from bench.installation import Installation
from bench.service import Service, running
from tidings.clock import SystemClock
from tidings.core import api_keys
from tidings.core.api_keys import KeyDraft, KeyRights
from tidings.ids import DEFAULT_ORG, MANAGEMENT_ORG
from tidings.model.api_key import KeyScope

CALLS: Final = 100
WARM_UP: Final = 10
APPLICATIONS: Final = 10_000

# Below `/portal/{app}`, and in the console below `/console/{org}/app/{app}`; the latter is rendered by the same views.
_PORTAL: Final = {
    "overview": "",
    "endpoints": "/endpoint",
    "an endpoint": "/endpoint/{endpoint}",
    "a new endpoint": "/endpoint/new",
    "edit an endpoint": "/endpoint/{endpoint}/edit",
    "headers of an endpoint": "/endpoint/{endpoint}/header",
    "messages": "/message",
    "messages, a middle page": "/message?at={middle}",
    "messages of a type": "/message?type=invoice.paid",
    "messages that failed at an endpoint": "/message?endpoint={endpoint}&status=failed",
    "a message": "/message/{message}",
    "attempts": "/attempt",
    "attempts of an endpoint": "/attempt?endpoint={endpoint}",
    "an attempt": "/message/{message}/attempt/{attempt}",
    "event types": "/event-type",
    "an event type": "/event-type/invoice.paid",
    "test event": "/test",
    "recover": "/recover",
    "recover, the check": "/recover/check?endpoint={endpoint}&what=failed&since={since}&until={until}",
    "tasks": "/task",
    "a task": "/task/{task}",
}
_CONSOLE: Final = {
    "home": "",
    "applications": "/app",
    "applications, by name": "/app?q=9999",
    "applications, none found": "/app?q=nothing",
    "an application": "/app/{app}",
    "messages": "/message",
    "messages, of a type": "/message?q=type%3Ainvoice.paid",
    "messages, of no type": "/message?q=type%3Anothing",
    "undelivered, exhausted": "/delivery",
    "undelivered, exhausted, of a type": "/delivery?type=invoice.paid",
    "undelivered, exhausted, of no type": "/delivery?type=nothing",
    "undelivered, scheduled": "/delivery?state=scheduled",
    "undelivered, scheduled, of a type": "/delivery?state=scheduled&type=invoice.paid",
    "undelivered, in flight": "/delivery?state=in_flight",
    "tasks": "/task",
    "a task": "/task/{task}",
    "event types": "/event-type",
    "an event type": "/event-type/invoice.paid",
    "a new event type": "/new-event-type",
    "keys": "/key",
}
_INSTALLATION: Final = {"home": "/console", "tasks": "/console/task", "settings": "/console/settings"}


def measure(folder: Path, database: Measured, messages: int) -> dict[str, Any]:
    """Write seed data, then request each page repeatedly."""
    with running(folder, database) as service:  # creates the schema
        service.stop()
    began = time.monotonic()
    found = database.fill(lambda db: installation.write(db, messages, APPLICATIONS))
    filled = time.monotonic() - began
    pages = requested(folder, database, found)
    return {"database": database.kind, **found.counts, "fill_seconds": filled, "pages": pages}


def requested(folder: Path, database: Measured, found: Installation) -> list[dict[str, Any]]:
    """Request each page repeatedly on a database that has the seed data."""
    draft = KeyDraft(MANAGEMENT_ORG, "bench", KeyRights(KeyScope.OPERATOR), "bench", None)
    key = database.use(lambda db: api_keys.create(db, draft, SystemClock().now())).text
    with running(folder, database) as service:
        pids = [service.pid, *database.pids]
        pages = [_measured(service, pids, name, path, cookie) for name, path, cookie in _pages(service, found, key)]
        service.stop()
    return pages


def _pages(service: Service, found: Installation, operator_key: str) -> Iterator[tuple[str, str, str]]:
    """Yield each page: its label, its address and the cookie of a session that may open it."""
    now = SystemClock().now()
    values = {**vars(found), "since": _minute(now - 24 * 3_600_000), "until": _minute(now)}
    values.pop("counts")
    link = service.call("POST", f"/auth/app-portal-access/{found.app}", {})["url"]
    portal = _cookie(service, "/portal/sign-in", link)
    for name, path in _PORTAL.items():
        yield f"portal: {name}", f"/portal/{found.app}{path.format(**values)}", portal
    console = _cookie(service, "/console/sign-in", service.token_file.read_text())
    for name, path in _CONSOLE.items():
        yield f"console: {name}", f"/console/{DEFAULT_ORG}{path.format(**values)}", console
    operator = _cookie(service, "/console/sign-in", operator_key)
    for name, path in _INSTALLATION.items():
        yield f"installation: {name}", path, operator


def _minute(timestamp: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M", time.gmtime(timestamp / 1_000))


def _cookie(service: Service, path: str, key: str) -> str:
    """Sign in, and return the cookies as a browser sends them."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port)
    headers = {
        "origin": f"http://127.0.0.1:{service.port}",
        "content-type": "application/x-www-form-urlencoded",
    }
    connection.request("POST", path, urllib.parse.urlencode({"key": key, "next": ""}), headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    if response.status != http.HTTPStatus.SEE_OTHER:
        raise RuntimeError(f"{path}: {response.status}")
    return "; ".join(each.partition(";")[0] for each in response.headers.get_all("set-cookie") or ())


def _measured(service: Service, pids: list[int], name: str, path: str, cookie: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", service.port)
    headers = {"cookie": cookie, "accept-encoding": "gzip"}
    waits: list[float] = []
    began_cpu, size = 0.0, 0
    for number in range(WARM_UP + CALLS):
        if number == WARM_UP:
            began_cpu = machine.cpu_seconds(pids)
        began = time.perf_counter()
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        size = len(response.read())
        if response.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{name} ({path}): {response.status}\n{service.log()}")
        if number >= WARM_UP:
            waits.append(1e3 * (time.perf_counter() - began))
    connection.close()
    cpu = 1e3 * (machine.cpu_seconds(pids) - began_cpu) / CALLS
    waits.sort()
    return {"page": name, "bytes": size, "cpu_ms": cpu, "p50_ms": waits[CALLS // 2], "p99_ms": waits[CALLS * 99 // 100]}
