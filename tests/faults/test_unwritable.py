# SPDX-License-Identifier: MIT
"""A SQLite file that temporarily refuses writes, under a real server: clear errors, and nothing half done."""

import asyncio
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from faults.kit import (
    PAUSE,
    TIMEOUT,
    check_received_once,
    ended,
    eventually,
    node,
    sending,
    slowly,
    started,
    with_endpoint,
)
from live import Live
from tasks.kit import rows
from tidings.clock import HOUR, SystemClock, rfc3339
from tidings.storage.drivers.store import opened

pytestmark = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="the system sets no limits of others")


@contextmanager
def unwritable(pid: int) -> Iterator[None]:
    """Make every file write of a process fail; root, which file modes do not stop, is stopped too."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


async def task_status(server: Live, task: str) -> dict[str, Any]:
    status, answer = await asyncio.to_thread(server.call, "GET", f"/api/v1/background-task/{task}")
    assert status == 200, answer
    found: dict[str, Any] = answer
    return found


async def until(server: Live, task: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(TIMEOUT):
        while not holds(found := await task_status(server, task)):  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(PAUSE)
    return found


async def test_an_unwritable_file_causes_refusals_and_no_loss(sqlite_url: str, tmp_path: Path) -> None:
    server = node(sqlite_url, tmp_path, task_chunk=3, replay_backlog=6)
    async with slowly(0.01) as receiver:
        with ended(server):
            await started(server)
            path = with_endpoint(server, receiver.url)
            async with sending(path, server, clients=8) as senders:
                await senders.take(60)
                since = {"since": rfc3339(SystemClock().now() - HOUR)}
                ((endpoint,),) = [[each["id"] for each in server.call("GET", f"{path[:-3]}endpoint")[1]["data"]]]
                replay = ("POST", f"{path[:-3]}endpoint/{endpoint}/bulk-replay", since)
                status, task = server.call(*replay)
                assert status == 202, task
                await until(server, task["id"], lambda task: task["x"]["progress"]["done"] > 0)

                with unwritable(server.pid):
                    refused = senders.statuses[503]
                    await eventually(lambda: senders.statuses[503] >= refused + 20)
                    before = await task_status(server, task["id"])
                    for call in (replay, ("POST", path, {"eventType": "a.b", "payload": {}})):
                        status, answer = await asyncio.to_thread(server.call, *call)
                        assert status == 503, answer
                        assert {"code", "detail"} <= set(answer)
                    during = await task_status(server, task["id"])
                await senders.take(60)

            finished = await until(server, task["id"], lambda task: task["status"] != "running")
            await check_received_once(senders, receiver, server)

    progress = before["x"]["progress"]
    assert (before["x"]["state"], before["x"]["error"]) == ("running", None)
    assert 0 < progress["done"] < progress["total"]
    assert during["x"]["progress"]["done"] == progress["done"]
    assert (finished["status"], finished["data"]) == ("finished", {"messagesSent": progress["total"]})
    db = await opened(sqlite_url, connections=1)
    assert await rows(db, "SELECT type FROM task_event ORDER BY seq") == [("created",), ("succeeded",)]
    await db.close()
