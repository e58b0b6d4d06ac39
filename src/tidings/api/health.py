# SPDX-License-Identifier: MIT
"""Whether the service is there."""

from typing import Final

from tidings.api.query import Query
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import EmptyResponse, answer
from tidings.core.receipts import Answer

TAG: Final = "Health"


async def get(call: Call[Query, Nothing]) -> Answer:
    """Answer with an empty object: some SDKs cannot read a 204 here."""
    del call
    return answer(200, EmptyResponse())


async def ping(call: Call[Query, Nothing]) -> Answer:
    """Answer with nothing."""
    del call
    return Answer(204)


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/health",
        operation="v1.health.get",
        tag=TAG,
        summary="Tell whether the service is up",
        access=Access.OPEN,
        query=Query,
        body=Nothing,
        handler=get,
        answers={200: EmptyResponse},
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
