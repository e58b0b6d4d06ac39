# SPDX-License-Identifier: MIT
"""`GET /metrics` of a real server: formats, other requests, a port in use, and trouble that must not reach the API."""

import http.client
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

import live
from tidings.metrics import catalog


def ask(port: int, method: str = "GET", path: str = "/metrics", **headers: str) -> tuple[int, str, str]:
    """Make one request; return the status, the content type and the body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("content-type", ""), answer.read().decode()
    finally:
        connection.close()


def test_a_server_reports_what_it_does_on_a_listener_of_its_own(sqlite_url: str, tmp_path: Path) -> None:
    port = live.free_port()
    with live.serving(sqlite_url, tmp_path, metrics_address=f"127.0.0.1:{port}") as server:
        status, app = server.call("POST", "/api/v1/app", {"name": "A"})
        assert status == 201
        message = {"eventType": "a", "payload": {}}
        assert server.call("POST", f"/api/v1/app/{app['id']}/msg", message)[0] == 202
        assert server.call("GET", "/api/v1/app/none/msg/none")[0] == 404
        assert server.call("GET", "/metrics")[0] == 404, "the API has no metrics"
        status, kind, text = ask(port)
        asked, open_kind, open_text = ask(port, accept="application/openmetrics-text; version=1.0.0")
        others = [ask(port, path="/api/v1/health/ping")[0], ask(port, "POST")[0], ask(port, "HEAD")[0]]

    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert (200, 200) == (status, asked)
    assert kind.startswith("text/plain")
    assert open_kind.startswith("application/openmetrics-text")
    assert [404, 405, 200] == others
    assert samples["tidings_messages_accepted_total",] == 1
    assert samples["tidings_accept_seconds_count",] == 1
    assert samples["tidings_database_up",] == 1 == samples["tidings_database_writable",]
    assert samples["tidings_api_requests_total", "2xx"] >= 2
    assert samples["tidings_api_requests_total", "4xx"] == 2
    assert {name for name, *_ in samples} <= catalog.series() | {"tidings_accept_seconds_created"}
    assert {family.name for family in openmetrics(open_text)}  # type: ignore[no-untyped-call]


def refused(folder: Path, **settings: Any) -> str:
    """Return the one line with which a server refuses to start."""
    given = {"db_dsn": f"sqlite:///{folder}/t.db", "listen_address": f"127.0.0.1:{live.free_port()}", **settings}
    ended = subprocess.run(
        [sys.executable, "-m", "tidings", "serve"],
        cwd=folder,
        env=live.environment(given),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    return ended.stderr.strip()


def test_a_port_in_use_and_a_wrong_address_are_one_sentence_each(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        in_use = refused(tmp_path, metrics_address=address)

    expected = f"cannot listen on {address}: Address already in use; set TIDINGS_METRICS_ADDRESS to another one"
    assert in_use.endswith(expected)
    assert len(in_use.splitlines()) == 1
    assert "metrics_address must be address:port" in refused(tmp_path, metrics_address="9464")


@pytest.mark.timeout(180)
def test_one_endpoint_has_the_sum_of_all_workers_and_keeps_what_a_killed_one_counted(
    postgres_dsn: str, tmp_path: Path
) -> None:
    port = live.free_port()
    settings = {"metrics_address": f"127.0.0.1:{port}", "db_pool_max_size": 6}

    def value(name: str) -> float:
        for family in text_string_to_metric_families(ask(port)[2]):
            for sample in family.samples:
                if name == " ".join((sample.name, *sample.labels.values())):
                    return sample.value
        return 0.0

    def wait_for(name: str, least: float) -> float:
        while (found := value(name)) < least:
            pass
        return found

    with live.serving(postgres_dsn, tmp_path, "--workers", "2", **settings) as server:
        wait_for("tidings_processes", 2)
        for _ in range(20):
            assert server.call("GET", "/api/v1/health/ping")[0] == 204
        before = wait_for("tidings_api_requests_total 2xx", 20)
        children = subprocess.run(["pgrep", "-P", str(server.pid)], capture_output=True, text=True, check=True)
        subprocess.run(["kill", "-9", *children.stdout.split()], check=True)
        during = value("tidings_api_requests_total 2xx")
        wait_for("tidings_processes", 2)
        after = value("tidings_api_requests_total 2xx")

    assert 20 <= before <= during <= after
