# SPDX-License-Identifier: MIT
"""The files of a SQLite database, its WAL and its writer lock.

The files are locked by one process and readable by its user only; an error on opening them is clear.

Two locks exclude a second process. The lock file beside the database excludes one that uses the same path, also through
a symbolic link. The lock on a byte of the database file excludes one that uses a hard link.
"""

import asyncio
import contextlib
import fcntl
import mmap
import os
import queue
import sqlite3
import stat
import struct
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

from tidings.logs import log
from tidings.measures import database_wait
from tidings.storage.drivers.database import Unavailable

_AUTOCHECKPOINT_AT: Final = 65_536
"""The number of WAL pages at which SQLite itself checkpoints, in COMMIT, if our checkpoints are too slow."""
_OWNER_BYTE: Final = 0x3FFF_F000
"""The byte of the database file that is locked. SQLite itself locks bytes from 0x40000000 on."""
_MAGIC: Final = b"SQLite format 3\0"
_OWNER_ONLY: Final = 0o600
_OTHERS: Final = 0o077


class OwnedFile:
    """A database file locked by this process. Close it after every connection: that also drops SQLite's locks."""

    def __init__(self, path: Path, *, may_create: bool) -> None:
        """Create the file if needed and take both locks. Raises `Unavailable` with the reason."""
        self._lock = self._file = -1
        self.path = path
        try:
            self.path = Path(os.path.realpath(path))
            self._take(may_create=may_create)
        except OSError as error:
            self.close()
            raise Unavailable(opening_error(path, error)) from error
        except BaseException:
            self.close()
            raise

    def _take(self, *, may_create: bool) -> None:
        if may_create:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        elif not self.path.exists():
            raise Unavailable(f"{self.path} does not exist; create it, or remove mode=rw from the URL")
        self._lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWNER_ONLY)
        _own(self.path, lambda: fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB))
        create = os.O_CREAT if may_create else 0
        self._file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | create, _OWNER_ONLY)
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            raise Unavailable(f"{self.path} is not a regular file")
        _own(self.path, lambda: fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _OWNER_BYTE))

    def warn_of_others(self) -> None:
        """Log a warning if other users can access a file, or if the database file has hard links."""
        for each in (self.path, *(Path(f"{self.path}{end}") for end in ("-wal", "-shm", ".lock"))):
            mode = each.stat().st_mode & 0o777 if each.exists() else 0
            if mode & _OTHERS:
                log.warning(
                    "database.readable",
                    "other users can read the database, which holds secrets; run chmod 600 on the file",
                    file=each,
                    mode=f"{mode:04o}",
                )
        links = os.fstat(self._file).st_nlink
        if links > 1:
            log.warning(
                "database.links",
                "the database file has several hard links; always open it by the same name",
                file=self.path,
                links=links,
            )

    def require_intact(self) -> None:
        """Raise `Unavailable` if the file at the path is not the open one, or is no longer a SQLite database."""
        try:
            opened, current = os.fstat(self._file), self.path.stat()
            magic = os.pread(self._file, len(_MAGIC), 0)
        except OSError as error:
            raise Unavailable(opening_error(self.path, error)) from error
        if (opened.st_dev, opened.st_ino) != (current.st_dev, current.st_ino):
            raise Unavailable(f"{self.path} was replaced by another file; restart the service")
        if magic != _MAGIC:
            raise Unavailable(f"{self.path} was overwritten and is no longer a SQLite database; restore a backup")

    def close(self) -> None:
        """Release both locks."""
        for each in (self._file, self._lock):
            if each >= 0:
                os.close(each)
        self._lock = self._file = -1


def _own(path: Path, lock: Callable[[], None]) -> None:
    try:
        lock()
    except (BlockingIOError, PermissionError) as error:
        message = f"{path} is in use by another process; one process owns a SQLite file (use PostgreSQL for more)"
        raise Unavailable(message) from error


def opening_error(path: Path, error: sqlite3.Error | OSError) -> str:
    """Return an error message for a database that cannot be opened."""
    if isinstance(error, OSError):
        return f"cannot open {error.filename or path}: {error.strerror or error}"
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_NOTADB":
        return f"{path} is not a SQLite database, or is encrypted"
    if name.startswith("SQLITE_CORRUPT"):
        return f"{path} is damaged ({error}); restore a backup"
    return f"cannot open {path}: {error}"


def connect(path: Path, *, busy_ms: int, reader: bool = False) -> sqlite3.Connection:
    """Open a connection to the file. Raises `sqlite3.Error`."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    connection.row_factory = sqlite3.Row
    for pragma in (
        "auto_vacuum=INCREMENTAL",  # takes effect in an empty file only, so before the pragma that writes its header
        "journal_mode=WAL",
        "synchronous=FULL",
        f"busy_timeout={busy_ms}",
        f"wal_autocheckpoint={_AUTOCHECKPOINT_AT}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("PRAGMA query_only=ON" if reader else "PRAGMA cache_size=-65536")
    return connection


def stored_setting(path: Path, name: str) -> str | None:
    """Return a setting that the deployment generated, or None if there is no such file or setting.

    Another process may have the file open: a read-only connection is safe without its locks.
    """
    if not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT value FROM setting WHERE name = :name", {"name": name}).fetchone()
    except sqlite3.OperationalError:  # the migrations have not run yet
        return None
    return None if row is None else str(row[0])


# -----------------------------------------------------------------------------------------------------------------
# The write-ahead log (WAL): its length, the thread that commits to it, and the thread that checkpoints it.
#
# By default SQLite checkpoints inside COMMIT, and every writer waits while thousands of pages are copied. Here a
# separate thread checkpoints concurrently with writers. Such a checkpoint is never complete, because writers add frames
# meanwhile, and SQLite restarts the WAL only after a complete checkpoint. So a final checkpoint of the few remaining
# pages runs under the writer lock.

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


# -----------------------------------------------------------------------------------------------------------------
# The writer lock: one owner at a time, foreground writes before background writes.

_MAX_BACKGROUND_WAIT_SECONDS: Final = 0.02
"""How long a background write waits for foreground writes. Longer than a commit with a slow sync."""
_Queue = deque[tuple[float, asyncio.Future[None]]]


class WriterLock:
    """A lock with two queues, one for each priority.

    Background writes (settle, claim, a task's chunk: no caller waits for them) let foreground writes go first. Once a
    background write has waited for 20 ms, the two queues alternate, so that neither starves: a foreground write waits
    for at most one background write. A foreground owner that takes the lock again immediately after it has released it
    is treated as if it had waited. `foreground_only` holds back every background write.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds."""
        self._clock = clock
        self._foreground: Final = _Queue()
        self._background: Final = _Queue()
        self._is_taken = False
        self._was_foreground = False
        self._held_back = 0

    @asynccontextmanager
    async def hold(self, *, background: bool = False) -> AsyncIterator[None]:
        """Hold the lock for the duration of a block."""
        requested_at = self._clock()
        await self._take(background=background)
        database_wait.add(self._clock() - requested_at)
        try:
            yield
        finally:
            self._release()

    @asynccontextmanager
    async def foreground_only(self) -> AsyncIterator[None]:
        """Hold back new background writes for the duration of a block."""
        self._held_back += 1
        try:
            yield
        finally:
            self._held_back -= 1
            if not self._is_taken:
                self._pass_on()

    async def _take(self, *, background: bool) -> None:
        if not self._is_taken and self._may_begin(background=background):
            self._begin(foreground=not background)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._background if background else self._foreground).append((self._clock(), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # this write has the lock already: pass it on
                self._pass_on()
            raise

    def _release(self) -> None:
        """Release the lock. The same foreground owner may take it again before a background write gets it."""
        if self._was_foreground and not self._foreground and self._background:
            self._is_taken = False
            asyncio.get_running_loop().call_soon(self._offer)
        else:
            self._pass_on()

    def _offer(self) -> None:
        if not self._is_taken:
            self._pass_on()

    def _may_begin(self, *, background: bool) -> bool:
        """Return whether a write may take the free lock now. Queued background writes may have precedence."""
        if background:
            return not self._held_back and not self._background
        return not self._is_background_due()

    def _is_background_due(self) -> bool:
        """Return whether a background write is next, because it has waited for 20 ms."""
        if not self._was_foreground or self._held_back or not self._background:
            return False
        return self._clock() - self._background[0][0] > _MAX_BACKGROUND_WAIT_SECONDS

    def _pass_on(self) -> None:
        """Hand the lock to the next write. No other write can take it in between."""
        waiting = self._next()
        self._is_taken = waiting is not None
        if waiting is not None:
            self._begin(foreground=waiting is self._foreground)
            waiting.popleft()[1].set_result(None)

    def _begin(self, *, foreground: bool) -> None:
        self._is_taken, self._was_foreground = True, foreground

    def _next(self) -> _Queue | None:
        """Return the queue that is next, after removing the canceled writes at its head."""
        for waiting in (self._foreground, self._background):
            while waiting and waiting[0][1].done():
                waiting.popleft()
        if self._foreground and not self._is_background_due():
            return self._foreground
        return None if self._held_back or not self._background else self._background
