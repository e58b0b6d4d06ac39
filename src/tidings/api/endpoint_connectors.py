# SPDX-License-Identifier: MIT
"""The connector of an endpoint over HTTP."""

from collections.abc import Iterator
from typing import Annotated, Final

from msgspec import Meta

from tidings.api import samples
from tidings.api.connectors import ConnectorOut, EndpointConnectorOut, render_connector
from tidings.api.endpoints import TAG
from tidings.api.query import Query
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.transformations import Variables
from tidings.api.wire import In, format_timestamp, json_response
from tidings.core import connectors, endpoint_connectors
from tidings.core.endpoint_connectors import ConnectorApplication, ConnectorUse
from tidings.core.idempotency import Response
from tidings.errors import AppError, ErrorKind, Fault, invalid
from tidings.model.token import Capability
from tidings.model.transformation import variable_faults

_REF: Final = Meta(extra_json_schema={"minLength": 1, "maxLength": 256, "example": samples.CONNECTOR})


class EndpointConnectorIn(In, kw_only=True):
    """The connector whose script an endpoint gets."""

    connector_id: Annotated[str, _REF]
    """The id or the uid of the connector, such as `tidings.slack`."""
    variables: Variables | None = None
    """The variables of the script, which it finds in `webhook.env`. Null, the default, keeps those of the endpoint."""

    def faults(self) -> Iterator[Fault]:
        """Yield a fault for each value that breaks a rule beyond its type."""
        yield from variable_faults(self.variables or {})


async def get(call: Call[Query, Nothing]) -> Response:
    """Return the connector whose script the endpoint got, as it is now.

    204 if there is none, or if it was deleted or is hidden from the caller. `x.endpoint` has what the endpoint got.
    """
    found = await endpoint_connectors.of_endpoint(
        call.context.services, call.principal, call.app, call.path["endpoint_id"]
    )
    return Response(204) if found is None else _rendered(found)


async def put(call: Call[Query, EndpointConnectorIn]) -> Response:
    """Give the endpoint the script of a connector as it is now, and enable it.

    The script replaces the one of the endpoint, and stays as it is when the connector changes. Event types of the
    endpoint that the connector does not allow are a 422.
    """
    try:
        connector = await connectors.get(call.context.services, call.principal, call.body.connector_id)
    except AppError as error:
        if error.kind is not ErrorKind.NOT_FOUND:
            raise
        raise invalid(Fault(("body", "connectorId"), "There is no such connector.")) from error
    return await endpoint_connectors.apply(
        call.context.services,
        call.app,
        call.path["endpoint_id"],
        ConnectorApplication(connector, call.body.variables),
        render=_rendered,
    )


def _rendered(use: ConnectorUse) -> Response:
    body = render_connector(use.connector)
    body.x.endpoint = EndpointConnectorOut(
        version=use.version, applied_at=format_timestamp(use.applied_at), is_modified=use.is_modified
    )
    return json_response(200, body)


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/app/{app_id}/endpoint/{endpoint_id}/connector",
        operation="v1.endpoint.get_connector",
        tag=TAG,
        summary="Get the connector of an endpoint",
        access=Access.APP,
        query=Query,
        body=Nothing,
        handler=get,
        responses={200: ConnectorOut, 204: None},
    ),
    Route(
        method="PUT",
        path="/app/{app_id}/endpoint/{endpoint_id}/connector",
        operation="v1.endpoint.set-connector",
        tag=TAG,
        summary="Set the connector of an endpoint",
        access=Access.APP,
        needs=Capability.MANAGE_TRANSFORMATIONS,
        query=Query,
        body=EndpointConnectorIn,
        handler=put,
        responses={200: ConnectorOut},
    ),
)
