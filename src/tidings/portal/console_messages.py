# SPDX-License-Identifier: MIT
"""The search for messages of an organization: one box, and a sentence that says what it understood."""

from typing import Final

from tidings.core import lookup
from tidings.core.lookup import LookupQuery, MessageSearch, QueryKind
from tidings.errors import AppError, ErrorKind
from tidings.ids import timestamp_of
from tidings.portal.formats import time
from tidings.portal.request import PageRequest
from tidings.portal.response import Answer, Redirect
from tidings.portal.view import Scope, View

_PLACES: Final = {QueryKind.MESSAGE: "message", QueryKind.ENDPOINT: "endpoint"}
_LISTS: Final = (QueryKind.NOTHING, QueryKind.TYPE, QueryKind.TAG, QueryKind.TIME)


async def search(page: PageRequest) -> Answer:
    """Open what a query names, or list the messages that it describes."""
    query = lookup.understood(page.query["q"])
    if query.kind in (*_PLACES, QueryKind.APPLICATION, QueryKind.TASK):
        target = await _target(page, query)
        if target is not None:
            return Redirect(target)
    if query.kind in _LISTS:
        return await _listed(page, query)
    found = []
    if query.kind is QueryKind.EVENT_ID:
        found = await lookup.by_event_id(page.services, page.org_id, query.value)
        if len(found) == 1:
            return Redirect(page.url("app", found[0][0], "message", found[0][1]))
    names = await lookup.app_names(page.services, page.org_id, [app_id for app_id, _ in found])
    return page.page(
        "console_messages.html",
        query=query,
        meaning=_said(query, found=len(found)),
        found=found,
        newest=None,
        names=names,
    )


async def _target(page: PageRequest, query: LookupQuery) -> str | None:
    """Return the page of a message, an endpoint, an application or a task; None if there is none."""
    if query.kind is QueryKind.APPLICATION:
        found = await lookup.search_apps(page.services, page.org_id, query.value)
        return page.url("app", found[0].id) if found else None
    if query.kind is QueryKind.TASK:
        return page.url("task", query.value)
    try:
        app_id = await lookup.app_of(page.services, page.org_id, query)
    except AppError as error:
        if error.kind is not ErrorKind.NOT_FOUND:
            raise
        return None
    return page.url("app", app_id, _PLACES[query.kind], query.value)


async def _listed(page: PageRequest, query: LookupQuery) -> Answer:
    """List the newest messages that match, from a time or a position on."""
    below = page.query["at"] or (lookup.before(query.at) if query.kind is QueryKind.TIME else lookup.END)
    wanted = MessageSearch(
        below=below,
        event_type=query.value if query.kind is QueryKind.TYPE else "",
        tag=query.value if query.kind is QueryKind.TAG else "",
    )
    newest, names = await lookup.newest_messages(page.services, page.org_id, wanted)
    return page.page(
        "console_messages.html",
        query=query,
        meaning=_said(query),
        found=[],
        newest=newest,
        names=names,
        at=timestamp_of,
    )


def _said(query: LookupQuery, found: int = 0) -> str:  # noqa: PLR0911 - a table of sentences
    """Return a sentence that says how a query was understood."""
    match query.kind:
        case QueryKind.NOTHING:
            return ""
        case QueryKind.TYPE | QueryKind.TAG:
            return f"Messages with {query.kind.value} {query.value}, the newest first."
        case QueryKind.TIME:
            return f"Messages from before {time(query.at).striptags()}, the newest first."
        case QueryKind.EVENT_ID if found:
            return f"{found} applications have a message with the event id {query.value}."
        case QueryKind.EVENT_ID:
            return f"No message has the event id {query.value}. For an event type, search for type:{query.value}"
        case QueryKind.UNKNOWN:
            return "This is no id, time, event type or tag."
        case _:
            return f"{query.value} has the form of {query.kind.value}, but this organization has none with it."


VIEWS: Final = (View(scope=Scope.ORGANIZATION, path="/message", handler=search),)
