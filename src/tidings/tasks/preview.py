# SPDX-License-Identifier: MIT
"""Foretelling a task: its own plan, and its own look at the first part of its range, with nothing written.

What sends messages again visits more than it sends, so it is counted what it would ask for. A range that is too long
to be looked through is looked at from its beginning, and the rest is guessed to be alike.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import msgspec

from tidings.clock import Clock
from tidings.core.rehearsal import Forecast
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
from tidings.storage import forecasts, purges, usage
from tidings.storage.database import Database, Read
from tidings.storage.recovery import Verdict
from tidings.tasks.handler import Handler
from tidings.tasks.kinds import receivers

SAMPLE: Final = 5
LOOKED_AT_MOST: Final = 50_000
"""Rows that a dry run looks at one by one."""
_LOOK: Final = 1_000
_LOOK_SECONDS: Final = 0.5

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
"""Rows a second that may be expected of a kind of which none has finished yet; of another kind nothing is foretold."""

_VISITING_APPLICATIONS: Final = frozenset({APP_STATS, EVENT_TYPE_STATS, BROADCAST})

_stats_args: Final = msgspec.json.Decoder(StatsArgs)


class _Look:
    """What has been seen of a range so far."""

    __slots__ = ("is_whole", "sample", "scanned", "wanted")

    def __init__(self) -> None:
        self.scanned = 0
        self.wanted = 0
        self.sample: list[str] = []
        self.is_whole = False

    def forecast(self, kind: str, plan: Plan, seconds: int) -> Forecast:
        """Tell of the whole range, as if the rest were like what has been seen."""
        total = self.wanted
        if not self.is_whole and self.scanned:
            total = round(max(plan.total or 0, self.scanned) * self.wanted / self.scanned)
        return Forecast(kind, total, self.is_whole, seconds, tuple(self.sample))


class Preview:
    """Tells what tasks would do."""

    def __init__(self, db: Database, clock: Clock, handlers: Mapping[str, Handler]) -> None:
        self._db = db
        self._clock = clock
        self._handlers = handlers

    async def foresee(self, task: Task) -> Forecast:
        """Tell what a task would do that is not stored."""
        if task.kind not in _RATES:
            return Forecast(task.kind, None, exact=False, estimate_seconds=None, sample=())
        async with self._db.read() as read:
            plan = await self._handlers[task.kind].plan(read, task)
            rate = await forecasts.last_rate(read, task.org_id, task.kind)
        rate = rate or _RATES[task.kind]
        planned = replace(task, cursor=plan.cursor)
        if task.kind in RESENDING:
            look = await self._messages(planned)
        elif task.kind == PURGE_CONTENT:
            look = await self._payloads(planned)
        else:
            seconds = math.ceil((plan.total or 0) / rate)
            return Forecast(task.kind, plan.total, plan.exact, seconds, await self._named(task))
        visited = look.scanned if look.is_whole else max(plan.total or 0, look.scanned)
        told = look.forecast(task.kind, plan, math.ceil(visited / rate))
        return _slowed(told, task.rate_limit)

    async def _messages(self, task: Task) -> _Look:
        """Look for the messages that a task would send again, in its own way."""
        look = _Look()
        deadline = self._clock.monotonic() + _LOOK_SECONDS
        while not look.is_whole and look.scanned < LOOKED_AT_MOST and self._clock.monotonic() <= deadline:
            async with self._db.read() as read:
                batch = await self._handlers[task.kind].load(read, task, _LOOK)
            asked = [msg_id for msg_id, does in batch.items if does is Verdict.SEND]
            look.sample += asked[: SAMPLE - len(look.sample)]
            look.wanted += len(asked)
            look.scanned += batch.scanned
            look.is_whole = batch.last
            task = replace(task, cursor=batch.cursor)
        return look

    async def _payloads(self, task: Task) -> _Look:
        """Look for the payloads that a purge would delete."""
        look = _Look()
        place, app_id = receivers.decode(task.cursor or ""), task.app_id or ""
        async with self._db.read() as read:
            look.sample = await forecasts.with_payload(read, app_id, place.first, place.end, limit=SAMPLE)
        while not look.is_whole and look.scanned < LOOKED_AT_MOST:
            async with self._db.read() as read:
                found = await purges.scan(read, app_id, place.first, place.end, limit=_LOOK)
            look.scanned += found.count
            look.wanted += found.kept
            look.is_whole = found.count < _LOOK
            place = place.after(found.last_id)
        return look

    async def _named(self, task: Task) -> tuple[str, ...]:
        """Return some of the applications, or event types, that a task would visit."""
        async with self._db.read() as read:
            if task.kind == EXPORT:
                return tuple(await forecasts.event_types(read, task.org_id, limit=SAMPLE))
            return await _applications(read, task) if task.kind in _VISITING_APPLICATIONS else ()


async def _applications(read: Read, task: Task) -> tuple[str, ...]:
    named = _stats_args.decode(task.args).app_ids if task.kind == APP_STATS else None
    if named is not None:
        return named[:SAMPLE]
    last = await usage.high_water_mark(read, task.org_id)
    found = await usage.applications(read, task.org_id, after="", last=last, limit=SAMPLE)
    return tuple(each.id for each in found)


def _slowed(forecast: Forecast, rate_limit: int | None) -> Forecast:
    """Return a forecast of a task that may send only so many messages a second."""
    if rate_limit is None:
        return forecast
    seconds = math.ceil((forecast.total or 0) / rate_limit)
    return replace(forecast, estimate_seconds=max(seconds, forecast.estimate_seconds or 0))
