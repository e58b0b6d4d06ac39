# SPDX-License-Identifier: MIT
"""The status as the server would return it to an operator, read from the database."""

import asyncio
from pathlib import Path

from tidings import dsn
from tidings.api.status import encode_status
from tidings.clock import SystemClock
from tidings.core.status import read_status
from tidings.server.database import open_database
from tidings.settings import ConfigError, Settings


def read(settings: Settings) -> bytes:
    """Return the response body. Raises `StorageError`, for example if another process uses the SQLite file."""
    if settings.db_dsn.startswith(dsn.SQLITE):
        _require_file(settings.db_dsn)

    async def run() -> bytes:
        database = await open_database(settings, migrate=False)
        try:
            # This process owns a SQLite file, so no node does.
            found = await read_status(database, SystemClock().now(), None, is_stopped=database.has_one_writer)
            return encode_status(found)
        finally:
            await database.close()

    return asyncio.run(run())


def _require_file(url: str) -> None:
    """Raise `ConfigError` unless the file exists: the status of a new, empty database would say nothing."""
    try:
        path = dsn.sqlite(url).path
    except dsn.DsnError as error:
        raise ConfigError(f"db_dsn: {error}") from None
    if not Path(path).exists():
        raise ConfigError(f"{path} does not exist; name the database with --db or TIDINGS_DB_DSN")
