# SPDX-License-Identifier: MIT
"""Statistics of the attempts at an endpoint over HTTP."""

from typing import Annotated, Final

from msgspec import Meta

from tidings.api.endpoints import TAG
from tidings.api.query import Instant, Query
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import Out, json_response
from tidings.core import stats
from tidings.core.idempotency import Response
from tidings.model.attempt import MessageStatus

Count = Annotated[int, Meta(extra_json_schema={"format": "int64"})]


class EndpointStats(Out, kw_only=True):
    """The number of attempts by status."""

    success: Count
    """The number of attempts that succeeded."""
    pending: Count
    """Always 0: stored attempts have ended."""
    sending: Count
    """Always 0: stored attempts have ended."""
    fail: Count
    """The number of attempts that failed."""
    canceled: Count
    """The number of attempts that a transformation canceled."""


class EndpointAttemptStats(Out, kw_only=True):
    """The number of attempts by status."""

    success: Count
    """The number of attempts that succeeded."""
    fail: Count
    """The number of attempts that failed."""
    canceled: Count
    """The number of attempts that a transformation canceled."""


class RangeQuery(Query, kw_only=True):
    """The time range to count in."""

    since: Instant = None
    """The start of the range, at most 28 days before its end. 28 days before the end by default."""
    until: Instant = None
    """The end of the range, at most five minutes in the future. Now by default."""


async def get(call: Call[RangeQuery, Nothing]) -> Response:
    """Count the attempts at an endpoint in a time range of at most 28 days, by status.

    A longer range, or one that ends more than five minutes in the future, is a 400 with the code `invalid_range`.
    """
    counts = await stats.of_endpoint(
        call.context.services, call.app, call.path["endpoint_id"], call.query.since, call.query.until
    )
    body = EndpointStats(
        success=counts[MessageStatus.SUCCESS],
        pending=0,
        sending=0,
        fail=counts[MessageStatus.FAIL],
        canceled=counts[MessageStatus.CANCELED],
    )
    return json_response(200, body)


async def attempts(call: Call[RangeQuery, Nothing]) -> Response:
    """Count the attempts at an endpoint in whole hours.

    `since` and `until` are rounded down to the hour. The range is at most 28 days, as for `stats`.
    """
    query = call.query
    since, until = stats.in_hours(query.since, query.until)
    counts = await stats.of_endpoint(call.context.services, call.app, call.path["endpoint_id"], since, until)
    body = EndpointAttemptStats(
        success=counts[MessageStatus.SUCCESS], fail=counts[MessageStatus.FAIL], canceled=counts[MessageStatus.CANCELED]
    )
    return json_response(200, body)


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/app/{app_id}/endpoint/{endpoint_id}/stats",
        operation="v1.endpoint.get-stats",
        tag=TAG,
        summary="Count the attempts at an endpoint by status",
        access=Access.APP,
        query=RangeQuery,
        body=Nothing,
        handler=get,
        responses={200: EndpointStats},
    ),
    Route(
        method="GET",
        path="/app/{app_id}/endpoint/{endpoint_id}/attempt-stats",
        operation="v1.endpoint.get-attempt-stats",
        tag=TAG,
        summary="Count the attempts at an endpoint in whole hours",
        access=Access.APP,
        query=RangeQuery,
        body=Nothing,
        handler=attempts,
        responses={200: EndpointAttemptStats},
    ),
)
