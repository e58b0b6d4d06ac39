# SPDX-License-Identifier: MIT
"""A server and the collector of its traces, which may be down or hang."""

import asyncio
import contextlib
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from live import Live, serving
from tidings.server.serving import serve
from tidings.settings import ConfigError, Settings


class _Collector(http.server.BaseHTTPRequestHandler):
    """Keeps the spans that it receives."""

    server: "Collector"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.server.is_hanging:
            self.server.released.wait()
        self.server.paths.add(self.path)
        request = ExportTraceServiceRequest.FromString(body)
        self.server.spans += [
            span.name for each in request.resource_spans for scope in each.scope_spans for span in scope.spans
        ]
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Do not log."""


class Collector(http.server.ThreadingHTTPServer):
    """A collector on loopback that can hang."""

    def __init__(self, *, is_hanging: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Collector)
        self.is_hanging = is_hanging
        self.released = threading.Event()
        self.spans: list[str] = []
        self.paths: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def collecting(*, is_hanging: bool = False) -> Iterator[Collector]:
    collector = Collector(is_hanging=is_hanging)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    try:
        yield collector
    finally:
        collector.released.set()
        collector.shutdown()
        collector.server_close()


def send(server: Live, url: str) -> None:
    """Send a message, and wait until its attempt is recorded."""
    app = server.call("POST", "/api/v1/app", {"name": "A"})[1]["id"]
    assert server.call("POST", f"/api/v1/app/{app}/endpoint", {"url": url})[0] == 201
    message = server.call("POST", f"/api/v1/app/{app}/msg", {"eventType": "a", "payload": {}})[1]["id"]
    while not server.call("GET", f"/api/v1/app/{app}/attempt/msg/{message}")[1]["data"]:
        pass


def test_a_server_exports_its_spans_before_it_ends(sqlite_url: str, tmp_path: Path) -> None:
    with (
        collecting() as collector,
        serving(sqlite_url, tmp_path, opentelemetry_address=collector.url, whitelist_subnets="[]") as server,
    ):
        send(server, "http://127.0.0.1:9")
        assert server.stop() == 0

    assert {"/v1/traces"} == collector.paths
    assert {"deliver", "POST /api/v1/app/{app_id}/msg", "POST /api/v1/app"} <= set(collector.spans)
    assert "exporting spans" not in server.log()


@pytest.mark.parametrize("trouble", ["down", "hanging"])
def test_a_collector_in_trouble_harms_neither_the_service_nor_its_end(
    sqlite_url: str, tmp_path: Path, trouble: str
) -> None:
    with collecting(is_hanging=trouble == "hanging") as collector:
        address = collector.url if trouble == "hanging" else "http://127.0.0.1:9"
        with serving(sqlite_url, tmp_path, opentelemetry_address=address, whitelist_subnets="[]") as server:
            for _ in range(3):
                send(server, "http://127.0.0.1:9")
            assert server.stop() == 0  # 1 would mean that it did not stop in order

    log = server.log()
    assert "stop.late" not in log
    assert "stopped  " in log
    assert log.count("exporting spans failed") <= 1
    assert [] == [line for line in log.splitlines() if "library" in line or "Traceback" in line]


def test_a_server_without_the_setting_does_not_load_the_library() -> None:
    code = (
        "import sys; from tidings.server import serving; from tidings.cli import commands;"
        "print(sorted(name for name in sys.modules if name.startswith(('opentelemetry', 'google', 'requests'))))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ended.stdout == "[]\n"


def test_a_missing_library_is_reported_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tidings.server.tracing")
    monkeypatch.setitem(sys.modules, "opentelemetry", None)

    with pytest.raises(
        ConfigError, match=r"^opentelemetry_address needs the extra otel: pip install 'tidings\[otel\]'$"
    ):
        asyncio.run(serve(Settings(opentelemetry_address="http://127.0.0.1:4318")))
