# SPDX-License-Identifier: MIT
"""The two C programs around the service: one sends, one receives. Both are built anew for each use."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from signal import SIGTERM, SIGUSR1, SIGUSR2
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).resolve().parent
END_SECONDS = 60.0


def build(folder: Path) -> None:
    """Compile both programs into a folder."""
    for name in ("load", "sink"):
        subprocess.run(
            ["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", folder / name, HERE / f"{name}.c"], check=True
        )


class Sink:
    """The receiver. It never forgets what it has counted; waits are forgotten by `reset`."""

    def __init__(self, folder: Path, ports: int) -> None:
        self._process = subprocess.Popen([folder / "sink", str(ports)], stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid
        self.ports: list[int] = self._line()["ports"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.send_signal(SIGTERM)
        self._process.communicate(timeout=END_SECONDS)

    def reset(self) -> None:
        """Measure waits from here on."""
        self._process.send_signal(SIGUSR1)

    def figures(self) -> dict[str, Any]:
        """Return counts since the start and waits since the last reset."""
        self._process.send_signal(SIGUSR2)
        return self._line()

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        line: dict[str, Any] = json.loads(self._process.stdout.readline())
        return line


class Load:
    """The sender, while it runs: warm-up, then the seconds that count, then its result."""

    def __init__(self, process: "subprocess.Popen[str]", limit: float) -> None:
        self._process = process
        self._limit = limit

    def warmed_up(self) -> None:
        """Wait for the end of the warm-up."""
        self._expect("measuring")

    def measured(self) -> None:
        """Wait for the end of the seconds that count."""
        self._expect("measured")

    def result(self) -> dict[str, Any]:
        """Return the figures, once every message has been answered."""
        text, _ = self._process.communicate(timeout=self._limit)
        result: dict[str, Any] = json.loads(text)
        return result

    def _expect(self, line: str) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        if self._process.stdout.readline().strip() != line:
            raise RuntimeError("the load program failed")


@contextlib.contextmanager
def load(folder: Path, *arguments: object) -> Iterator[Load]:
    """Run the sender: port, connections, rate, seconds, warm-up, path, token file."""
    process = subprocess.Popen([folder / "load", *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    try:
        yield Load(process, END_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
