# SPDX-License-Identifier: MIT
"""The connectors of an organization in the console: list, create, change and delete them, and go back to a version."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from tidings.core import connectors, transformations
from tidings.core.connectors import ConnectorEdit
from tidings.core.idempotency import Response
from tidings.errors import AppError, Fault, conflict, not_found
from tidings.model.connector import Connector, ConnectorKind
from tidings.model.page import LIMIT_MAX, Cursor, Order
from tidings.portal import event_type_picker, markdown_text
from tidings.portal.connector_form import ConnectorFields, product_name
from tidings.portal.faults import explained
from tidings.portal.request import PageRequest
from tidings.portal.response import Answer
from tidings.portal.view import Scope, View

_FORM_BYTES: Final = 1024 * 1024
"""Enough for the longest script and instructions, percent-encoded, with the event types."""
_LIST: Final = "console_connectors.html"
_ONE: Final = "console_connector.html"
_CHANGED: Final = "changed_meanwhile"
_UID_IN_USE: Final = "Another connector has this uid. Choose another one."
_PRODUCTS: Final = sorted(
    ((each.value, product_name(each)) for each in ConnectorKind if each is not ConnectorKind.CUSTOM),
    key=lambda each: each[1].casefold(),
)


async def listed(page: PageRequest) -> Answer:
    """Show the connectors of the organization by name, and those that come with the service."""
    cursor = Cursor(Order.ASCENDING, LIMIT_MAX)
    found = await connectors.page(page.services, page.principal, cursor, None, has_built_in=True)
    ordered = sorted(found.items, key=lambda each: (each.name.casefold(), each.id))
    own = [each for each in ordered if not each.is_built_in]
    built_in = [each for each in ordered if each.is_built_in]
    return page.page(_LIST, own=own, built_in=built_in, product_name=product_name)


async def new(page: PageRequest) -> Answer:
    """Show the form of a new connector; with `from` in the query, with the content of another one."""
    fields = ConnectorFields()
    if page.query["from"]:
        source = await connectors.get(page.services, page.principal, page.query["from"])
        fields = replace(ConnectorFields.of(source), name=f"{source.name} (copy)", uid="", seen="")
    return await _form(page, None, fields)


async def create(page: PageRequest) -> Answer:
    """Create a connector, or show the form again with what a button asks for."""
    fields = ConnectorFields.given(page.form)
    faults = [] if _is_unfinished(page) else list(fields.faults())
    if _is_unfinished(page) or faults:
        return await _form(page, None, fields, faults)
    try:
        made = await connectors.create(
            page.services,
            page.org_id,
            fields.drafted(),
            idempotency_key=page.idempotency_key(),
            render=lambda connector: Response(201, json.dumps(connector.id).encode()),
        )
    except AppError as error:
        return await _form(page, None, fields, _placed(error))
    return page.redirect("connector", json.loads(made.body), done="connector_created")


def _is_unfinished(page: PageRequest) -> bool:
    """Return whether a sent form is to be shown again: to search event types, or to see the instructions."""
    return page.form.has("find") or page.form.has("preview")


def _placed(error: AppError) -> list[Fault]:
    """Return the faults of an error: those of the script where the form has it, and a uid in use beside the uid."""
    if error.code == "conflict":
        return [Fault(("body", "uid"), _UID_IN_USE)]
    return [
        Fault(("body", "script"), fault.msg) if "transformation" in fault.loc else fault
        for fault in explained(error, "form")
    ]


async def one(page: PageRequest) -> Answer:
    """Show a connector with its form; with `version` in the query, with a former script."""
    found = await connectors.get(page.services, page.principal, page.path["connector_id"])
    fields = ConnectorFields.of(found)
    if page.query["version"]:
        former = await _former(page, found)
        return await _form(page, found, replace(fields, script=former), former=page.query["version"])
    return await _form(page, found, fields)


async def _former(page: PageRequest, connector: Connector) -> str:
    for each in await connectors.versions(page.services, page.org_id, connector.id):
        if str(each.version) == page.query["version"]:
            return each.transformation
    raise not_found()


async def change(page: PageRequest) -> Answer:
    """Change a connector; another script becomes its next version."""
    found = await connectors.get(page.services, page.principal, page.path["connector_id"])
    fields = ConnectorFields.given(page.form)
    if found.is_built_in:
        raise connectors.built_in_error()
    faults = [] if _is_unfinished(page) else list(fields.faults())
    if _is_unfinished(page) or faults:
        return await _form(page, found, fields, faults)
    draft = fields.drafted()

    def edited(before: Connector) -> Connector:
        if fields.seen != str(before.updated_at):
            raise conflict("The connector was changed since this page was opened.", code=_CHANGED)
        return connectors.overwritten(before, draft)

    script = None if fields.script == found.transformation else fields.script
    try:
        await connectors.change(
            page.services, page.org_id, found.id, ConnectorEdit(edited, script), render=lambda _: Response(200, b"{}")
        )
    except AppError as error:
        if error.code == _CHANGED:
            fields = replace(fields, seen=str(found.updated_at))
            detail = f"{error.detail} Check the values and save them again."
            return await _form(page, found, fields, [Fault(("body", "form"), detail)])
        return await _form(page, found, fields, _placed(error))
    return page.redirect("connector", found.id, done="saved" if script is None else "version_saved")


async def delete(page: PageRequest) -> Answer:
    """Delete a connector with its former scripts; endpoints keep theirs."""
    await connectors.delete(page.services, page.org_id, page.path["connector_id"])
    return page.redirect("connector", done="connector_deleted")


async def _form(
    page: PageRequest,
    connector: Connector | None,
    fields: ConnectorFields,
    faults: Sequence[Fault] = (),
    former: str = "",
) -> Answer:
    versions = [] if connector is None else await connectors.versions(page.services, page.org_id, connector.id)
    values: dict[str, Any] = {
        "connector": connector,
        "fields": fields,
        "versions": versions,
        "former": former,
        "products": _PRODUCTS,
        "picker": await event_type_picker.read(page, fields.types, page.form["find_text"]),
        "instructions": markdown_text.rendered(fields.instructions),
        "has_preview": page.form.has("preview"),
        "is_available": transformations.is_available(),
        "product_name": product_name,
    }
    return page.invalid(_ONE, faults, **values) if faults else page.page(_ONE, **values)


_PATH: Final = "/connector/{connector_id}"

VIEWS: Final = (
    View(scope=Scope.ORGANIZATION, path="/connector", handler=listed),
    View(scope=Scope.ORGANIZATION, path="/connector", method="POST", handler=create, form_bytes=_FORM_BYTES),
    View(scope=Scope.ORGANIZATION, path="/new-connector", handler=new),
    View(scope=Scope.ORGANIZATION, path=_PATH, handler=one),
    View(scope=Scope.ORGANIZATION, path=_PATH, method="POST", handler=change, form_bytes=_FORM_BYTES),
    View(scope=Scope.ORGANIZATION, path=f"{_PATH}/delete", method="POST", handler=delete),
)
