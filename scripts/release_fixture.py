# SPDX-License-Identifier: MIT
"""Write the fixture of this release: a small dump of a filled database of each kind, which later releases must migrate.

    .venv/bin/python scripts/release_fixture.py [--commit]

It runs the service on both databases, fills every table by way of the API, kills the service in the middle of a send,
and writes `tests/upgrade/VERSION/{sqlite,postgresql}.sql` and `release.json` with the checksums of the migrations. With
`--commit`, `release.json` names the current commit as that of the release; without, the fixture is provisional, and the
tests do not insist on its checksums.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import asyncpg

from postgres import Cluster, find_binaries
from tidings import __version__
from tidings.clock import HOUR, SystemClock, rfc3339
from tidings.core.access import issue_org_token
from tidings.ids import DEFAULT_ORG
from tidings.storage.drivers.migrations import known_migrations

CHECKOUT: Final = Path(__file__).resolve().parent.parent
SECRETS: Final = {
    "jwt_secret": "a secret of the release fixture, for tests",
    "main_secret": "the main secret of the release fixture",
}
MAX_BYTES: Final = 200_000
_SECONDS: Final = 60.0
_FAILED_ATTEMPTS: Final = 14
"""Two attempts for each of seven messages."""
_PAYLOAD: Final = {"invoice": 1, "name": "Zoë"}
_SQLITE_TABLES: Final = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
_PG_TABLES: Final = (
    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    " AND NOT relispartition ORDER BY relname"
)
_PG_COLUMNS: Final = (
    "SELECT attname, format_type(atttypid, NULL) AS kind, attnotnull FROM pg_attribute"
    " WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
)


class FixtureError(Exception):
    """The fixture could not be made; the message says why."""


# -----------------------------------------------------------------------------------------------------------------
# The service, its receiver, and calls to it


class _Receiver(BaseHTTPRequestHandler):
    """Answers by the path of the URL: `/ok`, `/fail`, `/gone`, and `/hang`, which never answers."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/hang":
            time.sleep(_SECONDS)
        self.send_response({"/fail": 500, "/gone": 410}.get(self.path, 200))
        self.end_headers()
        self.wfile.write(b"answer")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        """Log nothing."""


@contextlib.contextmanager
def _receiver() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


class _Service:
    """A running `tidings serve`."""

    def __init__(self, url: str, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        settings = {
            "db_dsn": url,
            "listen_address": f"127.0.0.1:{self._port}",
            "whitelist_subnets": "[127.0.0.1/32]",
            "retry_schedule": "[1,36000]",
            **SECRETS,
        }
        ours = {f"TIDINGS_{name.upper()}": value for name, value in settings.items()}
        rest = {name: value for name, value in os.environ.items() if not name.startswith(("TIDINGS_", "SVIX_"))}
        self._process = subprocess.Popen([sys.executable, "-m", "tidings", "serve"], cwd=folder, env={**rest, **ours})
        self.token = issue_org_token(SECRETS["jwt_secret"], DEFAULT_ORG, SystemClock().now())
        self.until(self._is_ready)

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            self.call("GET", "/health/ping")
            return True
        return False

    def call(  # the response is JSON
        self, method: str, path: str, body: object = None, *, token: str | None = None, **headers: str
    ) -> Any:  # noqa: ANN401
        """Make a request; return the JSON of the response. Raises `FixtureError` for an error."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_SECONDS)
        given = {
            "authorization": f"Bearer {token or self.token}",
            **{n.replace("_", "-"): v for n, v in headers.items()},
        }
        with contextlib.closing(connection):
            connection.request(method, f"/api/v1{path}", None if body is None else json.dumps(body), given)
            response = connection.getresponse()
            text = response.read()
        if response.status >= http.client.BAD_REQUEST:
            raise FixtureError(f"{method} {path}: {response.status} {text.decode()}")
        return json.loads(text) if text and response.status != http.client.NO_CONTENT and text != b"{}" else None

    def until(self, holds: Callable[[], object]) -> None:
        """Wait until a condition holds."""
        deadline = time.monotonic() + _SECONDS
        while not holds():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise FixtureError("the service did not get that far")
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL: sends in flight keep their leases, and the node its row."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


# -----------------------------------------------------------------------------------------------------------------
# Filling a database


def fill(service: _Service, receiver: str) -> None:
    """Make rows of every sort by way of the API."""
    call = service.call
    call("POST", "/event-type", {"name": "invoice.paid", "description": "Paid", "schemas": {"1": {"type": "object"}}})
    call("POST", "/event-type", {"name": "invoice.void", "description": "Void", "featureFlags": ["beta"]})
    call("PUT", "/event-type/invoice.void", {"description": "Void", "archived": True, "deprecated": True})
    app = call("POST", "/app", {"name": "Zoë", "uid": "customer-1", "metadata": {"tier": "gold"}, "throttleRate": 900})
    call("DELETE", f"/app/{call('POST', '/app', {'name': 'deleted', 'uid': 'gone'})['id']}")
    root = f"/app/{app['id']}"
    made = {name: _endpoint(call, root, f"{receiver}/{name}", name) for name in ("ok", "fail", "gone", "hang")}
    call("POST", f"{root}/endpoint/{made['ok']}/secret/rotate", {})
    call("PUT", f"{root}/endpoint/{made['ok']}/headers", {"headers": {"X-Key": "value"}})
    call("PATCH", f"{root}/endpoint/{made['ok']}", {"throttleRate": 500})
    for number in range(6):
        call(
            "POST",
            f"{root}/msg",
            {
                "eventType": "invoice.paid",
                "payload": {**_PAYLOAD, "n": number},
                "eventId": f"event-{number}",
                "channels": ["eu"],
                "tags": ["first"],
                "payloadRetentionPeriod": 30,
            },
            idempotency_key=f"key-{number}",
        )
    raw = {"eventType": "invoice.paid", "payload": {}, "transformationsParams": {"rawPayload": "a,b\n1,2"}}
    call("POST", f"{root}/msg", raw)
    later = rfc3339(SystemClock().now() + 20 * HOUR)
    call("POST", f"{root}/msg", {"eventType": "invoice.paid", "payload": _PAYLOAD, "deliverAt": later})
    portal = call("POST", f"/auth/app-portal-access/{app['id']}", {"featureFlags": ["beta"]})
    call("POST", "/auth/logout", None, token=portal["token"])
    # By now `ok` has its messages, `fail` has tried twice, `gone` is disabled, and `hang` has requests in flight.
    service.until(lambda: len(_attempts(call, root, made["fail"])) >= _FAILED_ATTEMPTS)
    _run_tasks(service, root, made)
    call("DELETE", f"{root}/endpoint/{made['gone']}")


def _endpoint(call: Callable[..., Any], root: str, url: str, uid: str) -> str:
    body = {"url": url, "uid": uid, "description": uid, "metadata": {"kind": uid}, "filterTypes": ["invoice.paid"]}
    return str(call("POST", f"{root}/endpoint", body)["id"])


def _attempts(call: Callable[..., Any], root: str, endpoint: str) -> list[object]:
    return list(call("GET", f"{root}/attempt/endpoint/{endpoint}?limit=100")["data"])


def _run_tasks(service: _Service, root: str, made: dict[str, str]) -> None:
    """Run tasks of most kinds to their ends."""
    call, since = service.call, rfc3339(SystemClock().now() - HOUR)
    endpoint = f"{root}/endpoint/{made['ok']}"
    for method, path, body in (
        ("POST", f"{endpoint}/recover", {"since": since}),
        ("POST", f"{endpoint}/replay-missing", {"since": since}),
        ("POST", f"{endpoint}/bulk-replay", {"since": since}),
        ("POST", "/stats/usage/app", {"since": since, "until": rfc3339(SystemClock().now())}),
        ("PUT", "/stats/usage/event-types", None),
        ("POST", "/msg/broadcast", {"eventType": "invoice.paid", "payload": {**_PAYLOAD, "text": "x" * 5_000}}),
    ):
        service.until(partial(_has_ended, call, call(method, path, body)["id"]))


def _has_ended(call: Callable[..., Any], task: str) -> bool:
    return bool(call("GET", f"/background-task/{task}")["status"] != "running")


# -----------------------------------------------------------------------------------------------------------------
# Tables that the API does not fill on this database (exports need an extra, nodes are rows of PostgreSQL only)


def _value(kind: str, number: int) -> object:
    upper = kind.upper()
    if upper in ("BLOB", "BYTEA"):
        return b"\x01\x02"
    return "synthetic" if upper.startswith("TEXT") else number


def complete_sqlite(path: Path) -> list[str]:
    """Give each empty table a row; return their names."""
    empty = []
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for (table,) in connection.execute(_SQLITE_TABLES).fetchall():
            if connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is None:  # noqa: S608 - names of tables
                columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
                marks = ", ".join("?" * len(columns))
                values = [_value(str(column[2]), 1) for column in columns]
                connection.execute(f"INSERT INTO {table} VALUES ({marks})", values)  # noqa: S608 - names of tables
                empty.append(str(table))
        connection.commit()
    return empty


async def complete_postgres(url: str) -> list[str]:
    """Give each empty table a row; return their names."""
    empty = []
    connection = await asyncpg.connect(url)
    for (table,) in await connection.fetch(_PG_TABLES):
        if await connection.fetchval(f"SELECT count(*) FROM {table}") == 0:  # noqa: S608 - names of tables
            columns = await connection.fetch(_PG_COLUMNS, table)
            marks = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
            values = [_value(column["kind"], 1) for column in columns]
            await connection.execute(f"INSERT INTO {table} VALUES ({marks})", *values)  # noqa: S608 - names of tables
            empty.append(str(table))
    await connection.close()
    return empty


# -----------------------------------------------------------------------------------------------------------------
# Dumps


def make_sqlite(folder: Path) -> str:
    """Return the dump of a filled SQLite file."""
    path = folder / "fixture.db"
    _filled(f"sqlite:///{path}", folder)
    print("rows without the API on SQLite:", ", ".join(complete_sqlite(path)) or "none")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return "\n".join(connection.iterdump()) + "\n"


def make_postgres(folder: Path) -> str:
    """Return the dump of a filled PostgreSQL database."""
    binaries = find_binaries()
    if binaries is None:
        raise FixtureError("no PostgreSQL server binaries were found")
    with Cluster(binaries, durable=False) as cluster:
        url = cluster.dsn(cluster.create_database())
        _filled(url, folder)
        print("rows without the API on PostgreSQL:", ", ".join(asyncio.run(complete_postgres(url))) or "none")
        dump = [str(binaries / "pg_dump"), "--inserts", "--rows-per-insert=50", "--no-owner", "--no-privileges", url]
        text = subprocess.run(dump, check=True, capture_output=True, text=True).stdout
    # Newer versions of pg_dump write commands of psql, which no other client understands.
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(("\\", "--", "\n")))


def _filled(url: str, folder: Path) -> None:
    with _receiver() as receiver:
        service = _Service(url, folder)
        try:
            fill(service, receiver)
        finally:
            service.kill()


def main() -> None:
    """Write the fixture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--commit", action="store_true", help="name the current commit as that of the release")
    commit = None
    if parser.parse_args().commit:
        state = subprocess.run(["git", "status", "--porcelain", "src"], cwd=CHECKOUT, capture_output=True, check=True)
        if state.stdout:
            raise SystemExit("src has changes that are not committed: commit them first")
        git = ["git", "rev-parse", "HEAD"]
        commit = subprocess.run(git, cwd=CHECKOUT, capture_output=True, check=True, text=True).stdout.strip()
    target = CHECKOUT / "tests/upgrade" / __version__
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, make in (("sqlite", make_sqlite), ("postgresql", make_postgres)):
            text = make(Path(folder))
            if len(text.encode()) > MAX_BYTES:
                raise SystemExit(f"the dump of {name} has {len(text.encode())} bytes, more than {MAX_BYTES}")
            (target / f"{name}.sql").write_text(text)
            print(f"tests/upgrade/{__version__}/{name}.sql: {len(text.encode())} bytes")
    checksums = {each.title: each.checksum for each in known_migrations()}
    record = {"release": __version__, "commit": commit, "checksums": checksums}
    (target / "release.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
