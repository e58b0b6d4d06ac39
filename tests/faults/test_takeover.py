# SPDX-License-Identifier: MIT
"""After a process on PostgreSQL is killed, its sends are repeated within seconds, however long its leases are."""

import asyncio
from pathlib import Path
from typing import Any

from delivery.receiver import OK, Peer, Receiver, read, say
from faults.kit import ended, eventually, node, received, started, with_endpoint
from live import Live

LONG_LEASES: dict[str, Any] = {"worker_request_timeout": 20, "lease_grace": 100, "delivery_concurrency": 40}
SENDS = 8
SECONDS = 25
"""A fifth of a lease."""


class Silent:
    """A receiver that does not respond until the test opens it."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.receiver = Receiver([self._serve])

    async def _serve(self, peer: Peer) -> None:
        while True:
            await read(peer)
            await self.answers.wait()
            await say(OK)(peer)


async def _sent(server: Live, path: str) -> set[str]:
    message = {"eventType": "a.b", "payload": {}}
    answers = [await asyncio.to_thread(server.call, "POST", path, message) for _ in range(SENDS)]
    return {answer["id"] for _, answer in answers}


async def test_the_next_process_takes_over_every_delivery(postgres_dsn: str, tmp_path: Path) -> None:
    silent = Silent()
    first, next_ = (node(postgres_dsn, tmp_path / name, **LONG_LEASES) for name in ("a", "b"))
    with ended(first, next_):
        await started(first)
        async with silent.receiver as receiver:
            ids = await _sent(first, with_endpoint(first, receiver.url))
            await eventually(lambda: set(received(receiver)) == ids)

            first.kill()
            silent.answers.set()
            await started(next_)

            await eventually(lambda: received(receiver) == dict.fromkeys(ids, 2), SECONDS)


async def test_another_node_takes_over_every_delivery(postgres_dsn: str, tmp_path: Path) -> None:
    silent = Silent()
    first, other = (node(postgres_dsn, tmp_path / name, **LONG_LEASES) for name in ("a", "b"))
    with ended(first, other):
        await asyncio.gather(started(first), started(other))
        async with silent.receiver as receiver:
            path = with_endpoint(first, receiver.url)
            mine = await _sent(first, path)
            theirs = await _sent(other, path)
            await eventually(lambda: set(received(receiver)) == mine | theirs)

            first.kill()
            await eventually(lambda: all(received(receiver)[each] == 2 for each in mine), SECONDS)
            silent.answers.set()

            assert all(received(receiver)[each] == 1 for each in theirs)
