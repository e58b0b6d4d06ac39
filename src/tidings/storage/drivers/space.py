# SPDX-License-Identifier: MIT
"""Returns the free pages of a SQLite file to the file system. PostgreSQL does that itself, by vacuum and by drops."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from tidings.logs import log
from tidings.storage.drivers.database import Database, Dialect

_SIZES: Final = (
    "SELECT (SELECT freelist_count FROM pragma_freelist_count) AS free, (SELECT page_count FROM pragma_page_count)"
    " AS pages, (SELECT page_size FROM pragma_page_size) AS page_bytes,"
    " (SELECT auto_vacuum FROM pragma_auto_vacuum) AS mode"
)
_INCREMENTAL: Final = 2
_warned: Final[set[int]] = set()


async def return_some(
    db: Database, pages: int, reserve: float, timed: Callable[[], AbstractContextManager[None]] = nullcontext
) -> int:
    """Return up to `pages` free pages to the file system, in one background transaction; return the bytes.

    The statement runs in `timed()`. A part `reserve` of the file stays free for new rows, which would otherwise extend
    the file again. A file that was created without `auto_vacuum` keeps its size; the log then says once how to shrink
    it.
    """
    if db.dialect is not Dialect.SQLITE:
        return 0
    async with db.read() as read:
        sizes = await read.one(_SIZES)
    spare = sizes["free"] - int(sizes["pages"] * reserve)
    if spare <= 0:
        return 0
    if sizes["mode"] != _INCREMENTAL:
        _warn(db, spare * sizes["page_bytes"])
        return 0
    async with db.write(background=True) as tx:
        with timed():
            await tx.rows(f"PRAGMA incremental_vacuum({min(pages, spare):d})")
    async with db.read() as read:
        after = await read.one(_SIZES)
    return max(0, int(sizes["pages"] - after["pages"])) * int(sizes["page_bytes"])


def _warn(db: Database, spare: int) -> None:
    if id(db) in _warned:
        return
    _warned.add(id(db))
    log.warning(
        "database.cannot_shrink",
        "the database file cannot shrink by itself; stop the service once and run: sqlite3 FILE 'PRAGMA auto_vacuum ="
        " INCREMENTAL; VACUUM'",
        free_bytes=spare,
    )
