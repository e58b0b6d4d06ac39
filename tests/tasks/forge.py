# SPDX-License-Identifier: MIT
"""Worker processes that are there at once: a process that has imported everything forks them, and tells of their ends.

A process of its own takes a second to import what it needs; with hundreds of deaths that would be all of the time. A
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

PATIENCE = 60.0
PRELOADED = ("tasks.worker", "tasks.kinds.laborer", "datamodel_code_generator")


class Child:
    """A forked process, as its starter sees it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: Future[int] = Future()
        """As of `subprocess`: below zero for a signal."""
        self.up = threading.Event()

    def send_signal(self, number: signal.Signals) -> None:
        if not self.returncode.done():
            os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait for its end; return how it ended. Raises TimeoutError."""
        return self.returncode.result(PATIENCE)

    def wait_until_up(self) -> None:
        """Wait until its runner has begun."""
        assert self.up.wait(PATIENCE), "a worker did not start"

    async def ended(self, seconds: float = PATIENCE) -> int:
        """Wait for its end; return how it ended. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            return await asyncio.shield(asyncio.wrap_future(self.returncode))


class Forge:
    """Starts workers; whoever is left when it closes is killed."""

    def __init__(self) -> None:
        self._children: dict[int, Child] = {}
        self._forked: queue.Queue[Child] = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._listen, name="forge")

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        self._process.stdout.close()

    def start(self, target: str, *args: Any) -> Child:
        """Call `module:function` with a callback that says that it is up, and arguments, in a process of its own."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([target, *args]).encode() + b"\n")
        self._process.stdin.flush()
        return self._forked.get(timeout=PATIENCE)

    @contextmanager
    def started(self, target: str, *args: Any) -> Iterator[Child]:
        """Have a worker; whatever happens it is gone in the end."""
        child = self.start(target, *args)
        try:
            yield child
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            # A child may be up before the parent has told its number.
            child = self._children.setdefault(told["pid"], Child(told["pid"]))
            if told["what"] == "forked":
                self._forked.put(child)
            elif told["what"] == "up":
                child.up.set()
            else:
                del self._children[child.pid]  # the number may come again
                child.returncode.set_result(told["status"])


# -----------------------------------------------------------------------------------------------------------------
# In the other process


def _serve() -> None:
    """Fork what each line asks for, until there are no more lines."""
    for module in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    gc.freeze()
    bell, ring = socket.socketpair()
    ring.setblocking(False)  # noqa: FBT003 - its one argument
    signal.set_wakeup_fd(ring.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    alive: set[int] = set()
    pending = b""
    while True:
        readable, _, _ = select.select([sys.stdin.fileno(), bell], [], [])
        if bell in readable:
            bell.recv(4096)
            _bury(alive)
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
        _be_a_child(wanted)
    _tell(pid=pid, what="forked")
    return pid


def _be_a_child(wanted: list[Any]) -> None:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        target, *args = wanted
        module, _, name = target.partition(":")
        work: Callable[..., None] = getattr(importlib.import_module(module), name)
        work(lambda: _tell(pid=os.getpid(), what="up"), *args)
        code = 0
    except BaseException:  # noqa: BLE001 - it ends here, and must not go on as a second forge
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _bury(alive: set[int]) -> None:
    for pid in list(alive):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            alive.discard(pid)
            _tell(pid=pid, what="ended", status=os.waitstatus_to_exitcode(status))


def _tell(**what: Any) -> None:
    """Write a line; it is short enough that several processes may write to one pipe."""
    os.write(sys.stdout.fileno(), json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    _serve()
