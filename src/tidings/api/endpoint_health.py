# SPDX-License-Identifier: MIT
"""The health of an endpoint over HTTP: its rate limit status, and its enabling."""

from enum import Enum
from typing import Final

from tidings.api.endpoint_detail import detail_of
from tidings.api.endpoints import TAG, EndpointOut, render_endpoint
from tidings.api.query import Flag, Query
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import Out, Timestamp, format_timestamp, json_response
from tidings.core import health
from tidings.core.idempotency import Response
from tidings.model.token import Capability


class EndpointRateLimitStatus(Enum):
    """Whether a rate limit delays deliveries."""

    OK = "Ok"
    """No limit delays deliveries."""
    RATE_LIMITED = "RateLimited"
    """The limit of the endpoint or of its application delays deliveries."""


class EndpointThrottleRateStatusOut(Out, kw_only=True):
    """Whether a rate limit, of an endpoint or of its application, delays deliveries."""

    status: EndpointRateLimitStatus
    """Whether a rate limit delays deliveries."""
    throttled_since: Timestamp | None = None
    """When a rate limit began to delay deliveries. Null if none does."""


class EnableQuery(Query, kw_only=True):
    """How to enable an endpoint."""

    recover: Flag = False
    """Also start background tasks that resend failed messages and send missed ones, for at most the past 14 days."""


async def throttling(call: Call[Query, Nothing]) -> Response:
    """Report whether a rate limit, of the endpoint or of its application, delays deliveries."""
    since = await health.throttled_since(call.context.services, call.app, call.path["endpoint_id"])
    status = EndpointRateLimitStatus.OK if since is None else EndpointRateLimitStatus.RATE_LIMITED
    timestamp = None if since is None else format_timestamp(since)
    return json_response(200, EndpointThrottleRateStatusOut(status=status, throttled_since=timestamp))


async def enable(call: Call[EnableQuery, Nothing]) -> Response:
    """Enable an endpoint and clear its failure record.

    With `recover`, background tasks resend failed messages and send missed ones. `x.tasks` lists their ids.
    """
    return await health.enable(
        call.context.services,
        call.app,
        call.path["endpoint_id"],
        health.EnableOptions(
            catching_up=call.context.catching_up if call.query.recover else (), created_by=call.principal.subject
        ),
        idempotency_key=call.idempotency_key,
        render=_enabled,
    )


def _enabled(enabled: health.EnabledEndpoint) -> Response:
    body = render_endpoint(enabled.endpoint)
    body.x = detail_of(enabled.endpoint, enabled.tasks)
    return json_response(200, body)


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/app/{app_id}/endpoint/{endpoint_id}/rate-limit-status",
        operation="v1.endpoint.get-throttling-status",
        tag=TAG,
        summary="Get the rate limit status of an endpoint",
        access=Access.APP,
        query=Query,
        body=Nothing,
        handler=throttling,
        responses={200: EndpointThrottleRateStatusOut},
    ),
    Route(
        method="POST",
        path="/app/{app_id}/endpoint/{endpoint_id}/enable",
        operation="v1.endpoint.enable",
        tag=TAG,
        summary="Enable an endpoint, optionally with recovery",
        access=Access.APP,
        needs=Capability.MANAGE_ENDPOINT,
        query=EnableQuery,
        body=Nothing,
        handler=enable,
        responses={200: EndpointOut},
    ),
)
