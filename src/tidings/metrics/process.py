# SPDX-License-Identifier: MIT
"""The metrics of one process: takes its snapshots, and measures the lag of its event loop."""

import asyncio
import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from prometheus_client import ProcessCollector

from tidings import __version__, measures
from tidings.clock import SECOND, Clock
from tidings.core.heartbeat import Heartbeat
from tidings.metrics.catalog import BY_NAME, PREFIX
from tidings.metrics.snapshot import Samples, Snapshot, counted, encode
from tidings.metrics.totals import TotalsReader
from tidings.observe import RepeatedWork
from tidings.storage.drivers.database import Database
from tidings.storage.tables import installation

_INTERVAL_SECONDS: Final = 1.0
_CHECK_SECONDS: Final = 1.5
"""How long a snapshot waits for the heartbeat, and for a read: a scrape must respond while the database hangs."""


class ProcessMetrics:
    """The metrics of one process. `gauges` returns the present values of its parts, by the names of their metrics."""

    def __init__(
        self, db: Database, clock: Clock, heartbeat: Heartbeat, gauges: Callable[[], Mapping[str, float]]
    ) -> None:
        self._db = db
        self._clock = clock
        self._heartbeat = heartbeat
        self._gauges = gauges
        self._process = ProcessCollector(namespace=PREFIX.rstrip("_"), registry=None)
        self._work = RepeatedWork("handing over the metrics")
        self.totals = TotalsReader(db, clock)

    async def snapshot(self) -> Snapshot:
        """Return the numbers of this process, within a few seconds also if the database hangs."""
        found = counted()
        samples = found.samples
        samples |= {name: {"": value} for name, value in self._gauges().items()}
        samples |= self._process_samples()
        is_writable = await self._is_writable()
        samples["database_writable"] = {"": float(is_writable)}
        samples["database_up"] = {"": float(is_writable or await self._is_readable())}
        if self._heartbeat.good_at is not None:
            samples["heartbeat_timestamp_seconds"] = {"": self._heartbeat.good_at / SECOND}
        samples["processes"] = {"": 1}
        database = "sqlite" if self._db.has_one_writer else "postgresql"
        samples["build_info"] = {f"{__version__} {platform.python_version()} {database}": 1}
        return Snapshot(samples, found.histograms, self.totals.latest)

    def _process_samples(self) -> Samples:
        """Return memory, CPU time and files; nothing where the system has no /proc."""
        names = {metric.full_name: name for name, metric in BY_NAME.items()}
        found = [sample for family in self._process.collect() for sample in family.samples]
        return {names[sample.name]: {"": sample.value} for sample in found if sample.name in names}

    async def _is_writable(self) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(_CHECK_SECONDS):
                return await self._heartbeat.is_good()
        return False

    async def _is_readable(self) -> bool:
        try:
            async with asyncio.timeout(_CHECK_SECONDS), self._db.read() as read:
                await installation.stored_totals(read)
        except Exception:  # noqa: BLE001 - any error means that the database cannot be read
            return False
        return True

    async def measure_lag(self) -> None:
        """Measure the lag of the event loop once a second, until canceled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _INTERVAL_SECONDS
            await asyncio.sleep(_INTERVAL_SECONDS)
            measures.loop_lag.add(max(0.0, loop.time() - due))

    async def hand_over(self, send: Callable[[bytes], None]) -> None:
        """Send a snapshot to the supervisor once a second, until canceled."""
        while True:
            await self.hand_over_once(send)
            await asyncio.sleep(_INTERVAL_SECONDS)

    async def hand_over_once(self, send: Callable[[bytes], None]) -> None:
        """Send a snapshot to the supervisor. Never raises."""
        try:
            send(encode(await self.snapshot()))
        except Exception as error:  # noqa: BLE001 - the next one has all that this one had
            self._work.failed(error)
        else:
            self._work.passed()
