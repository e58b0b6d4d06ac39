# SPDX-License-Identifier: MIT
"""A database that passes each call on to another one, for tests that record transactions or make some of them fail."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from tidings.storage.drivers.database import Database, Dialect, Read, Write


class DatabaseProxy:
    """Passes each call on; a subclass overrides what its test needs."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.dialect: Dialect = db.dialect
        self.has_one_writer = db.has_one_writer
        self.tuning = db.tuning
        self.require_intact = db.require_intact
        self.wrote_within = db.wrote_within
        self.give_way = db.give_way

    @property
    def keeps_sessions(self) -> bool:
        return self.db.keeps_sessions

    @property
    def has_foreground_writes(self) -> bool:
        return self.db.has_foreground_writes

    def read(self) -> AbstractAsyncContextManager[Read]:
        return self.db.read()

    @asynccontextmanager
    async def write(self, **options: Any) -> AsyncIterator[Write]:
        async with self.db.write(**options) as tx:
            yield tx

    async def close(self) -> None:
        """Leave the database open: its owner closes it."""
