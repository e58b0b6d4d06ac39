# SPDX-License-Identifier: MIT
"""A look into a SQLite file that another process owns. The lock beside it guards writers; reading harms nobody."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

_GET: Final = "SELECT value FROM setting WHERE name = :name"


def kept(path: Path, name: str) -> str | None:
    """Return a value that a deployment made for itself; None if it has made none, or there is no such file."""
    if not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute(_GET, {"name": name}).fetchone()
    except sqlite3.OperationalError:  # nobody has made the tables yet
        return None
    return None if row is None else str(row[0])
