# SPDX-License-Identifier: MIT
"""The machine of the measurements, and the resources that each process used."""

import hashlib
import os
import platform
import statistics
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import psutil

from python_build import build

LOOPS = 150
SYNCS = 200
PAGE = bytes(4096)


def described(folder: Path) -> dict[str, str]:
    """Describe this machine, including the sync latency of the disk that will hold the databases."""
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": _processor(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "python": build(),
        "fdatasync": f"{sync_us(folder):.0f} us (median of {SYNCS})",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def sync_us(folder: Path) -> float:
    """Return the time to sync one page to the disk, in microseconds."""
    path = folder / "sync"
    handle = os.open(path, os.O_CREAT | os.O_WRONLY)
    waits = []
    for _ in range(SYNCS):
        os.write(handle, PAGE)
        began = time.perf_counter()
        os.fdatasync(handle)
        waits.append(time.perf_counter() - began)
    os.close(handle)
    path.unlink()
    return statistics.median(waits) * 1e6


def calibration_ms() -> float:
    """Return the duration of a fixed piece of work, which shows the effect of other load or of a slow clock."""
    data = bytes(100_000)
    began = time.perf_counter()
    for _ in range(LOOPS):
        hashlib.sha256(data, usedforsecurity=False).digest()
    return (time.perf_counter() - began) * 1e3


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time of processes and of all their children, including those that have exited."""
    total = 0.0
    for pid in pids:
        root = psutil.Process(pid)
        times = root.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
        for child in root.children(recursive=True):
            try:
                used = child.cpu_times()
            except psutil.NoSuchProcess:  # the parent's total includes it from now on
                continue
            total += used.user + used.system
    return total


def busy_seconds() -> float:
    """Return the CPU time used on this machine since boot."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def wake_ups(pid: int) -> int:
    """Return how often the threads of a process have slept and been woken."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    return float(psutil.Process(pid).memory_info().rss / 2**20)


class Memory:
    """Samples the resident memory of a process for the length of a block."""

    def __init__(self, pid: int, every: float = 0.5) -> None:
        self.samples: list[float] = []
        """Samples in MB."""
        self._pid = pid
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(self._every):
            self.samples.append(rss_mb(self._pid))

    def figures(self) -> dict[str, float]:
        """Return the maximum, and the levels in the second and in the last fifth of the time."""
        fifth = max(1, len(self.samples) // 5)
        return {
            "rss_most": max(self.samples),
            "rss_early": statistics.median(self.samples[fifth : 2 * fifth] or self.samples),
            "rss_late": statistics.median(self.samples[-fifth:]),
        }
