# SPDX-License-Identifier: MIT
"""The files of a SQLite database: locked by one process, readable by its user only, with clear errors on opening.

Two locks exclude a second process. The lock file beside the database excludes one that uses the same path, also through
a symbolic link. The lock on a byte of the database file excludes one that uses a hard link.
"""

import fcntl
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from tidings.observe import log
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
                log.warning("%s has mode %04o, but the database holds secrets; run: chmod 600 %s", each, mode, each)
        links = os.fstat(self._file).st_nlink
        if links > 1:
            log.warning("%s has %d hard links; always open it by the same name", self.path, links)

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
