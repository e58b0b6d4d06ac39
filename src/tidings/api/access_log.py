# SPDX-License-Identifier: MIT
"""The access log: a line for each request that got a response, bounded in lines per second.

A process that answers ten thousand requests a second would spend most of its time on their lines. So there are at most
`ApiTuning.access_lines` a second and one burst of as many; the others are counted, and a line has their number.
"""

import asyncio

from tidings.api.request_log import RequestRecord
from tidings.api.tuning import ApiTuning
from tidings.clock import SECOND, Clock
from tidings.logs import log
from tidings.observe import EventBudget


class AccessLog:
    """Logs requests, and the number of those without a line."""

    __slots__ = ("_budget", "_omitted", "_seconds", "_timer")

    def __init__(self, clock: Clock, tuning: ApiTuning = ApiTuning()) -> None:
        self._budget = EventBudget(clock, tuning.access_lines, tuning.access_lines)
        self._seconds = tuning.access_seconds
        self._omitted = 0
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, record: RequestRecord) -> None:
        """Log a request, or count it."""
        if self._budget.admit():
            log.info(
                "request",
                "request",
                **record.fields,
                method=record.method,
                route=record.route,
                status=record.status,
                bytes=record.size,
                duration_ms=None if record.seconds is None else round(record.seconds * SECOND, 2),
                client=record.client,
            )
            return
        self._omitted += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self.flush)

    def flush(self) -> None:
        """Log the number of requests without a line now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        omitted, self._omitted = self._omitted, 0
        if omitted:
            log.info("requests.omitted", "requests have no line of their own", requests=omitted)
