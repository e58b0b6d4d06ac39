# SPDX-License-Identifier: MIT
"""Checks of a SQLite file, also while the service uses it: reading needs no ownership of the file."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tidings.model.diagnosis import CheckResult, failed, ok, warning
from tidings.storage.drivers.sqlite_file import opening_error
from tidings.storage.tables.transformations import COUNT_IN_USE

_NETWORK: Final = frozenset(
    (
        *("9p", "afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs"),
        *("glusterfs", "gpfs", "lustre", "nfs", "nfs4", "ocfs2", "smb3", "smbfs"),
    )
)
_MOUNTS: Final = Path("/proc/self/mountinfo")
_GB: Final = 1 << 30
_FREE_WARNING: Final = _GB
_FREE_LEAST: Final = 128 << 20
_BUSY_SECONDS: Final = 2.0
_INCREMENTAL: Final = 2


def check(path: Path, *, mounts: Path = _MOUNTS) -> list[CheckResult]:
    """Check the file, its folder, its file system and the settings that it stores."""
    path = Path(os.path.realpath(path))
    found = [_access(path), _file_system(path, mounts), _disk(path)]
    if path.exists() and os.access(path, os.R_OK):
        found += _contents(path)
    return found


def _access(path: Path) -> CheckResult:
    name, folder = "database file", _nearest(path.parent)
    if not path.exists():
        if os.access(folder, os.W_OK | os.X_OK):
            return ok(name, f"{path} does not exist; the first start creates it")
        return failed(name, f"{path} cannot be created: no permission for {folder}", f"chown or chmod {folder}")
    if not path.is_file():
        return failed(name, f"{path} is not a regular file", "name another file in db_dsn")
    for each in (path, path.parent):
        if not os.access(each, os.R_OK | os.W_OK):
            return failed(name, f"no permission to write {each}", f"chown or chmod {each}")
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        return warning(name, f"{path} has mode {mode:04o}, and holds secrets", f"chmod 600 {path}")
    return ok(name, f"{path} is writable")


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return folder if folder.exists() or folder == folder.parent else _nearest(folder.parent)


def _file_system(path: Path, mounts: Path) -> CheckResult:
    name, folder = "file system", str(_nearest(path.parent))
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return ok(name, "its type is unknown on this system")
    best, kind = "", "unknown"
    for line in lines:
        before, _, after = line.partition(" - ")
        mount = before.split()[4].replace("\\040", " ")
        if len(mount) >= len(best) and (folder == mount or folder.startswith(mount.rstrip("/") + "/")):
            best, kind = mount, after.split()[0]
    if kind in _NETWORK:
        text = f"{best} is a network file system ({kind}): SQLite's locks may fail, and damage the database"
        return failed(name, text, "use a local disk, or PostgreSQL")
    return ok(name, f"{kind} at {best}")


def _disk(path: Path) -> CheckResult:
    name, usage = "disk", shutil.disk_usage(_nearest(path.parent))
    text = f"{usage.free / _GB:.1f} of {usage.total / _GB:.1f} GB free"
    if usage.free < _FREE_LEAST:
        return failed(name, text, "free space: a full disk refuses every message")
    if usage.free < _FREE_WARNING:
        return warning(name, text, "free space, or delete old messages with `tidings prune`")
    return ok(name, text)


def _contents(path: Path) -> list[CheckResult]:
    if path.stat().st_size == 0:
        return [warning("schema", "the file is empty", "`tidings serve` or `tidings migrate` creates the schema")]
    try:
        with closing(_opened(path)) as file:
            read = lambda pragma: file.execute(f"PRAGMA {pragma}").fetchone()[0]  # noqa: E731
            return [_journal(read), _vacuum(read)]
    except sqlite3.Error as error:
        return [failed("database", opening_error(path, error), "restore a backup, or name another file in db_dsn")]


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_BUSY_SECONDS)


def scripts_in_use(path: Path) -> int:
    """Return the number of endpoints with a script, up to a limit; 0 for a file without them, or that is unreadable."""
    if not path.exists():
        return 0
    try:
        with closing(_opened(path)) as file:
            return int(file.execute(COUNT_IN_USE).fetchone()[0])
    except sqlite3.Error:  # also the schema of a release without transformations
        return 0


def _journal(read: Callable[[str], object]) -> CheckResult:
    mode = str(read("journal_mode"))
    if mode == "wal":
        return ok("journal mode", "wal")
    return warning("journal mode", mode, "the next start sets it to wal")


def _vacuum(read: Callable[[str], object]) -> CheckResult:
    name = "auto_vacuum"
    if read("auto_vacuum") == _INCREMENTAL:
        return ok(name, "incremental: space of deleted messages is returned to the disk")
    remedy = "once, with the service stopped: sqlite3 FILE 'PRAGMA auto_vacuum=INCREMENTAL; VACUUM'"
    return warning(name, "off: the file never shrinks", remedy)
