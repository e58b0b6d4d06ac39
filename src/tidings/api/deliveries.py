# SPDX-License-Identifier: MIT
"""Explanations of deliveries over HTTP: why a message has its state at each endpoint."""

from typing import Annotated, Final

from tidings.api.fields import URL, AttemptId, EndpointId
from tidings.api.messages import TAG
from tidings.api.query import Direction, EndpointIterator, PageLimit, Query
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import ListResponse, Out, Timestamp, format_timestamp, listing
from tidings.core import explanations
from tidings.core.explanations import EndpointExplanation
from tidings.core.idempotency import Response
from tidings.model.attempt import MessageAttemptTriggerType, MessageStatus
from tidings.model.explanation import DeliveryReason, DeliveryState, LastAttempt
from tidings.model.page import LIMIT_DEFAULT, Cursor, Order


class DeliveryReasonOut(Out, kw_only=True):
    """Why a delivery has its state."""

    code: str
    """The machine-readable reason. Later releases may add codes."""
    detail: str
    """A sentence that states the reason."""
    certain: bool
    """Whether the stored data leaves no other explanation."""


class DeliveryAttemptOut(Out, kw_only=True):
    """The latest attempt of a delivery."""

    id: AttemptId
    timestamp: Timestamp
    """When the attempt was made."""
    status: MessageStatus
    """The outcome of the attempt."""
    response_status_code: int
    """The status code of the response. 0 if there was no response."""
    trigger_type: MessageAttemptTriggerType
    """What caused the attempt."""


class DeliveryOut(Out, kw_only=True):
    """The state of a message at one endpoint, and the reason."""

    endpoint_id: EndpointId
    endpoint_uid: str | None
    """The uid of the endpoint. Null if there is none."""
    url: Annotated[str, URL]
    state: DeliveryState
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


class DeliveriesQuery(Query, kw_only=True):
    """Page of the deliveries of a message."""

    limit: PageLimit = LIMIT_DEFAULT
    iterator: EndpointIterator = None
    order: Direction = None
    """The sort order by the endpoint's creation: `ascending`, the default, lists the oldest endpoint first."""


async def page(call: Call[DeliveriesQuery, Nothing]) -> Response:
    """Return, for every endpoint of the application, the state of a message there and the reason.

    Endpoints that were deleted after the message are included. `reason.certain` is false if the stored data
    allows another explanation.
    """
    query = call.query
    filters = explanations.ExplanationRequest(
        app=call.app,
        ref=call.path["msg_id"],
        cursor=Cursor(query.order or Order.ASCENDING, query.limit, query.iterator),
        attempts_max=call.context.attempts_max,
    )
    return listing(await explanations.page(call.context.services, filters), render_delivery)


def render_delivery(explained: EndpointExplanation) -> DeliveryOut:
    """Render an explanation as a response body."""
    explanation, attempted = explained.explanation, explained.attempts
    next_at, reason = explanation.next_attempt_at, explanation.reason
    return DeliveryOut(
        endpoint_id=explained.endpoint.id,
        endpoint_uid=explained.endpoint.uid,
        url=explained.endpoint.url,
        state=explanation.state,
        reason=render_reason(reason),
        attempt_count=0 if attempted is None else attempted.count,
        last_attempt=None if attempted is None else render_last_attempt(attempted.last),
        next_attempt_at=None if next_at is None else format_timestamp(next_at),
        task_id=explanation.task_id,
    )


def render_reason(reason: DeliveryReason) -> DeliveryReasonOut:
    """Render a reason."""
    return DeliveryReasonOut(code=reason.code, detail=reason.detail, certain=reason.certain)


def render_last_attempt(last: LastAttempt) -> DeliveryAttemptOut:
    """Render the latest attempt of a delivery."""
    return DeliveryAttemptOut(
        id=last.id,
        timestamp=format_timestamp(last.at),
        status=last.status,
        response_status_code=last.status_code,
        trigger_type=last.trigger,
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/app/{app_id}/msg/{msg_id}/delivery",
        operation="v1.message.list-deliveries",
        tag=TAG,
        summary="Explain the state of a message at each endpoint",
        access=Access.APP,
        query=DeliveriesQuery,
        body=Nothing,
        handler=page,
        responses={200: ListResponse[DeliveryOut]},
    ),
)
