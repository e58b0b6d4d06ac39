# SPDX-License-Identifier: MIT
"""SQLite: one process, one write transaction at a time, readers in threads.

Write statements run on the event loop: most take microseconds, less than a switch to a thread. COMMIT, which writes the
WAL and waits for the disk, runs in a separate thread, so that the event loop is free during the fsync. The writer lock
is held until COMMIT has returned.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Final

from tidings.observe import failure
from tidings.storage.drivers.database import (
    Busy,
    Dialect,
    Duplicate,
    ForegroundActivity,
    Row,
    Statement,
    StorageTuning,
    Table,
    Unavailable,
    Value,
)
from tidings.storage.drivers.dialect import for_sqlite
from tidings.storage.drivers.sqlite_file import Committer, OwnedFile, WriteAheadLog, WriterLock, connect, opening_error

_READERS: Final = 4
_LONGEST_PAUSE: Final = 30.0
_SYNCED: Final = "PRAGMA synchronous=FULL"
_UNSYNCED: Final = "PRAGMA synchronous=NORMAL"
_OUTAGES: Final = (
    "SQLITE_FULL",
    "SQLITE_IOERR",
    "SQLITE_READONLY",
    "SQLITE_CANTOPEN",
    "SQLITE_NOMEM",
    "SQLITE_CORRUPT",
    "SQLITE_NOTADB",
    "SQLITE_PERM",
    "SQLITE_PROTOCOL",
)
_ROWS_PER_INSERT: Final = 16
"""Rows per INSERT. The overhead of a statement is about half the cost of a row."""


@lru_cache
def _insert(table: Table, rows: int) -> str:
    values = f"({', '.join('?' * len(table.columns))})"
    return f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES {', '.join([values] * rows)}"


def _bound(values: dict[str, Value | Sequence[Value]]) -> dict[str, Value]:
    return {
        name: json.dumps(list(value)) if isinstance(value, list | tuple) else value  # type: ignore[misc]
        for name, value in values.items()
    }


def _mapped(error: sqlite3.Error) -> Exception:
    """Map a driver error to a `StorageError`; return other errors, such as those of a wrong statement, unchanged."""
    if isinstance(error, sqlite3.IntegrityError):
        return Duplicate(str(error)) if "UNIQUE" in str(error) else error
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Busy(str(error))
    return Unavailable(str(error)) if name.startswith(_OUTAGES) else error


class SqliteWrite:
    """The open write transaction. Its statements run on the event loop."""

    __slots__ = ("_after", "_connection", "tuning")
    dialect = Dialect.SQLITE
    has_one_writer = True
    generation = 0  # constant: a crash that can lose a commit also ends this process

    def __init__(self, connection: sqlite3.Connection, tuning: StorageTuning) -> None:
        self._connection = connection
        self.tuning = tuning
        self._after: list[Callable[[], None]] = []

    def _require_open(self) -> None:
        """Raise `Unavailable` if SQLite has rolled back by itself: later statements would each commit alone."""
        if not self._connection.in_transaction:
            message = "SQLite has rolled the transaction back"
            raise Unavailable(message)

    def _execute(self, sql: Statement, values: dict[str, Value | Sequence[Value]]) -> sqlite3.Cursor:
        self._require_open()
        try:
            return self._connection.execute(for_sqlite(sql), _bound(values))
        except sqlite3.Error as error:
            raise _mapped(error) from error

    async def rows(self, sql: Statement, **values: Value | Sequence[Value]) -> list[Row]:
        return self._execute(sql, values).fetchall()

    async def row(self, sql: Statement, **values: Value | Sequence[Value]) -> Row | None:
        cursor = self._execute(sql, values)
        row: Row | None = cursor.fetchone()
        cursor.close()
        return row

    async def one(self, sql: Statement, **values: Value | Sequence[Value]) -> Row:
        return (await self.rows(sql, **values))[0]

    async def run(self, sql: Statement, **values: Value | Sequence[Value]) -> int:
        return max(0, self._execute(sql, values).rowcount)

    async def bulk(self, sql: Statement, rows: Sequence[Sequence[Value]]) -> int:
        self._require_open()
        try:
            return max(0, self._connection.executemany(for_sqlite(sql), rows).rowcount)
        except sqlite3.Error as error:
            raise _mapped(error) from error

    async def add(self, table: Table, rows: Sequence[Sequence[Value]]) -> None:
        self._require_open()
        try:
            whole = len(rows) - len(rows) % _ROWS_PER_INSERT
            for at in range(0, whole, _ROWS_PER_INSERT):
                self._connection.execute(
                    _insert(table, _ROWS_PER_INSERT), list(chain.from_iterable(rows[at : at + _ROWS_PER_INSERT]))
                )
            if whole < len(rows):
                self._connection.executemany(_insert(table, 1), rows[whole:])
        except sqlite3.Error as error:
            raise _mapped(error) from error

    async def lock(self, number: int) -> None:
        """Do nothing: the transaction holds the writer lock."""

    def after_commit(self, call: Callable[[], None]) -> None:
        self._after.append(call)

    def committed(self) -> None:
        for call in self._after:
            call()


class SqliteRead:
    """A reader connection for the duration of a block. Each statement runs in a thread."""

    __slots__ = ("_connection", "_threads", "tuning")
    dialect = Dialect.SQLITE
    has_one_writer = True

    def __init__(self, connection: sqlite3.Connection, threads: ThreadPoolExecutor, tuning: StorageTuning) -> None:
        self._connection = connection
        self._threads = threads
        self.tuning = tuning

    async def rows(self, sql: Statement, **values: Value | Sequence[Value]) -> list[Row]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._fetch, for_sqlite(sql), _bound(values))

    async def row(self, sql: Statement, **values: Value | Sequence[Value]) -> Row | None:
        found = await self.rows(sql, **values)
        return found[0] if found else None

    async def one(self, sql: Statement, **values: Value | Sequence[Value]) -> Row:
        return (await self.rows(sql, **values))[0]

    def _fetch(self, sql: str, values: dict[str, Value]) -> list[Row]:
        try:
            if not self._connection.in_transaction:
                self._connection.execute("BEGIN")
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise _mapped(error) from error


class SqliteDatabase:
    """A SQLite database file. One process opens it at a time."""

    dialect = Dialect.SQLITE
    has_one_writer = True

    def __init__(self, path: Path, *, may_create: bool = True, tuning: StorageTuning = StorageTuning()) -> None:
        self.tuning = tuning
        self._file = OwnedFile(path, may_create=may_create)
        self._path = path = self._file.path
        try:
            self._writer = self._connect()
            self._wal = WriteAheadLog(path, self._connect())
        except (sqlite3.Error, OSError) as error:
            self._file.close()
            raise Unavailable(opening_error(path, error)) from error
        self._file.warn_of_others()
        self._committer = Committer(self._writer)
        self._lock = WriterLock()
        self._foreground = ForegroundActivity()
        self._checkpointing: asyncio.Task[None] | None = None
        self._checkpoint_at = tuning.wal_checkpoint_frames
        self._threads = ThreadPoolExecutor(_READERS, "read")
        self._idle: list[sqlite3.Connection] = []
        self._readers = asyncio.Semaphore(_READERS)
        self.synchronous: int = self._writer.execute("PRAGMA synchronous").fetchone()[0]
        self._syncs_commits = self._is_on_disk = True
        self._wrote_at = float("-inf")
        self.syncing: asyncio.Task[None] | None = None
        """The task that syncs commits that were not synced, if any."""

    keeps_sessions = True

    @property
    def has_foreground_writes(self) -> bool:
        """Whether this process made a foreground write within the last second."""
        return self._foreground.is_recent

    @asynccontextmanager
    async def write(
        self, *, advisory_lock: int | None = None, lock_ms: int = 1_000, background: bool = False, synced: bool = True
    ) -> AsyncIterator[SqliteWrite]:
        """Open the write transaction under the writer lock, which replaces every `advisory_lock`."""
        del advisory_lock, lock_ms
        if not background:
            self._foreground.note()
        async with self._lock.hold(background=background):
            tx = SqliteWrite(self._writer, self.tuning)
            self._begin(synced=synced)
            try:
                yield tx
                await self._commit()
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
        tx.committed()

    def _begin(self, *, synced: bool) -> None:
        try:
            if synced is not self._syncs_commits:
                # As a script: the pragma takes effect when it is compiled, and `execute` caches compiled statements.
                self._writer.executescript(_SYNCED if synced else _UNSYNCED)
                self._syncs_commits = synced
            self._writer.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise _mapped(error) from error

    async def _commit(self) -> None:
        if not self._writer.in_transaction:  # for example because the disk is full
            message = "SQLite has rolled the transaction back"
            raise Unavailable(message)
        before = self._wal.frames
        try:
            await self._committer.commit()
        except sqlite3.Error as error:
            raise _mapped(error) from error
        finally:  # COMMIT completes even if the caller is canceled
            if self._wal.frames != before:  # otherwise the transaction wrote nothing, and COMMIT did not sync
                self._is_on_disk = self._syncs_commits  # a sync covers every earlier frame of the WAL
                self._wrote_at = asyncio.get_running_loop().time()
            if not self._is_on_disk and self.syncing is None:
                self.syncing = asyncio.create_task(self._sync())
        if self._checkpointing is None and self._wal.frames_to_checkpoint >= self._checkpoint_at:
            self._checkpointing = asyncio.create_task(self._checkpoint())

    async def _sync(self) -> None:
        """Sync the commits that were made with `synced=False`; retry with backoff if that fails."""
        pause = seconds = self.tuning.wal_sync_seconds
        try:
            while not self._is_on_disk:
                await asyncio.sleep(pause)
                if not self._is_on_disk:
                    pause = seconds if await self._is_synced() else min(2 * pause, _LONGEST_PAUSE)
        finally:
            self.syncing = None

    async def _is_synced(self) -> bool:
        self._is_on_disk = True  # a commit during the sync resets this
        try:
            await self._wal.sync()
        except OSError as error:
            failure("waiting for the disk", Unavailable(str(error)))
            self._is_on_disk = False
        return self._is_on_disk

    async def _checkpoint(self) -> None:
        """Checkpoint concurrently with writers; checkpoint a long WAL completely, so that SQLite restarts it."""
        try:
            await self._wal.checkpoint()
            if self._wal.frames >= self.tuning.wal_restart_frames:
                async with self._lock.foreground_only():
                    await self._wal.checkpoint()
                    async with self._lock.hold():
                        await self._wal.checkpoint()
        except (sqlite3.Error, OSError) as error:  # nothing is lost: a later checkpoint copies the frames
            failure("checkpointing the WAL", Unavailable(str(error)))
        finally:
            # Frames that a reader still needs do not count toward the next checkpoint.
            self._checkpoint_at = self._wal.frames_to_checkpoint + self.tuning.wal_checkpoint_frames
            self._checkpointing = None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[SqliteRead]:
        """Yield a reader connection. All statements in the block see one snapshot."""
        async with self._readers:
            connection = self._idle.pop() if self._idle else self._reader()
            try:
                yield SqliteRead(connection, self._threads, self.tuning)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._idle.append(connection)

    async def give_way(self, seconds: float) -> None:
        """Return immediately: the writer lock gives way."""

    def wrote_within(self, seconds: float) -> bool:
        """Return whether this process has committed a change within the last `seconds`."""
        return asyncio.get_running_loop().time() - self._wrote_at < seconds

    def require_intact(self) -> None:
        """Raise `Unavailable` if the database file was replaced or overwritten."""
        self._file.require_intact()

    def _connect(self, *, reader: bool = False) -> sqlite3.Connection:
        return connect(self._path, busy_ms=self.tuning.busy_ms, reader=reader)

    def _reader(self) -> sqlite3.Connection:
        try:
            return self._connect(reader=True)
        except sqlite3.Error as error:
            raise _mapped(error) from error

    async def close(self) -> None:
        """Wait for the open transaction, close every connection, which checkpoints the WAL, and unlock the file."""
        async with self._lock.hold():
            for task in (self._checkpointing, self.syncing):
                if task is not None:
                    task.cancel()
                    await asyncio.wait([task])
            self._wal.close_connection()
            self._committer.close()
            self._threads.shutdown()
            for connection in self._idle:
                connection.close()
            self._writer.close()
            self._wal.close()
            self._file.close()
