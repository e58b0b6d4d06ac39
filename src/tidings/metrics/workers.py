# SPDX-License-Identifier: MIT
"""The metrics of `serve --workers`: the supervisor sums those of all workers, and serves them.

What a worker has counted stays when it ends, so no counter goes down. Its gauges end with it, and those of a worker
that hangs are left out.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import msgspec

from tidings.clock import Clock
from tidings.logs import log
from tidings.metrics.endpoint import MetricsServer
from tidings.metrics.snapshot import Snapshot, decode, kept, merged

_SILENT_SECONDS: Final = 10.0
"""The age of a worker's last snapshot at which its gauges are left out."""


class WorkerMetrics:
    """The latest snapshot of each worker process, by its process id, and the sum of those that have ended."""

    def __init__(self, listener: socket.socket, clock: Clock, *, now: Callable[[], float] | None = None) -> None:
        self._now = now or clock.monotonic
        self._latest: dict[int, tuple[float, Snapshot]] = {}
        self._ended = Snapshot()
        self._server = MetricsServer(listener, self.snapshot, clock)
        self._serving: asyncio.Task[None] | None = None

    def take(self, process: int, line: bytes) -> None:
        """Take a snapshot of a worker."""
        try:
            self._latest[process] = (self._now(), decode(line))
        except msgspec.DecodeError as error:
            log.warning("metrics.invalid", "a worker sent metrics that cannot be read", process=process, error=error)

    def ended(self, process: int) -> None:
        """Keep what a worker has counted; call this when its process has ended."""
        found = self._latest.pop(process, None)
        if found is not None:
            self._ended = merged([self._ended, kept(found[1])])

    async def snapshot(self) -> Snapshot:
        """Return the sum of all workers."""
        oldest = self._now() - _SILENT_SECONDS
        return merged([self._ended, *(s if at >= oldest else kept(s) for at, s in self._latest.values())])

    def start(self) -> None:
        """Start to serve the metrics."""
        self._serving = asyncio.create_task(self._server.run())

    async def stop(self) -> None:
        """Stop serving."""
        if self._serving is not None:
            self._server.stop()
            await asyncio.wait([self._serving])
