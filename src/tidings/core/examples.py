# SPDX-License-Identifier: MIT
"""Use case: send an example message to one endpoint."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tidings import ids
from tidings.core.idempotency import Response
from tidings.core.services import Services
from tidings.errors import bad_request, conflict, not_found
from tidings.ids import MessageId
from tidings.model.app import App
from tidings.model.event_type import EventType
from tidings.model.message import AcceptedMessage
from tidings.model.payload_filter import document_of
from tidings.model.routing import mismatch
from tidings.storage.drivers.database import Write
from tidings.storage.tables import endpoints, event_types, intake
from tidings.storage.tables.intake import DeliveryRow

PING: Final = "svix.ping"
_PING_PAYLOAD: Final = b'{"success": true}'
_VERSION: Final = "1"


@dataclass(frozen=True, slots=True)
class ExampleRequest:
    """The example to send: the payload of the caller, or else an example of the event type by its index."""

    event_type: str
    index: int
    payload: bytes | None


async def send(
    services: Services,
    app: App,
    endpoint_ref: str,
    request: ExampleRequest,
    *,
    idempotency_key: str | None,
    render: Callable[[AcceptedMessage], Response],
) -> Response:
    """Create an example message, and send it to one endpoint if the endpoint's filters match it."""

    async def work(tx: Write) -> AcceptedMessage:
        endpoint = await endpoints.get(tx, app.id, endpoint_ref)
        if endpoint.disabled:
            raise conflict("The endpoint is disabled. Enable it, then send the example.", code="endpoint_disabled")
        payload, now = request.payload or await _example(tx, app, request), services.now()
        msg_id = MessageId(ids.new(ids.MESSAGE, now))
        message = AcceptedMessage(msg_id, app.id, app.org_id, request.event_type, payload)
        await intake.add(tx, [message])
        if mismatch(endpoint, request.event_type, None, document_of(payload, (endpoint.filter,))) is None:
            await intake.add_deliveries(tx, [DeliveryRow.of(message, endpoint.id, now)])
            tx.after_commit(lambda: services.notifier.deliveries([endpoint.id]))
        return message

    return await services.idempotency.once(idempotency_key, work, render)


async def _example(tx: Write, app: App, request: ExampleRequest) -> bytes:
    if request.event_type == PING:
        return _PING_PAYLOAD
    found = await event_types.find(tx, app.org_id, request.event_type)
    if found is None:
        raise not_found()
    examples = examples_of(found)
    if request.index >= len(examples) or not isinstance(examples[request.index], dict):
        raise bad_request(
            "invalid_scheme", "The schema has no such example. Add it to `examples` of version 1, or pass a payload."
        )
    return json.dumps(examples[request.index], ensure_ascii=False, separators=(",", ":")).encode()


def examples_of(event_type: EventType) -> list[object]:
    """Return the examples in the first version of an event type's schema."""
    schemas = json.loads(event_type.schemas or "{}")
    first = schemas.get(_VERSION) if isinstance(schemas, dict) else None
    found = first.get("examples") if isinstance(first, dict) else None
    return found if isinstance(found, list) else []
