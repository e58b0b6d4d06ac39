# SPDX-License-Identifier: MIT
"""`tidings tasks` against a live server and against scripted servers."""

import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import live
from cli.command import SECONDS, tidings
from tidings.clock import SystemClock, rfc3339

TASK_ID = "qtask_" + "1" * 27


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Live]:
    folder: Path = tmp_path_factory.mktemp("tasks")
    with live.serving(f"sqlite:///{folder}/t.db", folder) as running:
        yield running


@pytest.fixture
def task_id(server: live.Live) -> str:
    """Give a task that ends at once because it has nothing to recover."""
    _, app = server.call("POST", "/api/v1/app", {"name": "A"})
    _, endpoint = server.call("POST", f"/api/v1/app/{app['id']}/endpoint", {"url": "http://127.0.0.1:9/"})
    path = f"/api/v1/app/{app['id']}/endpoint/{endpoint['id']}/recover"
    _, started = server.call("POST", path, {"since": rfc3339(SystemClock().now())})
    return str(started["id"])


def where(server: live.Live) -> dict[str, str]:
    return {"url": server.url, "token": server.token}


def test_watch_follows_a_task_to_its_end(server: live.Live, task_id: str, tmp_path: Path) -> None:
    result = tidings("tasks", "watch", task_id, folder=tmp_path, **where(server))

    assert 0 == result.code, result.err
    assert [f"{task_id} succeeded 0/0", "messagesSent 0"] == result.out.splitlines()[-2:]


def test_list_prints_a_line_for_each_task(server: live.Live, task_id: str, tmp_path: Path) -> None:
    result = tidings("tasks", "list", "--limit", "1", "--task", "endpoint.recover", folder=tmp_path, **where(server))

    assert [task_id, "endpoint.recover"] == result.out.splitlines()[0].split("\t")[:2]


def test_list_prints_nothing_if_no_task_matches(server: live.Live, task_id: str, tmp_path: Path) -> None:
    result = tidings("tasks", "list", "--status", "failed", folder=tmp_path, **where(server))

    assert (0, "") == (result.code, result.out)
    assert task_id not in result.out


def test_get_shows_a_task(server: live.Live, task_id: str, tmp_path: Path) -> None:
    result = tidings("tasks", "get", task_id, folder=tmp_path, **where(server))

    assert f"id        {task_id}" == result.out.splitlines()[0]


@pytest.mark.parametrize("command", ["list", "get", "watch"])
def test_the_json_of_the_server_can_be_printed(server: live.Live, task_id: str, tmp_path: Path, command: str) -> None:
    arguments = [] if command == "list" else [task_id]
    result = tidings("tasks", command, *arguments, "--json", folder=tmp_path, **where(server))

    last = json.loads(result.out.splitlines()[-1])
    assert task_id in ([each["id"] for each in last["data"]] if command == "list" else [last["id"]])


@pytest.mark.parametrize("command", ["list", "get", "watch"])
def test_a_terminal_gets_a_table_or_a_bar(server: live.Live, task_id: str, command: str) -> None:
    body = on_a_terminal("tasks", command, *([] if command == "list" else [task_id]), **where(server))

    assert task_id in body
    assert {"list": "━", "get": "status", "watch": "━"}[command] in body


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"token": ""}, "no token"),
        ({"token": "nonsense"}, "the server rejects the token"),
        ({"url": "nonsense"}, "the server URL is invalid"),
        ({"url": "http://127.0.0.1:1"}, "no server responds at http://127.0.0.1:1"),
    ],
)
def test_an_error_is_one_line(server: live.Live, tmp_path: Path, given: dict[str, str], message: str) -> None:
    result = tidings("tasks", "watch", TASK_ID, folder=tmp_path, **{**where(server), **given})

    assert (2, "") == (result.code, result.out)
    assert message in result.error_line


def test_an_unknown_task_is_reported_in_a_line(server: live.Live, tmp_path: Path) -> None:
    result = tidings("tasks", "get", TASK_ID, folder=tmp_path, **where(server))

    assert 2 == result.code
    assert "404" in result.error_line


def test_watch_ends_with_1_when_the_task_failed(tmp_path: Path) -> None:
    failed = a_task("failed", "failed", done=3, error={"code": "endpoint_deleted", "detail": "It was deleted."})
    with scripted([(200, a_task("running", "running", done=1)), (200, failed)]) as url:
        result = tidings("tasks", "watch", TASK_ID, folder=tmp_path, url=url, token="t")

    assert 1 == result.code
    assert [f"{TASK_ID} running 1/4", f"{TASK_ID} failed 3/4"] == result.out.splitlines()
    assert result.error_line.endswith("It was deleted.")


def test_watch_waits_for_an_unreachable_server(tmp_path: Path) -> None:
    away = (0, None)
    with scripted(
        [(200, a_task("running", "running", done=1)), away, away, (200, a_task("finished", "succeeded"))]
    ) as url:
        result = tidings("tasks", "watch", TASK_ID, folder=tmp_path, url=url, token="t")

    assert (0, "") == (result.code, result.err)


def test_watch_accepts_a_task_without_the_x_member(tmp_path: Path) -> None:
    task = a_task("finished", "succeeded")
    del task["x"]
    with scripted([(200, task)]) as url:
        result = tidings("tasks", "watch", TASK_ID, folder=tmp_path, url=url, token="t")

    assert (0, f"{TASK_ID} finished 0\n") == (result.code, result.out)


def test_a_response_that_is_not_json_is_reported_in_a_line(tmp_path: Path) -> None:
    with scripted([(502, None)]) as url:
        result = tidings("tasks", "list", folder=tmp_path, url=url, token="t")

    assert 2 == result.code
    assert "status 502" in result.error_line


def a_task(status: str, state: str, *, done: int = 4, error: object = None) -> dict[str, Any]:
    progress = {"done": done, "skipped": 0, "total": 4, "ratePerSecond": None, "etaSeconds": None}
    return {
        "id": TASK_ID,
        "task": "endpoint.recover",
        "status": status,
        "updatedAt": "2024-01-01T00:00:00Z",
        "data": {},
        "x": {"state": state, "progress": progress, "error": error},
    }


@contextmanager
def scripted(script: list[tuple[int, object]]) -> Iterator[str]:
    """Serve one scripted response per request; status 0 cuts the connection."""
    answers = iter(script)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = next(answers)
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"" if body is None else json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def on_a_terminal(*arguments: str, **settings: str) -> str:
    """Run a command whose output is a terminal; return the bytes that the terminal received."""
    ours, theirs = pty.openpty()
    environment = {**live.environment(settings), "TERM": "xterm", "COLUMNS": "160"}
    command = [sys.executable, "-m", "tidings", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, env=environment)
    os.close(theirs)
    body = b""
    try:
        while part := _read(ours):
            body += part
    finally:
        os.close(ours)
    assert 0 == process.wait(SECONDS)
    return body.decode(errors="replace")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other end is closed
        return b""
