# SPDX-License-Identifier: MIT
"""Requests with one key have one effect, also in processes that share a database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tidings.clock import ManualClock
from tidings.core.idempotency import Idempotency, Response
from tidings.core.tuning import CoreTuning
from tidings.errors import AppError, conflict
from tidings.storage.drivers.database import Busy, Database, Write
from tidings.storage.drivers.store import migrate, opened
from tidings.storage.tables import nodes as node_rows


@asynccontextmanager
async def _nodes(url: str, count: int) -> AsyncIterator[list[Database]]:
    nodes = [await opened(url) for _ in range(count)]
    await migrate(nodes[0])
    yield nodes
    for node in nodes:
        await node.close()


def _answer(text: str) -> Response:
    return Response(201, text.encode())


class Work:
    """Work under a key that pauses halfway until the test releases it."""

    def __init__(self, name: str, *, fails: bool = False) -> None:
        self.name = name
        self.fails = fails
        self.begun = asyncio.Event()
        self.let_go = asyncio.Event()

    async def __call__(self, tx: Write) -> str:
        self.begun.set()
        await self.let_go.wait()
        if self.fails:
            raise conflict()
        return await node_rows.get_or_set_setting(tx, "made by", self.name)


async def _lock_wait(db: Database) -> None:
    """Wait until a session of this database waits for a lock."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while True:
        async with db.read() as read:
            if await read.rows(waiting):
                return


@pytest.mark.parametrize("fails", [False, True])
async def test_a_second_node_waits_for_the_first(postgres_dsn: str, *, fails: bool) -> None:
    async with _nodes(postgres_dsn, 2) as (one, two):
        first, second = Work("first", fails=fails), Work("second")
        second.let_go.set()

        leading = asyncio.create_task(Idempotency(one, ManualClock()).once("k", first, _answer))
        await first.begun.wait()
        following = asyncio.create_task(Idempotency(two, ManualClock()).once("k", second, _answer))
        await _lock_wait(one)
        assert not second.begun.is_set()
        first.let_go.set()

        outcome = (await asyncio.gather(leading, return_exceptions=True))[0]
        assert isinstance(outcome, AppError) if fails else outcome == Response(201, b"first")
        assert Response(201, b"second" if fails else b"first") == await following
        assert fails == second.begun.is_set()


async def test_a_node_that_waits_too_long_for_another_raises_busy(postgres_dsn: str) -> None:
    async with _nodes(postgres_dsn, 2) as (one, two):
        first, second = Work("first"), Work("second")
        leading = asyncio.create_task(Idempotency(one, ManualClock()).once("k", first, _answer))
        await first.begun.wait()

        with pytest.raises(Busy):
            await Idempotency(two, ManualClock(), CoreTuning(idempotency_wait_seconds=0.1)).once("k", second, _answer)

        first.let_go.set()
        assert Response(201, b"first") == await leading


async def test_a_request_that_waits_too_long_in_one_process_is_refused(sqlite_url: str) -> None:
    async with _nodes(sqlite_url, 1) as (node,):
        tuning = CoreTuning(idempotency_wait_seconds=0.1)
        idempotency, first = Idempotency(node, ManualClock(), tuning), Work("first")
        leading = asyncio.create_task(idempotency.once("k", first, _answer))
        await first.begun.wait()

        with pytest.raises(AppError) as refused:
            await idempotency.once("k", Work("second"), _answer)

        first.let_go.set()
        assert "unavailable" == refused.value.code
        assert Response(201, b"first") == await leading


async def test_canceled_work_frees_its_key(sqlite_url: str) -> None:
    async with _nodes(sqlite_url, 1) as (node,):
        idempotency, first, second = Idempotency(node, ManualClock()), Work("first"), Work("second")
        leading = asyncio.create_task(idempotency.once("k", first, _answer))
        await first.begun.wait()
        second.let_go.set()

        leading.cancel()

        assert Response(201, b"second") == await idempotency.once("k", second, _answer)
        assert leading.cancelled()


async def test_work_without_a_key_runs_each_time(database_url: str) -> None:
    async with _nodes(database_url, 1) as (node,):
        idempotency, done = Idempotency(node, ManualClock()), list[int]()

        async def work(_: Write) -> str:
            done.append(1)
            return "x"

        for _ in range(2):
            assert Response(201, b"x") == await idempotency.once(None, work, _answer)
        assert 2 == len(done)
