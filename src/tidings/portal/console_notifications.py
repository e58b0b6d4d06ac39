# SPDX-License-Identifier: MIT
"""Notifications in the console: the chats that get the changes of state of endpoints. Their URLs are masked."""

from typing import Any, Final
from urllib.parse import urlsplit

from tidings.core import chats
from tidings.core.chats import ChatDraft
from tidings.errors import AppError, Fault, forbidden
from tidings.ids import MANAGEMENT_ORG, OrgId
from tidings.model.endpoint_rules import https_faults, url_faults
from tidings.model.faults import text_faults
from tidings.model.token import Capability
from tidings.model.url import normalize_url
from tidings.portal import words
from tidings.portal.faults import explained
from tidings.portal.request import PageRequest
from tidings.portal.response import Answer
from tidings.portal.view import Scope, View

_TEMPLATE: Final = "console_notifications.html"
_EMPTY: Final = {"kind": "slack", "url": "", "description": ""}


async def listed(page: PageRequest) -> Answer:
    """Show the chats of an organization, and the form of a new one."""
    return await _rendered(page, _EMPTY)


async def _rendered(page: PageRequest, values: dict[str, str], *faults: Fault) -> Answer:
    found = await chats.page(page.services, _org(page), page.cursor())
    shown: dict[str, Any] = {
        "found": found,
        "form": values,
        "kinds": chats.KINDS,
        "kind_of": chats.kind_of,
        "masked": masked,
        "health": words.health,
        "last_error": words.last_error,
    }
    return page.invalid(_TEMPLATE, faults, **shown) if faults else page.page(_TEMPLATE, **shown)


def masked(url: str) -> str:
    """Return the host of a URL: with the rest, anyone can write to the chat."""
    return f"{urlsplit(url).netloc.rpartition('@')[2]}/…"


def _org(page: PageRequest) -> OrgId:
    """Return the organization; raise `forbidden` for that of operators, about which there are no events."""
    if page.org_id == MANAGEMENT_ORG:
        raise forbidden()
    return page.org_id


async def add(page: PageRequest) -> Answer:
    """Notify a chat from now on."""
    values = {name: page.form[name] for name in _EMPTY}
    faults = [*url_faults(values["url"])]
    if not faults and page.context.https_only:
        faults += https_faults(normalize_url(values["url"]))
    faults += text_faults("description", values["description"])
    if faults:
        return await _rendered(page, values, *faults)
    draft = ChatDraft(values["kind"], normalize_url(values["url"]), values["description"])
    try:
        await chats.add(page.services, _org(page), draft, page.idempotency_key())
    except AppError as error:
        return await _rendered(page, values, *explained(error, "url"))
    return page.redirect("notification", done="chat_added")


async def remove(page: PageRequest) -> Answer:
    """Stop notifying a chat."""
    await chats.remove(page.services, _org(page), page.path["endpoint_id"])
    return page.redirect("notification", done="chat_removed")


async def test(page: PageRequest) -> Answer:
    """Send a sample of a notification to one chat."""
    try:
        await chats.send_test(page.services, _org(page), page.path["endpoint_id"], page.idempotency_key())
    except AppError as error:
        return await _rendered(page, _EMPTY, *explained(error, "chat"))
    return page.redirect("notification", done="chat_tested")


VIEWS: Final = (
    View(scope=Scope.ORGANIZATION, path="/notification", handler=listed),
    View(scope=Scope.ORGANIZATION, path="/notification", method="POST", handler=add, needs=Capability.MANAGE_ENDPOINT),
    View(
        scope=Scope.ORGANIZATION,
        path="/notification/{endpoint_id}/remove",
        method="POST",
        handler=remove,
        needs=Capability.MANAGE_ENDPOINT,
    ),
    View(
        scope=Scope.ORGANIZATION,
        path="/notification/{endpoint_id}/test",
        method="POST",
        handler=test,
        needs=Capability.CREATE_ATTEMPTS,
    ),
)
