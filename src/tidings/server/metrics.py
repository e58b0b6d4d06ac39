# SPDX-License-Identifier: MIT
"""Reports the metrics of one process: on a listener of its own, or as a worker to its supervisor."""

import asyncio
import socket

from tidings.metrics.endpoint import MetricsServer
from tidings.metrics.process import ProcessMetrics
from tidings.process.worker import Channel
from tidings.server.node import Node


class MetricsReporter:
    """Reports the metrics of a node, on `listener` or through `channel`."""

    def __init__(self, node: Node, *, listener: socket.socket | None, channel: Channel | None) -> None:
        self._metrics = ProcessMetrics(node.db, node.clock, node.heartbeat, node.gauges)
        self._server = None if listener is None else MetricsServer(listener, self._metrics.snapshot, node.clock)
        self._channel = channel
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> list[asyncio.Task[None]]:
        """Start to report; return the loops, which the caller cancels."""
        loops = [asyncio.create_task(self._metrics.measure_lag()), asyncio.create_task(self._metrics.totals.run())]
        if self._server is not None:
            self._serving = asyncio.create_task(self._server.run())
        if self._channel is not None:
            loops.append(asyncio.create_task(self._metrics.hand_over(self._channel.hand_over)))
        return loops

    async def finish(self) -> None:
        """Report the last numbers, and stop."""
        if self._server is not None and self._serving is not None:
            self._server.stop()
            await asyncio.wait([self._serving])
        if self._channel is not None:
            await self._channel.handed_over()
            await self._metrics.hand_over_once(self._channel.hand_over)
            await self._channel.handed_over()
