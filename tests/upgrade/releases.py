# SPDX-License-Identifier: MIT
"""Releases side by side: the old one from a wheel of its commit, the next one from this checkout and more migrations.

`0.1.0/release.json` names the commit of the old release, and the checksums of its migrations. As long as the commit is
null, the release is not cut, and this checkout is the old release.
"""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tidings.storage.drivers.migrations import known_migrations

CHECKOUT = Path(__file__).resolve().parents[2]
OLD = "0.1.0"
NEXT = "0.3.0"
FIXTURE = Path(__file__).parent / OLD
HEAD = f"-- Oldest release that may run on this schema: {OLD}\n"
COLUMN = (
    HEAD
    + "ALTER TABLE message ADD COLUMN shade {text};\n"
    + "--postgresql: ALTER TABLE message ALTER COLUMN shade SET DEFAULT 'new';\n"  # for rows that old nodes write
)
INDEX = (
    HEAD
    + "-- Outside a transaction, because the table is in use.\n"
    + "CREATE INDEX {concurrently} message_shade ON message (org_id, shade, id);\n"
)
BACKFILL = (
    HEAD
    + "-- Outside a transaction, a part at a time.\n"
    + "UPDATE message SET shade = 'old' WHERE id IN (SELECT id FROM message WHERE shade IS NULL LIMIT 50);\n"
)
EXPANDING = {"column": COLUMN, "index": INDEX, "backfill": BACKFILL}
BREAKING = {"breaking": HEAD + "ALTER TABLE message RENAME COLUMN raw TO is_raw;\n"}


@dataclass(frozen=True)
class Fixture:
    """What `scripts/release_fixture.py` records of a release."""

    release: str
    commit: str | None
    checksums: dict[str, str] = field(default_factory=dict)

    @property
    def is_provisional(self) -> bool:
        return self.commit is None


@cache
def fixture() -> Fixture:
    return Fixture(**json.loads((FIXTURE / "release.json").read_text()))


def entry_of(folder: Path) -> list[str]:
    """Return the Python arguments that run the command from a folder with the package."""
    return ["-c", f"import sys; sys.path.insert(0, {str(folder)!r}); from tidings.cli.main import main; main()"]


def old_release(folder: Path) -> Path:
    """Return a folder with the package of the old release; skip the test if its commit is not at hand."""
    wheel = old_wheel(folder)
    if wheel is None:
        return CHECKOUT / "src"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "package")
    return folder / "package"


def old_wheel(folder: Path) -> Path | None:
    """Build the wheel of the old release; return None if it is this checkout."""
    commit = fixture().commit
    if commit is None:
        return None
    known = subprocess.run(
        ["git", "-C", str(CHECKOUT), "cat-file", "-e", f"{commit}^{{commit}}"], capture_output=True, check=False
    )
    if known.returncode:
        pytest.skip(f"the commit {commit} of {OLD} is not in this clone: fetch the whole history")
    tree, wheels = folder / "tree", folder / "wheels"
    _run("git", "-C", str(CHECKOUT), "worktree", "add", "--detach", str(tree), commit)
    try:
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "wheel", "--no-deps"]
        _run(*pip, "--no-build-isolation", "--wheel-dir", str(wheels), str(tree))
    finally:
        _run("git", "-C", str(CHECKOUT), "worktree", "remove", "--force", str(tree))
    [wheel] = wheels.glob("*.whl")
    return wheel


def next_release(folder: Path, migrations: dict[str, str]) -> Path:
    """Return a folder with the package of this checkout as the next release, with more migrations."""
    package = folder / "tidings"
    shutil.copytree(CHECKOUT / "src/tidings", package, ignore=shutil.ignore_patterns("__pycache__"))
    make_next(package, migrations)
    return folder


def make_next(package: Path, migrations: dict[str, str]) -> None:
    """Turn a copy of this package into the next release, with more migrations."""
    init = package / "__init__.py"
    init.write_text(re.sub(r'__version__ = ".*"', f'__version__ = "{NEXT}"', init.read_text()))
    last = known_migrations()[-1].version
    for number, (name, text) in enumerate(migrations.items(), last + 1):
        (package / f"storage/migrations/{number:04}_{name}.sql").write_text(text)


def _run(*command: str, **given: Any) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **given)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
