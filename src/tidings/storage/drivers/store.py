# SPDX-License-Identifier: MIT
"""Opens the database that a URL names."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from tidings import dsn
from tidings.logs import log
from tidings.storage.drivers.database import Database, OneStatement, StorageTuning, Unavailable
from tidings.storage.drivers.migrations import known_migrations, migrate, require_current
from tidings.storage.drivers.partitions import WEEK, create_partitions, drop_empty_partitions
from tidings.storage.drivers.postgres import PostgresDatabase
from tidings.storage.drivers.sqlite import SqliteDatabase

__all__ = (
    "WEEK",
    "Statements",
    "connection_limit",
    "create_partitions",
    "drop_empty_partitions",
    "known_migrations",
    "migrate",
    "opened",
    "require_current",
    "statements",
)


async def opened(
    url: str,
    *,
    connections: int = 20,
    pgbouncer: bool = False,
    schema: str | None = None,
    tuning: StorageTuning = StorageTuning(),
) -> Database:
    """Open the database at `sqlite:///path` or `postgresql://…`, on PostgreSQL with the tables of a schema.

    Raises `Unavailable` for a wrong URL, an unreachable server, or a SQLite file that another process uses, and
    `SchemaError` if a pooler leads to another schema.
    """
    try:
        if url.startswith(dsn.SQLITE):
            file = dsn.sqlite(url)
            _warn(file.ignored)
            return SqliteDatabase(file.path, may_create=file.may_create, tuning=tuning)
        server = dsn.postgres(url)
    except dsn.DsnError as error:
        raise Unavailable(str(error)) from None
    _warn(server.ignored)
    return await PostgresDatabase.open(
        server, connections=connections, pgbouncer=pgbouncer, schema=schema, tuning=tuning
    )


def _warn(ignored: tuple[str, ...]) -> None:
    if ignored:
        log.warning("database.parameters", "parameters of the database URL are ignored", parameters=", ".join(ignored))


Statements = Callable[..., AbstractAsyncContextManager[OneStatement]]


def statements(db: Database) -> Statements | None:
    """Return how to write a small batch in one round trip; None if transactions are as fast, or a pooler is between.

    The driver needs two exchanges for a statement that PgBouncer may send to two sessions.
    """
    return db.statement if isinstance(db, PostgresDatabase) and db.keeps_sessions else None


async def connection_limit(db: Database) -> int | None:
    """Return how many connections the server grants to ordinary users; None if that is not known, or has no limit."""
    return await db.connection_limit() if isinstance(db, PostgresDatabase) else None
