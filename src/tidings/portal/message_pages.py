# SPDX-License-Identifier: MIT
"""The messages of an application: their list, and one with its payload and its state at each endpoint."""

from typing import Any, Final

from tidings import ids
from tidings.core import attempts, endpoints, explanations, messages
from tidings.core.explanations import EndpointExplanation, ExplanationRequest
from tidings.core.idempotency import Response
from tidings.errors import not_found
from tidings.model.attempt import AttemptFilter
from tidings.model.endpoint import Endpoint
from tidings.model.message import Message
from tidings.model.page import Cursor, Order
from tidings.model.token import Capability
from tidings.portal import listing
from tidings.portal.request import PageRequest
from tidings.portal.response import Answer, Download
from tidings.portal.view import Scope, View

_ATTEMPTS: Final = 20
"""The attempts on the page of a message; the page of its attempts has all."""
_ENDPOINTS: Final = 30
OFFERED: Final = 100
"""The endpoints that a filter offers; the address of an endpoint's own page leads to the others."""
_PAGE_ONE: Final = "/message/{msg_id}"


async def listed(page: PageRequest) -> Answer:
    """List the messages, newest first; with the filter `endpoint`, those that were attempted there."""
    filters = listing.filters(page)
    position = filters.over(listing.cursor(page, ids.MESSAGE), page.now)
    chosen = await chosen_endpoint(page)
    values: dict[str, Any] = {"filters": filters, "chosen": chosen, "offered": await offered(page)}
    if chosen is None:
        found = await messages.page(page.services, page.app, position, filters.message, with_payload=False)
        rows = found.mapped(lambda message: (message, None))
        return page.page("messages.html", found=rows, **values)
    attempted = await attempts.page_of_messages(
        page.services, page.app, chosen.id, position, AttemptFilter(message=filters.message), with_payload=False
    )
    return page.page("messages.html", found=attempted.mapped(lambda row: (row.message, row.status)), **values)


async def chosen_endpoint(page: PageRequest) -> Endpoint | None:
    """Return the endpoint that the query names; raise `not_found` if the application has none such."""
    ref = page.query["endpoint"]
    return await endpoints.get(page.services, page.app, ref) if ref else None


async def offered(page: PageRequest) -> tuple[Endpoint, ...]:
    """Return the endpoints that a filter offers."""
    found = await endpoints.page(page.services, page.app, Cursor(Order.ASCENDING, OFFERED))
    return found.items


async def shown(page: PageRequest) -> Answer:
    """Show a message: its payload, its state at each endpoint with the reason, and its attempts."""
    services, app = page.services, page.app
    message = await _message(page)
    states = await explanations.page(
        services,
        ExplanationRequest(
            app, message.id, listing.cursor(page, ids.ENDPOINT, Order.ASCENDING, _ENDPOINTS), page.context.attempts_max
        ),
    )
    made = await attempts.page_of_message(
        services, app, message.id, Cursor(Order.DESCENDING, _ATTEMPTS), AttemptFilter(), endpoint_ref=None
    )
    known = {row.endpoint.id: row.endpoint for row in states.items}
    return page.page("message.html", message=message, found=states, made=made, known=known, is_sendable=_is_sendable)


async def _message(page: PageRequest) -> Message:
    """Return the message of the path, by its id or event id."""
    return await messages.get(page.services, page.app, page.path["msg_id"], with_payload=True)


def _is_sendable(message: Message, row: EndpointExplanation) -> bool:
    """Return whether a resend to the endpoint of a row can succeed."""
    return message.payload is not None and not row.endpoint.disabled and row.deleted_at is None


async def payload(page: PageRequest) -> Answer:
    """Download the payload byte for byte."""
    message = await _message(page)
    if message.payload is None:
        raise not_found()
    ending = "txt" if message.is_raw else "json"
    return Download(message.payload, f"{message.id}.{ending}", "application/octet-stream")


async def resend(page: PageRequest) -> Answer:
    """Resend a message to one endpoint."""
    await attempts.resend(
        page.services,
        page.app,
        msg_ref=page.path["msg_id"],
        endpoint_ref=page.form["endpoint"],
        idempotency_key=page.idempotency_key(),
        render=lambda _endpoint: Response(202),
    )
    return page.redirect("message", page.path["msg_id"], done="resent")


VIEWS: Final = (
    View(scope=Scope.APPLICATION, path="/message", handler=listed),
    View(scope=Scope.APPLICATION, path=_PAGE_ONE, handler=shown),
    View(scope=Scope.APPLICATION, path=f"{_PAGE_ONE}/payload", handler=payload),
    View(
        scope=Scope.APPLICATION,
        path=f"{_PAGE_ONE}/resend",
        method="POST",
        handler=resend,
        needs=Capability.CREATE_ATTEMPTS,
    ),
)
