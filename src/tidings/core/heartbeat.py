# SPDX-License-Identifier: MIT
"""Whether the database does what the service needs: a row that this process writes, and what came of the last one.

On PostgreSQL a node writes once a second: it finds a demoted server, a full disk or a lost right before callers do.
On SQLite nothing is written while nobody asks; where a write of the service itself was just committed, that counts.
However often health is asked for, the database sees one transaction in two seconds at most.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from tidings import observe
from tidings.clock import Clock
from tidings.storage import pulse
from tidings.storage.database import Busy, Database, retried
from tidings.storage.sqlite import SqliteDatabase

_BEAT_SECONDS: Final = 1.0
_FRESH_SECONDS: Final = 2.0


class Heartbeat:
    """The heartbeat of one process, and its last result."""

    def __init__(self, db: Database, clock: Clock, node: int = 0) -> None:
        self._db = db
        self._file = db if isinstance(db, SqliteDatabase) else None
        self._clock = clock
        self._node = node
        self._beating = asyncio.Lock()
        self._at = float("-inf")
        self._is_good = False
        self._wanted = asyncio.Event()

    async def is_good(self) -> bool:
        """Return the last result, or the next one where the last is older than two seconds."""
        if self._is_stale():
            async with self._beating:
                if self._is_stale():
                    await self._beat()
        return self._is_good

    async def run(self, hear: Callable[[], Awaitable[None]]) -> None:
        """Beat for as long as the process works; on PostgreSQL `hear` follows each good beat."""
        is_shared = self._file is None
        observe.outage.listeners.add(self._wanted.set)
        try:
            while True:
                async with self._beating:
                    await self._beat()
                if self._is_good and is_shared:
                    await hear()
                if not is_shared and not observe.outage.is_on:
                    self._wanted.clear()
                    await self._wanted.wait()
                await asyncio.sleep(_BEAT_SECONDS)
        finally:
            observe.outage.listeners.discard(self._wanted.set)

    def _is_stale(self) -> bool:
        return self._clock.monotonic() - self._at > _FRESH_SECONDS

    async def _beat(self) -> None:
        try:
            if self._file is not None:
                self._file.require_intact()
            if self._file is None or not self._file.wrote_within(_BEAT_SECONDS):
                await retried(lambda: pulse.beat(self._db, self._node, self._clock.now()))
        except Busy:
            self._is_good = False
        except Exception as error:  # noqa: BLE001 - the next beat comes all the same
            self._is_good = False
            observe.failure("writing the heartbeat", error)
        else:
            self._is_good = True
            observe.outage.passed()
        self._at = self._clock.monotonic()
