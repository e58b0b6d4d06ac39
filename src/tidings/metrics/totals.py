# SPDX-License-Identifier: MIT
"""The gauges that need the database: one node reads them every 15 seconds, and stores them for the others.

So they cost the same however many nodes and scrapes there are, and each node reports the same values. A reading looks
at a bounded number of rows (`storage/tables/installation.py`).
"""

import asyncio
from typing import Final

import msgspec

from tidings.clock import SECOND, Clock
from tidings.metrics.snapshot import Samples, Totals, encode
from tidings.observe import RepeatedWork
from tidings.storage.drivers.database import Database
from tidings.storage.tables import installation, queue_depth, unhealthy_endpoints

_POLL_SECONDS: Final = 5.0
_INTERVAL_MS: Final = 15 * SECOND
_READ_SECONDS: Final = 10.0

_decoder: Final = msgspec.json.Decoder(Totals)


class TotalsReader:
    """Keeps the latest totals of the installation."""

    def __init__(
        self, db: Database, clock: Clock, *, poll_seconds: float = _POLL_SECONDS, interval_ms: int = _INTERVAL_MS
    ) -> None:
        self._db = db
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._interval_ms = interval_ms
        self._work = RepeatedWork("reading totals for the metrics")
        self.latest: Totals | None = None
        """The totals, which are left out of the metrics when they are old."""

    async def run(self) -> None:
        """Refresh the totals until canceled."""
        while True:
            await self.refresh()
            await asyncio.sleep(self._poll_seconds)

    async def refresh(self) -> None:
        """Load the totals that a node has stored; if they are due for a new reading, read them. Never raises."""
        try:
            async with asyncio.timeout(_READ_SECONDS):
                await self._refresh()
        except Exception as error:  # noqa: BLE001 - the next refresh tries again
            self._work.failed(error)
        else:
            self._work.passed()

    async def _refresh(self) -> None:
        now = self._clock.now()
        if self._db.has_one_writer:
            if self._is_due(now):
                self.latest = await self._read(now)
            return
        async with self._db.read() as read:
            text = await installation.stored_totals(read)
        if text is not None:
            self.latest = _decoder.decode(text)
        if not self._is_due(now):
            return
        async with self._db.write(background=True) as tx:
            is_mine = await installation.claim_reading(tx, now, self._interval_ms)
        if is_mine:
            self.latest = await self._read(now)
            async with self._db.write(background=True) as tx:
                await installation.store_totals(tx, encode(self.latest).decode())

    def _is_due(self, now: int) -> bool:
        return self.latest is None or not 0 <= now - self.latest.read_at < self._interval_ms

    async def _read(self, now: int) -> Totals:
        """Read the totals, each on a connection of its own turn: the next one may wait for other work."""
        samples: Samples = {}
        async with self._db.read() as read:
            depth = await queue_depth.queue_depth(read, now)
        async with self._db.read() as read:
            oldest = await queue_depth.oldest_overdue(read, now)
        samples["deliveries"] = {
            "scheduled": depth.scheduled.count,
            "in_flight": depth.in_flight.count,
            "overdue": depth.overdue.count,
        }
        samples["deliveries_held_back"] = {"": depth.held_back.count}
        samples["oldest_overdue_seconds"] = {"": _age(None if oldest is None else oldest.since, now)}
        async with self._db.read() as read:
            endpoints = await unhealthy_endpoints.count(read, None, recent=now)
            samples["endpoints"] = {
                health: getattr(endpoints, health).count for health in ("healthy", "failing", "unreachable", "disabled")
            }
            samples["rate_limits_in_force"] = {"": await installation.limits_in_force(read, now)}
        async with self._db.read() as read:
            tasks = await installation.tasks_by_kind(read)
            samples["tasks"] = {f"{kind} {state}": count for (kind, state), count in tasks.items()}
            progress = await installation.oldest_progress(read, now)
            nodes = await installation.nodes_by_state(read) if self._db.keeps_sessions else None
            size = await installation.database_size(read)
        samples["task_oldest_progress_seconds"] = {"": _age(progress, now)}
        if nodes is not None:
            samples["nodes"] = _floats(nodes)
        samples["database_size_bytes"] = {"": size.size}
        if size.free is not None and size.file_system is not None:
            samples["database_filesystem_free_bytes"] = {"": size.free}
            samples["database_filesystem_size_bytes"] = {"": size.file_system}
        return Totals(now, samples)


def _floats(counts: dict[str, int]) -> dict[str, float]:
    return dict(counts)


def _age(timestamp: int | None, now: int) -> float:
    return 0.0 if timestamp is None else max(0, now - timestamp) / SECOND
