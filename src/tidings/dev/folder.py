# SPDX-License-Identifier: MIT
"""The folder of `tidings dev`: the database, and the token that its start printed.

Only its owner may read it. It ignores itself in git, and deleting it starts over.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tidings.clock import SECOND
from tidings.core.access import issue_org_token
from tidings.core.signer import Signer
from tidings.ids import OrgId
from tidings.settings import ConfigError

NAME: Final = ".tidings-dev"
_PRIVATE_FOLDER: Final = 0o700
_PRIVATE_FILE: Final = 0o600
_TOKEN_CHARACTERS: Final = 4_096


@dataclass(frozen=True, slots=True)
class DevFolder:
    """The folder and the files in it."""

    path: Path
    is_kept: bool
    """Whether it outlives the process."""

    @property
    def database_url(self) -> str:
        """The URL of the SQLite database."""
        return f"sqlite:///{quote(str(self.path.absolute()))}/tidings.db"

    @property
    def token_file(self) -> Path:
        """The file with the token."""
        return self.path / "token"

    def token(self, signer: Signer, org_id: OrgId, now: int) -> str:
        """Return the token of an earlier start, or issue and store one if there is none that is valid; `now` in ms."""
        with contextlib.suppress(OSError, ValueError):
            kept = self.token_file.read_text(encoding="ascii").strip()[:_TOKEN_CHARACTERS]
            signer.verified(kept.encode())
            return kept
        fresh = issue_org_token(signer, org_id, now // SECOND * SECOND)
        descriptor = os.open(self.token_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE_FILE)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{fresh}\n")
        return fresh


def _tighten(path: Path) -> None:
    """Take the access of others from a folder and its files that an earlier start, or a copy, left to them."""
    path.chmod(_PRIVATE_FOLDER)
    for each in path.iterdir():
        if each.is_file() and not each.is_symlink():
            each.chmod(_PRIVATE_FILE)


@contextmanager
def opened(*, ephemeral: bool) -> Iterator[DevFolder]:
    """Give the folder in the working directory, or one that is deleted at the end. Raises `ConfigError`."""
    if ephemeral:
        with tempfile.TemporaryDirectory(prefix="tidings-dev-", ignore_cleanup_errors=True) as name:
            yield DevFolder(Path(name), is_kept=False)
        return
    path = Path(NAME)
    try:
        path.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
        (path / ".gitignore").write_text("*\n")
        _tighten(path)
    except OSError as error:
        raise ConfigError(
            f"cannot write the folder {path.absolute()}: {error.strerror or error}; start in another one, or pass"
            " --ephemeral"
        ) from error
    yield DevFolder(path, is_kept=True)
