# SPDX-License-Identifier: MIT
"""The states of messages at endpoints over HTTP: the messages of an endpoint, and the endpoints of a message."""

from functools import partial
from typing import Annotated, Final

from msgspec import UNSET, UnsetType

from tidings.api.attempts import TAG, StatusParameter
from tidings.api.fields import UID, URL, Channel, EndpointId, Name, Rate
from tidings.api.messages import MessageOut, render_message
from tidings.api.query import (
    ChannelParameter,
    EndpointIterator,
    Flag,
    Instant,
    MessageIterator,
    Names,
    PageLimit,
    Query,
    TagParameter,
)
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import CreatedAt, ListResponse, Out, Timestamp, UpdatedAt, format_timestamp, listing
from tidings.core import attempts
from tidings.core.idempotency import Response
from tidings.model.attempt import AttemptedMessage, AttemptFilter, Destination, MessageStatus, MessageStatusText
from tidings.model.message import MessageFilter
from tidings.model.page import LIMIT_DEFAULT, Cursor, Order


class EndpointMessageOut(MessageOut, kw_only=True):
    """A message, and its state at the endpoint."""

    status: MessageStatus
    """The state of the message at the endpoint, as a number."""
    status_text: MessageStatusText
    """The state of the message at the endpoint, as a word."""
    next_attempt: Timestamp | UnsetType | None = UNSET
    """When the next attempt is due. Absent if none is scheduled."""


class MessageEndpointOut(Out, kw_only=True):
    """An endpoint, and the state of the message there."""

    id: EndpointId
    url: Annotated[str, URL]
    description: str
    """A description for people."""
    version: int
    """The version number that the caller chose."""
    disabled: bool
    """Whether the endpoint is disabled: a disabled endpoint receives nothing."""
    event_types: tuple[Name, ...] | None
    """The event types that the endpoint receives. Null means all."""
    filter_types: tuple[Name, ...] | None
    """The former name of `eventTypes`, with the same value."""
    channels: tuple[Channel, ...] | None
    """The endpoint receives only messages with one of these channels. Null means all messages."""
    uid: Annotated[str | None, UID]
    """The identifier that the caller chose. Null if there is none."""
    rate_limit: Rate | None
    """The former name of `throttleRate`, with the same value."""
    throttle_rate: Rate | None
    """Maximum number of messages per second to the endpoint. Null means no limit."""
    created_at: CreatedAt
    updated_at: UpdatedAt
    status: MessageStatus
    """The state of the message at the endpoint, as a number."""
    status_text: MessageStatusText
    """The state of the message at the endpoint, as a word."""
    next_attempt: Timestamp | None
    """When the next attempt is due. Null if none is scheduled."""


class AttemptedMessagesQuery(Query, kw_only=True):
    """Filters and page of the messages of an endpoint."""

    limit: PageLimit = LIMIT_DEFAULT
    iterator: MessageIterator = None
    channel: ChannelParameter = None
    tag: TagParameter = None
    status: StatusParameter = None
    """Only messages with this status at the endpoint: 0 (success), 2 (fail), 3 (sending) or 4 (canceled)."""
    before: Instant = None
    """Only messages created before this timestamp. The list covers the 90 days before it."""
    after: Instant = None
    """Only messages created at or after this timestamp. Without `before` the list covers the 90 days after it."""
    with_content: Flag = True
    """Include the payloads. Otherwise `payload` is an empty object."""
    expanded_statuses: Flag = False
    """Return the status 4 (canceled). Otherwise, for older clients, it is returned as 0 (success)."""
    event_types: Names = ()


class AttemptedDestinationsQuery(Query, kw_only=True):
    """Page of the endpoints of a message."""

    limit: PageLimit = LIMIT_DEFAULT
    iterator: EndpointIterator = None


async def page_of_messages(call: Call[AttemptedMessagesQuery, Nothing]) -> Response:
    """Return a page of the messages with an attempt at an endpoint, newest first, with their state there."""
    query = call.query
    cursor = Cursor(Order.DESCENDING, query.limit, query.iterator, query.before, query.after)
    filters = MessageFilter(event_types=query.event_types, channel=query.channel, tag=query.tag)
    found = await attempts.page_of_messages(
        call.context.services,
        call.app,
        call.path["endpoint_id"],
        cursor,
        AttemptFilter(status=query.status, message=filters),
        with_payload=query.with_content,
    )
    render = partial(_render_message, with_content=query.with_content, is_expanded=query.expanded_statuses)
    return listing(found, render)


async def page_of_destinations(call: Call[AttemptedDestinationsQuery, Nothing]) -> Response:
    """Return a page of the endpoints with an attempt of a message, with its state there.

    Deleted endpoints are included. A canceled message has the status 0 (success), as for clients that do not ask for
    more statuses.
    """
    cursor = Cursor(Order.ASCENDING, call.query.limit, call.query.iterator)
    found = await attempts.page_of_destinations(call.context.services, call.app, call.path["msg_id"], cursor)
    return listing(found, _render_destination)


def _render_message(attempted: AttemptedMessage, *, with_content: bool, is_expanded: bool) -> EndpointMessageOut:
    message = render_message(attempted.message, with_content=with_content)
    latest = attempted.status
    status = latest.status.shown(is_expanded=is_expanded)
    return EndpointMessageOut(
        event_id=message.event_id,
        event_type=message.event_type,
        payload=message.payload,
        channels=message.channels,
        id=message.id,
        timestamp=message.timestamp,
        tags=message.tags,
        deliver_at=message.deliver_at,
        status=status,
        status_text=MessageStatusText[status.name],
        next_attempt=UNSET if latest.next_at is None else format_timestamp(latest.next_at),
    )


def _render_destination(destination: Destination) -> MessageEndpointOut:
    endpoint, latest = destination.endpoint, destination.status
    status = latest.status.shown(is_expanded=False)
    return MessageEndpointOut(
        id=endpoint.id,
        url=endpoint.url,
        description=endpoint.description,
        version=endpoint.version,
        disabled=endpoint.disabled,
        event_types=endpoint.event_types,
        filter_types=endpoint.event_types,
        channels=endpoint.channels,
        uid=endpoint.uid,
        rate_limit=endpoint.throttle_rate,
        throttle_rate=endpoint.throttle_rate,
        created_at=format_timestamp(endpoint.created_at),
        updated_at=format_timestamp(endpoint.updated_at),
        status=status,
        status_text=MessageStatusText[status.name],
        next_attempt=None if latest.next_at is None else format_timestamp(latest.next_at),
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/app/{app_id}/endpoint/{endpoint_id}/msg",
        operation="v1.message-attempt.list-attempted-messages",
        tag=TAG,
        summary="List the messages that were sent to an endpoint",
        access=Access.APP,
        query=AttemptedMessagesQuery,
        body=Nothing,
        handler=page_of_messages,
        responses={200: ListResponse[EndpointMessageOut]},
    ),
    Route(
        method="GET",
        path="/app/{app_id}/msg/{msg_id}/endpoint",
        operation="v1.message-attempt.list-attempted-destinations",
        tag=TAG,
        summary="List the endpoints to which a message was sent",
        access=Access.APP,
        query=AttemptedDestinationsQuery,
        body=Nothing,
        handler=page_of_destinations,
        responses={200: ListResponse[MessageEndpointOut]},
    ),
)
