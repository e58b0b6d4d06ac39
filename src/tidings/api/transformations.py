# SPDX-License-Identifier: MIT
"""Transformations of endpoints over HTTP: scripts that change requests before they are sent."""

from collections.abc import Iterator
from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from tidings.api import samples
from tidings.api.endpoints import TAG
from tidings.api.fields import Channel, Name, Payload
from tidings.api.query import Query
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import In, Out, Timestamp, format_timestamp, is_object, json_response
from tidings.core import transformations
from tidings.core.idempotency import Response
from tidings.core.transformations import Transformation
from tidings.errors import Fault
from tidings.model import text
from tidings.model.faults import set_faults
from tidings.model.message import CHANNELS_MAX
from tidings.model.token import Capability
from tidings.model.transformation import (
    CODE_MAX,
    CODE_MIN,
    VARIABLES_MAX,
    TransformationHttpMethod,
    Webhook,
    code_faults,
    variable_faults,
)

_BODY: Final = '{"amount":1999}'
_EXAMPLE: Final = "function handler(webhook) { return webhook }"
Code = Annotated[str, Meta(extra_json_schema={"minLength": CODE_MIN, "maxLength": CODE_MAX, "example": _EXAMPLE})]
Variables = Annotated[dict[str, str], Meta(extra_json_schema={"maxProperties": VARIABLES_MAX})]
_Channels = Annotated[tuple[Channel, ...], Meta(extra_json_schema={"uniqueItems": True, "maxItems": CHANNELS_MAX})]


class EndpointTransformationOut(Out, kw_only=True):
    """The transformation of an endpoint."""

    code: Code | None
    """The script, which declares a function `handler`. Null if there is none."""
    enabled: bool
    """Whether requests to the endpoint are transformed."""
    variables: Variables | None
    """The variables, which the script finds in `webhook.env`. Null if there are none."""
    updated_at: Timestamp | None
    """When it was last changed. Null if the endpoint never had one."""


class EndpointTransformationPatch(In, kw_only=True):
    """Changes to the transformation of an endpoint."""

    code: Code | UnsetType | None = UNSET
    """The new script, which must compile. Null removes it, and disables the transformation."""
    enabled: bool | UnsetType = UNSET
    """Whether to transform requests to the endpoint."""
    variables: Variables | UnsetType | None = UNSET
    """The new variables, at most 64 and 16 KiB together. They replace all. Null removes them."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        if self.code is None and self.enabled is True:
            yield Fault(("body", "enabled"), "A transformation without code cannot be enabled. Set `code`.")
        if isinstance(self.code, str):
            yield from code_faults(self.code)
        if isinstance(self.variables, dict):
            yield from variable_faults(self.variables)

    def applied(self, to: Transformation) -> Transformation:
        """Return the transformation with the changes."""
        code = to.code if self.code is UNSET else self.code
        enabled = to.enabled if self.enabled is UNSET else self.enabled
        variables = to.variables if self.variables is UNSET else self.variables or {}
        return Transformation(code, variables, enabled and self.code is not None, to.updated_at)


class TransformationSimulateIn(In, kw_only=True):
    """A script, and the message to run it with."""

    code: Code
    """The script, which declares a function `handler`."""
    event_type: Name
    """The event type of the message."""
    payload: Payload
    """The payload of the message."""
    channels: _Channels | None = None
    """The channels of the message. None by default."""
    variables: Variables | None = None
    """The variables of the script. Those of the endpoint by default."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from code_faults(self.code)
        if wrong := text.name_error(self.event_type):
            yield Fault(("body", "eventType"), wrong)
        if not is_object(bytes(self.payload)):
            yield Fault(("body", "payload"), "payload must be an object.", "value_error.jsondecode")
        if self.channels is not None:
            yield from set_faults("channels", map(text.channel_error, self.channels[: CHANNELS_MAX + 1]))
            if len(self.channels) > CHANNELS_MAX:
                yield Fault(("body", "channels"), f"channels must have at most {CHANNELS_MAX} items.")
        yield from variable_faults(self.variables or {})


class SimulatedExtras(Out, kw_only=True):
    """The parts of a request that the Svix API has no members for."""

    headers: dict[str, str]
    """The headers that the script set."""


class TransformationSimulateOut(Out, kw_only=True):
    """The request that a script makes. Nothing was sent."""

    url: Annotated[str, Meta(extra_json_schema={"example": samples.URL})]
    """The URL of the request."""
    payload: Annotated[str, Meta(extra_json_schema={"example": _BODY})]
    """The body of the request."""
    method: TransformationHttpMethod | None
    """The method of the request."""
    cancel: bool
    """Whether the script cancels the message."""
    x: SimulatedExtras
    """Extensions to the Svix API."""


async def get(call: Call[Query, Nothing]) -> Response:
    """Return the transformation of an endpoint: its script, its variables, and whether it is in use."""
    found = await transformations.get(call.context.services, call.app, call.path["endpoint_id"])
    return json_response(
        200,
        EndpointTransformationOut(
            code=found.code,
            enabled=found.enabled,
            variables=dict(found.variables) or None,
            updated_at=None if found.updated_at is None else format_timestamp(found.updated_at),
        ),
    )


async def patch(call: Call[Query, EndpointTransformationPatch]) -> Response:
    """Set or remove the script of an endpoint, from the next request on, also for messages that wait for a retry.

    A script that does not compile is a 422 that names the line and the column. While a node of an older release runs,
    enabling a transformation is a 409.
    """
    await transformations.change(call.context.services, call.app, call.path["endpoint_id"], call.body.applied)
    return Response(204)


async def simulate(call: Call[Query, TransformationSimulateIn]) -> Response:
    """Run a script with a payload, and return the request that it makes. Nothing is sent or stored.

    A script that fails is a 422 that names the line and the column.
    """
    body = call.body

    def webhook(url: str) -> Webhook:
        return Webhook(url, body.event_type, bytes(body.payload), body.channels)

    found = await transformations.simulate(
        call.context.services, call.app, call.path["endpoint_id"], body.code, webhook, body.variables
    )
    return json_response(
        200,
        TransformationSimulateOut(
            url=found.url,
            payload=found.payload.decode(errors="replace"),
            method=TransformationHttpMethod(found.method),
            cancel=found.is_canceled,
            x=SimulatedExtras(headers=dict(found.headers)),
        ),
    )


_PATH: Final = "/app/{app_id}/endpoint/{endpoint_id}/transformation"

ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path=_PATH,
        operation="v1.endpoint.transformation.get",
        tag=TAG,
        summary="Get the transformation of an endpoint",
        access=Access.APP,
        needs=Capability.MANAGE_TRANSFORMATIONS,
        query=Query,
        body=Nothing,
        handler=get,
        responses={200: EndpointTransformationOut},
    ),
    Route(
        method="PATCH",
        path=_PATH,
        operation="v1.endpoint.transformation.patch",
        tag=TAG,
        summary="Set or remove the transformation of an endpoint",
        access=Access.APP,
        needs=Capability.MANAGE_TRANSFORMATIONS,
        query=Query,
        body=EndpointTransformationPatch,
        handler=patch,
        responses={204: None},
    ),
    Route(
        method="POST",
        path=f"{_PATH}/simulate",
        operation="v1.endpoint.transformation.simulate",
        tag=TAG,
        summary="Run a transformation without sending anything",
        access=Access.APP,
        needs=Capability.MANAGE_TRANSFORMATIONS,
        query=Query,
        body=TransformationSimulateIn,
        handler=simulate,
        responses={200: TransformationSimulateOut},
    ),
)
