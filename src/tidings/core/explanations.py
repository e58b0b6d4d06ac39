# SPDX-License-Identifier: MIT
"""Explanations of the state of a message at each endpoint of its application."""

from dataclasses import dataclass, replace

from tidings.core.services import Services
from tidings.ids import EndpointId
from tidings.model.app import App
from tidings.model.endpoint import Endpoint
from tidings.model.explanation import AttemptSummary, DeliveryFacts, Explanation, MessageFacts, explain
from tidings.model.json_document import JsonDocument
from tidings.model.message import Message
from tidings.model.page import Cursor, Page
from tidings.storage.drivers.database import Read
from tidings.storage.tables import endpoints, messages, routing
from tidings.storage.tables.messages import NO_DELIVERIES, EndpointDeliveries


@dataclass(frozen=True, slots=True)
class EndpointExplanation:
    """An endpoint, a summary of its attempts, and the explained state of its delivery."""

    endpoint: Endpoint
    attempts: AttemptSummary | None
    explanation: Explanation
    deleted_at: int | None = None
    """When the endpoint was deleted, in milliseconds; None if it exists."""


@dataclass(frozen=True, slots=True)
class ExplanationRequest:
    """A message by its id or event id, and the page of endpoints to explain."""

    app: App
    ref: str
    cursor: Cursor
    attempts_max: int
    """The number of automatic attempts of a delivery, by the current retry schedule."""


async def page(services: Services, request: ExplanationRequest) -> Page[EndpointExplanation]:
    """Return a page of explanations, including those of endpoints deleted after the message was created."""
    async with services.db.read() as read:
        message = await messages.get(read, request.app.id, request.ref, with_payload=False)
        subject = await messages.facts_of(read, message)
        found = await endpoints.page_since(read, request.app.id, request.cursor.window(), subject.at)
        ids = sorted(endpoint.id for endpoint, _ in found)
        stored = await messages.stored_deliveries(read, message.id, ids[0], ids[-1]) if found else NO_DELIVERIES
        open_since = {each: _last_at(subject, stored, each) for each in ids if not _is_settled(stored, each)}
        in_force = await routing.settings_in_force(read, list(open_since), subject.at) if open_since else {}
        canceled = await messages.canceled_by_tasks(read, request.app.id, message.id, open_since) if open_since else {}
        deciding = [in_force.get(endpoint.id, endpoint) for endpoint, _ in found if endpoint.id in open_since]
        if subject.has_payload and any(each.filter is not None for each in deciding):
            subject = replace(subject, document=await _document(read, message))
    now = services.clock.now()
    rows = [
        DeliveryFacts(
            subject=subject,
            endpoint=endpoint,
            deleted_at=deleted_at,
            outstanding=stored.outstanding.get(endpoint.id),
            attempts=stored.attempts.get(endpoint.id),
            canceled_by=canceled.get(endpoint.id),
            in_force=in_force.get(endpoint.id),
            now=now,
            attempts_max=request.attempts_max,
        )
        for endpoint, deleted_at in found
    ]
    return request.cursor.page(rows, lambda facts: facts.endpoint.id).mapped(_explained)


async def _document(read: Read, message: Message) -> JsonDocument | None:
    """Return the payload of a message, which a payload filter needs; None if it was deleted meanwhile."""
    found = await messages.get(read, message.app_id, message.id, with_payload=True)
    return None if found.payload is None else JsonDocument(found.payload)


def _is_settled(stored: EndpointDeliveries, endpoint_id: EndpointId) -> bool:
    """Return whether the state is known without a lookup of canceled tasks."""
    attempts = stored.attempts.get(endpoint_id)
    return endpoint_id in stored.outstanding or (attempts is not None and attempts.is_delivered)


def _last_at(subject: MessageFacts, stored: EndpointDeliveries, endpoint_id: EndpointId) -> int:
    attempts = stored.attempts.get(endpoint_id)
    return subject.at if attempts is None else attempts.last.at


def _explained(facts: DeliveryFacts) -> EndpointExplanation:
    return EndpointExplanation(facts.endpoint, facts.attempts, explain(facts), facts.deleted_at)
