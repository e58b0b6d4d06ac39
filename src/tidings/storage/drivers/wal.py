# SPDX-License-Identifier: MIT
"""SQLite's write-ahead log (WAL): its length, the thread that commits to it, and the thread that checkpoints it.

By default SQLite checkpoints inside COMMIT, and every writer waits while thousands of pages are copied. Here a separate
thread checkpoints concurrently with writers. Such a checkpoint is never complete, because writers add frames meanwhile,
and SQLite restarts the WAL only after a complete checkpoint. So a final checkpoint of the few remaining pages runs
under the writer lock.
"""

import asyncio
import contextlib
import mmap
import os
import queue
import sqlite3
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

# https://www.sqlite.org/walformat.html, "The WAL-Index Header": frames in the WAL, and how many are checkpointed.
_FRAMES_AT: Final = 16
_CHECKPOINTED_AT: Final = 96
_HEADER: Final = 136
_NUMBER: Final = struct.Struct("=I")


class WriteAheadLog:
    """The WAL of one database file. This process is its only writer."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Open the WAL of the database at `path`; `connection` runs the checkpoints and is closed with this object."""
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # creates the WAL and its index
        self._connection = connection
        # SQLite would lose its locks on these files if they were closed before all connections.
        self._index_file = os.open(f"{path}-shm", os.O_RDONLY)
        self._index = mmap.mmap(self._index_file, _HEADER, access=mmap.ACCESS_READ)
        self._file = os.open(path, os.O_RDONLY)
        self._log = os.open(f"{path}-wal", os.O_RDONLY)
        self._thread = ThreadPoolExecutor(1, "checkpoint")

    @property
    def frames(self) -> int:
        """The number of frames in the WAL."""
        return int(_NUMBER.unpack_from(self._index, _FRAMES_AT)[0])

    @property
    def frames_to_checkpoint(self) -> int:
        """The number of frames that no checkpoint has copied yet."""
        return self.frames - int(_NUMBER.unpack_from(self._index, _CHECKPOINTED_AT)[0])

    async def checkpoint(self) -> None:
        """Copy the current frames of the WAL to the database file, except those that a reader still needs."""
        checkpointing = asyncio.get_running_loop().run_in_executor(self._thread, self._checkpoint)
        await asyncio.shield(checkpointing)

    async def sync(self) -> None:
        """Wait until all current frames of the WAL are on disk."""
        syncing = asyncio.get_running_loop().run_in_executor(self._thread, os.fdatasync, self._log)
        await asyncio.shield(syncing)

    def _checkpoint(self) -> None:
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        # SQLite syncs the file only in a complete checkpoint, which may block other connections.
        os.fdatasync(self._file)

    def close_connection(self) -> None:
        """Wait for the running checkpoint and close the connection."""
        self._thread.shutdown()
        self._connection.close()

    def close(self) -> None:
        """Close the files. Call this after every connection is closed."""
        self._index.close()
        for each in (self._index_file, self._file, self._log):
            os.close(each)


class _Commit:
    """One COMMIT in progress."""

    __slots__ = ("error", "is_over", "loop", "woken")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.woken: asyncio.Future[None] = loop.create_future()
        self.is_over = False
        self.error: Exception | None = None

    def end(self, error: Exception | None) -> None:
        """Record the result and wake the committing coroutine. Runs on the event loop."""
        self.is_over, self.error = True, error
        if not self.woken.done():
            self.woken.set_result(None)


class Committer:
    """A thread that runs COMMIT, which waits for the disk. An executor would take two more event-loop iterations."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._commits: queue.SimpleQueue[_Commit | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="commit", daemon=True)
        self._thread.start()

    async def commit(self) -> None:
        """Run COMMIT. Raises `sqlite3.Error`. Even if canceled, returns only once the thread is done."""
        commit = _Commit(asyncio.get_running_loop())
        self._commits.put(commit)
        canceled: asyncio.CancelledError | None = None
        while not commit.is_over:
            try:
                await commit.woken
            except asyncio.CancelledError as error:
                canceled = error
                commit.woken = commit.loop.create_future()
        if canceled is not None:
            raise canceled
        if commit.error is not None:
            raise commit.error

    def close(self) -> None:
        """End the thread."""
        self._commits.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (commit := self._commits.get()) is not None:
            error: Exception | None = None
            try:
                self._connection.execute("COMMIT")
            except Exception as raised:  # noqa: BLE001 - the caller gets every error, and the thread continues
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop is closed, so no caller waits
                commit.loop.call_soon_threadsafe(commit.end, error)
