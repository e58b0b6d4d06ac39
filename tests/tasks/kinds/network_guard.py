# SPDX-License-Identifier: MIT
"""A worker process for all kinds in which any network access is an error.

Audit hooks of the interpreter report each connection and each name lookup. A hook stays until the process ends, so this
is a process of its own; it runs Python's own event loop, because uvloop bypasses the hooks.
"""

import asyncio
import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasks.kinds.worker import work_until_done
from tasks.kit import Counting, runner_of
from tasks.worker import LIMITS, database
from tidings.clock import SystemClock
from tidings.core.notifier import Notifier
from tidings.model.task import Batch, ChunkResult, Task
from tidings.storage.drivers.database import Write
from tidings.tasks.handler import Handler
from tidings.tasks.registry import handlers

NETWORK_EVENTS = {
    "socket.bind",
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.sendmsg",
    "socket.sendto",
    "subprocess.Popen",
}


@dataclass
class Connecting(Counting):
    """A kind that does what no kind may do: it connects."""

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        with contextlib.suppress(OSError):
            await asyncio.open_connection("127.0.0.1", 9)
        return await super().apply(tx, task, batch)


async def _work(up: Callable[[], None], url: str, known: list[Handler]) -> None:
    async with database(url) as db:
        await work_until_done(db, runner_of(db, *known, limits=LIMITS), up)


def main(up: Callable[[], None], url: str) -> None:
    """Run all kinds until no task is left, on SQLite, which is a file. Raises AssertionError on network access."""
    _listen(up, url, list(handlers(SystemClock(), Notifier()).values()))


def connecting(up: Callable[[], None], url: str) -> None:
    """Run a kind that uses the network."""
    _listen(up, url, [Connecting()])


def _is_network(event: str, args: Any) -> bool:
    """Return whether an event is a network access; the child that generates models is this program itself."""
    is_own = event == "subprocess.Popen" and args[0] == sys.executable and "tidings.tasks.modeling" in args[1][-1]
    return event in NETWORK_EVENTS and not is_own


def _listen(up: Callable[[], None], url: str, known: list[Handler]) -> None:
    caught: list[tuple[str, Any]] = []
    sys.addaudithook(lambda event, args: caught.append((event, args)) if _is_network(event, args) else None)
    asyncio.run(_work(up, url, known))
    assert caught == []
