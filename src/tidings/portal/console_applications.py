# SPDX-License-Identifier: MIT
"""Applications in the console: list, search and create them, and open the portal of one as its users see it."""

from typing import Any, Final

from tidings.clock import HOUR
from tidings.core import apps, lookup, rollups
from tidings.core.apps import UpsertedApp
from tidings.core.idempotency import Response
from tidings.core.page_sessions import PREFIX, PageSession
from tidings.errors import AppError, ErrorKind, Fault
from tidings.ids import APP
from tidings.model import text
from tidings.model.app import App, AppDraft
from tidings.model.page import Page
from tidings.model.rollup import Owner
from tidings.portal.people import new_id
from tidings.portal.request import CONSOLE, PageRequest
from tidings.portal.response import Answer, Redirect
from tidings.portal.sessions import PORTAL_COOKIE, CookieTerms
from tidings.portal.view import Scope, View

_TEMPLATE: Final = "console_applications.html"
_PORTAL_MS: Final = HOUR
"""How long the portal stays open that the console has opened."""


async def listed(page: PageRequest) -> Answer:
    """Show a page of the applications, or those that a query finds."""
    return page.page(_TEMPLATE, **await _content(page), faults={}, draft={"name": "", "uid": ""})


async def _content(page: PageRequest) -> dict[str, Any]:
    query = page.query["q"]
    if query:
        items = await lookup.search_apps(page.services, page.org_id, query)
        found: Page[App] = Page(tuple(items), None, None, done=True)
    else:
        found = await apps.page(page.services, page.org_id, page.cursor())
    sums = await rollups.sums(page.services, [Owner(page.org_id, each.id) for each in found.items])
    return {"found": found, "query": query, "sums": sums, "owner": Owner}


async def create(page: PageRequest) -> Answer:
    """Create an application, and open its page."""
    name, uid = page.form["name"], page.form["uid"] or None
    faults = [*text.uid_faults("uid", uid, APP)]
    wrong = text.text_error(name) if name else "Give the application a name."
    if wrong is not None:
        faults.append(Fault(("body", "name"), wrong))
    if not faults:
        try:
            return await _created(page, AppDraft(name=name, uid=uid, metadata={}))
        except AppError as error:
            if error.kind is not ErrorKind.CONFLICT:
                raise
            faults.append(Fault(("body", "uid"), "Another application has this uid. Choose another one."))
    return page.invalid(_TEMPLATE, faults, **await _content(page), draft={"name": name, "uid": uid or ""})


async def _created(page: PageRequest, draft: AppDraft) -> Answer:
    def render(made: UpsertedApp) -> Response:
        return Response(201, made.app.id.encode())

    found = await apps.create(
        page.services,
        page.org_id,
        draft,
        get_if_exists=False,
        idempotency_key=page.idempotency_key(),
        render=render,
    )
    return page.redirect("app", found.body.decode(), done="created")


async def open_portal(page: PageRequest) -> Answer:
    """Sign this browser in to the application's portal for an hour, and open it."""
    token = page.context.page_sessions.issue(_opened(page))
    path = f"{page.base}/portal/{page.app.id}"
    is_embedded = bool(page.context.branding.frame_ancestors)
    cookie = CookieTerms(PORTAL_COOKIE, path, page.cookie.is_secure, is_embedded)
    return Redirect(path, (cookie.set_cookie(token, _PORTAL_MS // 1_000),))


def _opened(page: PageRequest) -> PageSession:
    """Return a session of the portal that ends with what opened it: a key, a person's session or the rules."""
    caller, made, token = page.principal, page.context.page_sessions, page.session.token
    is_person = page.session.is_proxied or token.startswith(PREFIX)
    return PageSession(
        id=made.read(token).id if token.startswith(PREFIX) else new_id(),
        org_id=page.app.org_id,
        app_id=page.app.id,
        issued_at=page.now,
        until=min(page.now + _PORTAL_MS, caller.until),
        author=caller.author,
        is_read_only=page.form["access"] == "read-only",
        terms=made.terms if is_person else None,
        key_id=None if caller.key is None else caller.key.id,
        key_version=0 if caller.key is None else caller.key.version,
    )


VIEWS: Final = (
    View(scope=Scope.ORGANIZATION, path="/app", handler=listed),
    View(scope=Scope.ORGANIZATION, path="/app", method="POST", handler=create),
    View(scope=Scope.APPLICATION, path="/open-portal", method="POST", handler=open_portal, shell=CONSOLE),
)
