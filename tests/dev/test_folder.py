# SPDX-License-Identifier: MIT
"""The folder of `tidings dev` is private, and keeps the token of the first start."""

import stat
from pathlib import Path

import pytest

from tidings.core.signer import Signer
from tidings.dev.folder import opened
from tidings.dsn import sqlite
from tidings.ids import DEFAULT_ORG
from tidings.settings import ConfigError

NOW = 1_700_000_000_000
SIGNER = Signer("a secret for the tests of the folder")


@pytest.fixture(autouse=True)
def _working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "50% of my projects?"
    folder.mkdir()
    monkeypatch.chdir(folder)


def test_only_the_owner_reads_it_and_git_ignores_it() -> None:
    with opened(ephemeral=False) as folder:
        folder.token(SIGNER, DEFAULT_ORG, NOW)

    assert "*\n" == (folder.path / ".gitignore").read_text()
    assert (0o700, 0o600) == (_mode(folder.path), _mode(folder.token_file))
    assert folder.path.absolute() / "tidings.db" == sqlite(folder.database_url).path


def test_what_others_may_read_is_closed_to_them_at_the_next_start(tmp_path: Path) -> None:
    with opened(ephemeral=False) as folder:
        token = folder.token(SIGNER, DEFAULT_ORG, NOW)
    database, outside = folder.path / "tidings.db", tmp_path / "outside"
    for each in (database, outside):
        each.touch(0o666)
    (folder.path / "link").symlink_to(outside)
    for each, mode in ((folder.path, 0o777), (folder.token_file, 0o644), (database, 0o666), (outside, 0o644)):
        each.chmod(mode)

    with opened(ephemeral=False) as folder:
        assert token == folder.token(SIGNER, DEFAULT_ORG, NOW)

    assert (0o700, 0o600, 0o600) == (_mode(folder.path), _mode(folder.token_file), _mode(database))
    assert 0o644 == _mode(outside)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_token_is_kept_as_long_as_it_is_valid() -> None:
    with opened(ephemeral=False) as folder:
        first = folder.token(SIGNER, DEFAULT_ORG, NOW)
    with opened(ephemeral=False) as folder:
        assert first == folder.token(SIGNER, DEFAULT_ORG, NOW + 60_000)
        other = folder.token(Signer("the secret of another database"), DEFAULT_ORG, NOW)
        folder.token_file.write_bytes(b"\xff\xff")
        damaged = folder.token(SIGNER, DEFAULT_ORG, NOW)

    assert first != other
    SIGNER.verified(damaged.encode())


def test_an_ephemeral_folder_is_deleted_at_the_end() -> None:
    with opened(ephemeral=True) as folder:
        (folder.path / "tidings.db").touch()

    assert not folder.path.exists()
    assert [] == list(Path().iterdir())


def test_a_folder_that_cannot_be_written_is_one_sentence() -> None:
    Path(".tidings-dev").touch()

    with pytest.raises(ConfigError, match=r"cannot write the folder .*--ephemeral"), opened(ephemeral=False):
        pass
