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
    try:
        async with asyncio.timeout(call.context.tuning.health_seconds):
            is_healthy = await call.context.services.is_healthy()
    except TimeoutError:
        is_healthy = False
    if is_healthy and sdk.expects_empty_body(call.agent):
        return Response(204)
    part = HealthPart(status=HealthStatus.OK if is_healthy else HealthStatus.ERROR)
    return json_response(200 if is_healthy else 500, HealthOut(database=part, queue=part, cache=part))


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
