# SPDX-License-Identifier: MIT
"""Use cases: delivered and failed attempts over time, for charts and success rates.

Closed hours are read from the rollups that the task `system.rollup` maintains: those before its mark. The rollups of
later hours are only as new as the last run of the task. So these hours are counted from the attempts, if the scope has
few endpoints with few attempts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tidings.clock import HOUR, MINUTE
from tidings.core.services import Services
from tidings.ids import AppId, EndpointId, OrgId
from tidings.model.app import App
from tidings.model.rollup import NONE, AttemptTotals, HourTotals, Owner, Rollups, Series, hour_of
from tidings.storage.drivers.database import Read
from tidings.storage.tables import nodes, rollups

MARK: Final = "rollup_closed_to"
"""The setting with the end of the closed hours."""
COUNTED: Final = "rollup_counted_at"
"""The setting with the time of the last run of the task."""
REOPENED_AFTER_MS: Final = 2 * MINUTE
"""An attempt that is stored this long after the end of its hour is noted, and its hour is counted again."""
CLOSED_AFTER_MS: Final = 5 * MINUTE
"""When an hour is closed: later than `REOPENED_AFTER_MS`, by more than clocks differ and transactions last."""


@dataclass(frozen=True, slots=True)
class RollupScope:
    """Whose attempts are counted. Without an organization: all of them."""

    org_id: OrgId | None = None
    app_id: AppId | None = None
    endpoint_ids: Sequence[EndpointId] | None = None
    """Some endpoints of the application together; None for all."""

    @classmethod
    def of_app(cls, app: App) -> "RollupScope":
        """Return the scope of an application."""
        return cls(app.org_id, app.id)

    @classmethod
    def of_endpoints(cls, app: App, endpoint_ids: Sequence[EndpointId]) -> "RollupScope":
        """Return the scope of some endpoints of an application."""
        return cls(app.org_id, app.id, endpoint_ids)

    @property
    def owners(self) -> list[Owner]:
        """The owners of the rollups that this scope adds up."""
        org, app = self.org_id or "", self.app_id or ""
        if self.endpoint_ids is None:
            return [Owner(org, app)]
        return [Owner(org, app, each) for each in self.endpoint_ids]


@dataclass(frozen=True, slots=True)
class RollupTuning:
    """How many attempts and endpoints of the hours that are not closed a query counts."""

    endpoints: int = 100
    attempts: int = 20_000
    hours: int = 48


@dataclass(frozen=True, slots=True)
class _Progress:
    """The progress of the rollups: hours before `mark` are closed, and later ones were counted at `counted_at`."""

    mark: int
    counted_at: int


async def mark(read: Read) -> int | None:
    """Return the time before which all attempts are in rollups, or None if there are no rollups yet."""
    found = await nodes.setting(read, MARK)
    return None if found is None else int(found)


async def limited_by_mark(read: Read, before: int) -> int:
    """Return a time before which messages may be deleted: at most the mark, because their attempts are counted."""
    found = await mark(read)
    return before if found is None else min(before, found)


async def series(
    services: Services, scope: RollupScope, since: int, until: int, tuning: RollupTuning = RollupTuning()
) -> Series:
    """Return the totals of each hour that begins in a time range; `since` is rounded down to the hour."""
    now = services.clock.now()
    hours = range(hour_of(since), min(until, now + 1), HOUR)
    async with services.db.read() as read:
        progress = await _progress(read)
        found = await rollups.of_range(read, scope.owners, hours.start, hours.stop)
        live = await _live(read, scope, _open(hours, progress), tuning)
    by_hour = _by_hour(found, live, progress)
    result = [HourTotals(hour, by_hour.get(hour, NONE)) for hour in hours]
    if live is not None:
        return Series(result, now, now)
    return Series(result, max(progress.counted_at, progress.mark), progress.mark)


async def totals_of_endpoints(
    services: Services,
    app: App,
    endpoint_ids: Sequence[EndpointId],
    hours: int = 24,
    tuning: RollupTuning = RollupTuning(),
) -> Mapping[EndpointId, Series]:
    """Return the totals of the last hours for each endpoint on a page. Their latency is unknown."""
    now = services.clock.now()
    window = range(hour_of(now) - (hours - 1) * HOUR, hour_of(now) + 1, HOUR)
    scope = RollupScope.of_endpoints(app, endpoint_ids)
    async with services.db.read() as read:
        progress = await _progress(read)
        closed = await rollups.of_range(read, scope.owners, window.start, window.stop)
        live = await _live(read, scope, _open(window, progress), tuning, with_latency=False)
    until = (now, now) if live is not None else (max(progress.counted_at, progress.mark), progress.mark)
    return {each: Series(_hours_of(each, window, closed, live, progress), *until) for each in endpoint_ids}


def _hours_of(
    endpoint_id: EndpointId, window: range, closed: Rollups, live: list[rollups.CountedHour] | None, progress: _Progress
) -> list[HourTotals]:
    own = {key: totals for key, totals in closed.items() if key[0].endpoint_id == endpoint_id}
    counted = None if live is None else [each for each in live if each.endpoint_id == endpoint_id]
    by_hour = _by_hour(own, counted, progress)
    return [HourTotals(hour, by_hour.get(hour, NONE)) for hour in window]


def _by_hour(found: Rollups, live: list[rollups.CountedHour] | None, progress: _Progress) -> dict[int, AttemptTotals]:
    """Add up rollups by hour; hours that are not closed are replaced by those in `live`, unless it is None."""
    by_hour: dict[int, AttemptTotals] = {}
    for (_, hour), totals in found.items():
        if live is None or hour < progress.mark:
            by_hour[hour] = by_hour.get(hour, NONE) + totals
    for each in live or ():
        by_hour[each.hour] = by_hour.get(each.hour, NONE) + each.totals
    return by_hour


def _open(hours: range, progress: _Progress) -> range:
    """Return the hours of a range that are not closed."""
    return range(max(hours.start, progress.mark), hours.stop, HOUR)


async def _live(
    read: Read, scope: RollupScope, hours: range, tuning: RollupTuning, *, with_latency: bool = True
) -> list[rollups.CountedHour] | None:
    """Count the attempts in hours that are not closed; None if there are too many to count now."""
    endpoint_ids: Sequence[str] | None = scope.endpoint_ids
    if len(hours) > tuning.hours:
        return None
    if endpoint_ids is None:
        (owner,) = scope.owners
        endpoint_ids = await rollups.all_endpoints(read, owner, limit=tuning.endpoints)
    if endpoint_ids is None or len(endpoint_ids) > tuning.endpoints:
        return None
    whole = range(hours.start, hours.start + len(hours) * HOUR, HOUR)
    return await rollups.count_attempts(read, endpoint_ids, whole, most=tuning.attempts, with_latency=with_latency)


async def _progress(read: Read) -> _Progress:
    found = await nodes.settings_of(read, (MARK, COUNTED))
    return _Progress(int(found.get(MARK, 0)), int(found.get(COUNTED, 0)))


@dataclass(frozen=True, slots=True)
class OwnerSums:
    """The totals of several owners."""

    totals: Mapping[Owner, AttemptTotals]
    """An owner without attempts has none."""
    counted_until: int | None
    """The time of the last run, before which all attempts are counted. None before the first run."""


async def sums(services: Services, owners: Sequence[Owner], hours: int = 24) -> OwnerSums:
    """Return the totals of the last hours for each of several applications or organizations, as of the last run."""
    since = hour_of(services.clock.now()) - (hours - 1) * HOUR
    async with services.db.read() as read:
        progress = await _progress(read)
        found = await rollups.of_range(read, owners, since, since + hours * HOUR)
    result: dict[Owner, AttemptTotals] = {}
    for (owner, _), totals in found.items():
        result[owner] = result.get(owner, NONE) + totals
    return OwnerSums(result, max(progress.counted_at, progress.mark) or None)
