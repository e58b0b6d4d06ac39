# SPDX-License-Identifier: MIT
"""Lists of undelivered messages over HTTP, of an endpoint and of an organization."""

from typing import Annotated, Final

from msgspec import UNSET, Raw, UnsetType

from tidings.api.deliveries import DeliveryAttemptOut, DeliveryReasonOut, render_last_attempt, render_reason
from tidings.api.fields import URL, AppId, EndpointId, MessageId, Name
from tidings.api.messages import TAG
from tidings.api.query import (
    ITERATOR,
    ChannelParameter,
    Instant,
    Names,
    PageLimit,
    ParameterType,
    Query,
    TagParameter,
    one_of,
)
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.samples import ENDPOINT, MESSAGE
from tidings.api.wire import Out, Timestamp, format_timestamp, json_response, list_body
from tidings.core import undelivered
from tidings.core.idempotency import Response
from tidings.core.undelivered import UndeliveredDelivery, UndeliveredPage, UndeliveredRequest
from tidings.ids import timestamp_of
from tidings.model.message import MessageFilter
from tidings.model.page import LIMIT_DEFAULT, Cursor, Order
from tidings.model.undelivered import (
    KEY_PATTERN,
    UndeliveredFilter,
    UndeliveredKey,
    UndeliveredState,
    UndeliveredSummary,
)


def _wrong_key(value: object) -> str | None:
    key = UndeliveredKey.parse(str(value).removeprefix("-"))
    return "Invalid iterator. Pass the `iterator` or the `prevIterator` of an earlier page" if key is None else None


UndeliveredIterator = Annotated[
    str | None,
    ParameterType(
        str,
        {"type": "string", "pattern": f"^-?{KEY_PATTERN}$"},
        _wrong_key,
        ("__all__",),
        text=ITERATOR,
        example=f"0_{MESSAGE}_{ENDPOINT}",
    ),
]


class UndeliveredCount(Out, kw_only=True):
    """The number of deliveries in a list."""

    count: int
    """The number, at most 1,000."""
    is_exact: bool
    """Whether the list was counted to its end. If not, there may be more."""


class UndeliveredOut(Out, kw_only=True):
    """A message that an endpoint has not received."""

    msg_id: MessageId
    app_id: AppId
    """The application of the endpoint."""
    endpoint_id: EndpointId
    endpoint_uid: str | None
    """The uid of the endpoint. Null if there is none."""
    url: Annotated[str, URL]
    event_type: Name
    """The event type of the message."""
    event_id: str | None
    """The caller's id of the message. Null if there is none."""
    timestamp: Timestamp
    """When the message was created."""
    state: UndeliveredState
    """The state of the message at the endpoint."""
    reason: DeliveryReasonOut
    """Why the delivery has this state."""
    attempt_count: int
    """The number of attempts so far."""
    last_attempt: DeliveryAttemptOut | None
    """The latest attempt. Null before the first one."""
    next_attempt_at: Timestamp | None
    """When the next request is due. Null if none is scheduled."""
    task_id: str | None
    """The background task that requested the outstanding request, or the latest attempt. Null if none did."""


class ListUndelivered(Out, kw_only=True):
    """A page of undelivered messages, and how many there are."""

    data: tuple[UndeliveredOut, ...]
    """The items of this page, in the order of the list."""
    iterator: str | None
    """Where the next page begins: pass it as the parameter `iterator`. Null if there is no next page to read."""
    done: bool
    """Whether the list ends with this page. A page may have few items, or none, though the list goes on."""
    prev_iterator: str | UnsetType | None = UNSET
    """Where the previous page ends: pass it as the parameter `iterator`. Absent on an empty page."""
    count: UndeliveredCount | None
    """The number of deliveries in the list, on all its pages. Null if the request has an iterator."""
    oldest_message_at: Timestamp | None
    """When the oldest message was created, of those that were counted. Null if there is none, or no count."""


class UndeliveredQuery(Query, kw_only=True):
    """State, filters and page of undelivered messages. A bulk replay takes the same filters."""

    state: Annotated[UndeliveredState, one_of(UndeliveredState)] = UndeliveredState.EXHAUSTED
    """The state: `exhausted`, the default, in the order of creation; `scheduled` in the order of the due times; or
    `in_flight`."""
    event_types: Names = ()
    channel: ChannelParameter = None
    tag: TagParameter = None
    after: Instant = None
    """Only messages created at or after this timestamp."""
    before: Instant = None
    """Only messages created before this timestamp."""
    limit: PageLimit = LIMIT_DEFAULT
    iterator: UndeliveredIterator = None

    def request(self, attempts_max: int) -> UndeliveredRequest:
        """Return the request for the page."""
        filters = UndeliveredFilter(
            state=self.state,
            messages=MessageFilter(event_types=self.event_types, channel=self.channel, tag=self.tag),
            since=self.after,
            until=self.before,
        )
        return UndeliveredRequest(filters, Cursor(Order.ASCENDING, self.limit, self.iterator), attempts_max)


async def page_of_endpoint(call: Call[UndeliveredQuery, Nothing]) -> Response:
    """Return the messages that the endpoint has not received, in one state, the oldest first.

    Each has the reason for its state. The count ends at 1,000. A message that is scheduled or in flight counts as
    such, whatever happened to earlier attempts. Messages that were never to be sent to the endpoint are not listed.
    """
    request = call.query.request(call.context.attempts_max)
    found = await undelivered.page_of_endpoint(call.context.services, call.app, call.path["endpoint_id"], request)
    return _response(*found)


async def page_of_organization(call: Call[UndeliveredQuery, Nothing]) -> Response:
    """Return the messages that endpoints of the organization have not received, in one state, the oldest first.

    Exhausted deliveries of deleted endpoints and applications are left out.
    """
    request = call.query.request(call.context.attempts_max)
    found = await undelivered.page_of_organization(call.context.services, call.principal.org_id, request)
    return _response(*found)


def _response(page: UndeliveredPage, summary: UndeliveredSummary | None) -> Response:
    body, oldest_at, count = list_body(page, _render), None, None
    if summary is not None:
        oldest_at = summary.oldest_at
        count = UndeliveredCount(count=summary.count.count, is_exact=summary.count.is_exact)
    found = _Body(
        data=body.data,
        iterator=body.iterator,
        done=body.done,
        prev_iterator=body.prev_iterator,
        count=count,
        oldest_message_at=None if oldest_at is None else format_timestamp(oldest_at),
    )
    return json_response(200, found)


class _Body(Out, kw_only=True):
    """A `ListUndelivered` whose items are encoded."""

    data: tuple[Raw, ...]
    iterator: str | None
    done: bool
    prev_iterator: str | UnsetType | None = UNSET
    count: UndeliveredCount | None
    oldest_message_at: Timestamp | None


def _render(each: UndeliveredDelivery) -> UndeliveredOut:
    message, endpoint, explanation = each.message, each.endpoint, each.explanation
    next_at = explanation.next_attempt_at
    return UndeliveredOut(
        msg_id=message.id,
        app_id=message.app_id,
        endpoint_id=endpoint.id,
        endpoint_uid=endpoint.uid,
        url=endpoint.url,
        event_type=message.event_type,
        event_id=message.event_id,
        timestamp=format_timestamp(timestamp_of(message.id)),
        state=UndeliveredState(explanation.state.value),
        reason=render_reason(explanation.reason),
        attempt_count=0 if each.attempts is None else each.attempts.count,
        last_attempt=None if each.attempts is None else render_last_attempt(each.attempts.last),
        next_attempt_at=None if next_at is None else format_timestamp(next_at),
        task_id=explanation.task_id,
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/app/{app_id}/endpoint/{endpoint_id}/delivery",
        operation="v1.endpoint.list-deliveries",
        tag=TAG,
        summary="List the messages that an endpoint has not received",
        access=Access.APP,
        query=UndeliveredQuery,
        body=Nothing,
        handler=page_of_endpoint,
        responses={200: ListUndelivered},
    ),
    Route(
        method="GET",
        path="/delivery",
        operation="v1.delivery.list",
        tag=TAG,
        summary="List the undelivered messages of the organization",
        access=Access.ORG,
        query=UndeliveredQuery,
        body=Nothing,
        handler=page_of_organization,
        responses={200: ListUndelivered},
    ),
)
