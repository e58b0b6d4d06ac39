# SPDX-License-Identifier: MIT
"""Copy a SQLite database beside the process that owns it.

The copy is one transaction of a reader, which no lock of the owner excludes: it has the state of one point in time,
and writers continue. The WAL cannot be restarted meanwhile, so it grows with each write until the copy ends.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from tidings.storage.drivers.database import Unavailable
from tidings.storage.drivers.sqlite_file import opening_error

_BUSY_SECONDS: Final = 30.0
_OWNER_ONLY: Final = 0o600


def back_up(source: Path, target: Path) -> int:
    """Write a compact, verified copy of the database to a new file; return its size in bytes.

    The file appears under its name only when it is complete and on disk. Raises `Unavailable` with the reason.
    """
    if not source.is_file():
        raise Unavailable(f"{source} does not exist")
    if target.exists():
        raise Unavailable(f"{target} exists; name a new file")
    partial = target.with_name(f"{target.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY))
        _copy(source, partial)
        partial.rename(target)
        _sync(target.parent)
    except (OSError, sqlite3.Error) as error:
        partial.unlink(missing_ok=True)
        raise Unavailable(opening_error(source, error)) from error
    return target.stat().st_size


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=rw", uri=True, timeout=_BUSY_SECONDS)) as opened:
        opened.execute("VACUUM INTO :target", {"target": str(target)})
    with closing(sqlite3.connect(target)) as copied:
        [result] = copied.execute("PRAGMA quick_check(1)").fetchone()
    if result != "ok":
        raise sqlite3.DatabaseError(f"the copy is damaged: {result}")
    _sync(target)


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
