# SPDX-License-Identifier: MIT
"""Read access to a SQLite file that another process may have open.

The lock file beside the database excludes a second writer. A read-only connection is safe without that lock.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

_GET: Final = "SELECT value FROM setting WHERE name = :name"


def kept(path: Path, name: str) -> str | None:
    """Return a setting that the deployment generated, or None if there is no such file or setting."""
    if not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute(_GET, {"name": name}).fetchone()
    except sqlite3.OperationalError:  # the migrations have not run yet
        return None
    return None if row is None else str(row[0])
