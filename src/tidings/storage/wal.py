# SPDX-License-Identifier: MIT
"""SQLite's write-ahead log: how long it is, the thread that commits to it, and the thread that folds it into the file.

Left to itself SQLite folds inside a COMMIT, and whoever wants to write waits for thousands of pages to be copied. Here
that is done beside the writers. Since they go on meanwhile, such a fold is never complete, and a log is only begun
anew after one that is: that one is made in the writer's turn, when little is left.
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

# https://www.sqlite.org/walformat.html, "The WAL-Index Header": the frames in the log, and how many are in the file.
_FRAMES_AT: Final = 16
_FOLDED_AT: Final = 96
_HEADER: Final = 136
_NUMBER: Final = struct.Struct("=I")


class Log:
    """The log of one database, as this process alone writes it."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Watch the log of the file at `path`; `connection` is the one that folds, and is closed with this."""
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # now the log and its index are there
        self._connection = connection
        # SQLite's locks on these files would be gone if they were closed before all connections.
        self._index_file = os.open(f"{path}-shm", os.O_RDONLY)
        self._index = mmap.mmap(self._index_file, _HEADER, access=mmap.ACCESS_READ)
        self._file = os.open(path, os.O_RDONLY)
        self._log = os.open(f"{path}-wal", os.O_RDONLY)
        self._thread = ThreadPoolExecutor(1, "fold")

    @property
    def frames(self) -> int:
        """How many pages are in the log."""
        return int(_NUMBER.unpack_from(self._index, _FRAMES_AT)[0])

    @property
    def unfolded(self) -> int:
        """How many pages of the log are not in the file yet."""
        return self.frames - int(_NUMBER.unpack_from(self._index, _FOLDED_AT)[0])

    async def fold(self) -> None:
        """Copy into the file what is in the log by now; what a reader still needs as it was is left for later."""
        folding = asyncio.get_running_loop().run_in_executor(self._thread, self._fold)
        await asyncio.shield(folding)

    async def sync(self) -> None:
        """Wait until all that is in the log by now is on the disk."""
        syncing = asyncio.get_running_loop().run_in_executor(self._thread, os.fdatasync, self._log)
        await asyncio.shield(syncing)

    def _fold(self) -> None:
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        # SQLite waits for the disk only in a fold that is complete, for which others may wait in turn.
        os.fdatasync(self._file)

    def close_connection(self) -> None:
        """Wait for the fold under way, and fold no more."""
        self._thread.shutdown()
        self._connection.close()

    def close(self) -> None:
        """Let go of the files, once every connection is closed."""
        self._index.close()
        for each in (self._index_file, self._file, self._log):
            os.close(each)


class _Commit:
    """One COMMIT under way."""

    __slots__ = ("error", "is_over", "loop", "told")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.told: asyncio.Future[None] = loop.create_future()
        self.is_over = False
        self.error: Exception | None = None

    def end(self, error: Exception | None) -> None:
        """Tell how it ended, on the loop."""
        self.is_over, self.error = True, error
        if not self.told.done():
            self.told.set_result(None)


class Committer:
    """A thread of its own for COMMIT, which waits for the disk. An executor costs two more turns of the loop."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._commits: queue.SimpleQueue[_Commit | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="commit", daemon=True)
        self._thread.start()

    async def commit(self) -> None:
        """Commit; raises what SQLite raises. Returns only once the thread is out of the connection."""
        commit = _Commit(asyncio.get_running_loop())
        self._commits.put(commit)
        cancelled: asyncio.CancelledError | None = None
        while not commit.is_over:
            try:
                await commit.told
            except asyncio.CancelledError as error:
                cancelled = error
                commit.told = commit.loop.create_future()
        if cancelled is not None:
            raise cancelled
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
            except Exception as raised:  # noqa: BLE001 - whatever it is: who waits must hear of it, and so must the next
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop is gone, and whoever waited with it
                commit.loop.call_soon_threadsafe(commit.end, error)
