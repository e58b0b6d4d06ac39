# SPDX-License-Identifier: MIT
"""Servers in trouble, each of a kind that an alert is for, and a real Prometheus that scrapes them.

Each server is a job with its own copy of the rules, in which only the job and the durations (`for`) differ.
"""

import asyncio
import contextlib
import http.client
import http.server
import json
import re
import resource
import sqlite3
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

import live
from live import Live
from postgres import Server

CHECKOUT = Path(__file__).resolve().parent.parent.parent
RULES = CHECKOUT / "deploy" / "prometheus" / "alerts.yaml"
NAMES = re.findall(r"- alert: (\w+)", RULES.read_text())
SECONDS = 60.0
DAY_MS = 86_400_000
MESSAGE = {"eventType": "a", "payload": {}}
SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.7); RETURN NULL; END $$;
CREATE TRIGGER slow BEFORE INSERT ON message FOR EACH STATEMENT EXECUTE FUNCTION slow();
"""


def checked(promtool: str, *arguments: str) -> None:
    ended = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


class Prometheus:
    """A Prometheus that scrapes jobs every second, each with its own copy of the rules."""

    def __init__(self, folder: Path, jobs: dict[str, int]) -> None:
        self._folder = folder
        self._jobs = jobs
        self._port = live.free_port()
        config = ["global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}", "scrape_configs:"]
        for job, port in jobs.items():
            config += [f"- job_name: {job}", f"  static_configs: [{{targets: ['127.0.0.1:{port}']}}]"]
        (folder / "prometheus.yml").write_text("\n".join([*config, "rule_files: [rules.yaml]"]))
        (folder / "rules.yaml").write_text("groups:\n" + "".join(_rules_of(job) for job in jobs))

    @contextlib.contextmanager
    def running(self) -> Iterator["Prometheus"]:
        arguments = [
            f"--config.file={self._folder}/prometheus.yml",
            f"--storage.tsdb.path={self._folder}/data",
            f"--web.listen-address=127.0.0.1:{self._port}",
        ]
        with (self._folder / "prometheus.log").open("wb") as log:
            process = subprocess.Popen(["prometheus", *arguments], stdout=log, stderr=log)
        try:
            yield self
        finally:
            process.kill()
            process.wait()

    def ask(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read()
        return json.loads(text)["data"] if answer.status == 200 else None

    def backfill(self, job: str, name: str, values: Mapping[int, float]) -> None:
        """Give a job a history: values of one metric, at times in seconds before now. Call this before the start."""
        now, port = int(time.time()), self._jobs[job]
        lines = [
            f'{name}{{instance="127.0.0.1:{port}",job="{job}"}} {value} {now - age}'
            for age, value in sorted(values.items(), reverse=True)
        ]
        (self._folder / "history").write_text("\n".join([f"# TYPE {name} gauge", *lines, "# EOF", ""]))
        history, data = f"{self._folder}/history", f"{self._folder}/data"
        checked("promtool", "tsdb", "create-blocks-from", "openmetrics", history, data)

    def firing(self) -> dict[str, set[str]]:
        """Return the alerts that fire, by job."""
        found: dict[str, set[str]] = defaultdict(set)
        with contextlib.suppress(OSError):
            for alert in (self.ask("/api/v1/alerts") or {"alerts": []})["alerts"]:
                if alert["state"] == "firing":
                    found[alert["labels"]["job"]].add(alert["labels"]["alertname"])
        return found

    def value(self, query: str) -> float | None:
        with contextlib.suppress(OSError):
            found = (self.ask(f"/api/v1/query?query={quote(query)}") or {"result": []})["result"]
            return float(found[0]["value"][1]) if found else None
        return None

    def wait_for_scrapes(self, *jobs: str) -> None:
        """Wait until jobs were scraped twice: a counter rises only for who has seen it before."""
        until = time.monotonic() + SECONDS
        for job in jobs:
            while self.value(f'count_over_time(up{{job="{job}"}}[1m]) > 1') is None and time.monotonic() < until:
                time.sleep(0.1)

    def wait_for(self, expected: dict[str, set[str]]) -> dict[str, set[str]]:
        """Wait until each job has at least its alerts; return all that fire."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            found = self.firing()
            if all(alerts <= found[job] for job, alerts in expected.items()):
                return found
            time.sleep(0.1)
        log = (self._folder / "prometheus.log").read_text()[-2_000:]
        pytest.fail(f"expected {expected}, firing: {dict(self.firing())}\n{log}")


def _rules_of(job: str) -> str:
    group = RULES.read_text().partition("groups:\n")[2]
    group = re.sub(r"(?m)^( +)for: .*$", r"\1for: 0s", group).replace("- name: tidings", f"- name: {job}")
    if job == "no_workers":  # the disk of this machine is not full
        group = group.replace(
            "< 0.1 * max by (job) (tidings_database_filesystem", "< 9 * max by (job) (tidings_database_filesystem"
        )
    return group.replace('job="tidings"', f'job="{job}"')


class Receiver(http.server.BaseHTTPRequestHandler):
    """Responds with the status in the path."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(int(self.path[1:]))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Do not log."""


class Servers:
    """The servers of one test by their job, and their ports of metrics."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack, cluster: Server, template: str) -> None:
        self.folder = folder
        self.ports: dict[str, int] = {}
        self._stack = stack
        self._cluster = cluster
        self._template = template

    def reserve(self, job: str) -> None:
        """Add a job for which nothing listens."""
        self.ports[job] = live.free_port()

    def start(self, job: str, url: str, *arguments: str, **settings: Any) -> Live:
        self.reserve(job)
        address = f"127.0.0.1:{self.ports[job]}"
        serving = live.serving(url, self.folder / job, *arguments, metrics_address=address, **settings)
        return self._stack.enter_context(serving)

    def sqlite(self, job: str) -> str:
        (self.folder / job).mkdir()
        return f"sqlite:///{self.folder / job}/t.db"

    def postgres(self) -> str:
        """Return the URL of a new database, which is dropped at the end."""
        name = self._cluster.create_database(template=self._template)
        self._stack.callback(self._cluster.drop_database, name)
        return self._cluster.dsn(name)

    def drop(self, url: str) -> None:
        """Drop a database that is in use."""
        self._cluster.drop_database(url.rpartition("/")[2])

    def session(self, url: str) -> "Session":
        """Return a session that ends with the test."""
        session = Session(url)
        self._stack.callback(session.close)
        return session


class Session:
    """A session on a server of PostgreSQL, in which a transaction may stay open."""

    def __init__(self, dsn: str) -> None:
        self._runner = asyncio.Runner()
        self._connection = self._runner.run(asyncpg.connect(dsn))

    def run(self, sql: str) -> None:
        self._runner.run(self._connection.execute(sql))

    def until(self, condition: str) -> None:
        """Wait until a condition in SQL holds."""
        deadline = time.monotonic() + SECONDS
        while not self._runner.run(self._connection.fetchval(f"SELECT {condition}")):
            assert time.monotonic() < deadline, condition
            time.sleep(0.05)

    def close(self) -> None:
        self._runner.run(self._connection.close())
        self._runner.close()


def send(server: Live, *urls: str) -> None:
    """Send one message to an application with these endpoints."""
    app = server.call("POST", "/api/v1/app", {"name": "A"})[1]
    for url in urls:
        assert server.call("POST", f"/api/v1/app/{app['id']}/endpoint", {"url": url})[0] == 201
    assert server.call("POST", f"/api/v1/app/{app['id']}/msg", MESSAGE)[0] == 202


def start_without_workers(servers: Servers, receiver: str) -> None:
    """Start a server without the delivery and task roles, on a database in which work has waited for a day."""
    url = servers.sqlite("no_workers")
    with live.serving(url, servers.folder / "no_workers", "--no-delivery", "--no-tasks") as server:
        send(server, f"{receiver}/200")
        app = server.call("GET", "/api/v1/app")[1]["data"][0]["id"]
        endpoint = server.call("GET", f"/api/v1/app/{app}/endpoint")[1]["data"][0]["id"]
        since = {"since": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}
        status, _ = server.call("POST", f"/api/v1/app/{app}/endpoint/{endpoint}/recover", since)
        assert status == 202
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as db, db:
        db.execute("UPDATE delivery SET due_at = due_at - ?, lease = NULL, lease_until = NULL", (DAY_MS,))
        db.execute("UPDATE task SET ready_at = 0, updated_at = updated_at - ? WHERE state = 'queued'", (DAY_MS,))
    servers.start("no_workers", url, "--no-delivery", "--no-tasks")


def start_unwritable(servers: Servers) -> Live:
    """Start a server, and make every write to a file fail: it can still read."""
    server = servers.start("unwritable", servers.sqlite("unwritable"))
    app = server.call("POST", "/api/v1/app", {"name": "A"})[1]["id"]
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    server.settings["app"] = app
    return server


def refused(server: Live) -> None:
    """Send a message that cannot be stored."""
    assert server.call("POST", f"/api/v1/app/{server.settings['app']}/msg", MESSAGE)[0] == 503


def start_without_database(servers: Servers) -> None:
    """Start a server, and take its database away."""
    url = servers.postgres()
    servers.start("no_database", url)
    servers.drop(url)


def start_stale(servers: Servers) -> None:
    """Start a server whose totals are ten minutes old: another session locks a table that their query reads."""
    url = servers.postgres()
    servers.start("stale", url)
    session, other = servers.session(url), servers.session(url)
    session.until("EXISTS (SELECT FROM setting WHERE name = 'totals')")
    session.run("BEGIN; LOCK TABLE throttle IN ACCESS EXCLUSIVE MODE")
    other.run(
        "UPDATE setting SET value = jsonb_set(value::jsonb, '{read_at}', to_jsonb((value::jsonb->>'read_at')::bigint"
        " - 600000))::text WHERE name = 'totals'"
    )


def start_beside_a_dead_node(servers: Servers) -> Live:
    """Start a server beside the row of a node that died, with a slow database.

    Another session keeps it from taking over. A trigger delays each message, as a slow disk does.
    """
    url = servers.postgres()
    session = servers.session(url)
    session.run(SLOW)
    session.run("INSERT INTO node (id, worker, release) VALUES (7, 'elsewhere:1:00000007', '0.1.0')")
    session.run("BEGIN; LOCK TABLE delivery IN EXCLUSIVE MODE")
    server = servers.start("beside_a_dead_node", url)
    server.settings["app"] = server.call("POST", "/api/v1/app", {"name": "A"})[1]["id"]
    return server


def accepted(server: Live) -> None:
    """Send a message that is stored."""
    assert server.call("POST", f"/api/v1/app/{server.settings['app']}/msg", MESSAGE)[0] == 202
