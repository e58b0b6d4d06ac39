# SPDX-License-Identifier: MIT
"""`tidings serve --workers N`: starts N whole processes of the service, replaces those that end, and stops them.

The supervisor holds the listening sockets and accepts nothing itself. Each worker is a new process (never a fork of
this one), which inherits its socket and the settings divided by N. A worker that ends is replaced. On SIGHUP the
workers are replaced one at a time with the current configuration, each new one before the old one stops, so no
connection is refused. On SIGTERM all stop. If the supervisor itself is killed, the workers notice and stop.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Final

from tidings.clock import SystemClock
from tidings.logs import log
from tidings.process.lines import LineTaker
from tidings.process.reports import StopReport, log_start
from tidings.process.stopping import MARGIN_SECONDS, SIGNALS
from tidings.process.worker import NO_LISTENER, READY, STOP, UNAVAILABLE, Worker
from tidings.settings import ConfigError, Settings

_FAILED_MAX: Final = 3
_FAILED_SECONDS: Final = 10.0
"""The service ends if replacements fail to start `_FAILED_MAX` times within this time: the cause is permanent."""
_REPLACE_SECONDS: Final = 60.0
"""How long a replacement on SIGHUP may take to become ready, before the old worker is kept."""
_PAUSE_SECONDS: Final = 0.5
_OUTAGE_PAUSE_SECONDS: Final = 2.0
"""The pause between two starts while the database is unavailable: each costs half a second of CPU time."""
_FAILED: Final = 1
_LINE_MAX: Final = 1 << 20
"""Bytes of one line that a worker may send; a worker that sends more is not read any longer."""
_READ_BYTES: Final = 1 << 16
_LAST_SECONDS: Final = 1.0
"""How long to read the last lines of a process that has ended."""


class StartFailed(Exception):
    """A worker ended before it was ready. `code` is its exit code; the reason has been reported.

    `is_outage` means that the database was unavailable: a later start may succeed.
    """

    def __init__(self, code: int, *, is_outage: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.is_outage = is_outage


class _Process:
    """One worker process."""

    def __init__(self, index: int, process: asyncio.subprocess.Process, channel: socket.socket) -> None:
        self.index = index
        self._process = process
        self._channel = channel
        self._reading: asyncio.Task[None] | None = None
        self._ended = asyncio.ensure_future(process.wait())

    @property
    def pid(self) -> int:
        return self._process.pid

    def on_end(self, call: Callable[[], object]) -> None:
        """Register a call for the time when the process has ended."""
        self._ended.add_done_callback(lambda _: call())

    async def report(self) -> bytes:
        """Wait until the worker reports that it is ready, or why it ends; return nothing if it ends without a word."""
        return await asyncio.get_running_loop().sock_recv(self._channel, len(READY))

    def read_lines(self, taker: LineTaker) -> None:
        """Pass on the lines that the process sends, and then its end."""
        self._reading = asyncio.create_task(self._read_lines(taker))

    async def _read_lines(self, taker: LineTaker) -> None:
        rest = b""
        try:
            while data := await asyncio.get_running_loop().sock_recv(self._channel, _READ_BYTES):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    taker.take(self.pid, line)
                if len(rest) > _LINE_MAX:
                    return
        except OSError:
            pass  # the channel ends with the process
        finally:
            taker.ended(self.pid)

    async def ended(self) -> int:
        """Wait until the process has ended; return its exit code, or minus the number of the signal that ended it."""
        code = await asyncio.shield(self._ended)
        if self._reading is not None:
            await asyncio.wait([self._reading], timeout=_LAST_SECONDS)
            self._reading.cancel()
            await asyncio.wait([self._reading])
        self._channel.close()
        return code

    def kill(self) -> None:
        """End the process immediately, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def stop(self, grace: float) -> None:
        """Stop the process within its grace; kill it afterwards.

        The request goes through the channel. A signal would be the second one for a worker that a service manager has
        signaled as well, and a second signal ends a process without an orderly shutdown.
        """
        with contextlib.suppress(OSError):
            self._channel.send(STOP)
        try:
            await asyncio.wait_for(self.ended(), grace)
        except TimeoutError:
            log.warning("worker.killed", "a worker did not stop in time and is killed", which=self.index + 1)
            self.kill()
            await self.ended()


class Supervisor:
    """The workers of one `serve`.

    `command` are the arguments of the program for each worker. `reload` reads the configuration again and raises
    `ConfigError` if it is invalid.
    """

    def __init__(
        self,
        settings: Settings,
        command: Sequence[str],
        listeners: Sequence[socket.socket],
        reload: Callable[[], Settings],
        lines: LineTaker | None = None,
    ) -> None:
        self._count = settings.worker_count
        self._settings = settings
        self._command = command
        self._listeners = listeners
        self._reload = reload
        self._lines = lines
        self._workers: dict[int, _Process] = {}
        self._running: set[_Process] = set()
        """All processes that have not ended: the workers, those that start, and those that stop."""
        self._slots = [asyncio.Lock() for _ in range(self._count)]
        """Held while a process starts: two must not be started for one place."""
        self._failed: deque[float] = deque(maxlen=_FAILED_MAX)
        self._stop = asyncio.Event()
        self._started = asyncio.Event()
        """Whether all workers have been ready."""
        self._replacing: asyncio.Task[None] | None = None
        self._reload_requested = False
        self._report: StopReport | None = None

    async def run(self) -> int:
        """Run the workers until SIGTERM or SIGINT; return the exit code of the service."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._on_stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_reload)
        if self._lines is not None:
            self._lines.start()
        try:
            return await self._supervise()
        finally:
            loop.add_signal_handler(signal.SIGHUP, _ignore)  # no worker starts from now on
            for listener in self._listeners:
                listener.close()  # connections are refused as soon as the workers close theirs
            if self._replacing is not None:
                self._replacing.cancel()
                await asyncio.wait([self._replacing])
            grace = self._settings.shutdown_grace + 2 * MARGIN_SECONDS
            await asyncio.gather(*(process.stop(grace) for process in self._running))
            if self._lines is not None:
                await self._lines.stop()
            if self._report is not None:
                self._report.log_end()

    async def _supervise(self) -> int:
        """Start all workers and keep them running; return 0 on a requested stop, else the code of a failed start."""
        keeping = asyncio.create_task(self._start_and_keep())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([stopping, keeping], return_when=asyncio.FIRST_COMPLETED)
            if not self._stop.is_set():
                await keeping
        except StartFailed as failed:
            return failed.code if failed.code > 0 else _FAILED
        finally:
            for task in (stopping, keeping):
                task.cancel()
            await asyncio.wait([stopping, keeping])
        return 0

    async def _start_and_keep(self) -> None:
        """Start the first worker alone: it migrates the database, and an error that all would report occurs once."""
        await self._start(0)
        await _all(self._start(index) for index in range(1, self._count))
        log_start(self._settings, "", self._listeners[0].getsockname() if self._listeners else None)
        self._started.set()
        await _all(self._keep(index) for index in range(self._count))

    async def _start(self, index: int) -> None:
        """Start a worker and wait until it is ready. Raises `StartFailed`."""
        try:
            process = await self._spawn(index)
        except OSError as error:
            log.error("worker.failed", "a worker cannot be started", which=index + 1, error=error)
            raise StartFailed(_FAILED) from error
        report = await process.report()
        if report != READY:
            raise StartFailed(await process.ended(), is_outage=report == UNAVAILABLE)
        self._workers[index] = process
        if self._lines is not None:
            process.read_lines(self._lines)

    async def _spawn(self, index: int) -> _Process:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003 - the name of the socket module
        listener = self._listeners[index].fileno() if self._listeners else NO_LISTENER
        worker = Worker(index, self._count, theirs.fileno(), listener)
        inherited = [number for number in (theirs.fileno(), listener) if number != NO_LISTENER]
        # -P: a folder `tidings` in the working directory is not taken for the package.
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "tidings",
                *self._command,
                "--worker",
                worker.argument(),
                pass_fds=inherited,
                process_group=0,  # Ctrl-C reaches the supervisor alone
            )
        started = _Process(index, process, ours)
        self._running.add(started)
        started.on_end(lambda: self._running.discard(started))
        return started

    async def _keep(self, index: int) -> None:
        """Replace a worker whenever it ends. Raises `StartFailed` if replacements keep failing."""
        while True:
            worker = self._workers[index]
            code = await worker.ended()
            if worker is not self._workers[index]:
                continue  # it was replaced
            log.warning(
                "worker.ended", "a worker ended; starting another one", which=index + 1, process=worker.pid, code=code
            )
            async with self._slots[index]:
                if worker is self._workers[index]:
                    await self._restart(index)

    async def _restart(self, index: int) -> None:
        while True:
            try:
                await self._start(index)
            except StartFailed as failed:
                if not failed.is_outage and self._fails_too_often():
                    log.error(
                        "worker.failed", "a worker keeps failing to start; stopping", which=index + 1, times=_FAILED_MAX
                    )
                    raise StartFailed(failed.code) from failed
                await asyncio.sleep(_OUTAGE_PAUSE_SECONDS if failed.is_outage else _PAUSE_SECONDS)
            else:
                return

    def _fails_too_often(self) -> bool:
        """Count a failed start; return whether the service has to end."""
        now = asyncio.get_running_loop().time()
        self._failed.append(now)
        return len(self._failed) == _FAILED_MAX and now - self._failed[0] < _FAILED_SECONDS

    def _on_stop(self, number: signal.Signals) -> None:
        if self._stop.is_set():  # the second signal: do not wait
            for process in self._running:
                process.kill()
            os._exit(_FAILED)
        self._report = StopReport(SystemClock(), number.name)
        self._stop.set()

    def _on_reload(self) -> None:
        self._reload_requested = True
        if self._replacing is None or self._replacing.done():
            self._replacing = asyncio.create_task(self._replace_as_requested())
        else:
            log.info(
                "reload.repeated", "the workers are being replaced already, and will be replaced once more afterwards"
            )

    async def _replace_as_requested(self) -> None:
        """Replace the workers, and again if a signal arrived meanwhile: the configuration may have changed since."""
        await self._started.wait()
        while self._reload_requested:
            self._reload_requested = False
            await self._replace_all()

    async def _replace_all(self) -> None:
        """Replace the workers one at a time. An invalid configuration or a failed start keeps the old workers."""
        try:
            settings = self._reload()
        except ConfigError as error:
            log.error("reload.failed", "the configuration is not reloaded", error=error)
            return
        if _of_restart(settings) != _of_restart(self._settings):
            log.warning(
                "reload.partial",
                "a change of workers, listen_address or metrics_address takes effect at the next restart",
            )
        for index in range(self._count):
            if not await self._replace(index, settings.shutdown_grace):
                return
        self._settings = settings
        log.info("reload.done", "all workers were replaced", workers=self._count)

    async def _replace(self, index: int, grace: float) -> bool:
        async with self._slots[index]:
            old = self._workers[index]
            before = set(self._running)
            try:
                async with asyncio.timeout(_REPLACE_SECONDS):
                    await self._start(index)
            except StartFailed as failed:
                log.error(
                    "reload.failed", "a new worker ended; the old ones are kept", which=index + 1, code=failed.code
                )
                return False
            except TimeoutError:
                log.error(
                    "reload.failed",
                    "a new worker was not ready in time; the old ones are kept",
                    which=index + 1,
                    seconds=_REPLACE_SECONDS,
                )
                for process in self._running - before:
                    if process.index == index:  # another worker may have been restarted meanwhile
                        process.kill()
                return False
        await old.stop(grace + 2 * MARGIN_SECONDS)
        return True


def _of_restart(settings: Settings) -> tuple[object, ...]:
    return settings.worker_count, settings.listen_address, settings.metrics_address


def _ignore() -> None:
    """Do nothing at a signal."""


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run work concurrently; the first error cancels the rest."""
    running = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*running)
    finally:
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
