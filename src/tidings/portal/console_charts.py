# SPDX-License-Identifier: MIT
"""The charts of the console: attempts, their latency, and the backlog."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from tidings.clock import HOUR, rfc3339
from tidings.core import rollups
from tidings.core.rollups import RollupScope
from tidings.core.status import Status, count_text
from tidings.model.rollup import AttemptTotals, Series
from tidings.model.status import Count
from tidings.portal import charts
from tidings.portal.charts import ChartBar
from tidings.portal.formats import duration, percent
from tidings.portal.request import PageRequest

HOURS: Final = 24


@dataclass(frozen=True, slots=True)
class BacklogPart:
    """A part of the outstanding deliveries: its share is that of the largest part, from 0 to 100."""

    name: str
    text: str
    note: str
    share: int


@dataclass(frozen=True, slots=True)
class ActivityCharts:
    """The attempts of the last day, drawn."""

    totals: AttemptTotals
    throughput: Markup
    latency: Markup | None
    """None without a successful attempt."""
    median_ms: int | None
    slow_ms: int | None
    """The duration that 95 % of the successful attempts did not exceed."""
    first: int
    last: int
    counted_until: int


async def activity(page: PageRequest, scope: RollupScope) -> ActivityCharts:
    """Return the charts of the last 24 hours."""
    series = await rollups.series(page.services, scope, page.now - (HOURS - 1) * HOUR, page.now)
    totals = series.sum
    return ActivityCharts(
        totals=totals,
        throughput=_throughput(series, totals),
        latency=_latency(series) if totals.delivered else None,
        median_ms=totals.latency_ms(0.5),
        slow_ms=totals.latency_ms(0.95),
        first=series.hours[0].hour,
        last=page.now,
        counted_until=series.counted_until,
    )


def _throughput(series: Series, totals: AttemptTotals) -> Markup:
    data = [ChartBar(_hour(each.hour), each.totals.delivered, each.totals.failed) for each in series.hours]
    rate = "" if totals.success_rate is None else f", {percent(totals.success_rate)} successful"
    return charts.bars(data, f"Attempts by hour: {totals.attempts:,} in 24 hours{rate}.")


def _latency(series: Series) -> Markup:
    values = [each.totals.latency_ms(0.95) for each in series.hours]
    known = [value for value in values if value is not None]
    data = [ChartBar(_hour(each.hour), value or 0) for each, value in zip(series.hours, values, strict=True)]
    summary = f"95th percentile of the latency by hour, at most {duration(max(known, default=0))}."
    return charts.bars(data, summary, good="ms")


def _hour(at: int) -> str:
    return f"{rfc3339(at)[11:16]} UTC"


def backlog(state: Status) -> Sequence[BacklogPart]:
    """Return the outstanding deliveries by state."""
    depth = state.depth
    parts = (
        ("Scheduled", depth.scheduled, "due later"),
        ("In flight", depth.in_flight, "held by a node, or being sent"),
        ("Overdue", depth.overdue, "due, and waiting"),
        ("Held back", depth.held_back, "of the overdue ones: the endpoint is disabled, silent or at its rate limit"),
    )
    most = max(1, *(count.count for _, count, _ in parts))
    return [BacklogPart(name, count_text(count), note, _share(count, most)) for name, count, note in parts]


def _share(count: Count, most: int) -> int:
    return max(1, round(100 * count.count / most)) if count.count else 0
