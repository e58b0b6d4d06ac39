# SPDX-License-Identifier: MIT
"""How a process comes by its database, whichever it is."""

from tidings import dsn
from tidings.observe import log
from tidings.storage.database import Database, Unavailable
from tidings.storage.postgres import PostgresDatabase
from tidings.storage.sqlite import SqliteDatabase


async def opened(url: str, *, connections: int = 20, pgbouncer: bool = False) -> Database:
    """Open `sqlite:///path` or `postgresql://…`. Raises `Unavailable`, also for a SQLite file in use elsewhere."""
    try:
        if url.startswith(dsn.SQLITE):
            file = dsn.sqlite(url)
            _warn(file.ignored)
            return SqliteDatabase(file.path, may_create=file.may_create)
        server = dsn.postgres(url)
    except dsn.DsnError as error:
        raise Unavailable(str(error)) from None
    _warn(server.ignored)
    return await PostgresDatabase.open(server, connections=connections, pgbouncer=pgbouncer)


def _warn(ignored: tuple[str, ...]) -> None:
    if ignored:
        log.warning("parameters of the database URL without effect: %s", ", ".join(ignored))
