# SPDX-License-Identifier: MIT
"""Resolve names with the system's resolver, in dedicated threads.

The event loop's default executor has four threads for the whole process and an unbounded queue. A few names whose DNS
servers do not answer would block all others for half a minute at a time. Here the queue is bounded, and a name whose
last lookup was slow goes to a separate lane with two threads, so it delays only other slow names.

The threads are daemons: a lookup cannot be canceled, and a process that stops does not wait for one.
"""

import asyncio
import contextlib
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from time import monotonic
from typing import Final

from tidings.delivery.address import UnresolvedError

QUICK_THREADS: Final = 6
SLOW_THREADS: Final = 2
SLOW_SECONDS: Final = 1.0
MAX_WAITING: Final = 1_000
SLOW_NAMES_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Job:
    host: str
    answer: "asyncio.Future[list[str]]"
    lane: "_Lane"


@dataclass(slots=True)
class _Lane:
    """A queue and its threads, which start on demand."""

    max_threads: int
    jobs: SimpleQueue[_Job | None] = field(default_factory=SimpleQueue)
    threads: int = 0
    open_jobs: int = 0


def system_addresses(host: str) -> list[str]:
    """Return all addresses of a host from the system's resolver; blocks."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


class SystemResolver:
    """The system's resolver in threads, for one event loop."""

    def __init__(
        self, ask: Callable[[str], list[str]] = system_addresses, now: Callable[[], float] = monotonic
    ) -> None:
        self._ask = ask
        self._now = now
        self._quick = _Lane(QUICK_THREADS)
        self._slow = _Lane(SLOW_THREADS)
        self._slow_names: OrderedDict[str, None] = OrderedDict()
        self._is_closed = False

    async def look_up(self, host: str) -> list[str]:
        """Return all addresses of a host.

        Raises OSError if the lookup fails, ValueError for an invalid name, UnresolvedError if the queue is full.
        """
        lane = self._slow if host in self._slow_names else self._quick
        if self._is_closed or lane.open_jobs >= MAX_WAITING:
            raise UnresolvedError(f"error resolving name: {host}: too many names are being looked up")
        answer: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        lane.open_jobs += 1
        lane.jobs.put(_Job(host, answer, lane))
        if lane.threads < min(lane.open_jobs, lane.max_threads):
            lane.threads += 1
            threading.Thread(target=self._run, args=(lane,), name="lookup", daemon=True).start()
        return await answer

    def close(self) -> None:
        """End each thread after its current lookup."""
        self._is_closed = True
        for lane in (self._quick, self._slow):
            for _ in range(lane.threads):
                lane.jobs.put(None)

    def _run(self, lane: _Lane) -> None:
        """Resolve names from the lane's queue until it holds None; runs in a thread."""
        while (job := lane.jobs.get()) is not None:
            began = self._now()
            found = [] if self._is_closed else self._resolve(job.host)
            with contextlib.suppress(RuntimeError):  # the loop is closed, so no caller waits for the result
                job.answer.get_loop().call_soon_threadsafe(self._report, job, found, self._now() - began)

    def _resolve(self, host: str) -> list[str] | Exception:
        try:
            return self._ask(host)
        except Exception as error:  # noqa: BLE001 - raised in the task that awaits the answer
            return error

    def _report(self, job: _Job, found: list[str] | Exception, seconds: float) -> None:
        job.lane.open_jobs -= 1
        self._slow_names.pop(job.host, None)
        if seconds >= SLOW_SECONDS:
            self._slow_names[job.host] = None
            if len(self._slow_names) > SLOW_NAMES_KEPT:
                self._slow_names.popitem(last=False)
        if job.answer.done():
            return
        if isinstance(found, Exception):
            job.answer.set_exception(found)
        else:
            job.answer.set_result(found)
