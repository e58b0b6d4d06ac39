# SPDX-License-Identifier: MIT
"""Attempts over HTTP."""

from functools import partial
from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from tidings import ids
from tidings.api.attempt_detail import AttemptDetailOut, detail_of
from tidings.api.fields import URL, AttemptId, EndpointId, MessageId
from tidings.api.messages import MessageOut, render_message
from tidings.api.query import (
    AttemptIterator,
    ChannelParameter,
    Flag,
    Instant,
    Names,
    PageLimit,
    Query,
    TagParameter,
    UidParameter,
    one_of,
)
from tidings.api.routes import EMPTY, Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import EmptyResponse, ListResponse, Out, Timestamp, format_timestamp, json_response, listing
from tidings.core import attempts
from tidings.core.idempotency import Response
from tidings.model.attempt import (
    Attempt,
    AttemptFilter,
    MessageAttemptTriggerType,
    MessageStatus,
    MessageStatusText,
    StatusCodeClass,
)
from tidings.model.message import MessageFilter
from tidings.model.page import LIMIT_DEFAULT, Cursor, Order, Page
from tidings.model.token import Capability

TAG: Final = "Message Attempt"
_WITHHELD: Final = "{}"
"""Replaces a response body that the caller did not request."""

StatusParameter = Annotated[MessageStatus | None, one_of(MessageStatus)]
CodeClass = Annotated[StatusCodeClass | None, one_of(StatusCodeClass)]


class MessageAttemptOut(Out, kw_only=True):
    """An attempt."""

    url: Annotated[str, URL]
    response: str
    """The response body, at most 20,000 bytes; base64 if it is not UTF-8 text. Without a response, the error."""
    response_status_code: int
    """The status code of the response. 0 if there was no response."""
    response_duration_ms: int
    """How long the request took, in milliseconds."""
    status: MessageStatus
    """The outcome of the attempt, as a number."""
    status_text: MessageStatusText
    """The outcome of the attempt, as a word."""
    trigger_type: MessageAttemptTriggerType
    """What caused the attempt."""
    msg_id: MessageId
    endpoint_id: EndpointId
    id: AttemptId
    timestamp: Timestamp
    """When the attempt was made."""
    msg: MessageOut | UnsetType | None = UNSET
    """The message, without its payload. Absent unless it was requested."""
    x: AttemptDetailOut
    """The number and the headers of the attempt, which the Svix API does not have."""


class CountOut(Out, kw_only=True):
    """A number of attempts."""

    count: Annotated[int, Meta(extra_json_schema={"format": "uint64", "minimum": 0})]
    """The number of attempts among the newest 10,000."""
    approximated: bool
    """Whether there are more than 10,000 attempts, so that older ones were not counted."""


class AttemptCountQuery(Query, kw_only=True):
    """Filters of attempts."""

    status: StatusParameter = None
    """Only attempts with this status: 0 (success), 2 (fail) or 4 (canceled). No stored attempt has another status."""
    status_code_class: CodeClass = None
    """Only attempts whose response has a status code of this class; 0 means without a response."""
    channel: ChannelParameter = None
    tag: TagParameter = None
    before: Instant = None
    """Only attempts made before this timestamp. The list covers the 90 days before it."""
    after: Instant = None
    """Only attempts made at or after this timestamp. Without `before` the list covers the 90 days after it."""
    event_types: Names = ()

    def filter(self) -> AttemptFilter:
        """Return the filters of the attempts."""
        return AttemptFilter(
            status=self.status,
            code_class=self.status_code_class,
            message=MessageFilter(event_types=self.event_types, channel=self.channel, tag=self.tag),
        )


class AttemptListQuery(AttemptCountQuery, kw_only=True):
    """Filters and page of a list of attempts."""

    limit: PageLimit = LIMIT_DEFAULT
    iterator: AttemptIterator = None
    with_content: Flag = True
    """Include the response bodies. Otherwise `response` is the text `{}`."""
    expanded_statuses: Flag = False
    """Return the status 4 (canceled). Otherwise, for older clients, it is returned as 0 (success)."""

    def cursor(self) -> Cursor:
        """Return the cursor of the page."""
        return Cursor(Order.DESCENDING, self.limit, self.iterator, self.before, self.after)


class EndpointAttemptsQuery(AttemptListQuery, kw_only=True):
    """Filters and page of the attempts of an endpoint."""

    with_msg: Flag = False
    """Include the message of each attempt, without its payload."""


class MessageAttemptsQuery(AttemptListQuery, kw_only=True):
    """Filters and page of the attempts of a message."""

    endpoint_id: UidParameter = None
    """Only attempts at the endpoint with this id or uid."""


class AttemptQuery(Query, kw_only=True):
    """How to return an attempt."""

    expanded_statuses: Flag = False
    """Return the status 4 (canceled). Otherwise, for older clients, it is returned as 0 (success)."""


async def page_of_endpoint(call: Call[EndpointAttemptsQuery, Nothing]) -> Response:
    """Return a page of the attempts at an endpoint, newest first."""
    query = call.query
    found = await attempts.page_of_endpoint(
        call.context.services,
        call.app,
        call.path["endpoint_id"],
        query.cursor(),
        query.filter(),
        with_message=query.with_msg,
    )
    return _listed(found, query)


async def page_of_message(call: Call[MessageAttemptsQuery, Nothing]) -> Response:
    """Return a page of the attempts of a message, newest first."""
    return await _page_of_message(call, call.query.endpoint_id)


async def page_of_pair(call: Call[AttemptListQuery, Nothing]) -> Response:
    """Return a page of the attempts of a message at one endpoint, newest first."""
    return await _page_of_message(call, call.path["endpoint_id"])


async def _page_of_message(
    call: Call[MessageAttemptsQuery, Nothing] | Call[AttemptListQuery, Nothing], endpoint_ref: str | None
) -> Response:
    query = call.query
    found = await attempts.page_of_message(
        call.context.services,
        call.app,
        call.path["msg_id"],
        query.cursor(),
        query.filter(),
        endpoint_ref=endpoint_ref,
    )
    return _listed(found, query)


async def count(call: Call[AttemptCountQuery, Nothing]) -> Response:
    """Count the attempts at an endpoint, among the newest 10,000.

    `approximated` is true if there are more.
    """
    query = call.query
    cursor = Cursor(Order.DESCENDING, before=query.before, after=query.after)
    number, is_approximate = await attempts.count(
        call.context.services, call.app, call.path["endpoint_id"], cursor, query.filter()
    )
    return json_response(200, CountOut(count=number, approximated=is_approximate))


async def expunge(call: Call[Query, Nothing]) -> Response:
    """Delete the response body of an attempt for good, and its recorded headers.

    The attempt stays. The request can be repeated.
    """
    await attempts.expunge(call.context.services, call.app, call.path["msg_id"], call.path["attempt_id"])
    return Response(204)


async def get(call: Call[AttemptQuery, Nothing]) -> Response:
    """Return an attempt."""
    found = await attempts.get(call.context.services, call.app, call.path["msg_id"], call.path["attempt_id"])
    return json_response(200, _render_attempt(found, with_content=True, is_expanded=call.query.expanded_statuses))


async def resend(call: Call[Query, Nothing]) -> Response:
    """Schedule another request for a message at an endpoint, whatever its state and the endpoint's filters.

    A disabled endpoint is a 409 with the code `endpoint_disabled`, and a deleted payload a 400 with
    `missing_payload`.
    """
    return await attempts.resend(
        call.context.services,
        call.app,
        msg_ref=call.path["msg_id"],
        endpoint_ref=call.path["endpoint_id"],
        idempotency_key=call.idempotency_key,
        render=lambda _: EMPTY,
    )


def _listed(found: Page[Attempt], query: AttemptListQuery) -> Response:
    render = partial(_render_attempt, with_content=query.with_content, is_expanded=query.expanded_statuses)
    return listing(found, render)


def _render_attempt(attempt: Attempt, *, with_content: bool, is_expanded: bool) -> MessageAttemptOut:
    message, status = attempt.message, attempt.status.shown(is_expanded=is_expanded)
    return MessageAttemptOut(
        url=attempt.url,
        response=attempt.response if with_content else _WITHHELD,
        response_status_code=attempt.response_status_code,
        response_duration_ms=attempt.response_duration_ms,
        status=status,
        status_text=MessageStatusText[status.name],
        trigger_type=attempt.trigger,
        msg_id=attempt.msg_id,
        endpoint_id=attempt.endpoint_id,
        id=attempt.id,
        timestamp=format_timestamp(ids.timestamp_of(attempt.id)),
        msg=UNSET if message is None else render_message(message, with_content=False),
        x=detail_of(attempt, with_content=with_content),
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/app/{app_id}/attempt/endpoint/{endpoint_id}",
        operation="v1.message-attempt.list-by-endpoint",
        tag=TAG,
        summary="List the attempts at an endpoint",
        access=Access.APP,
        query=EndpointAttemptsQuery,
        body=Nothing,
        handler=page_of_endpoint,
        responses={200: ListResponse[MessageAttemptOut]},
    ),
    Route(
        method="GET",
        path="/app/{app_id}/attempt/msg/{msg_id}",
        operation="v1.message-attempt.list-by-msg",
        tag=TAG,
        summary="List the attempts of a message",
        access=Access.APP,
        query=MessageAttemptsQuery,
        body=Nothing,
        handler=page_of_message,
        responses={200: ListResponse[MessageAttemptOut]},
    ),
    Route(
        method="GET",
        path="/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}",
        operation="v1.message-attempt.get",
        tag=TAG,
        summary="Get an attempt",
        access=Access.APP,
        query=AttemptQuery,
        body=Nothing,
        handler=get,
        responses={200: MessageAttemptOut},
    ),
    Route(
        method="GET",
        path="/app/{app_id}/attempt/endpoint/{endpoint_id}/count",
        operation="v1.message-attempt.count-by-endpoint",
        tag=TAG,
        summary="Count the attempts at an endpoint",
        access=Access.APP,
        query=AttemptCountQuery,
        body=Nothing,
        handler=count,
        responses={200: CountOut},
    ),
    Route(
        method="DELETE",
        path="/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}/content",
        operation="v1.message-attempt.expunge-content",
        tag=TAG,
        summary="Delete the response body of an attempt",
        access=Access.ORG,
        query=Query,
        body=Nothing,
        handler=expunge,
        responses={204: None},
    ),
    Route(
        method="POST",
        path="/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend",
        operation="v1.message-attempt.resend",
        tag=TAG,
        summary="Resend a message to an endpoint",
        access=Access.APP,
        needs=Capability.CREATE_ATTEMPTS,
        query=Query,
        body=Nothing,
        handler=resend,
        responses={202: EmptyResponse},
    ),
    Route(
        method="GET",
        path="/app/{app_id}/msg/{msg_id}/attempt",
        operation="v1.message-attempt.list-by-msg-deprecated",
        tag=TAG,
        summary="List the attempts of a message (legacy path)",
        access=Access.APP,
        query=MessageAttemptsQuery,
        body=Nothing,
        handler=page_of_message,
        responses={200: ListResponse[MessageAttemptOut]},
        is_deprecated=True,
    ),
    Route(
        method="GET",
        path="/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/attempt",
        operation="v1.message-attempt.list-by-endpoint-deprecated",
        tag=TAG,
        summary="List the attempts of a message at an endpoint",
        access=Access.APP,
        query=AttemptListQuery,
        body=Nothing,
        handler=page_of_pair,
        responses={200: ListResponse[MessageAttemptOut]},
        is_deprecated=True,
    ),
)
