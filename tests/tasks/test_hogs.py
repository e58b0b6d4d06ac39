# SPDX-License-Identifier: MIT
"""Others that stand in the way: who holds a lock for long, and a network that keeps what it was given for a while."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

import pytest

from tasks.kit import (
    QUICK,
    Counting,
    Scene,
    database,
    desk_of,
    events_of,
    new_task,
    rows,
    spin,
    start,
    until,
    working,
    wrongs,
)
from tidings.model.task import State, Task
from tidings.storage import sqlite as sqlite_module
from tidings.storage.database import Database

TENS = replace(QUICK, chunk_rows=10)
HELD_SECONDS = 1.5


async def _exact(db: Database, task: Task, items: int) -> None:
    ended = await until(db, task.id)
    assert (ended.state, ended.done) == (State.SUCCEEDED, items)
    assert await wrongs(db, ended) == []
    assert "struck" not in await events_of(db, task)


async def test_on_postgresql_a_locked_table_is_waited_for(postgres_dsn: str) -> None:
    """Longer than a chunk waits for a lock, as by somebody who changes the table."""
    async with database(postgres_dsn) as db:
        scene, handler = Scene(db, desk_of(db)), Counting()
        task = await start(scene.desk, new_task(3_000))
        async with scene.working(handler, limits=TENS):
            await spin(lambda: len(handler.seen) > 5)
            async with db.write() as tx:
                await tx.run("LOCK TABLE test_effect IN ACCESS EXCLUSIVE MODE")
                await asyncio.sleep(HELD_SECONDS)
            await _exact(db, task, 3_000)


async def test_on_sqlite_a_locked_file_is_waited_for(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than a transaction waits for its turn, as by somebody with a shell on the file."""
    monkeypatch.setattr(sqlite_module, "_BUSY_MS", 20)
    async with database(sqlite_url) as db:
        scene, handler = Scene(db, desk_of(db)), Counting()
        task = await start(scene.desk, new_task(3_000))
        async with scene.working(handler, limits=TENS):
            await spin(lambda: len(handler.seen) > 5)
            with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), timeout=5)) as hog:
                hog.execute("BEGIN IMMEDIATE")
                before = len(handler.seen)
                await asyncio.sleep(HELD_SECONDS / 5)
                assert len(handler.seen) == before
                hog.rollback()
            await _exact(db, task, 3_000)


class Line:
    """A way to a database on which everything may come to a halt, and go on later as if nothing had been."""

    def __init__(self) -> None:
        self.goes = asyncio.Event()
        self.goes.set()
        self._pipes: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def to(self, url: str) -> AsyncIterator[str]:
        """Give the URL under which the database is reached on this way."""
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
async def test_on_postgresql_words_that_arrive_late_change_nothing(postgres_dsn: str, seen: int) -> None:
    """A node is cut off in the middle of its words, another takes over, and then the rest of the words arrives."""
    limits = replace(TENS, lease_seconds=0.5)
    far, near, line = Counting(worker="far"), Counting(worker="near"), Line()
    async with database(postgres_dsn) as db, line.to(postgres_dsn) as url, database(url, fresh=False) as cut_off:
        task = await start(desk_of(db), new_task(2_000))
        async with working(cut_off, far, limits=limits):
            await spin(lambda: len(far.seen) > seen)
            line.goes.clear()
            async with working(db, near, limits=limits):
                # Where the words ended inside a transaction the database takes it back, after five seconds.
                await spin(lambda: len(near.seen) > 5)
                line.goes.set()
                await _exact(db, task, 2_000)
        workers = {row[0] for row in await rows(db, "SELECT DISTINCT worker FROM test_chunk")}
        assert workers == {"far", "near"}
