# SPDX-License-Identifier: MIT
"""Connecting a product: choose a connector, follow its instructions, and add an endpoint with its script."""

import json
from collections.abc import Sequence
from typing import Any, Final

from tidings.core import connectors, endpoint_connectors, event_types
from tidings.core.idempotency import Response
from tidings.errors import AppError, Fault, forbidden
from tidings.ids import EndpointId
from tidings.model.connector import Connector, ConnectorKind, ConnectorProduct
from tidings.model.page import LIMIT_MAX, Cursor, Order
from tidings.model.token import Capability
from tidings.portal import event_type_picker, markdown_text
from tidings.portal.endpoint_forms import EndpointFields
from tidings.portal.faults import explained
from tidings.portal.request import PageRequest
from tidings.portal.response import Answer
from tidings.portal.view import Handler, Scope, View

_FORM_BYTES: Final = 512 * 1024
_PLACEHOLDERS: Final = {
    "tidings.slack": "https://hooks.slack.com/services/…",
    "tidings.discord": "https://discord.com/api/webhooks/…",
    "tidings.teams": "https://….webhook.office.com/…",
    "tidings.pagerduty": "https://events.pagerduty.com/v2/enqueue?routing_key=…",
}
_SLOW: Final = (ConnectorKind.SLACK, ConnectorKind.DISCORD, ConnectorKind.TEAMS)
"""Chat products, which accept about one request a second."""


async def choosing(page: PageRequest) -> Answer:
    """Show the connectors that the caller may see by name, those of the organization first."""
    _require_scripts(page)
    cursor = Cursor(Order.ASCENDING, LIMIT_MAX)
    found = await connectors.page(page.services, page.principal, cursor, ConnectorProduct.DISPATCH, has_built_in=True)
    ordered = sorted(found.items, key=lambda each: (each.is_built_in, each.name.casefold(), each.id))
    return page.page("connectors.html", found=ordered)


async def connecting(page: PageRequest) -> Answer:
    """Show the instructions of a connector, and the form that adds an endpoint with it."""
    connector = await _connector(page)
    allowed = await event_types.active(page.services, page.org_id, connector.allowed_event_types or ())
    rate = "1" if connector.kind in _SLOW else ""
    is_all = connector.allowed_event_types is None
    return await _form(page, connector, EndpointFields(rate=rate, is_all=is_all, types=allowed))


async def connect(page: PageRequest) -> Answer:
    """Add an endpoint with the script of a connector, or search event types."""
    connector = await _connector(page)
    fields = EndpointFields.given(page.form)
    faults = [] if page.form.has("find") else fields.faults(https_only=page.context.https_only)
    if page.form.has("find") or faults:
        return await _form(page, connector, fields, faults)
    try:
        made = await endpoint_connectors.create(
            page.services,
            page.app,
            connector,
            fields.drafted(),
            idempotency_key=page.idempotency_key(),
            render=lambda endpoint: Response(201, json.dumps(endpoint.id).encode()),
        )
    except AppError as error:
        return await _form(page, connector, fields, _placed(error))
    return page.redirect("endpoint", EndpointId(json.loads(made.body)), done="connected")


def _placed(error: AppError) -> list[Fault]:
    """Return the faults of an error; one about the connector belongs to the whole form."""
    return [
        Fault(("body", "form"), fault.msg) if "connectorId" in fault.loc else fault
        for fault in explained(error, "form")
    ]


async def _connector(page: PageRequest) -> Connector:
    _require_scripts(page)
    return await connectors.get(page.services, page.principal, page.path["connector_id"])


def _require_scripts(page: PageRequest) -> None:
    """Refuse a session that may not set scripts: a connector sets one."""
    if not page.may(Capability.MANAGE_TRANSFORMATIONS):
        raise forbidden()


async def _form(
    page: PageRequest, connector: Connector, fields: EndpointFields, faults: Sequence[Fault] = ()
) -> Answer:
    values: dict[str, Any] = {
        "connector": connector,
        "instructions": markdown_text.rendered(connector.instructions),
        "placeholder": _PLACEHOLDERS.get(connector.uid or "", "https://example.com/webhooks"),
        "fields": fields,
        "picker": await event_type_picker.read(page, fields.types, page.form["find_text"]),
    }
    if faults:
        return page.invalid("connect_form.html", faults, **values)
    return page.page("connect_form.html", **values)


def _view(path: str, handler: Handler, method: str = "GET") -> View:
    return View(
        scope=Scope.APPLICATION,
        path=path,
        method=method,
        handler=handler,
        needs=Capability.MANAGE_ENDPOINT,
        form_bytes=_FORM_BYTES,
    )


VIEWS: Final = (
    _view("/connect", choosing),
    _view("/connect/{connector_id}", connecting),
    _view("/connect/{connector_id}", connect, "POST"),
)
