# SPDX-License-Identifier: MIT
"""Temporary obstacles: a lock, a full disk, a read-only file, a network partition."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

import pytest

from tasks.kit import STEADY, TENS, Counting, begun, database, events_of, is_exact, reread, rows, spin, working
from tidings.model.task import State, Task
from tidings.storage.drivers.database import Database, StorageTuning
from tidings.storage.drivers.sqlite import SqliteDatabase

HELD_SECONDS = 1.5


async def test_on_postgresql_a_task_waits_for_a_locked_table(postgres_dsn: str) -> None:
    """Longer than a chunk's lock timeout, as by an administrator who alters the table."""
    async with begun(postgres_dsn, 3_000) as (env, task):
        db, handler = env.db, Counting()
        async with env.working(handler, limits=TENS):
            await spin(lambda: len(handler.seen) > 5)
            async with db.write() as tx:
                await tx.run("LOCK TABLE test_effect IN ACCESS EXCLUSIVE MODE")
                await asyncio.sleep(HELD_SECONDS)
            await is_exact(db, task, 3_000)


async def test_on_sqlite_a_task_waits_for_a_locked_file(sqlite_url: str) -> None:
    """Longer than a transaction waits for the writer lock, as by an administrator's shell on the file."""
    async with begun(sqlite_url, 3_000, StorageTuning(busy_ms=20)) as (env, task):
        db, handler = env.db, Counting()
        async with env.working(handler, limits=TENS):
            await spin(lambda: len(handler.seen) > 5)
            with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), timeout=5)) as holder:
                holder.execute("BEGIN IMMEDIATE")
                before = len(handler.seen)
                await asyncio.sleep(HELD_SECONDS / 5)
                assert len(handler.seen) == before
                holder.rollback()
            await is_exact(db, task, 3_000)


async def _fill(db: Database) -> None:
    async with db.write() as tx:
        pages = (await tx.one("PRAGMA page_count"))[0]
        await tx.run(f"PRAGMA max_page_count = {pages}")


async def _empty(db: Database) -> None:
    async with db.write() as tx:
        await tx.run("PRAGMA max_page_count = 1000000")


def _lock(*, writes: bool) -> Callable[[Database], Awaitable[None]]:
    async def lock(db: Database) -> None:
        assert isinstance(db, SqliteDatabase)
        db._writer.execute(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")  # noqa: SLF001 - as a file made so

    return lock


HURDLES = {"a full disk": (_fill, _empty), "a read-only file": (_lock(writes=False), _lock(writes=True))}


@pytest.mark.parametrize("what", HURDLES)
async def test_on_sqlite_a_file_that_refuses_writes_delays_a_task(sqlite_url: str, what: str) -> None:
    """Temporary, in the middle of the work: no failed attempt, no partial write, and the work continues afterwards."""
    stop, go = HURDLES[what]
    async with begun(sqlite_url, 6_000) as (env, task):
        env.tuning = replace(STEADY, backoff_max_seconds=0.01)
        db, handler = env.db, Counting()
        async with env.working(handler, limits=TENS):
            await spin(lambda: len(handler.seen) > 20)
            await stop(db)
            held = await _standing_still(db, task)
            assert await rows(db, "SELECT count(*) FROM test_effect") == [(held.done,)]
            await go(db)
            await is_exact(db, task, 6_000)

        assert 0 < held.done < 6_000
        assert (held.state, held.failed_attempts) == (State.RUNNING, 0)
        assert await events_of(db, task) == ["created", "succeeded"]


async def _standing_still(db: Database, task: Task) -> Task:
    """Wait until several attempts in a row have failed."""
    before, alike = await reread(db, task.id), 0
    async with asyncio.timeout(20):
        while alike < 20:
            await asyncio.sleep(0.01)
            now = await reread(db, task.id)
            before, alike = now, alike + 1 if now.done == before.done else 0
    return before


class NetworkPath:
    """A network path to a database on which all traffic can stop, and later resume as if nothing had happened."""

    def __init__(self) -> None:
        self.goes = asyncio.Event()
        self.goes.set()
        self._pipes: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def to(self, url: str) -> AsyncIterator[str]:
        """Give the database's URL on this path."""
        parts = urlsplit(url)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection(parts.hostname, parts.port)
            for each in (self._pipe(reader, back), self._pipe(there, writer)):
                task = asyncio.create_task(each)
                self._pipes.add(task)
                task.add_done_callback(self._pipes.discard)

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            yield urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}"))
            await asyncio.gather(*self._pipes, return_exceptions=True)

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self.goes.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@pytest.mark.chaos
@pytest.mark.timeout(240)
@pytest.mark.parametrize("seen", [5, 11, 18])
async def test_on_postgresql_statements_that_arrive_late_change_nothing(postgres_dsn: str, seen: int) -> None:
    """A node is cut off within a statement, another one takes over, and then the rest of the statement arrives."""
    limits = replace(TENS, lease_seconds=3.0)
    far, near, line = Counting(worker="far"), Counting(worker="near"), NetworkPath()
    async with (
        begun(postgres_dsn, 2_000) as (env, task),
        line.to(postgres_dsn) as url,
        database(url, fresh=False) as cut_off,
    ):
        db = env.db
        async with working(cut_off, far, limits=limits):
            await spin(lambda: len(far.seen) > seen)
            line.goes.clear()
            async with working(db, near, limits=limits):
                # If the cut was inside a transaction, the database rolls it back after five seconds.
                await spin(lambda: len(near.seen) > 5)
                line.goes.set()
                await is_exact(db, task, 2_000)
        workers = {row[0] for row in await rows(db, "SELECT DISTINCT worker FROM test_chunk")}
        assert workers == {"far", "near"}
