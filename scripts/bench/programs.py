# SPDX-License-Identifier: MIT
"""The C programs around the service: a sender, a receiver, and a library that slows the disk. Built on each use."""

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
    """Compile all programs into a folder."""
    compiler = ["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra"]
    for name in ("load", "sink"):
        subprocess.run([*compiler, "-o", folder / name, HERE / f"{name}.c"], check=True)
    subprocess.run([*compiler, "-shared", "-fPIC", "-o", folder / SHIM, HERE / "slow.c", "-ldl"], check=True)


@contextlib.contextmanager
def slowed(folder: Path, microseconds: int) -> Iterator[dict[str, str]]:
    """Return the environment that adds a delay to each disk sync of a program; empty without a delay.

    The library is in a folder that any account can read, because PostgreSQL does not run as root.
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
    """The receiver. Its counts are cumulative; `reset` clears its latencies.

    The last of its ports hang; the ports before them respond with 500.
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
        """Clear the latencies."""
        self._process.send_signal(SIGUSR1)

    def figures(self) -> dict[str, Any]:
        """Return the counts since the start and the latencies since the last reset."""
        self._process.send_signal(SIGUSR2)
        return self._line()

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - the pipe was requested
        line: dict[str, Any] = json.loads(self._process.stdout.readline())
        return line


class Load:
    """The running sender: warm-up, then the measured seconds, then its result."""

    def __init__(self, process: "subprocess.Popen[str]", limit: float) -> None:
        self._process = process
        self._limit = limit

    def warmed_up(self) -> None:
        """Wait until the warm-up has ended."""
        self._expect("measuring")

    def measured(self) -> None:
        """Wait until the measured seconds have ended."""
        self._expect("measured")

    def result(self) -> dict[str, Any]:
        """Return the figures once every request has its response."""
        assert self._process.stdout is not None  # noqa: S101 - the pipe was requested
        text = (
            self._process.stdout.read()
        )  # not communicate(), which misses data that was read together with the last line
        if self._process.wait(self._limit) != 0:
            raise RuntimeError(f"the load program ended with {self._process.returncode}")
        result: dict[str, Any] = json.loads(text)
        return result

    def _expect(self, line: str) -> None:
        assert self._process.stdout is not None  # noqa: S101 - the pipe was requested
        if self._process.stdout.readline().strip() != line:
            raise RuntimeError("the load program failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The sender's load: a closed loop at rate 0, else this many requests per second, due at fixed times."""

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
