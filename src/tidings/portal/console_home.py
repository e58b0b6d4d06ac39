# SPDX-License-Identifier: MIT
"""The first page of the console: of an organization, and of the whole installation for an operator."""

from typing import Final

from tidings.portal.request import PageRequest
from tidings.portal.response import Answer
from tidings.portal.view import Scope, View


async def organization(page: PageRequest) -> Answer:
    """Show the state of an organization in words and figures."""
    return page.page("console_home.html", state=await page.context.status.read(page.now, page.org_id))


async def installation(page: PageRequest) -> Answer:
    """Show an operator the organizations, the nodes and the database."""
    return page.page("console_installation.html", state=await page.context.status.read(page.now, None))


VIEWS: Final = (
    View(scope=Scope.ORGANIZATION, path="", handler=organization),
    View(scope=Scope.INSTALLATION, path="", handler=installation),
)
