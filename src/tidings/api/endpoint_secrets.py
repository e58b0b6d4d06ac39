# SPDX-License-Identifier: MIT
"""Endpoints' secrets over HTTP."""

from collections.abc import Iterator
from typing import Annotated, Final

from msgspec import Meta

from tidings.api import sdk
from tidings.api.endpoint_bodies import SECRET, key_of, secret_faults
from tidings.api.endpoints import TAG
from tidings.api.query import Query
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import In, Out, answer
from tidings.core import signing
from tidings.core.idempotency import Answer
from tidings.errors import Fault
from tidings.model.rotation import GRACE_DEFAULT, GRACE_MAX
from tidings.model.token import Capability

_GRACE: Final = Meta(extra_json_schema={"format": "uint32", "minimum": 0, "maximum": GRACE_MAX})
_PUBLIC: Final = Meta(extra_json_schema={"pattern": "^(whsec_|whpk_)[a-zA-Z0-9+/=]{32,100}$"})


class EndpointSecretOut(Out, kw_only=True):
    """What a receiver checks signatures with."""

    key: Annotated[str, _PUBLIC]


class EndpointSecretRotateIn(In, kw_only=True):
    """What signs from now on, and how long what signed before signs beside it."""

    key: Annotated[str | None, SECRET] = None
    grace_period_seconds: Annotated[int | None, _GRACE] = GRACE_DEFAULT

    def faults(self) -> Iterator[Fault]:
        """Return what is wrong beyond the types of the members."""
        yield from secret_faults("key", self.key)
        if self.grace_period_seconds is not None and not 0 <= self.grace_period_seconds <= GRACE_MAX:
            yield Fault(("body", "gracePeriodSeconds"), "Duration must be between 0 and 7 days")

    @property
    def grace(self) -> int:
        """The grace in force."""
        return GRACE_DEFAULT if self.grace_period_seconds is None else self.grace_period_seconds


async def get(call: Call[Query, Nothing]) -> Answer:
    """Tell what a receiver checks signatures with; of an asymmetric pair that is the public key."""
    key = await signing.shown(call.context.services, call.app, call.path["endpoint_id"])
    return answer(200, EndpointSecretOut(key=key))


async def rotate(call: Call[Query, EndpointSecretRotateIn]) -> Answer:
    """Have another secret sign; the one before signs beside it for a day, unless another grace is given."""
    rotation = signing.Rotation(key_of(call.body.key), call.body.grace)

    def render(key: str) -> Answer:
        return answer(200, EndpointSecretOut(key=key)) if sdk.reads_rotated_key(call.agent) else Answer(204)

    return await signing.rotate(
        call.context.services,
        call.app,
        call.path["endpoint_id"],
        rotation,
        idempotency_key=call.idempotency_key,
        render=render,
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/app/{app_id}/endpoint/{endpoint_id}/secret",
        operation="v1.endpoint.get-secret",
        tag=TAG,
        summary="Get the secret with which an endpoint's receiver checks signatures",
        access=Access.APP,
        needs=Capability.VIEW_ENDPOINT_SECRET,
        query=Query,
        body=Nothing,
        handler=get,
        answers={200: EndpointSecretOut},
    ),
    Route(
        method="POST",
        path="/app/{app_id}/endpoint/{endpoint_id}/secret/rotate",
        operation="v1.endpoint.rotate-secret",
        tag=TAG,
        summary="Rotate an endpoint's secret",
        access=Access.APP,
        needs=Capability.MANAGE_ENDPOINT_SECRET,
        query=Query,
        body=EndpointSecretRotateIn,
        handler=rotate,
        answers={204: None},
        varies=("The new secret: the response to the official SDKs from version 2.7 on.", EndpointSecretOut),
    ),
)
