# SPDX-License-Identifier: MIT
"""Sending a test event: to one endpoint, or to all of an application as a message like any other."""

import json
from collections.abc import Sequence
from typing import Any, Final

from tidings.core import endpoints, event_types, examples
from tidings.core.examples import PING, ExampleRequest
from tidings.core.idempotency import Response
from tidings.core.services import HotRequest
from tidings.errors import AppError, ErrorKind, Fault
from tidings.model import text
from tidings.model.endpoint import Endpoint
from tidings.model.event_type import EventType
from tidings.model.message import RETENTION_MS, Draft
from tidings.model.page import Cursor, Order
from tidings.model.surrogates import is_object
from tidings.model.token import Capability
from tidings.portal.faults import explained
from tidings.portal.json_text import indented
from tidings.portal.request import PageRequest
from tidings.portal.response import Answer
from tidings.portal.view import forms_of_application

_OFFERED: Final = 200
"""The event types that the form offers; the name of any other one can be typed."""
_FORM_BYTES: Final = 256 * 1024
_NO_OBJECT: Final = "Write a JSON object, which starts with { and ends with }."
_UNKNOWN: Final = "There is no event type of this name."
_EMPTY: Final = "{}"


async def endpoint_form(page: PageRequest) -> Answer:
    """Show the form that sends a test event to one endpoint."""
    endpoint = await endpoints.get(page.services, page.app, page.path["endpoint_id"])
    return await _form(page, endpoint, await _chosen(page, endpoint))


async def application_form(page: PageRequest) -> Answer:
    """Show the form that sends a test event to the application."""
    return await _form(page, None, await _chosen(page, None))


async def _chosen(page: PageRequest, endpoint: Endpoint | None) -> str:
    """Return the event type in the query, or the first one that the endpoint receives."""
    if page.query["type"]:
        return page.query["type"]
    if endpoint is not None and endpoint.event_types:
        return endpoint.event_types[0]
    offered = await _offered(page, None)
    return offered[0] if offered else PING


async def _offered(page: PageRequest, endpoint: Endpoint | None) -> tuple[str, ...]:
    if endpoint is not None and endpoint.event_types is not None:
        return endpoint.event_types
    found = await event_types.page(
        page.services, page.principal, Cursor(Order.ASCENDING, _OFFERED), archived=False, with_schemas=False
    )
    return tuple(each.name for each in found.items)


async def _form(
    page: PageRequest,
    endpoint: Endpoint | None,
    name: str,
    payload: str | None = None,
    faults: Sequence[Fault] = (),
) -> Answer:
    found = await _event_type(page, name)
    values: dict[str, Any] = {
        "endpoint": endpoint,
        "name": name,
        "is_known": found is not None or name == PING,
        "is_matching": endpoint is None or _matches(endpoint, name),
        "offered": await _offered(page, endpoint),
        "payload": _prefilled(found) if payload is None else payload,
    }
    if faults:
        return page.invalid("test_event.html", faults, **values)
    return page.page("test_event.html", **values)


async def _event_type(page: PageRequest, name: str) -> EventType | None:
    """Return an event type that the caller may see, or None."""
    if text.name_error(name):
        return None
    try:
        return await event_types.get(page.services, page.principal, name)
    except AppError as error:
        if error.kind is not ErrorKind.NOT_FOUND:
            raise
        return None


def _prefilled(event_type: EventType | None) -> str:
    """Return the first example of an event type that is an object."""
    found = [] if event_type is None else [each for each in examples.examples_of(event_type) if isinstance(each, dict)]
    if not found:
        return _EMPTY
    plain = json.dumps(found[0], ensure_ascii=False).encode("utf-8", "surrogatepass")
    shown = indented(plain)
    return shown if is_object(shown.encode("utf-8", "surrogatepass")) else plain.decode("utf-8", "surrogatepass")


def _matches(endpoint: Endpoint, name: str) -> bool:
    return endpoint.channels is None and (endpoint.event_types is None or name in endpoint.event_types)


async def send_to_endpoint(page: PageRequest) -> Answer:
    """Send a test event to one endpoint, and show its message."""
    name, payload = page.form["type"], await _payload(page)
    faults = await _faults(page, name, payload)
    if not faults:
        try:
            made = await examples.send(
                page.services,
                page.app,
                page.path["endpoint_id"],
                ExampleRequest(name, 0, payload.encode()),
                idempotency_key=page.idempotency_key(),
                render=lambda message: Response(202, json.dumps(message.id).encode()),
            )
            return page.redirect("message", json.loads(made.body), done="test_sent")
        except AppError as error:
            faults = explained(error, "form")
    endpoint = await endpoints.get(page.services, page.app, page.path["endpoint_id"])
    return await _form(page, endpoint, name, payload, faults)


async def send_to_application(page: PageRequest) -> Answer:
    """Send a test event to all endpoints that subscribe to it, and show its message."""
    name, payload = page.form["type"], await _payload(page)
    faults = await _faults(page, name, payload)
    if not faults:
        request = HotRequest(page.org_id, page.app.id, page.idempotency_key(), with_content=False)
        draft = Draft(name, payload.encode(), None, None, RETENTION_MS)
        try:
            made = await page.context.acceptor.accept(request, draft)
            return page.redirect("message", made.id, done="test_sent")
        except AppError as error:
            faults = explained(error, "form")
    return await _form(page, None, name, payload, faults)


async def _payload(page: PageRequest) -> str:
    """Return the payload in the form; without access to secrets, the example of the event type.

    A holder of the secret can sign any payload. Another one must not get a signature for an event of its own making.
    """
    if page.may(Capability.VIEW_ENDPOINT_SECRET):
        return page.form.raw("payload").replace("\r\n", "\n").strip()
    return _prefilled(await _event_type(page, page.form["type"]))


async def _faults(page: PageRequest, name: str, payload: str) -> list[Fault]:
    found = []
    wrong = text.name_error(name)
    if wrong is None and name != PING and await _event_type(page, name) is None:
        wrong = _UNKNOWN
    if wrong is not None:
        found.append(Fault(("body", "type"), wrong))
    problem = payload_problem(payload)
    if problem:
        found.append(Fault(("body", "payload"), problem))
    return found


def payload_problem(payload: str) -> str:
    """Return why a text is not a JSON object that can be sent; empty if it is one."""
    if is_object(payload.encode("utf-8", "surrogatepass")):
        return ""
    try:
        json.loads(payload)
    except (ValueError, RecursionError) as error:
        return f"{_NO_OBJECT} {error}." if isinstance(error, json.JSONDecodeError) else _NO_OBJECT
    return _NO_OBJECT


VIEWS: Final = forms_of_application(
    Capability.CREATE_ATTEMPTS,
    _FORM_BYTES,
    {
        "/endpoint/{endpoint_id}/test": (endpoint_form, send_to_endpoint),
        "/test": (application_form, send_to_application),
    },
)
