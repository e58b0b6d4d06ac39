# SPDX-License-Identifier: MIT
"""Opens the database of a process, at the schema of this release."""

from tidings.logs import log
from tidings.process.worker import Worker
from tidings.settings import ConfigError, Settings
from tidings.storage.drivers.database import Database
from tidings.storage.drivers.migrations import is_empty
from tidings.storage.drivers.store import connection_limit, opened, require_current
from tidings.storage.drivers.store import migrate as run_migrations


async def open_database(settings: Settings, *, migrate: bool | None = None) -> Database:
    """Open the database, and migrate its schema to this release or require that it is current.

    With `migrate` None, the setting `db_migrate` decides. Raises `Unavailable`, and `SchemaError` if the schema does
    not match and may not be migrated, or cannot be.
    """
    db = await opened(
        settings.db_dsn,
        connections=settings.db_pool_max_size,
        pgbouncer=settings.db_pgbouncer,
        schema=settings.db_schema,
    )
    try:
        if await _may_migrate(db, settings) if migrate is None else migrate:
            for each in await run_migrations(db):
                log.info("database.migrated", "the schema was migrated", version=each.version, migration=each.name)
        else:
            await require_current(db)
    except BaseException:
        await db.close()
        raise
    return db


async def _may_migrate(db: Database, settings: Settings) -> bool:
    """Return whether the schema may change now: on a database in use, older nodes may still run."""
    if settings.db_migrate != "auto":
        return settings.db_migrate == "always"
    return db.has_one_writer or await is_empty(db)


async def require_connections(db: Database, settings: Settings, worker: Worker | None) -> None:
    """Require that the database allows the connections of all workers: their pools, and a session for each.

    On SIGHUP a new worker starts before the old one stops, so one more must fit.
    """
    limit = None if worker is None or worker.index else await connection_limit(db)
    if worker is None or limit is None:
        return
    each = settings.db_pool_max_size + 1
    needed = (worker.count + 1) * each
    if needed > limit:
        raise ConfigError(
            f"{worker.count} workers with {each} connections each, and one more during a reload, need {needed}, and"
            f" PostgreSQL allows {limit}: lower workers or db_pool_max_size, or raise max_connections"
        )
