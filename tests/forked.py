# SPDX-License-Identifier: MIT
"""The `tidings` command in separate processes, forked from one that has already imported the package.

The import takes a third of a second of CPU, ten times as much as most commands. Each command still has its own process,
folder, environment, output and exit code. The tests of the help texts, of the demo and of terminal output start `python
-m tidings` itself.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing import forkserver
from pathlib import Path

from tidings.cli.main import main

_HERE = str(Path(__file__).parent)
_STARTING = threading.Lock()


class Program:
    """A running command, with the part of the interface of `subprocess.Popen` that tests use."""

    def __init__(
        self, arguments: Sequence[str], *, folder: Path, environment: dict[str, str], out: Path, err: Path
    ) -> None:
        """The process appends to `out` and `err`; both may be one file."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["preloaded"])
        _start_forkserver()
        files = (os.devnull, str(out), str(err))
        self._process = context.Process(
            target=_run, args=(list(arguments), str(folder), environment, files), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("tidings", timeout or 0.0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _start_forkserver() -> None:
    """Start the process that commands are forked from, unless it runs. It finds its modules by PYTHONPATH alone."""
    with _STARTING:  # servers are started in threads, which share the environment
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([_HERE, *([before] if before else [])])
        try:
            forkserver.ensure_running()
        finally:
            del os.environ["PYTHONPATH"]
            if before is not None:
                os.environ["PYTHONPATH"] = before


def _run(arguments: list[str], folder: str, environment: dict[str, str], files: Sequence[str]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, file in enumerate(files):
        opened = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.argv = ["tidings", *arguments]
    main()
