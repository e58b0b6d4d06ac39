# SPDX-License-Identifier: MIT
"""The calls that containers and scripts repeat do not load the command line or the service."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.command import run_module
from live import environment

PROGRAM = """
import sys
from tidings.cli.main import main
code = 0
try:
    main()
except SystemExit as end:
    code = end.code
print(code, *sorted({name.partition(".")[0] for name in sys.modules}))
"""
SERVICE = {"asyncpg", "can_ada", "cryptography", "httptools", "jwt", "sqlite3", "starlette", "uvicorn"}
HEAVY = SERVICE | {"asyncio", "msgspec", "pydantic", "rich", "typer", "uvloop"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--version"], "0"), (["healthcheck", "http://127.0.0.1:1"], "1"), (["healthcheck", "no url"], "2")],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_quick_command_loads_no_heavy_module(arguments: list[str], code: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=tmp_path,
        env=environment({}),
        capture_output=True,
        text=True,
        check=True,
    )

    exit_code, *modules = ran.stdout.splitlines()[-1].split()
    assert code == exit_code
    assert set() == HEAVY & set(modules)


def test_a_command_that_calls_a_server_does_not_load_the_service(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, "tasks", "list", "--url", "http://127.0.0.1:1", "--token", "t"],
        cwd=tmp_path,
        env=environment({}),
        capture_output=True,
        text=True,
        check=True,
    )

    exit_code, *modules = ran.stdout.splitlines()[-1].split()
    assert "2" == exit_code
    assert set() == SERVICE & set(modules)


def test_the_version_is_an_option_of_the_command_line_too(tmp_path: Path) -> None:
    alone, among_others = run_module("--version", folder=tmp_path), run_module("--version", "serve", folder=tmp_path)

    assert (0, alone.out) == (among_others.code, among_others.out)


@pytest.mark.parametrize("command", [["--help"], ["serve", "--help"], ["tasks", "list", "--help"]], ids=" ".join)
def test_the_help_shows_no_type_beside_a_flag(command: list[str], tmp_path: Path) -> None:
    shown = run_module(*command, folder=tmp_path)

    assert 0 == shown.code
    assert "--help" in shown.out
    assert "bool" not in shown.out


@pytest.mark.parametrize("command", [["tasks", "list"], ["tasks", "run", "recover"], ["prune"]], ids=" ".join)
def test_the_help_names_the_value_of_each_option(command: list[str], tmp_path: Path) -> None:
    shown = run_module(*command, "--help", folder=tmp_path)

    assert 0 == shown.code
    assert not re.search(r"--[a-z-]+ +<(str|int|list)", shown.out), shown.out
