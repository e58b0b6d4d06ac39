# SPDX-License-Identifier: MIT
"""Estimates of tasks for dry runs, from the task's plan and a scan of its range. Nothing is written.

A task that resends messages visits more rows than it sends, so the estimate counts the messages that the task would
send. Only the beginning of a long range is scanned; the estimate extrapolates to the rest.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import msgspec

from tidings.clock import Clock
from tidings.core.dry_run import Estimate
from tidings.model.task import (
    APP_STATS,
    BROADCAST,
    BULK_REPLAY,
    EVENT_TYPE_STATS,
    EXPORT,
    PURGE_CONTENT,
    RECOVER,
    REPLAY,
    RESENDING,
    Plan,
    Task,
)
from tidings.model.usage import StatsArgs
from tidings.storage.drivers.database import Database, Read
from tidings.storage.tables import estimates, usage
from tidings.storage.tables.key_ranges import APPLICATIONS, PAYLOADS, ScanVerdict
from tidings.tasks import key_ranges
from tidings.tasks.handler import Handler

SAMPLE: Final = 5
"""The number of examples in an estimate."""
SCANNED_AT_MOST: Final = 50_000
"""The most rows that a dry run scans."""
_PAGE: Final = 1_000
_SCAN_SECONDS: Final = 0.5

_RATES: Final[Mapping[str, float]] = {
    RECOVER: 20_000,
    REPLAY: 20_000,
    BULK_REPLAY: 20_000,
    PURGE_CONTENT: 20_000,
    APP_STATS: 1_000,
    EVENT_TYPE_STATS: 5_000,
    BROADCAST: 1_000,
    EXPORT: 100,
}
"""Assumed rows per second, until a task of the kind has finished. A kind without an entry has no estimate."""

_VISITING_APPLICATIONS: Final = frozenset({APP_STATS, EVENT_TYPE_STATS, BROADCAST})

_stats_args: Final = msgspec.json.Decoder(StatsArgs)


class _Scan:
    """The part of a range that has been scanned."""

    __slots__ = ("is_whole", "matching", "sample", "scanned")

    def __init__(self) -> None:
        self.scanned = 0
        self.matching = 0
        self.sample: list[str] = []
        self.is_whole = False

    def extrapolated(self, kind: str, plan: Plan, seconds: int) -> Estimate:
        """Return the estimate for the whole range, extrapolated from the scanned part."""
        total = self.matching
        if not self.is_whole and self.scanned:
            total = round(max(plan.total or 0, self.scanned) * self.matching / self.scanned)
        return Estimate(kind, total, self.is_whole, seconds, tuple(self.sample))


class Estimator:
    """Estimates tasks without starting them."""

    def __init__(self, db: Database, clock: Clock, handlers: Mapping[str, Handler]) -> None:
        self._db = db
        self._clock = clock
        self._handlers = handlers

    async def estimate(self, task: Task) -> Estimate:
        """Return the estimate of a task. The task need not be stored."""
        if task.kind not in _RATES:
            return Estimate(task.kind, None, exact=False, estimate_seconds=None, sample=())
        async with self._db.read() as read:
            plan = await self._handlers[task.kind].plan(read, task)
            rate = await estimates.last_rate(read, task.org_id, task.kind)
        rate = rate or _RATES[task.kind]
        planned = replace(task, cursor=plan.cursor)
        if task.kind in RESENDING:
            scan = await self._messages(planned)
        elif task.kind == PURGE_CONTENT:
            scan = await self._payloads(planned)
        else:
            seconds = math.ceil((plan.total or 0) / rate)
            return Estimate(task.kind, plan.total, plan.exact, seconds, await self._examples(task))
        visited = scan.scanned if scan.is_whole else max(plan.total or 0, scan.scanned)
        estimate = scan.extrapolated(task.kind, plan, math.ceil(visited / rate))
        return _rate_limited(estimate, task.rate_limit)

    async def _messages(self, task: Task) -> _Scan:
        """Scan for the messages that a task would resend, with the `load` of its kind."""
        scan = _Scan()
        deadline = self._clock.monotonic() + _SCAN_SECONDS
        while not scan.is_whole and scan.scanned < SCANNED_AT_MOST and self._clock.monotonic() <= deadline:
            async with self._db.read() as read:
                batch = await self._handlers[task.kind].load(read, task, _PAGE)
            found = [msg_id for msg_id, verdict in batch.items if verdict is ScanVerdict.SEND]
            scan.sample += found[: SAMPLE - len(scan.sample)]
            scan.matching += len(found)
            scan.scanned += batch.scanned
            scan.is_whole = batch.last
            task = replace(task, cursor=batch.cursor)
        return scan

    async def _payloads(self, task: Task) -> _Scan:
        """Scan for the payloads that a purge would delete."""
        scan = _Scan()
        cursor, app_id = key_ranges.decode(task.cursor or ""), task.app_id or ""
        async with self._db.read() as read:
            scan.sample = await estimates.with_payload(read, app_id, cursor.first, cursor.end, limit=SAMPLE)
        while not scan.is_whole and scan.scanned < SCANNED_AT_MOST:
            async with self._db.read() as read:
                found = await PAYLOADS.count(read, app_id, cursor.first, cursor.end, limit=_PAGE)
            scan.scanned += found.count
            scan.matching += found.matching
            scan.is_whole = found.count < _PAGE
            cursor = cursor.after(found.last_id)
        return scan

    async def _examples(self, task: Task) -> tuple[str, ...]:
        """Return examples of the applications or event types that a task would visit."""
        async with self._db.read() as read:
            if task.kind == EXPORT:
                return tuple(await estimates.event_types(read, task.org_id, limit=SAMPLE))
            return await _applications(read, task) if task.kind in _VISITING_APPLICATIONS else ()


async def _applications(read: Read, task: Task) -> tuple[str, ...]:
    app_ids = _stats_args.decode(task.args).app_ids if task.kind == APP_STATS else None
    if app_ids is not None:
        return app_ids[:SAMPLE]
    last = await APPLICATIONS.high_water_mark(read, task.org_id)
    found = await usage.applications(read, task.org_id, after="", last=last, limit=SAMPLE)
    return tuple(each.id for each in found)


def _rate_limited(estimate: Estimate, rate_limit: int | None) -> Estimate:
    """Return the estimate, extended if a rate limit makes the task slower."""
    if rate_limit is None:
        return estimate
    seconds = math.ceil((estimate.total or 0) / rate_limit)
    return replace(estimate, estimate_seconds=max(seconds, estimate.estimate_seconds or 0))
