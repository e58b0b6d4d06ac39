# SPDX-License-Identifier: MIT
"""The heartbeat of a node: a row that it writes, and whether the last write succeeded.

On PostgreSQL a node writes once a second, so it detects a demoted server, a full disk or a revoked privilege before
callers do. On SQLite it writes only when health is requested, and any recently committed write of the service counts
as a heartbeat. Health requests cause at most one transaction in two seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from tidings import observe
from tidings.clock import Clock
from tidings.storage.drivers.database import Busy, Database, retried
from tidings.storage.drivers.sqlite import SqliteDatabase
from tidings.storage.tables import heartbeat

_INTERVAL_SECONDS: Final = 1.0
_FRESH_SECONDS: Final = 2.0


class Heartbeat:
    """The heartbeat of one node, and the result of its last write."""

    def __init__(self, db: Database, clock: Clock, node: int = 0) -> None:
        self._db = db
        self._file = db if isinstance(db, SqliteDatabase) else None
        self._clock = clock
        self._node = node
        self._writing = asyncio.Lock()
        self._written_at = float("-inf")
        self._is_good = False
        self._requested = asyncio.Event()

    async def is_good(self) -> bool:
        """Return whether the last write succeeded; write first if the last write is older than two seconds."""
        if self._is_stale():
            async with self._writing:
                if self._is_stale():
                    await self._write()
        return self._is_good

    async def run(self, on_success: Callable[[], Awaitable[None]]) -> None:
        """Write until canceled; on PostgreSQL, call `on_success` after each successful write."""
        is_shared = self._file is None
        observe.outage.listeners.add(self._requested.set)
        try:
            while True:
                async with self._writing:
                    await self._write()
                if self._is_good and is_shared:
                    await on_success()
                if not is_shared and not observe.outage.is_on:
                    self._requested.clear()
                    await self._requested.wait()
                await asyncio.sleep(_INTERVAL_SECONDS)
        finally:
            observe.outage.listeners.discard(self._requested.set)

    def _is_stale(self) -> bool:
        return self._clock.monotonic() - self._written_at > _FRESH_SECONDS

    async def _write(self) -> None:
        try:
            if self._file is not None:
                self._file.require_intact()
            if self._file is None or not self._file.wrote_within(_INTERVAL_SECONDS):
                await retried(lambda: heartbeat.write(self._db, self._node, self._clock.now()))
        except Busy:
            self._is_good = False
        except Exception as error:  # noqa: BLE001 - the next write tries again
            self._is_good = False
            observe.failure("writing the heartbeat", error)
        else:
            self._is_good = True
            observe.outage.passed()
        self._written_at = self._clock.monotonic()
