# SPDX-License-Identifier: MIT
"""Health checks over HTTP: of the process, and of its database."""

import asyncio
from enum import Enum
from typing import Final

from tidings.api import sdk
from tidings.api.query import Query
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import Out, json_response
from tidings.core.idempotency import Response
from tidings.errors import unavailable

TAG: Final = "Health"


class HealthStatus(Enum):
    """The state of a part of the service."""

    OK = "ok"
    ERROR = "error"


class HealthPart(Out, kw_only=True):
    """One part of the service."""

    status: HealthStatus
    """The state of the part."""


class HealthOut(Out, kw_only=True):
    """The state of each part of the service. The queue and the cache are kept in the database."""

    database: HealthPart
    """Whether the database accepts writes."""
    queue: HealthPart
    """The same state as that of the database."""
    cache: HealthPart
    """The same state as that of the database."""


async def get(call: Call[Query, Nothing]) -> Response:
    """Report whether the database accepts writes: 200, or 500 if it does not within five seconds.

    The official SDKs get 204, because some of them reject a success with a body.
    """
    is_healthy = await _is_healthy(call)
    if is_healthy and sdk.expects_empty_body(call.agent):
        return Response(204)
    part = HealthPart(status=HealthStatus.OK if is_healthy else HealthStatus.ERROR)
    return json_response(200 if is_healthy else 500, HealthOut(database=part, queue=part, cache=part))


async def ready(call: Call[Query, Nothing]) -> Response:
    """Respond with 204 if this process can store messages, with 503 otherwise: for load balancers and orchestrators."""
    if not await _is_healthy(call):
        raise unavailable("The database does not accept writes.")
    return Response(204)


async def _is_healthy(call: Call[Query, Nothing]) -> bool:
    try:
        async with asyncio.timeout(call.context.tuning.health_seconds):
            return await call.context.services.is_healthy()
    except TimeoutError:
        return False


async def ping(call: Call[Query, Nothing]) -> Response:
    """Respond with 204 and no body, without a database query."""
    del call
    return Response(204)


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/health",
        operation="v1.health.get",
        tag=TAG,
        summary="Check the health of the service",
        access=Access.OPEN,
        query=Query,
        body=Nothing,
        handler=get,
        responses={200: HealthOut, 500: HealthOut},
        varies=("The database accepts writes: the response to the official SDKs, without a body.", None),
    ),
    Route(
        method="GET",
        path="/health/live",
        operation="v1.health.live",
        tag=TAG,
        summary="Check that the process need not be restarted",
        access=Access.OPEN,
        query=Query,
        body=Nothing,
        handler=ping,
        responses={204: None},
    ),
    Route(
        method="GET",
        path="/health/ready",
        operation="v1.health.ready",
        tag=TAG,
        summary="Check that the process can store messages",
        access=Access.OPEN,
        query=Query,
        body=Nothing,
        handler=ready,
        responses={204: None},
    ),
    Route(
        method="GET",
        path="/health/ping",
        operation="v1.health.ping",
        tag=TAG,
        summary="Check that the process responds",
        access=Access.OPEN,
        query=Query,
        body=Nothing,
        handler=ping,
        responses={204: None},
    ),
)
