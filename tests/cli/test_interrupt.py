# SPDX-License-Identifier: MIT
"""Ctrl-C before a command has begun ends it without a word."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from live import SECRET, environment, free_port

PROGRAM = """
import os, signal, sys

awaited = sys.argv.pop(1)

class Interrupting:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == awaited:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting)
from tidings.cli.main import main
main()
"""
"""Runs the command line, and gets SIGINT at the import of the module that the first argument names."""


def interrupted(module: str, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    given = environment({"jwt_secret": SECRET, "db_dsn": "sqlite:///t.db"})
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, module, *command],
        cwd=folder,
        env=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("module", ["typer", "tidings.cli.tasks", "tidings.server.node"])
def test_a_server_that_is_interrupted_while_it_loads_ends_quietly(module: str, tmp_path: Path) -> None:
    ran = interrupted(module, tmp_path, "serve", "--listen", f"127.0.0.1:{free_port()}")

    assert (130, "", "") == (ran.returncode, ran.stdout, ran.stderr)
    assert [] == list(tmp_path.iterdir())


def test_a_check_of_health_that_is_interrupted_while_it_loads_ends_quietly(tmp_path: Path) -> None:
    ran = interrupted("http.client", tmp_path, "healthcheck", "http://127.0.0.1:1")

    assert (130, "", "") == (ran.returncode, ran.stdout, ran.stderr)


def test_a_command_that_ignores_ctrl_c_goes_on(tmp_path: Path) -> None:
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command inherits it
    try:
        ran = interrupted("http.client", tmp_path, "healthcheck", "no url")
    finally:
        signal.signal(signal.SIGINT, ignored)

    assert 2 == ran.returncode
