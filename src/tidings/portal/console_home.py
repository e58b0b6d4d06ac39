# SPDX-License-Identifier: MIT
"""The first page of the console: of an organization, and of the whole installation for an operator."""

from typing import Final
from urllib.parse import urlsplit

from tidings.core import lookup, rollups, undelivered
from tidings.core.rollups import RollupScope
from tidings.core.undelivered import UndeliveredRequest
from tidings.model.page import Cursor, Order
from tidings.model.rollup import Owner
from tidings.model.undelivered import UndeliveredFilter, UndeliveredState
from tidings.portal import console_charts
from tidings.portal.request import PageRequest
from tidings.portal.response import Answer
from tidings.portal.view import Scope, View

_PAGE: Final = 50


async def organization(page: PageRequest) -> Answer:
    """Show the state of an organization: what needs attention, the attempts of a day, and the backlog."""
    state = await page.context.status.read(page.now, page.org_id)
    exhausted = UndeliveredFilter(state=UndeliveredState.EXHAUSTED)
    request = UndeliveredRequest(exhausted, Cursor(Order.ASCENDING, 1), page.context.attempts_max)
    _, lost = await undelivered.page_of_organization(page.services, page.org_id, request)
    return page.page(
        "console_home.html",
        state=state,
        lost=lost,
        activity=await console_charts.activity(page, RollupScope(page.org_id)),
        backlog=console_charts.backlog(state),
        host=host,
    )


async def installation(page: PageRequest) -> Answer:
    """Show an operator the organizations, the nodes and the database."""
    state = await page.context.status.read(page.now, None)
    found = await lookup.organizations(page.services, after=page.query["at"])
    organizations = found[:_PAGE]
    return page.page(
        "console_installation.html",
        state=state,
        activity=await console_charts.activity(page, RollupScope()),
        backlog=console_charts.backlog(state),
        organizations=organizations,
        following=organizations[-1] if len(found) > _PAGE else None,
        sums=await rollups.sums(page.services, [Owner(each) for each in organizations]),
        owner=Owner,
        host=host,
    )


def host(url: str) -> str:
    """Return the host of a URL, which names an endpoint without its secrets."""
    return urlsplit(url).netloc.rpartition("@")[2]


async def settings(page: PageRequest) -> Answer:
    """Show an operator the settings of this node, with secrets masked, and where each value comes from."""
    return page.page("console_settings.html", settings=sorted(page.context.settings.items()))


VIEWS: Final = (
    View(scope=Scope.ORGANIZATION, path="", handler=organization),
    View(scope=Scope.INSTALLATION, path="", handler=installation),
    View(scope=Scope.INSTALLATION, path="/settings", handler=settings),
)
