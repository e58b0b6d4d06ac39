# SPDX-License-Identifier: MIT
"""The event types that the users of an application may see: their list, and each with its schema and example."""

import json
from typing import Any, Final

from tidings.core import event_types, examples
from tidings.errors import bad_request
from tidings.model import text
from tidings.model.page import Cursor, Order
from tidings.portal import event_type_picker
from tidings.portal.formats import pretty
from tidings.portal.request import PageRequest
from tidings.portal.response import Answer
from tidings.portal.view import Scope, View

_PAGE: Final = 100


async def listed(page: PageRequest) -> Answer:
    """List the event types by name, or those that match a search."""
    at = page.query["at"] or None
    if at is not None and text.name_error(at.removeprefix("-")):
        raise bad_request("no_position", "The address of this page is damaged. Open the list again.")
    search = page.query["q"][: event_type_picker.SEARCH_LONGEST]
    found = await event_types.page(
        page.services,
        page.principal,
        Cursor(Order.ASCENDING, _PAGE, at),
        archived=False,
        with_schemas=False,
        search=search,
    )
    return page.page("event_types.html", found=found, groups=event_type_picker.grouped(found.items), search=search)


async def shown(page: PageRequest) -> Answer:
    """Show an event type with its schema and examples."""
    found = await event_types.get(page.services, page.principal, page.path["name"])
    shown = [pretty(json.dumps(each, ensure_ascii=False)) for each in examples.examples_of(found)]
    return page.page("event_type.html", event_type=found, versions=_versions(found.schemas), examples=shown)


def _versions(schemas: str | None) -> list[tuple[str, Any]]:
    """Return the schemas by version, the latest first."""
    found = json.loads(schemas or "{}")
    if not isinstance(found, dict):
        return []
    return [(version, pretty(json.dumps(found[version], ensure_ascii=False))) for version in reversed(found)]


VIEWS: Final = (
    View(scope=Scope.APPLICATION, path="/event-type", handler=listed),
    View(scope=Scope.APPLICATION, path="/event-type/{name}", handler=shown),
)
