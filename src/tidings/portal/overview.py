# SPDX-License-Identifier: MIT
"""The first page of an application, in the portal and in the console, and the end of a portal session."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidings.clock import HOUR, rfc3339
from tidings.core import endpoints, rollups
from tidings.model.endpoint import Endpoint
from tidings.model.page import Cursor, Order
from tidings.model.rollup import HourTotals, Series
from tidings.portal import sign_in, words
from tidings.portal.charts import ChartBar
from tidings.portal.request import PORTAL, PageRequest
from tidings.portal.response import Answer, Redirect
from tidings.portal.view import Scope, View

_READ: Final = 100
"""The endpoints whose health the page reads."""
_SHOWN: Final = 12
"""The endpoints in the table, those that need attention first."""
_HOURS: Final = 24


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """An endpoint on the overview: its health, and its attempts of the last 24 hours."""

    endpoint: Endpoint
    health: words.Words
    series: Series


async def overview(page: PageRequest) -> Answer:
    """Show what needs attention, the activity of the last 24 hours, and the endpoints."""
    await page.watch()
    services, app, now = page.services, page.app, page.now
    found = await endpoints.page(services, app, Cursor(Order.ASCENDING, _READ))
    ranked = sorted(((words.health(each), each) for each in found.items), key=lambda row: _rank(row[0]))
    shown = ranked[:_SHOWN]
    totals = await rollups.totals_of_endpoints(services, app, [each.id for _, each in shown], _HOURS) if shown else {}
    series = await rollups.series(services, rollups.RollupScope.of_app(app), now - (_HOURS - 1) * HOUR, now + 1)
    return page.page(
        "overview.html",
        rows=[EndpointRow(each, health, totals[each.id]) for health, each in shown],
        troubled=[(each, health) for health, each in ranked if health.kind in (words.BAD, words.WARN)],
        count=len(found.items),
        enabled=sum(not each.disabled for each in found.items),
        has_more=not found.done,
        total=series.sum,
        bars=bars_of(series.hours),
        is_exact=series.counted_until >= now,
        counted_until=series.counted_until,
        bars_of=bars_of,
    )


def _rank(health: words.Words) -> int:
    return {words.BAD: 0, words.WARN: 1, words.GOOD: 2}.get(health.kind, 3)


def bars_of(hours: Sequence[HourTotals]) -> list[ChartBar]:
    """Return a bar for each hour."""
    return [ChartBar(f"{rfc3339(each.hour)[11:16]} UTC", each.totals.delivered, each.totals.failed) for each in hours]


async def changes(page: PageRequest) -> Answer:
    """Follow the changes of the application."""
    return page.changes()


async def sign_out(page: PageRequest) -> Answer:
    """Delete the cookie; the link works until its token ends."""
    return Redirect(f"{page.base}{sign_in.LINK}", (page.cookie.delete_cookie(),))


VIEWS: Final = (
    View(scope=Scope.APPLICATION, path="", handler=overview),
    View(scope=Scope.APPLICATION, path="/changes", handler=changes),
    View(scope=Scope.APPLICATION, path="/sign-out", method="POST", handler=sign_out, is_reading=True, shell=PORTAL),
)
