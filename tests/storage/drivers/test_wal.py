# SPDX-License-Identifier: MIT
"""WAL checkpoints run beside the writers, restart the WAL, and lose nothing."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from logged import text_of
from tidings.storage.drivers.database import StorageTuning
from tidings.storage.drivers.sqlite import SqliteDatabase
from tidings.storage.drivers.sqlite_file import Committer


async def _write(db: SqliteDatabase, count: int, *, background: bool = False) -> None:
    async with db.write(background=background) as tx:
        for number in range(count):
            await tx.run("INSERT INTO t (body) VALUES (:body)", body=f"{number:0>2000}")


async def _table(path: Path, tuning: StorageTuning = StorageTuning()) -> SqliteDatabase:
    db = SqliteDatabase(path, tuning=tuning)
    async with db.write() as tx:
        await tx.run("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
    return db


async def test_the_wal_is_restarted_under_constant_writes(tmp_path: Path) -> None:
    tuning = StorageTuning(wal_checkpoint_frames=50, wal_restart_frames=200)
    path = tmp_path / "a.db"
    db = await _table(path, tuning)

    async def keep_writing(*, background: bool) -> None:
        for _ in range(150):
            await _write(db, 10, background=background)

    async with asyncio.timeout(60):
        await asyncio.gather(keep_writing(background=False), keep_writing(background=True))
        size = (tmp_path / "a.db-wal").stat().st_size
        await db.close()

    # Both write some 1,600 pages of 4 KB in all. A checkpoint can lag far behind, so the bound is generous.
    assert size < 4_096 * 1_200
    with sqlite3.connect(path) as found:
        assert found.execute("SELECT count(*) FROM t").fetchone() == (3_000,)
        assert found.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_reader_delays_the_checkpoint_and_neither_writers_nor_the_close(tmp_path: Path) -> None:
    tuning = StorageTuning(wal_checkpoint_frames=10, wal_restart_frames=20)
    db = await _table(tmp_path / "a.db", tuning)
    await _write(db, 10)

    async with asyncio.timeout(60), db.read() as read:
        before = (await read.one("SELECT count(*) AS n FROM t"))["n"]
        for _ in range(60):
            await _write(db, 10)
        after = (await read.one("SELECT count(*) AS n FROM t"))["n"]
    await db.close()

    assert (before, after) == (10, 10)


async def test_a_commit_with_a_canceled_caller_ends_before_the_next_one_begins(tmp_path: Path) -> None:
    db = await _table(tmp_path / "a.db")
    for _ in range(50):
        call = asyncio.create_task(_write(db, 5))
        for _ in range(3):
            await asyncio.sleep(0)
        call.cancel()
        call.cancel()
        await _write(db, 1)
        await asyncio.wait([call])

    async with db.read() as read:
        count = (await read.one("SELECT count(*) AS n FROM t"))["n"]
    await db.close()
    assert count >= 50
    assert count % 5 == 0


async def test_a_checkpoint_does_not_delay_background_writes_and_a_foreground_write_does(tmp_path: Path) -> None:
    tuning = StorageTuning(wal_checkpoint_frames=10, wal_restart_frames=20)
    db = SqliteDatabase(tmp_path / "a.db", tuning=tuning)
    async with db.write(background=True) as tx:
        await tx.run("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
    for _ in range(60):
        await _write(db, 10, background=True)
    background = db.has_foreground_writes
    await _write(db, 1)
    caller = db.has_foreground_writes
    await db.close()

    assert (background, caller) == (False, True)


class _Poor(sqlite3.Connection):
    """Runs out of memory at COMMIT: Python then raises an error that is not SQLite's."""

    def execute(self, sql: str, parameters: object = (), /) -> sqlite3.Cursor:
        raise MemoryError(sql, parameters)


async def test_a_commit_ends_after_any_kind_of_error() -> None:
    committer = Committer(sqlite3.connect(":memory:", factory=_Poor))

    for _ in range(2):
        with pytest.raises(MemoryError):
            await committer.commit()
    committer.close()


async def test_a_failed_checkpoint_is_logged_and_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The sync raises errors of the disk, not of SQLite."""
    tuning = StorageTuning(wal_checkpoint_frames=10)
    db = await _table(tmp_path / "a.db", tuning)

    def fail(_: int) -> None:
        raise OSError(5, "the disk is broken")

    with monkeypatch.context() as broken:
        broken.setattr("os.fdatasync", fail)
        for _ in range(50):
            await _write(db, 10)
    await _write(db, 100)
    await db.close()

    assert "Unavailable: [Errno 5] the disk is broken" in text_of(caplog)


async def test_only_writes_without_durability_skip_the_sync(tmp_path: Path) -> None:
    db = await _table(tmp_path / "a.db")
    levels = []
    for synced in (True, False, False, True, False):
        async with db.write(synced=synced) as tx:
            await tx.run("INSERT INTO t (body) VALUES ('')")
            levels.append((await tx.one("PRAGMA synchronous"))[0])
    await db.close()

    full, normal = 2, 1
    assert levels == [full, normal, normal, full, normal]


@pytest.mark.parametrize(
    ("then_synced", "rows", "waits"), [(False, 1, 1), (True, 1, 0), (True, 0, 1)], ids=["not", "with_others", "empty"]
)
async def test_a_commit_without_a_sync_is_synced_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, then_synced: bool, rows: int, waits: int
) -> None:
    """One wait for the disk covers all earlier writers, and is made only if the caller has written."""
    tuning = StorageTuning(wal_sync_seconds=1.0)  # later than the three writes
    db = await _table(tmp_path / "a.db", tuning)
    waited: list[int] = []
    monkeypatch.setattr("os.fdatasync", waited.append)
    for synced, count in ((False, 1), (False, 1), (then_synced, rows)):
        async with db.write(synced=synced) as tx:
            for _ in range(count):
                await tx.run("INSERT INTO t (body) VALUES ('')")
    syncing = db.syncing
    assert syncing is not None
    async with asyncio.timeout(30):
        await asyncio.wait([syncing])
    idle = db.syncing
    files = [os.fstat(each).st_ino for each in waited]
    log = (tmp_path / "a.db-wal").stat().st_ino
    await db.close()

    assert files == [log] * waits
    assert idle is None


async def test_a_failed_sync_is_logged_and_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tuning = StorageTuning(wal_sync_seconds=0.01)
    db = await _table(tmp_path / "a.db", tuning)
    waits = []

    def fail_once(file: int) -> None:
        waits.append(file)
        if len(waits) == 1:
            raise OSError(5, "the disk is broken")

    monkeypatch.setattr("os.fdatasync", fail_once)
    async with db.write(synced=False) as tx:
        await tx.run("INSERT INTO t (body) VALUES ('')")
    assert db.syncing is not None
    async with asyncio.timeout(30):
        await asyncio.wait([db.syncing])
    await db.close()

    assert "Unavailable: [Errno 5] the disk is broken" in text_of(caplog)
    assert len(waits) == 2


async def test_a_commit_with_a_canceled_caller_is_synced_later_too(tmp_path: Path) -> None:
    db = await _table(tmp_path / "a.db")

    async def write() -> None:
        async with db.write(synced=False) as tx:
            await tx.run("INSERT INTO t (body) VALUES ('')")

    call = asyncio.create_task(write())
    await asyncio.sleep(0)  # now it is about to COMMIT
    call.cancel()
    await asyncio.wait([call])
    syncing = db.syncing
    await db.close()

    assert call.cancelled()
    assert syncing is not None


_WRITER = """
import asyncio, sys
from pathlib import Path
from tidings.storage.drivers.sqlite import SqliteDatabase
from tidings.storage.drivers.database import StorageTuning

async def main():
    tuning = StorageTuning(wal_checkpoint_frames=10, wal_restart_frames=30)
    db = SqliteDatabase(Path(sys.argv[1]), tuning=tuning)
    number = int(sys.argv[2])
    while True:
        number += 1
        async with db.write(background=number % 2 == 0, synced=number % 3 == 0) as tx:
            await tx.run("INSERT INTO t (id, body) VALUES (:id, :body)", id=number, body="x" * 3_000)
        print(number, flush=True)

asyncio.run(main())
"""


def test_commits_survive_kills_during_constant_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
    last = 0
    for kill in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path), str(last)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            for _ in range(150 + 7 * kill):
                last = int(writer.stdout.readline())
            writer.kill()
            last = max(last, *(int(line) for line in writer.stdout if line.endswith("\n")), 0)
        with sqlite3.connect(path) as found:
            stored = {row[0] for row in found.execute("SELECT id FROM t")}
            assert found.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert set(range(1, last + 1)) <= stored
        assert len(stored) <= last + 1
        last = max(stored)
