# SPDX-License-Identifier: MIT
"""The pool of child processes that run scripts: started when it is needed, closed when it is idle.

`Sandbox.start` takes a run and reports its result to a callback. A process that ends during a run, for no fault of the
script that is known, is replaced, and the run is repeated once: a run has no effect but its result.
"""

import asyncio
import importlib.util
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from tidings import observe
from tidings.logs import log
from tidings.model.transformation import Script, ScriptError, ScriptFault, Transformed, Webhook, checked
from tidings.sandbox.frames import ReplyStatus
from tidings.sandbox.process import Limits, ProcessReply, SandboxProcess
from tidings.sandbox.requests import Request, Returned, compile_request, result_of, run_request
from tidings.sandbox.run_queues import Result, RunQueues, ScriptRun

_PAUSE_SECONDS: Final = 1.0
"""The pause after a process that did not start."""
_COSTLY: Final = frozenset((ReplyStatus.EXPIRED, ReplyStatus.EXHAUSTED))
MISSING: Final = "Transformations are not installed. Install tidings with the extra `transformations`."


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """The settings of a pool."""

    limits: Limits = field(default_factory=Limits)
    processes: int = 2
    idle_seconds: float = 60.0
    https_only: bool = False
    """Whether scripts may return https URLs only."""
    waiting_per_key: int = 16
    """Runs of one caller that may wait, beside those of deliveries, which are bounded in memory."""


class SandboxBusy(Exception):
    """No process was free in time, or too many runs of one caller wait."""


@cache
def is_installed() -> bool:
    """Return whether the extra with the interpreter is installed. A search of the module path takes a millisecond."""
    return importlib.util.find_spec("_quickjs") is not None


class Sandbox:
    """Runs scripts in child processes. It is bound to the event loop on which `start` is called."""

    def __init__(self, options: SandboxOptions = SandboxOptions()) -> None:
        self._options = options
        self._queues = RunQueues()
        self._tasks: dict[SandboxProcess, asyncio.Task[None]] = {}
        self._idle: list[SandboxProcess] = []
        self._running: dict[SandboxProcess, deque[ScriptRun]] = {}
        """The runs of one key that each busy process has, in order: the first one runs, and the others follow it."""
        self._number = 0
        self._starts_at = 0.0
        """The time before which no process is started, because the last one failed to."""
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at: float | None = None
        """When the timer starts the next run or process."""
        self._closing: asyncio.TimerHandle | None = None
        self._is_closed = False
        self.way: str | None = None
        """How the latest child is isolated; None before the first one."""

    @property
    def processes(self) -> list[int]:
        """The ids of the running processes."""
        return [process.pid for process in self._tasks if process.pid is not None]

    @property
    def running(self) -> int:
        """The number of scripts that run."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """The number of scripts that wait for a process, or behind another one in it."""
        behind = sum(len(runs) for runs in self._running.values()) - len(self._running)
        return self._queues.total + behind

    def start(self, key: str, request: Request, latest: float, done: Callable[[Result], None]) -> ScriptRun:
        """Run a script as soon as a process is free, at the latest at a time of the event loop's clock.

        `key` shares the processes fairly: one run of each key at a time. `done` is called once, after this call has
        returned, unless the run is canceled.
        """
        loop = asyncio.get_running_loop()
        run = ScriptRun(key, request, latest, done, self._queues.remove)
        if self._is_closed:
            loop.call_soon(run.finish, None)
            return run
        self._queues.add(run, loop.time())
        self._pump()
        if not run.has_begun:
            run.wait(loop.call_at(latest, run.finish, None).cancel)
        return run

    async def compile(self, key: str, code: str, *, seconds: float = 10.0) -> None:
        """Check that a script compiles and declares `handler`. Raises `ScriptError` or `SandboxBusy`."""
        await self._result(key, compile_request(code), seconds)

    async def run(self, key: str, script: Script, webhook: Webhook, *, seconds: float = 10.0) -> Transformed:
        """Return the request that a script makes of a webhook. Raises `ScriptError` or `SandboxBusy`.

        `seconds` is the longest wait for a process.
        """
        returned = await self._result(key, run_request(script, webhook), seconds)
        return self.checked(returned, webhook)

    def checked(self, returned: Returned, webhook: Webhook) -> Transformed:
        """Return the request of a finished run. Raises `ScriptError` for a value that a caller could not give."""
        payload = webhook.payload if returned.payload is None else returned.payload
        return checked(returned.values, webhook, payload, https_only=self._options.https_only)

    async def _result(self, key: str, request: Request, seconds: float) -> Returned:
        if not is_installed():
            raise ScriptError(MISSING, fault=ScriptFault.OTHER)
        if self._queues.waiting(key) >= self._options.waiting_per_key:
            raise SandboxBusy
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        run = self.start(key, request, loop.time() + seconds, future.set_result)
        try:
            result = await future
        finally:
            run.cancel()
        if result is None:
            raise SandboxBusy
        if isinstance(result, ScriptError):
            raise result
        return result

    async def close(self) -> None:
        """End all processes. Waiting runs get no process; the results of the others are dropped."""
        self._is_closed = True
        for run in self._queues.take_all():
            run.finish(None)
        await self._close_processes()

    # The pool of processes ------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Start runs while processes are idle; start a process if runs wait for one."""
        loop = asyncio.get_running_loop()
        while self._idle and (runs := self._queues.next(loop.time())):
            self._begin(self._idle.pop(), runs)
        starting = len(self._tasks) - len(self._running) - len(self._idle)
        next_at = self._queues.unblocked_at
        if self._queues.ready > starting and len(self._tasks) < self._options.processes and not self._is_closed:
            if loop.time() >= self._starts_at:
                self._start_process()
            else:
                next_at = self._starts_at if next_at is None else min(next_at, self._starts_at)
        if next_at is not None and next_at != self._wakes_at:
            self._wake_at(next_at)

    def _begin(self, process: SandboxProcess, runs: list[ScriptRun]) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        self._running.setdefault(process, deque()).extend(runs)
        first = self._number + 1
        self._number += len(runs)
        for run in runs:
            run.begin()
        process.send((first + at, run.request) for at, run in enumerate(runs))

    def _wake_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wakes_at = when
        self._timer = asyncio.get_running_loop().call_at(when, self._wake)

    def _wake(self) -> None:
        self._wakes_at = None
        self._pump()

    def _start_process(self) -> None:
        observe.count("sandbox.started")
        process = SandboxProcess(self, self._options.limits, _paths())
        self._tasks[process] = asyncio.create_task(process.live())

    def process_ready(self, process: SandboxProcess) -> None:
        """Take a process that has started."""
        if process.way != self.way:
            self.way = process.way
            write = log.info if process.way == "seccomp" else log.warning
            write("sandbox.started", "the sandbox of scripts runs", isolation=process.way)
        self._release(process)

    def process_replied(self, process: SandboxProcess, reply: ProcessReply) -> None:
        """Take the result of the first run of a process."""
        runs = self._running[process]
        run = runs.popleft()
        now = asyncio.get_running_loop().time()
        self._queues.record(run.key, now, is_costly=reply.status in _COSTLY, microseconds=reply.microseconds)
        if reply.status == ReplyStatus.EXHAUSTED:
            process.end_exhausted()
        elif more := self._queues.more(run.key, len(runs)):
            self._begin(process, more)
        if not runs:
            del self._running[process]
            self._queues.finished(run.key, now)
            if not process.is_exhausted:
                self._release(process)
        run.finish(result_of(reply.status, reply.head, reply.payload))

    def process_ended(self, process: SandboxProcess, error: Exception | None) -> None:
        """Replace a process that has ended; its run is repeated once, unless it took too long."""
        self._tasks.pop(process, None)
        is_wanted = process in self._idle or process in self._running
        if process in self._idle:
            self._idle.remove(process)
        if self._is_closed:
            return
        if process.is_late or process.is_exhausted or is_wanted:
            observe.count(f"sandbox.{'late' if process.is_late else 'memory' if process.is_exhausted else 'ended'}")
        if error is not None:
            observe.failure("starting a process for scripts", error)
            self._starts_at = asyncio.get_running_loop().time() + _PAUSE_SECONDS
        runs = self._running.pop(process, None)
        if runs:
            self._end_runs(process, runs)
        self._pump()

    def _end_runs(self, process: SandboxProcess, runs: deque[ScriptRun]) -> None:
        """End the run during which a process ended, or repeat it, and repeat those behind it."""
        loop, first = asyncio.get_running_loop(), runs[0]
        is_ended = not process.is_exhausted and (process.is_late or first.is_repeated or first.is_ended)
        if is_ended:
            runs.popleft()
            self._queues.record(first.key, loop.time(), is_costly=True, microseconds=0)
        elif not process.is_exhausted:
            first.is_repeated = True
        again = [run for run in runs if not run.is_ended]
        for run in again:
            run.wait(loop.call_at(run.latest, run.finish, None).cancel)
        self._queues.repeat(again, first.key)
        self._queues.finished(first.key, loop.time())
        if is_ended:
            first.finish(self._ended_text(process))

    def _ended_text(self, process: SandboxProcess) -> ScriptError:
        if not process.is_late:
            return ScriptError("the process of the script ended while it ran", fault=ScriptFault.CRASH)
        milliseconds = round(self._options.limits.time_seconds * 1_000)
        return ScriptError(f"the script took longer than {milliseconds} ms", fault=ScriptFault.TIMEOUT)

    def _release(self, process: SandboxProcess) -> None:
        self._idle.append(process)
        self._pump()
        if not self._running and self._closing is None and not self._is_closed:
            loop = asyncio.get_running_loop()
            self._closing = loop.call_later(self._options.idle_seconds, self._close_idle)

    def _close_idle(self) -> None:
        self._closing = None
        for process in self._idle:
            process.kill()
        self._idle.clear()

    async def _close_processes(self) -> None:
        for timer in (self._timer, self._closing):
            if timer is not None:
                timer.cancel()
        for process in self._tasks:
            process.kill()
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))


def _paths() -> list[str]:
    """Return where a child finds this package, and the interpreter of the extra."""
    spec = importlib.util.find_spec("_quickjs")
    if spec is None or spec.origin is None:
        raise ScriptError(MISSING, fault=ScriptFault.OTHER)
    return [str(Path(__file__).parents[2]), str(Path(spec.origin).parent)]
