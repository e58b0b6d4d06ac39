# SPDX-License-Identifier: MIT
"""`tidings status` against a live server and against a database, on a terminal and elsewhere."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import live
from cli.command import tidings


def _on_a_terminal(url: str, columns: int) -> list[str]:
    """Return what a terminal of this width shows, without colors."""
    outer, inner = pty.openpty()
    variables = {**live.environment({}), "COLUMNS": str(columns), "TERM": "dumb", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "tidings", "status", "--db", url]
    with subprocess.Popen(command, stdout=inner, env=variables) as running:
        os.close(inner)
        shown = b""
        while part := _read(outer):
            shown += part
    os.close(outer)
    assert 1 == running.returncode
    return shown.decode().splitlines()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other end is closed
        return b""


def test_the_status_of_a_running_server_is_shown_and_is_the_exit_code(sqlite_url: str, tmp_path: Path) -> None:
    with live.serving(sqlite_url, tmp_path) as server:
        where = {"url": server.url, "token": server.token}
        _, app = server.call("POST", "/api/v1/app", {"name": "Acme [bold]"})
        path = f"/api/v1/app/{app['id']}/endpoint"
        _, endpoint = server.call("POST", path, {"url": "http://127.0.0.1:9/"})
        healthy = tidings("status", folder=tmp_path, **where)
        raw = tidings("status", "--json", folder=tmp_path, **where)
        owned = tidings("status", "--db", sqlite_url, folder=tmp_path)
        _, started = server.call("GET", "/api/v1/status")

    assert (0, "Healthy.") == (healthy.code, healthy.out.splitlines()[0]), healthy.err
    assert "endpoints   1 healthy, 0 failing, 0 unreachable, 0 disabled" in healthy.out.splitlines()
    assert started.keys() == json.loads(raw.out).keys()
    assert 2 == owned.code
    assert "in use by another process" in owned.error_line
    _make_unreachable(sqlite_url, endpoint["id"])
    stopped = tidings("status", "--db", sqlite_url, folder=tmp_path)
    assert 1 == stopped.code
    assert "No node is running; 1 endpoint needs attention." == stopped.out.splitlines()[0]
    row = next(line for line in stopped.out.splitlines() if line.startswith("endpoint\t"))
    assert [endpoint["id"], "unreachable"] == row.split("\t")[1:3]
    for columns in (80, 200):
        lines = _on_a_terminal(sqlite_url, columns)
        assert max(map(len, lines)) <= columns
        assert any(endpoint["id"] in line for line in lines)
        assert any("Acme [bold]" in line for line in lines)


def _make_unreachable(url: str, endpoint: str) -> None:
    import sqlite3  # noqa: PLC0415 - the service is stopped: the test changes its file

    with sqlite3.connect(url.removeprefix("sqlite:///")) as file:
        file.execute("UPDATE endpoint SET unreachable_since = 1 WHERE id = ?", (endpoint,))
    file.close()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--url", "http://127.0.0.1:9", "--token", "x"), "no server responds"),
        (("--db", "sqlite:///absent.db"), "absent.db does not exist"),
        (("--db", "mysql://x"), "db_dsn must start with"),
    ],
)
def test_a_status_that_cannot_be_read_exits_with_2(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    result = tidings("status", *arguments, folder=tmp_path)

    assert 2 == result.code
    assert says in result.error_line
    assert not list(tmp_path.iterdir())
