# SPDX-License-Identifier: MIT
"""The C programs around the service: one sends, one receives; and a library that slows the disk. Built for each use."""

import contextlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM, SIGUSR1, SIGUSR2
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).resolve().parent
END_SECONDS = 60.0


SHIM = "slow.so"


def build(folder: Path) -> None:
    """Compile everything into a folder."""
    compiler = ["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra"]
    for name in ("load", "sink"):
        subprocess.run([*compiler, "-o", folder / name, HERE / f"{name}.c"], check=True)
    subprocess.run([*compiler, "-shared", "-fPIC", "-o", folder / SHIM, HERE / "slow.c", "-ldl"], check=True)


@contextlib.contextmanager
def slowed(folder: Path, microseconds: int) -> Iterator[dict[str, str]]:
    """Give the environment in which a program waits so much longer for the disk each time; empty for none.

    The library lies where any account can read it: PostgreSQL does not run as root.
    """
    if microseconds == 0:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="tidings-slow-") as made:
        place = Path(made)
        place.chmod(0o755)
        library = Path(shutil.copy(folder / SHIM, place))
        library.chmod(0o755)
        yield {"LD_PRELOAD": str(library), "SLOW_DISK_US": str(microseconds)}


class Sink:
    """The receiver. It never forgets what it has counted; waits are forgotten by `reset`.

    The last of its ports are those that hang; before them come those that answer 500.
    """

    def __init__(self, folder: Path, ports: int, *, hanging: int = 0, failing: int = 0) -> None:
        arguments = map(str, (ports + hanging + failing, hanging, failing))
        self._process = subprocess.Popen([folder / "sink", *arguments], stdout=subprocess.PIPE, text=True)
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
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        text = self._process.stdout.read()  # not by communicate(), which misses what came along with the line before
        if self._process.wait(self._limit) != 0:
            raise RuntimeError(f"the load program ended with {self._process.returncode}")
        result: dict[str, Any] = json.loads(text)
        return result

    def _expect(self, line: str) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        if self._process.stdout.readline().strip() != line:
            raise RuntimeError("the load program failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What the sender does: closed loop at rate 0, else so many requests a second, due at fixed times."""

    connections: int
    rate: float
    seconds: float
    warm_up: float
    paths: Sequence[str]
    body_bytes: int = 0
    batch: int = 1


@contextlib.contextmanager
def load(folder: Path, port: int, token_file: Path, traffic: Traffic) -> Iterator[Load]:
    """Run the sender against a service."""
    paths = folder / "paths"
    paths.write_text("".join(f"{path}\n" for path in traffic.paths))
    timing = (traffic.connections, traffic.rate, traffic.seconds, traffic.warm_up)
    arguments = map(str, (port, *timing, paths, token_file, traffic.body_bytes, traffic.batch))
    process = subprocess.Popen([folder / "load", *arguments], stdout=subprocess.PIPE, text=True)
    try:
        yield Load(process, END_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
