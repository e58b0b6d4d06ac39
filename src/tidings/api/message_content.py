# SPDX-License-Identifier: MIT
"""Payloads of messages over HTTP: their deletion, and the check whether a message would be received."""

from collections.abc import Iterator
from enum import Enum
from typing import Annotated, Final

from msgspec import Meta, field

from tidings.api.fields import Channel, Name, Uid
from tidings.api.messages import CHANNEL_SET, TAG, channel_faults
from tidings.api.query import Query
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import In, Out, json_response
from tidings.core import messages
from tidings.core.idempotency import Response
from tidings.errors import Fault
from tidings.model import text
from tidings.model.faults import set_faults, unique

IDS_MAX: Final = 1_000
"""Maximum messages whose payloads one request deletes."""
_TOO_MANY: Final = f"ids must have at most {IDS_MAX} items."


class BulkExpungeStatus(Enum):
    """Whether a payload was deleted."""

    EXPUNGED = "expunged"
    """The payload is deleted, by this request or an earlier one."""
    NOT_FOUND = "not-found"
    """No message has this id."""


class BulkExpungeContentsIn(In, kw_only=True):
    """The messages whose payloads to delete."""

    ids: Annotated[list[Uid], Meta(extra_json_schema={"uniqueItems": True, "maxItems": IDS_MAX})] = field(
        default_factory=list
    )
    """The ids or event ids of the messages, at most 1,000. None by default."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        if len(self.ids) > IDS_MAX:
            yield Fault(("body", "ids"), _TOO_MANY)
        yield from set_faults("ids", map(text.name_error, self.ids))


class BulkExpungeContentsOut(Out, kw_only=True):
    """The result for each message."""

    results: dict[str, BulkExpungeStatus]
    """The results by the id or event id in the request."""


class MessagePrecheckIn(In, kw_only=True):
    """The message to check."""

    event_type: Name
    """The event type of the message."""
    channels: Annotated[list[Channel] | None, Meta(extra_json_schema=CHANNEL_SET)] = None
    """The channels of the message, from 1 to 10. Null, the default, means none."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from set_faults("eventType", iter([text.name_error(self.event_type)]))
        if self.channels is not None:
            yield from channel_faults(self.channels)


class MessagePrecheckOut(Out, kw_only=True):
    """Whether an endpoint would receive a message."""

    active: bool
    """Whether at least one enabled endpoint would receive the message."""


async def expunge(call: Call[Query, Nothing]) -> Response:
    """Delete the payload of a message for good, and discard its pending deliveries.

    The message stays and can no longer be sent. The request can be repeated.
    """
    await messages.expunge(call.context.services, call.app, call.path["msg_id"])
    return Response(204)


async def expunge_many(call: Call[Query, BulkExpungeContentsIn]) -> Response:
    """Delete the payloads of up to 1,000 messages for good, by their ids or event ids.

    Unknown messages are reported in the results.
    """
    return await messages.expunge_many(
        call.context.services,
        call.app,
        unique(call.body.ids) or (),
        idempotency_key=call.idempotency_key,
        render=_expunged,
    )


def _expunged(found: dict[str, bool]) -> Response:
    results = {ref: BulkExpungeStatus.EXPUNGED if was else BulkExpungeStatus.NOT_FOUND for ref, was in found.items()}
    return json_response(200, BulkExpungeContentsOut(results=results))


async def precheck(call: Call[Query, MessagePrecheckIn]) -> Response:
    """Report whether any enabled endpoint would receive such a message, without creating one."""
    body = call.body
    active = await messages.has_receivers(call.context.services, call.app, body.event_type, unique(body.channels))
    return json_response(200, MessagePrecheckOut(active=active))


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="DELETE",
        path="/app/{app_id}/msg/{msg_id}/content",
        operation="v1.message.expunge-content",
        tag=TAG,
        summary="Delete the payload of a message",
        access=Access.ORG,
        query=Query,
        body=Nothing,
        handler=expunge,
        responses={204: None},
    ),
    Route(
        method="POST",
        path="/app/{app_id}/msg/bulk-expunge",
        operation="v1.message.bulk-expunge-content",
        tag=TAG,
        summary="Delete the payloads of several messages",
        access=Access.ORG,
        query=Query,
        body=BulkExpungeContentsIn,
        handler=expunge_many,
        responses={200: BulkExpungeContentsOut},
    ),
    Route(
        method="POST",
        path="/app/{app_id}/msg/precheck/active",
        operation="v1.message.precheck",
        is_read=True,
        tag=TAG,
        summary="Check whether an endpoint would receive a message",
        access=Access.ORG,
        query=Query,
        body=MessagePrecheckIn,
        handler=precheck,
        responses={200: MessagePrecheckOut},
    ),
)
