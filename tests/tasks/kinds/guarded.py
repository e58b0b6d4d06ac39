# SPDX-License-Identifier: MIT
"""What a process of its own does that works on all kinds and must not talk to anybody.

The interpreter tells of every connection that is made and every name that is looked up. It goes on telling until the
process ends, which is why this is one; and its loop is Python's own, for uvloop makes connections that nobody is told
of.
"""

import asyncio
import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasks.kinds.laborer import labor
from tasks.kit import Counting, runner_of
from tasks.worker import LIMITS, database
from tidings.clock import SystemClock
from tidings.core.wake import Wake
from tidings.model.task import Batch, ChunkResult, Task
from tidings.storage.database import Write
from tidings.tasks.handler import Handler
from tidings.tasks.kinds.registry import handlers

TALK = {
    "socket.bind",
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.sendmsg",
    "socket.sendto",
    "subprocess.Popen",
}


@dataclass
class Talkative(Counting):
    """Does what no kind may do."""

    async def apply(self, tx: Write, task: Task, batch: Batch) -> ChunkResult:
        with contextlib.suppress(OSError):
            await asyncio.open_connection("127.0.0.1", 9)
        return await super().apply(tx, task, batch)


async def _work(up: Callable[[], None], url: str, known: list[Handler]) -> None:
    async with database(url) as db:
        await labor(db, runner_of(db, *known, limits=LIMITS), up)


def main(up: Callable[[], None], url: str) -> None:
    """Work on all kinds until no task is left. Raises AssertionError if one has talked; for SQLite, which is a file."""
    _listen(up, url, list(handlers(SystemClock(), Wake()).values()))


def talkative(up: Callable[[], None], url: str) -> None:
    """Do the same with a kind that talks."""
    _listen(up, url, [Talkative()])


def _is_talk(event: str, args: Any) -> bool:
    """Return whether somebody is talked to; the child that makes models is this program itself."""
    is_own = event == "subprocess.Popen" and args[0] == sys.executable and "tidings.tasks.modeling" in args[1][-1]
    return event in TALK and not is_own


def _listen(up: Callable[[], None], url: str, known: list[Handler]) -> None:
    heard: list[tuple[str, Any]] = []
    sys.addaudithook(lambda event, args: heard.append((event, args)) if _is_talk(event, args) else None)
    asyncio.run(_work(up, url, known))
    assert heard == []
