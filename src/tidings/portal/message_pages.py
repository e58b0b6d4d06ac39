# SPDX-License-Identifier: MIT
"""The messages of an application: their list, and one with its payload and its state at each endpoint."""

from typing import Any, Final

from tidings import ids
from tidings.clock import MINUTE
from tidings.core import attempts, endpoints, explanations, messages
from tidings.core.changes import Subject, SubjectKind
from tidings.core.explanations import EndpointExplanation, ExplanationRequest
from tidings.core.idempotency import Response
from tidings.errors import not_found
from tidings.model.attempt import AttemptFilter
from tidings.model.endpoint import Endpoint
from tidings.model.explanation import DeliveryState
from tidings.model.message import Message
from tidings.model.page import Cursor, Order
from tidings.model.token import Capability
from tidings.portal import listing
from tidings.portal.live import LastPart
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
    await page.watch()
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
    message = await _message(page)
    values = await _part_values(page, message)
    return page.page("message.html", message=message, **values)


async def follow(page: PageRequest) -> Answer:
    """Follow the states and the attempts of a message until nothing is due soon."""
    msg_id = (await _message(page)).id
    listing.cursor(page, ids.ENDPOINT)  # a damaged position is an error before the stream begins

    async def render(shared: PageRequest) -> str:
        message = await messages.get(shared.services, shared.app, msg_id, with_payload=True)
        values = await _part_values(shared, message)
        text = shared.part("message_part.html", message=message, **values)
        return LastPart(text) if values["is_over"] else text

    return page.follow(render, Subject(SubjectKind.APPLICATION, page.app.id))


async def _part_values(page: PageRequest, message: Message) -> dict[str, Any]:
    """Return the values of the part that follows a message."""
    services, app = page.services, page.app
    position = listing.cursor(page, ids.ENDPOINT, Order.ASCENDING, _ENDPOINTS)
    states = await explanations.page(services, ExplanationRequest(app, message.id, position, page.context.attempts_max))
    made = await attempts.page_of_message(
        services, app, message.id, Cursor(Order.DESCENDING, _ATTEMPTS), AttemptFilter(), endpoint_ref=None
    )
    return {
        "found": states,
        "made": made,
        "known": {row.endpoint.id: row.endpoint for row in states.items},
        "is_sendable": _is_sendable,
        "is_over": not any(_is_due_soon(row, page.now) for row in states.items),
    }


def _is_due_soon(row: EndpointExplanation, now: int) -> bool:
    """Return whether a request is in flight or due within a minute; a page does not follow a later one."""
    found = row.explanation
    if found.state is DeliveryState.IN_FLIGHT:
        return True
    return found.next_attempt_at is not None and found.next_attempt_at <= now + MINUTE


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
    endpoint = page.form["endpoint"]
    await attempts.resend(
        page.services,
        page.app,
        msg_ref=page.path["msg_id"],
        endpoint_ref=endpoint,
        idempotency_key=page.idempotency_key(endpoint),
        render=lambda _endpoint: Response(202),
    )
    return page.redirect("message", page.path["msg_id"], done="resent")


VIEWS: Final = (
    View(scope=Scope.APPLICATION, path="/message", handler=listed),
    View(scope=Scope.APPLICATION, path=_PAGE_ONE, handler=shown),
    View(scope=Scope.APPLICATION, path=f"{_PAGE_ONE}/live", handler=follow),
    View(scope=Scope.APPLICATION, path=f"{_PAGE_ONE}/payload", handler=payload),
    View(
        scope=Scope.APPLICATION,
        path=f"{_PAGE_ONE}/resend",
        method="POST",
        handler=resend,
        needs=Capability.CREATE_ATTEMPTS,
    ),
)
