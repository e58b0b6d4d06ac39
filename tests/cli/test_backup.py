# SPDX-License-Identifier: MIT
"""`tidings backup` copies a live SQLite database completely, and leaves no half-written file."""

import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

import live
from cli.command import tidings


def _ids(database: Path) -> set[str]:
    with closing(sqlite3.connect(database)) as opened:
        return {str(row[0]) for row in opened.execute("SELECT id FROM message")}


def test_a_backup_beside_writers_has_every_message_accepted_before_it(tmp_path: Path) -> None:
    accepted: list[str] = []
    stop, under_way = threading.Event(), threading.Event()
    with live.serving(f"sqlite:///{tmp_path}/t.db", tmp_path) as server:
        app = server.call("POST", "/api/v1/app", {"name": "a"})[1]["id"]

        def write() -> None:
            while not stop.is_set():
                message = server.call("POST", f"/api/v1/app/{app}/msg", {"eventType": "a", "payload": {}})[1]
                accepted.append(message["id"])
                under_way.set()

        writer = threading.Thread(target=write)
        writer.start()
        under_way.wait()
        before = set(accepted)
        result = tidings("backup", "copy.db", folder=tmp_path, db_dsn=f"sqlite:///{tmp_path}/t.db")
        stop.set()
        writer.join()
        server.stop()
        restored = tmp_path / "copy.db"
        copied = _ids(restored)
        mode = stat.S_IMODE(restored.stat().st_mode)
        server.database_url = f"sqlite:///{restored}"
        server.start()
        assert 200 == server.call("GET", f"/api/v1/app/{app}/msg/{accepted[0]}")[0]

    assert (0, "") == (result.code, result.err)
    assert before <= copied <= set(accepted)
    assert 0o600 == mode


@pytest.mark.parametrize(
    ("file", "url", "reason"),
    [
        ("there", "sqlite:///t.db", "there exists; name a new file"),
        ("copy", "sqlite:///none.db", "none.db does not exist"),
        ("copy", "sqlite:///there", "there is not a SQLite database"),
        ("no/folder", "sqlite:///t.db", "No such file or directory"),
        ("copy", "postgresql://x/y", "use pg_dump"),
    ],
)
def test_a_backup_that_cannot_be_made_is_refused(file: str, url: str, reason: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "t.db")) as database:
        database.execute("CREATE TABLE a (b)")
    (tmp_path / "there").write_text("x" * 5_000)
    before = sorted(path.name for path in tmp_path.iterdir())

    result = tidings("backup", file, folder=tmp_path, db_dsn=url)

    assert 2 == result.code
    assert reason in result.error_line
    assert before == sorted(path.name for path in tmp_path.iterdir())
