# SPDX-License-Identifier: MIT
"""The first page of an application, in the portal and in the console, and the end of a portal session."""

from typing import Final

from tidings.core import endpoints
from tidings.model.page import Order
from tidings.portal import sign_in
from tidings.portal.request import PORTAL, PageRequest
from tidings.portal.response import Answer, Redirect
from tidings.portal.view import Scope, View


async def overview(page: PageRequest) -> Answer:
    """Show the endpoints of the application with their health."""
    found = await endpoints.page(page.services, page.app, page.cursor(Order.ASCENDING))
    return page.page("overview.html", found=found)


async def sign_out(page: PageRequest) -> Answer:
    """Delete the cookie; the link works until its token ends."""
    return Redirect(f"{page.base}{sign_in.LINK}", (page.cookie.delete_cookie(),))


VIEWS: Final = (
    View(scope=Scope.APPLICATION, path="", handler=overview),
    View(scope=Scope.APPLICATION, path="/sign-out", method="POST", handler=sign_out, shell=PORTAL),
)
