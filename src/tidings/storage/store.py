# SPDX-License-Identifier: MIT
"""How a process comes by its database, whichever it is."""

from pathlib import Path

from tidings.storage.database import Database
from tidings.storage.postgres import PostgresDatabase
from tidings.storage.sqlite import SqliteDatabase


async def opened(dsn: str, *, connections: int = 20, pgbouncer: bool = False) -> Database:
    """Open `sqlite:///path` or `postgresql://…`. Raises `Unavailable`, also for a SQLite file in use elsewhere."""
    if dsn.startswith("sqlite://"):
        return SqliteDatabase(Path(dsn.removeprefix("sqlite://").removeprefix("/")))
    return await PostgresDatabase.open(dsn, connections=connections, pgbouncer=pgbouncer)
