# SPDX-License-Identifier: MIT
"""Whether the service is there, and whether its database is."""

import asyncio
from enum import Enum
from typing import Final

from tidings.api import sdk
from tidings.api.query import Query
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import Out, answer
from tidings.core.idempotency import Answer

TAG: Final = "Health"
_PATIENCE: Final = 5.0


class HealthStatus(Enum):
    """How a part of the service is."""

    OK = "ok"
    ERROR = "error"


class HealthPart(Out, kw_only=True):
    """One part of the service."""

    status: HealthStatus


class HealthOut(Out, kw_only=True):
    """The parts that clients know. The queue and the cache are the database's, so they are as it is."""

    database: HealthPart
    queue: HealthPart
    cache: HealthPart


async def get(call: Call[Query, Nothing]) -> Answer:
    """Report whether the database takes writes: 200, or 500 where it does not within five seconds.

    The official SDKs get the 204 of the contract: some of them refuse a success with a body.
    """
    try:
        async with asyncio.timeout(_PATIENCE):
            is_healthy = await call.context.services.is_healthy()
    except TimeoutError:
        is_healthy = False
    if is_healthy and sdk.expects_empty_body(call.agent):
        return Answer(204)
    part = HealthPart(status=HealthStatus.OK if is_healthy else HealthStatus.ERROR)
    return answer(200 if is_healthy else 500, HealthOut(database=part, queue=part, cache=part))


async def ping(call: Call[Query, Nothing]) -> Answer:
    """Answer with nothing, and ask nobody: it tells of this process alone."""
    del call
    return Answer(204)


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/health",
        operation="v1.health.get",
        tag=TAG,
        summary="Report whether the service and its database are up",
        access=Access.OPEN,
        query=Query,
        body=Nothing,
        handler=get,
        answers={200: HealthOut, 500: HealthOut},
        varies=("The database takes writes: the response to the official SDKs, without a body.", None),
    ),
    Route(
        method="GET",
        path="/health/ping",
        operation="v1.health.ping",
        tag=TAG,
        summary="Tell whether the service is up, without a body",
        access=Access.OPEN,
        query=Query,
        body=Nothing,
        handler=ping,
        answers={204: None},
    ),
)
