# SPDX-License-Identifier: MIT
"""The catalog of event types in the console: list, create, change, archive."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import msgspec

from tidings.core import event_types
from tidings.core.idempotency import Response
from tidings.core.schemas import is_draft_7
from tidings.errors import AppError, ErrorKind, Fault
from tidings.model import text
from tidings.model.event_type import EventType, EventTypeDraft
from tidings.model.page import Order
from tidings.portal.formats import pretty
from tidings.portal.request import Form, PageRequest
from tidings.portal.response import Answer
from tidings.portal.view import Scope, View

_FORM_BYTES: Final = 1024 * 1024
_SCHEMAS_HINT: Final = "The schemas must be a JSON object with a JSON Schema (Draft 7) for each version."
_NONE: Final = {"name": "", "description": "", "group": "", "schemas": ""}


async def listed(page: PageRequest) -> Answer:
    """Show a page of the event types."""
    is_all = page.query.has("archived")
    found = await event_types.page(
        page.services, page.principal, page.cursor(Order.ASCENDING), archived=is_all, with_schemas=False
    )
    return page.page("console_event_types.html", found=found, is_all=is_all)


async def new(page: PageRequest) -> Answer:
    """Show the form of a new event type."""
    return page.page("console_event_type.html", event_type=None, values=_NONE, faults={})


async def create(page: PageRequest) -> Answer:
    """Create an event type."""
    values = _values(page.form)
    faults = _faults(values)
    if not faults:
        try:
            await event_types.create(
                page.services,
                page.org_id,
                _draft(values),
                idempotency_key=page.idempotency_key(),
                render=lambda _: Response(201, b"{}"),
            )
        except AppError as error:
            if error.kind is not ErrorKind.CONFLICT:
                raise
            faults = [Fault(("body", "name"), "An event type with this name already exists.")]
        else:
            return page.redirect("event-type", values["name"], done="created")
    return page.invalid("console_event_type.html", faults, event_type=None, values=values)


async def one(page: PageRequest) -> Answer:
    """Show an event type with the form that changes it."""
    found = await event_types.get(page.services, page.principal, page.path["name"])
    return page.page("console_event_type.html", event_type=found, values=_values_of(found), faults={})


async def change(page: PageRequest) -> Answer:
    """Change the description, the group and the schemas of an event type."""
    found = await event_types.get(page.services, page.principal, page.path["name"])
    values = _values(page.form) | {"name": found.name}
    faults = _faults(values)
    if faults:
        return page.invalid("console_event_type.html", faults, event_type=found, values=values)
    draft = _draft(values)

    def edit(before: EventType) -> EventType:
        return replace(before, description=draft.description, group_name=draft.group_name, schemas=draft.schemas)

    await event_types.change(page.services, page.org_id, found.name, edit, render=_nothing)
    return page.redirect("event-type", found.name, done="saved")


async def archive(page: PageRequest) -> Answer:
    """Archive an event type, or restore it."""
    is_archived = page.form["archived"] == "yes"
    name = page.path["name"]
    await event_types.change(
        page.services, page.org_id, name, lambda before: replace(before, archived=is_archived), render=_nothing
    )
    return page.redirect("event-type", name, done="saved")


def _nothing(_event_type: EventType) -> Response:
    return Response(200, b"{}")


def _values(form: Form) -> dict[str, str]:
    return {name: form[name] for name in _NONE}


def _values_of(found: EventType) -> dict[str, str]:
    return {
        "name": found.name,
        "description": found.description,
        "group": found.group_name or "",
        "schemas": pretty(found.schemas),
    }


def _draft(values: Mapping[str, str]) -> EventTypeDraft:
    schemas = values["schemas"]
    return EventTypeDraft(
        name=values["name"],
        description=values["description"],
        archived=False,
        deprecated=False,
        schemas=json.dumps(json.loads(schemas), separators=(",", ":")) if schemas else None,
        feature_flags=None,
        group_name=values["group"] or None,
    )


def _faults(values: Mapping[str, str]) -> list[Fault]:
    wrong = {
        "name": text.name_error(values["name"]),
        "description": text.text_error(values["description"]),
        "group": text.name_error(values["group"]) if values["group"] else None,
        "schemas": None if _are_schemas(values["schemas"]) else _SCHEMAS_HINT,
    }
    return [Fault(("body", name), message) for name, message in wrong.items() if message is not None]


def _are_schemas(given: str) -> bool:
    if not given:
        return True
    try:
        found = msgspec.json.decode(given)  # refuses NaN and numbers that no JSON reader takes, as the API does
    except (msgspec.MsgspecError, RecursionError):
        return False
    return isinstance(found, dict) and all(map(is_draft_7, found.values()))


VIEWS: Final = (
    View(scope=Scope.ORGANIZATION, path="/event-type", handler=listed),
    View(scope=Scope.ORGANIZATION, path="/event-type", method="POST", handler=create, form_bytes=_FORM_BYTES),
    View(scope=Scope.ORGANIZATION, path="/new-event-type", handler=new),
    View(scope=Scope.ORGANIZATION, path="/event-type/{name}", handler=one),
    View(scope=Scope.ORGANIZATION, path="/event-type/{name}", method="POST", handler=change, form_bytes=_FORM_BYTES),
    View(scope=Scope.ORGANIZATION, path="/event-type/{name}/archive", method="POST", handler=archive),
)
