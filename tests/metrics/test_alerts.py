# SPDX-License-Identifier: MIT
"""The alert rules and the dashboard: a real Prometheus scrapes real servers, in trouble and healthy.

Each server is a job with its own copy of the rules, in which only the job and the durations (`for`) differ. Durations
and thresholds are checked by `promtool test rules` (`rules.test.yaml`). The tests skip where Prometheus is missing.
"""

import asyncio
import contextlib
import http.client
import http.server
import json
import re
import resource
import shutil
import sqlite3
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import dashboard
import live
from live import Live
from postgres import Cluster
from tidings.metrics.catalog import series
from tidings.storage.drivers.store import migrate, opened

CHECKOUT = Path(__file__).resolve().parent.parent.parent
RULES = CHECKOUT / "deploy" / "prometheus" / "alerts.yaml"
NAMES = re.findall(r"- alert: (\w+)", RULES.read_text())
NO_PROMETHEUS = "no Prometheus: apt-get install prometheus"
SECONDS = 60.0
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip(NO_PROMETHEUS)
    return found


def checked(promtool: str, *arguments: str) -> None:
    ended = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def metrics_in(query: str) -> set[str]:
    return set(re.findall(r"\btidings_\w+", query))


def test_the_rules_are_valid_and_use_metrics_that_exist(promtool: str) -> None:
    checked(promtool, "check", "rules", str(RULES))

    expressions = " ".join(re.findall(r"(?s) expr: (.*?)\n +(?:for|labels):", RULES.read_text()))
    assert expressions.count("tidings_") > len(NAMES)
    assert metrics_in(expressions) <= series()
    assert [name for name in NAMES if f"runbook: docs/operate.md#{name.lower()}" not in RULES.read_text()] == []


def test_each_alert_fires_after_its_time_and_not_before(promtool: str) -> None:
    checked(promtool, "test", "rules", str(Path(__file__).with_name("rules.test.yaml")))

    tested = set(re.findall(r'alertname="(\w+)"', Path(__file__).with_name("rules.test.yaml").read_text()))
    assert set(NAMES) == tested


def test_the_dashboard_is_up_to_date_and_its_queries_parse(promtool: str, tmp_path: Path) -> None:
    assert dashboard.TARGET.read_text() == dashboard.rendered(), "run scripts/dashboard.py"

    panels = [panel for panel in dashboard.dashboard()["panels"] if panel["type"] != "row"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(queries) > 30
    assert set().union(*map(metrics_in, queries)) <= series()
    lines = ["groups:", "- name: panels", "  rules:"]
    for number, query in enumerate(queries):
        text = query.replace("$__rate_interval", "1m").replace("$job", "tidings")
        lines += [f"  - record: panel:{number}", f"    expr: {json.dumps(text)}"]
    (tmp_path / "panels.yaml").write_text("\n".join(lines))
    checked(promtool, "check", "rules", str(tmp_path / "panels.yaml"))


def test_the_panels_of_a_row_fill_its_width_and_do_not_overlap() -> None:
    rows: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for panel in dashboard.dashboard()["panels"]:
        place = panel["gridPos"]
        rows[place["y"]].append((place["x"], place["w"]))

    for places in rows.values():
        assert sum(width for _, width in places) == 24
        assert [x for x, _ in sorted(places)] == [sum(w for _, w in sorted(places)[:n]) for n in range(len(places))]


# ---------------------------------------------------------------------------------------------------------------------
# A real Prometheus


class Prometheus:
    """A Prometheus that scrapes jobs every second, each with its own copy of the rules."""

    def __init__(self, folder: Path, jobs: dict[str, int]) -> None:
        self._folder = folder
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


class _Receiver(http.server.BaseHTTPRequestHandler):
    """Responds with the status in the path."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(int(self.path[1:]))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Do not log."""


@pytest.fixture
def receiver() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def servers(tmp_path: Path) -> Iterator["Servers"]:
    with contextlib.ExitStack() as stack:
        yield Servers(tmp_path, stack)


class Servers:
    """The servers of one test by their job, and their ports of metrics."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.ports: dict[str, int] = {}
        self._stack = stack

    def start(self, job: str, url: str, *arguments: str, **settings: Any) -> Live:
        self.ports[job] = live.free_port()
        address = f"127.0.0.1:{self.ports[job]}"
        serving = live.serving(url, self.folder / job, *arguments, metrics_address=address, **settings)
        return self._stack.enter_context(serving)

    def sqlite(self, job: str) -> Path:
        (self.folder / job).mkdir()
        return self.folder / job / "t.db"


async def _migrated(url: str) -> None:
    db = await opened(url)
    await migrate(db)
    await db.close()


def send(server: Live, *urls: str) -> None:
    """Send one message to an application with these endpoints."""
    app = server.call("POST", "/api/v1/app", {"name": "A"})[1]
    for url in urls:
        assert server.call("POST", f"/api/v1/app/{app['id']}/endpoint", {"url": url})[0] == 201
    message = {"eventType": "a", "payload": {}}
    assert server.call("POST", f"/api/v1/app/{app['id']}/msg", message)[0] == 202


def start_without_workers(servers: Servers, receiver: str) -> None:
    """Start a server without the delivery and task roles, on a database in which work has waited for a day."""
    path = servers.sqlite("no_workers")
    with live.serving(f"sqlite:///{path}", servers.folder / "no_workers", "--no-delivery", "--no-tasks") as server:
        send(server, f"{receiver}/200")
        app = server.call("GET", "/api/v1/app")[1]["data"][0]["id"]
        endpoint = server.call("GET", f"/api/v1/app/{app}/endpoint")[1]["data"][0]["id"]
        since = {"since": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}
        status, _ = server.call("POST", f"/api/v1/app/{app}/endpoint/{endpoint}/recover", since)
        assert status == 202
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE delivery SET due_at = due_at - ?, lease = NULL, lease_until = NULL", (DAY_MS,))
        db.execute("UPDATE task SET ready_at = 0, updated_at = updated_at - ? WHERE state = 'queued'", (DAY_MS,))
    servers.start("no_workers", f"sqlite:///{path}", "--no-delivery", "--no-tasks")


def start_unwritable(servers: Servers) -> Live:
    """Start a server, and make every write to a file fail: it can still read."""
    path = servers.sqlite("unwritable")
    server = servers.start("unwritable", f"sqlite:///{path}")
    app = server.call("POST", "/api/v1/app", {"name": "A"})[1]["id"]
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    server.settings["app"] = app
    return server


@pytest.mark.chaos
@pytest.mark.skipif(shutil.which("prometheus") is None, reason=NO_PROMETHEUS)
@pytest.mark.timeout(180)
def test_alerts_fire_for_servers_in_trouble_and_are_silent_for_a_healthy_one(
    servers: Servers, receiver: str, private_cluster: Cluster
) -> None:
    healthy = servers.start("healthy", f"sqlite:///{servers.sqlite('healthy')}")
    start_without_workers(servers, receiver)
    failing = servers.start("failing", f"sqlite:///{servers.sqlite('failing')}", retry_schedule="[]")
    unwritable = start_unwritable(servers)
    dsn = private_cluster.server.dsn(private_cluster.server.create_database())
    asyncio.run(_migrated(dsn))
    servers.start("no_database", dsn)
    private_cluster.stop()
    servers.ports["stopped"] = live.free_port()
    expected = {
        "healthy": set(),
        "no_workers": {"TidingsDeliveriesOverdue", "TidingsTaskWithoutProgress", "TidingsDatabaseDiskFull"},
        "failing": {"TidingsMessagesExhausted", "TidingsEndpointDisabled"},
        "unwritable": {"TidingsDatabaseNotWritable", "TidingsAcceptErrors"},
        "no_database": {"TidingsDatabaseDown"},
        "stopped": {"TidingsDown"},
    }
    with Prometheus(servers.folder, servers.ports).running() as prometheus:
        for job in ("healthy", "failing", "unwritable"):  # a counter rises only for who has seen it before
            until = time.monotonic() + SECONDS
            while prometheus.value(f'count_over_time(up{{job="{job}"}}[1m]) > 1') is None and time.monotonic() < until:
                time.sleep(0.1)
        send(healthy, f"{receiver}/200")
        send(failing, f"{receiver}/500", f"{receiver}/410")
        app = unwritable.settings["app"]
        assert unwritable.call("POST", f"/api/v1/app/{app}/msg", {"eventType": "a", "payload": {}})[0] == 503
        found = prometheus.wait_for({job: set(alerts) for job, alerts in expected.items()})

    assert {job: alerts for job, alerts in found.items() if alerts} == {
        job: alerts for job, alerts in expected.items() if alerts
    }
