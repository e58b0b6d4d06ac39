# SPDX-License-Identifier: MIT
"""A pool of worker processes that start at once: a process with everything imported forks them and reports their exits.

A new process takes a second to import its modules; with hundreds of kills that would be most of the time. A
fork is as real a process: it opens its own database, and is killed or stopped by its own id.
"""

import asyncio
import contextlib
import gc
import importlib
import json
import os
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Self

TIMEOUT = 60.0
PRELOADED = ("tasks.worker", "tasks.kinds.worker", "datamodel_code_generator")


class ChildProcess:
    """A forked process, as its starter sees it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: Future[int] = Future()
        """As in `subprocess`: negative for a signal."""
        self.up = threading.Event()

    def send_signal(self, number: signal.Signals) -> None:
        if not self.returncode.done():
            os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait for its end; return its exit status. Raises TimeoutError."""
        return self.returncode.result(TIMEOUT)

    def wait_until_up(self) -> None:
        """Wait until its runner has started."""
        assert self.up.wait(TIMEOUT), "a worker did not start"

    async def ended(self, seconds: float = TIMEOUT) -> int:
        """Wait for its end; return its exit status. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            return await asyncio.shield(asyncio.wrap_future(self.returncode))


class ProcessPool:
    """Starts workers, and kills those that are left when it closes."""

    def __init__(self) -> None:
        self._children: dict[int, ChildProcess] = {}
        self._forked: queue.Queue[ChildProcess] = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._listen, name="process pool")

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)
        self._process.stdout.close()

    def start(self, target: str, *args: Any) -> ChildProcess:
        """Call `module:function` in a new process, with arguments and a callback that reports that it is up."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([target, *args]).encode() + b"\n")
        self._process.stdin.flush()
        return self._forked.get(timeout=TIMEOUT)

    @contextmanager
    def started(self, target: str, *args: Any) -> Iterator[ChildProcess]:
        """Start a worker for the length of a block, and kill it at its end."""
        child = self.start(target, *args)
        try:
            yield child
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            # A child may be up before the parent has reported its process id.
            child = self._children.setdefault(event["pid"], ChildProcess(event["pid"]))
            if event["what"] == "forked":
                self._forked.put(child)
            elif event["what"] == "up":
                child.up.set()
            else:
                del self._children[child.pid]  # the process id may be reused
                child.returncode.set_result(event["status"])


# ----------------------------------------------------------------------------------------------------------------- In
# the other process


def _serve() -> None:
    """Fork the process that each line requests, until there are no more lines."""
    for module in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    gc.freeze()
    wakeup, wakeup_sender = socket.socketpair()
    wakeup_sender.setblocking(False)  # noqa: FBT003 - its one argument
    signal.set_wakeup_fd(wakeup_sender.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    alive: set[int] = set()
    pending = b""
    while True:
        readable, _, _ = select.select([sys.stdin.fileno(), wakeup], [], [])
        if wakeup in readable:
            wakeup.recv(4096)
            _reap(alive)
        if sys.stdin.fileno() not in readable:
            continue
        read = os.read(sys.stdin.fileno(), 65_536)
        if not read:
            break
        *lines, pending = (pending + read).split(b"\n")
        for line in lines:
            alive.add(_fork(json.loads(line)))
    for pid in alive:
        os.kill(pid, signal.SIGKILL)


def _fork(wanted: list[Any]) -> int:
    pid = os.fork()
    if pid == 0:
        _run_child(wanted)
    _report(pid=pid, what="forked")
    return pid


def _run_child(wanted: list[Any]) -> None:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        target, *args = wanted
        module, _, name = target.partition(":")
        work: Callable[..., None] = getattr(importlib.import_module(module), name)
        work(lambda: _report(pid=os.getpid(), what="up"), *args)
        code = 0
    except BaseException:  # noqa: BLE001 - it ends here, and must not go on as a second pool
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _reap(alive: set[int]) -> None:
    for pid in list(alive):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            alive.discard(pid)
            _report(pid=pid, what="ended", status=os.waitstatus_to_exitcode(status))


def _report(**what: Any) -> None:
    """Write a line; it is short enough that several processes may write to one pipe."""
    os.write(sys.stdout.fileno(), json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    _serve()
