# SPDX-License-Identifier: MIT
"""The files of a SQLite database: their owner and their permissions."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from logged import text_of
from tidings.storage.drivers.database import Unavailable
from tidings.storage.drivers.sqlite import SqliteDatabase
from tidings.storage.drivers.store import migrate, opened

HOLD = """
import sys
from pathlib import Path
from tidings.storage.drivers.sqlite import SqliteDatabase
db = SqliteDatabase(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""
INCREMENTAL = 2
ENDS = ("", "-wal", "-shm", ".lock")


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Have another process own a file for the length of a block."""
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        yield
        holder.communicate()


def modes(path: Path) -> dict[str, int]:
    return {end: stat.S_IMODE(Path(f"{path}{end}").stat().st_mode) for end in ENDS}


async def test_all_database_files_are_private_to_their_user(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = os.umask(0)
    try:
        db = await opened(f"sqlite:///{tmp_path}/a.db")
        await migrate(db)
        assert dict.fromkeys(ENDS, 0o600) == modes(tmp_path / "a.db")
        await db.close()
    finally:
        os.umask(before)
    assert "chmod" not in text_of(caplog)


async def test_a_file_that_others_may_read_causes_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.db"
    path.touch(0o644)

    db = await opened(f"sqlite:///{path}")
    await db.close()

    assert f"file={path} mode=0644" in text_of(caplog)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
async def test_a_second_process_is_refused_under_every_name_of_the_file(
    tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    path, other = tmp_path / "a.db", tmp_path / "sub" / "b.db"
    db = await opened(f"sqlite:///{path}")
    await migrate(db)
    await db.close()
    other.parent.mkdir()
    link(other, path)

    with held(path), pytest.raises(Unavailable, match="in use by another process"):
        SqliteDatabase(other)

    db = await opened(f"sqlite:///{other}")  # whose own name is fine
    await migrate(db)
    await db.close()


async def test_a_symbolic_link_to_an_absent_file_creates_the_file(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "data" / "a.db")

    db = await opened(f"sqlite:///{tmp_path}/link.db")
    await migrate(db)
    await db.close()

    assert (tmp_path / "data" / "a.db").stat().st_size
    assert (tmp_path / "link.db").is_symlink()


async def test_a_file_with_two_names_causes_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.db"
    path.touch(0o600)
    (tmp_path / "b.db").hardlink_to(path)

    db = await opened(f"sqlite:///{path}")
    await db.close()

    assert "links=2" in text_of(caplog)


async def test_a_new_file_can_release_free_pages_and_an_older_one_still_opens(tmp_path: Path) -> None:
    """SQLite fixes `auto_vacuum` when it writes the first page; a file without it would need a whole VACUUM."""
    with closing(sqlite3.connect(tmp_path / "older.db")) as connection:
        connection.execute("PRAGMA user_version = 1")

    found = {}
    for name in ("new", "older"):
        db = await opened(f"sqlite:///{tmp_path}/{name}.db")
        await migrate(db)
        async with db.read() as read:
            [found[name]] = await read.one("PRAGMA auto_vacuum")
        await db.close()

    assert {"new": INCREMENTAL, "older": 0} == found
