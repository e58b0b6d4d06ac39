# SPDX-License-Identifier: MIT
"""Examples of event types, sent to an endpoint, over HTTP."""

from collections.abc import Iterator
from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from tidings.api.fields import Name, Payload
from tidings.api.messages import MessageOut, render_accepted
from tidings.api.query import Query
from tidings.api.routes import Access, AnyRoute, Call, Route
from tidings.api.wire import In, json_response
from tidings.core import examples
from tidings.core.idempotency import Response
from tidings.errors import Fault
from tidings.model import text
from tidings.model.faults import set_faults


class EventExampleIn(In, kw_only=True):
    """The example to send."""

    event_type: Name
    """The event type whose example to send."""
    example_index: Annotated[int, Meta(extra_json_schema={"format": "uint", "minimum": 0})] = 0
    """The position of the example in `examples` of the schema, from 0. 0 by default; no effect with `payload`."""
    payload: Payload | UnsetType = UNSET
    """The payload to send in place of an example."""

    @property
    def content(self) -> bytes | None:
        """The bytes of the given payload. None if it is absent or null."""
        raw = None if self.payload is UNSET else bytes(self.payload)
        return None if raw == b"null" else raw

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from set_faults("eventType", iter([text.name_error(self.event_type)]))
        if self.example_index < 0:
            wrong = f"invalid value: integer `{self.example_index}`, expected usize"
            yield Fault(("body", "exampleIndex"), wrong, "value_error.jsondecode")
        if self.content is not None and not self.content.startswith(b"{"):
            yield Fault(("body", "payload"), "Payload must be an object.")


async def send(call: Call[Query, EventExampleIn]) -> Response:
    """Send an example of an event type to one endpoint, as a message of its own.

    The message is not sent if the endpoint does not subscribe to the event type or has channels. A disabled
    endpoint is a 409 with the code `endpoint_disabled`, an unknown event type a 404, and a schema without the
    example a 400.
    """
    body = call.body
    return await examples.send(
        call.context.services,
        call.app,
        call.path["endpoint_id"],
        examples.ExampleRequest(body.event_type, body.example_index, body.content),
        idempotency_key=call.idempotency_key,
        render=lambda message: json_response(202, render_accepted(message, with_content=False)),
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="POST",
        path="/app/{app_id}/endpoint/{endpoint_id}/send-example",
        operation="v1.endpoint.send-example",
        tag="Endpoint",
        summary="Send an example of an event type to an endpoint",
        access=Access.ORG,
        query=Query,
        body=EventExampleIn,
        handler=send,
        responses={202: MessageOut},
    ),
)
