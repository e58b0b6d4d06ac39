# SPDX-License-Identifier: MIT
"""The files of a SQLite database: owned by one process, readable by its user alone, and opened in plain words.

Two locks make one owner. The lock file beside the database refuses a second process that comes by the same path, also
through a symbolic link; a byte of the database file itself refuses one that comes by a hard link.
"""

import fcntl
import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tidings.observe import log
from tidings.storage.database import Unavailable

_BUSY_MS: Final = 5_000
_AUTOCHECKPOINT_AT: Final = 65_536
"""Pages after which SQLite checkpoints inside a COMMIT: a bound on the WAL if our own checkpoints fall behind."""
_OWNER_BYTE: Final = 0x3FFF_F000
"""The byte of the file whose lock makes the owner; SQLite locks from 0x40000000 on."""
_MAGIC: Final = b"SQLite format 3\0"
_WHOLE_MODE: Final = 0o600
_OTHERS: Final = 0o077


class OwnedFile:
    """A database file that this process alone has open. Close it after every connection: that ends SQLite's locks."""

    def __init__(self, path: Path, *, may_create: bool) -> None:
        """Take both locks. Raises `Unavailable` with the reason."""
        self._lock = self._file = -1
        self.path = path
        try:
            self.path = Path(os.path.realpath(path))
            self._take(may_create=may_create)
        except OSError as error:
            self.close()
            raise Unavailable(opening_fault(path, error)) from error
        except BaseException:
            self.close()
            raise

    def _take(self, *, may_create: bool) -> None:
        if may_create:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        elif not self.path.exists():
            raise Unavailable(f"{self.path} does not exist, and mode=rw does not create it")
        self._lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _WHOLE_MODE)
        _own(self.path, lambda: fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB))
        create = os.O_CREAT if may_create else 0
        self._file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | create, _WHOLE_MODE)
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            raise Unavailable(f"{self.path} is not a regular file")
        _own(self.path, lambda: fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _OWNER_BYTE))

    def warn_of_others(self) -> None:
        """Log files that other users may read, and a file with several names."""
        for each in (self.path, *(Path(f"{self.path}{end}") for end in ("-wal", "-shm", ".lock"))):
            mode = each.stat().st_mode & 0o777 if each.exists() else 0
            if mode & _OTHERS:
                log.warning("%s has mode %04o and the database holds secrets; run: chmod 600 %s", each, mode, each)
        links = os.fstat(self._file).st_nlink
        if links > 1:
            log.warning("%s has %d hard links; always open it by the same name", self.path, links)

    def require_intact(self) -> None:
        """Raise `Unavailable` where the file at the path is not the one that is open, or is no database any more."""
        try:
            opened, there = os.fstat(self._file), self.path.stat()
            magic = os.pread(self._file, len(_MAGIC), 0)
        except OSError as error:
            raise Unavailable(opening_fault(self.path, error)) from error
        if (opened.st_dev, opened.st_ino) != (there.st_dev, there.st_ino):
            raise Unavailable(f"{self.path} was replaced by another file; restart the service")
        if magic != _MAGIC:
            raise Unavailable(f"{self.path} was overwritten: it is not a SQLite database any more")

    def close(self) -> None:
        """Let go of both locks."""
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


def opening_fault(path: Path, error: sqlite3.Error | OSError) -> str:
    """Return a sentence for a database that cannot be opened."""
    if isinstance(error, OSError):
        return f"cannot open {error.filename or path}: {error.strerror or error}"
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_NOTADB":
        return f"{path} is not a SQLite database, or is encrypted"
    if name.startswith("SQLITE_CORRUPT"):
        return f"{path} is damaged ({error}); restore a backup"
    return f"cannot open {path}: {error}"


def connected(path: Path, *, reader: bool = False) -> sqlite3.Connection:
    """Open one more connection to the file. Raises what SQLite raises."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    connection.row_factory = sqlite3.Row
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        f"busy_timeout={_BUSY_MS}",
        f"wal_autocheckpoint={_AUTOCHECKPOINT_AT}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("PRAGMA query_only=ON" if reader else "PRAGMA cache_size=-65536")
    return connection
