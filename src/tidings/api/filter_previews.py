# SPDX-License-Identifier: MIT
"""Previews of payload filters over HTTP."""

from collections.abc import Iterator
from typing import Annotated, Final

from msgspec import Meta

from tidings import ids
from tidings.api.endpoint_bodies import CHANNEL_SET, TYPE_SET
from tidings.api.fields import Channel, MessageId, Name
from tidings.api.payload_filters import PayloadFilterIn, built_filter, filter_faults
from tidings.api.query import Query
from tidings.api.routes import Access, AnyRoute, Call, Route
from tidings.api.wire import In, Out, Timestamp, format_timestamp, json_response
from tidings.core import filter_previews
from tidings.core.filter_previews import MESSAGES_MAX, PreviewedMessage, PreviewFilters, PreviewResult
from tidings.core.idempotency import Response
from tidings.errors import Fault
from tidings.model.endpoint_rules import channel_faults, type_faults
from tidings.model.faults import unique

_LIMIT: Final = Meta(extra_json_schema={"minimum": 1, "maximum": MESSAGES_MAX})


class FilterPreviewIn(In, kw_only=True):
    """The filters of an endpoint, and how many messages to check."""

    filter: PayloadFilterIn
    """The payload filter."""
    event_types: Annotated[list[Name] | None, TYPE_SET] = None
    """The event types that the endpoint receives. Null, the default, means all."""
    channels: Annotated[list[Channel] | None, CHANNEL_SET] = None
    """The endpoint receives only messages with one of these channels. Null, the default, means all messages."""
    limit: Annotated[int, _LIMIT] = 20
    """How many of the latest messages to check, at most 50. 20 by default."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from filter_faults(self.filter, "filter")
        yield from type_faults(self.event_types)
        yield from channel_faults(self.channels)
        if not 1 <= self.limit <= MESSAGES_MAX:
            yield Fault(("body", "limit"), f"limit must be from 1 to {MESSAGES_MAX}.")


class PreviewedMessageOut(Out, kw_only=True):
    """A message, and whether an endpoint with the filters would have received it."""

    id: MessageId
    event_type: Name
    """The event type of the message."""
    timestamp: Timestamp
    """When the message was created."""
    result: PreviewResult
    """Whether the message matches."""
    detail: str | None
    """A sentence that states why the message is excluded. Null if it matches."""


class FilterPreviewOut(Out, kw_only=True):
    """The latest messages of an application, the newest first, each with its result."""

    data: tuple[PreviewedMessageOut, ...]
    """The messages. There are fewer than the limit if the application has no more, or if their payloads are large."""


async def preview(call: Call[Query, FilterPreviewIn]) -> Response:
    """Report which of the latest messages an endpoint with these filters would have received.

    Nothing is stored or sent. Where the payload of a message is not kept, the result is unknown.
    """
    body = call.body
    filters = PreviewFilters(unique(body.event_types), unique(body.channels), built_filter(body.filter))
    found = await filter_previews.preview(call.context.services, call.app, filters, body.limit)
    return json_response(200, FilterPreviewOut(data=tuple(map(_rendered, found))))


def _rendered(each: PreviewedMessage) -> PreviewedMessageOut:
    return PreviewedMessageOut(
        id=each.message.id,
        event_type=each.message.event_type,
        timestamp=format_timestamp(ids.timestamp_of(each.message.id)),
        result=each.result,
        detail=each.detail,
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="POST",
        path="/app/{app_id}/msg/preview/filter",
        operation="v1.message.preview-filter",
        is_read=True,
        tag="Message",
        summary="Preview which recent messages a payload filter matches",
        access=Access.APP,
        query=Query,
        body=FilterPreviewIn,
        handler=preview,
        responses={200: FilterPreviewOut},
    ),
)
