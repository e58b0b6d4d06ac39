# SPDX-License-Identifier: MIT
"""The heartbeat of a node: a row that it writes, and whether the last write succeeded.

A node that shares its database writes once a second, so it detects a demoted server, a full disk or a revoked privilege
before callers do. A process that owns its file writes only when health is requested, and any recently committed write
of the service counts as a heartbeat. Health requests cause at most one transaction in two seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from tidings import observe
from tidings.clock import Clock
from tidings.storage.drivers.database import Busy, Database, retried
from tidings.storage.tables import nodes

_INTERVAL_SECONDS: Final = 1.0
_FRESH_SECONDS: Final = 2.0


class Heartbeat:
    """The heartbeat of one node, and the result of its last write."""

    def __init__(self, db: Database, clock: Clock, node: int = 0) -> None:
        self._db = db
        self._clock = clock
        self._node = node
        self._writing = asyncio.Lock()
        self._written_at = float("-inf")
        self._is_good = False
        self._requested = asyncio.Event()
        self.good_at: int | None = None
        """When a write last succeeded, in milliseconds since the Unix epoch."""

    async def is_good(self) -> bool:
        """Return whether the last write succeeded; write first if the last write is older than two seconds."""
        if self._is_stale():
            async with self._writing:
                if self._is_stale():
                    await self._write()
        return self._is_good

    async def run(self, on_success: Callable[[], Awaitable[None]]) -> None:
        """Write until canceled; if other nodes share the database, call `on_success` after each successful write."""
        is_shared = not self._db.has_one_writer
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
            self._db.require_intact()
            if not self._db.wrote_within(_INTERVAL_SECONDS):
                await retried(lambda: nodes.write_heartbeat(self._db, self._node, self._clock.now()))
        except Busy:
            self._is_good = False
        except Exception as error:  # noqa: BLE001 - the next write tries again
            self._is_good = False
            observe.failure("writing the heartbeat", error)
        else:
            self._is_good = True
            self.good_at = self._clock.now()
            observe.outage.passed()
        self._written_at = self._clock.monotonic()
