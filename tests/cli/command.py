# SPDX-License-Identifier: MIT
"""Run the command line as a user does."""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forked import Program
from live import environment

SECONDS = 60


@dataclass(frozen=True)
class CommandResult:
    """The output and the exit code of a command."""

    code: int
    out: str
    err: str

    @property
    def error_line(self) -> str:
        """The one line that a command prints when it cannot run."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        if lines[0].startswith("{"):  # in production the log is JSON
            return str(json.loads(lines[0])["error"])
        assert lines[0].startswith("tidings: ")
        return lines[0].removeprefix("tidings: ")


def tidings(*arguments: str, folder: Path, **settings: Any) -> CommandResult:
    """Run `tidings` to its end in a folder, with only these settings."""
    return run_in(environment(settings), *arguments, folder=folder)


def run_in(variables: dict[str, str], *arguments: str, folder: Path) -> CommandResult:
    """Run `tidings` to its end in a folder, with exactly these variables."""
    with tempfile.TemporaryDirectory() as folder_:
        out, err = Path(folder_, "out"), Path(folder_, "err")
        program = Program(arguments, folder=folder, environment=variables, out=out, err=err)
        try:
            code = program.wait(SECONDS)
        finally:
            program.kill()
        return CommandResult(code, out.read_text(), err.read_text())


def run_module(*arguments: str, folder: Path) -> CommandResult:
    """Run `python -m tidings` to its end: it imports the package itself, and looks for modules in the folder first."""
    ran = subprocess.run(
        [sys.executable, "-m", "tidings", *arguments],
        cwd=folder,
        env=environment({}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return CommandResult(ran.returncode, ran.stdout, ran.stderr)
