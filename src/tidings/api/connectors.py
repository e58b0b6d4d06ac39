# SPDX-License-Identifier: MIT
"""Connectors over HTTP: templates of the scripts that make requests for other products."""

from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from tidings.api import samples
from tidings.api.connector_bodies import ConnectorIn, ConnectorPatch, ConnectorUpsertIn
from tidings.api.fields import Name, given
from tidings.api.query import ConnectorIterator, Direction, Flag, PageLimit, Query, one_of
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import (
    CreatedAt,
    ListResponse,
    Out,
    Timestamp,
    UpdatedAt,
    format_timestamp,
    json_response,
    listing,
)
from tidings.core import connectors
from tidings.core.connectors import ConnectorEdit
from tidings.core.idempotency import Response
from tidings.errors import Fault, invalid
from tidings.ids import DEFAULT_ORG
from tidings.model.connector import Connector, ConnectorKind, ConnectorProduct, ConnectorVersion, uid_faults
from tidings.model.page import LIMIT_DEFAULT, Cursor, Order

TAG: Final = "Connector"
ConnectorIdText = Annotated[
    str, Meta(description="The id of the connector.", extra_json_schema={"example": samples.CONNECTOR})
]
OrgIdText = Annotated[str, Meta(description="The id of the organization.", extra_json_schema={"example": DEFAULT_ORG})]


class EndpointConnectorOut(Out, kw_only=True):
    """What an endpoint got of a connector."""

    version: Annotated[int, Meta(ge=1)]
    """The number of the script that the endpoint got."""
    applied_at: Timestamp
    """When the endpoint got it."""
    is_modified: bool
    """Whether the endpoint has another script by now, or none in use."""


class ConnectorDetailOut(Out, kw_only=True):
    """Details of a connector that the Svix API does not have."""

    version: Annotated[int, Meta(ge=1)]
    """The number of its script: 1, and one more with each change of it."""
    is_built_in: bool
    """Whether the connector comes with the service. It cannot be changed or deleted."""
    endpoint: EndpointConnectorOut | UnsetType = UNSET
    """What the endpoint got, where the connector of an endpoint was requested."""


class ConnectorOut(Out, kw_only=True):
    """A connector."""

    id: ConnectorIdText
    org_id: OrgIdText
    uid: str | None
    """The identifier that the organization chose. Null if there is none."""
    kind: ConnectorKind
    """The product that receives the messages."""
    name: str
    """A name for people."""
    logo: str | None
    """The URL of an image. Null if there is none."""
    description: str
    """A description for people."""
    instructions: str
    """What to do to create an endpoint, as Markdown."""
    allowed_event_types: tuple[Name, ...] | None
    """The event types that an endpoint of the connector may subscribe to. Null means all."""
    transformation: str
    """The script that changes each request."""
    created_at: CreatedAt
    updated_at: UpdatedAt
    transformation_updated_at: Timestamp
    """When the script was last changed."""
    feature_flags: tuple[Name, ...] | None
    """Only application tokens with one of these feature flags may see the connector. Null means all."""
    product_type: ConnectorProduct
    """What the connector is for."""
    x: ConnectorDetailOut
    """The version of the connector, which the Svix API does not have."""


class ConnectorVersionOut(Out, kw_only=True):
    """One script of a connector."""

    version: Annotated[int, Meta(ge=1)]
    """The number of the script."""
    transformation: str
    """The script."""
    created_at: CreatedAt


class ConnectorListQuery(Query, kw_only=True):
    """Filter and page of a list of connectors."""

    limit: PageLimit = LIMIT_DEFAULT
    iterator: ConnectorIterator = None
    order: Direction = None
    """The sort order by creation: `ascending`, the default, lists the oldest connector first."""
    product_type: Annotated[ConnectorProduct | None, one_of(ConnectorProduct)] = None
    """Only connectors of this product."""
    include_built_in: Flag = False
    """Whether to list the built-in connectors, too. False by default."""


async def create(call: Call[Query, ConnectorIn]) -> Response:
    """Create a connector.

    A uid in use is a 409, and a script that does not compile a 422 with its line and column. An organization has at
    most 100 connectors.
    """
    return await connectors.create(
        call.context.services,
        call.principal.org_id,
        call.body.made(),
        idempotency_key=call.idempotency_key,
        render=lambda connector: json_response(201, render_connector(connector)),
    )


async def put(call: Call[Query, ConnectorUpsertIn]) -> Response:
    """Replace a connector, or create it if there is none with the id or uid in the path.

    A new connector gets the uid in the path. A built-in connector is a 409.
    """
    ref = call.path["connector_id"]
    draft = call.body.drafted(ref)
    return await connectors.put(
        call.context.services,
        call.principal.org_id,
        ref,
        draft,
        require_uid=lambda: _require_uid(ref),
        render=lambda settled: json_response(201 if settled.is_new else 200, render_connector(settled.connector)),
    )


def _require_uid(ref: str) -> None:
    """Refuse a connector whose path is no valid uid for it."""
    faults = [Fault(("path", "connector_id", *fault.loc[2:]), fault.msg) for fault in uid_faults(ref)]
    if faults:
        raise invalid(*faults)


async def patch(call: Call[Query, ConnectorPatch]) -> Response:
    """Update the given properties of a connector.

    An absent property stays as it is, and null clears one that may be null. A built-in connector is a 409.
    """
    return await connectors.change(
        call.context.services,
        call.principal.org_id,
        call.path["connector_id"],
        ConnectorEdit(call.body.applied, given(call.body.transformation)),
        render=lambda connector: json_response(200, render_connector(connector)),
    )


async def delete(call: Call[Query, Nothing]) -> Response:
    """Delete a connector with the former versions of its script.

    Endpoints keep the scripts that they got from it. A built-in connector is a 409.
    """
    await connectors.delete(call.context.services, call.principal.org_id, call.path["connector_id"])
    return Response(204)


async def get(call: Call[Query, Nothing]) -> Response:
    """Return a connector, by its id or uid.

    A connector whose feature flags the caller's token lacks is a 404.
    """
    found = await connectors.get(call.context.services, call.principal, call.path["connector_id"])
    return json_response(200, render_connector(found))


async def page(call: Call[ConnectorListQuery, Nothing]) -> Response:
    """Return a page of the connectors of the organization that the caller may see, oldest first by default.

    With `include_built_in` the built-in connectors are the oldest ones.
    """
    query = call.query
    cursor = Cursor(query.order or Order.ASCENDING, query.limit, query.iterator)
    found = await connectors.page(
        call.context.services, call.principal, cursor, query.product_type, has_built_in=query.include_built_in
    )
    return listing(found, render_connector)


async def versions(call: Call[Query, Nothing]) -> Response:
    """Return the scripts of a connector, the present one first, and at most 20 former ones."""
    found = await connectors.versions(call.context.services, call.principal.org_id, call.path["connector_id"])
    cursor = Cursor(Order.DESCENDING, len(found))
    return listing(cursor.page(found, lambda each: str(each.version)), _render_version)


def render_connector(connector: Connector) -> ConnectorOut:
    """Render a connector as a response body."""
    return ConnectorOut(
        id=connector.id,
        org_id=connector.org_id,
        uid=connector.uid,
        kind=connector.kind,
        name=connector.name,
        logo=connector.logo,
        description=connector.description,
        instructions=connector.instructions,
        allowed_event_types=connector.allowed_event_types,
        transformation=connector.transformation,
        created_at=format_timestamp(connector.created_at),
        updated_at=format_timestamp(connector.updated_at),
        transformation_updated_at=format_timestamp(connector.transformation_updated_at),
        feature_flags=connector.feature_flags,
        product_type=connector.product_type,
        x=ConnectorDetailOut(version=connector.version, is_built_in=connector.is_built_in),
    )


def _render_version(found: ConnectorVersion) -> ConnectorVersionOut:
    return ConnectorVersionOut(
        version=found.version, transformation=found.transformation, created_at=format_timestamp(found.created_at)
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/connector",
        operation="v1.connector.list",
        tag=TAG,
        summary="List connectors",
        access=Access.ANY,
        query=ConnectorListQuery,
        body=Nothing,
        handler=page,
        responses={200: ListResponse[ConnectorOut]},
    ),
    Route(
        method="POST",
        path="/connector",
        operation="v1.connector.create",
        tag=TAG,
        summary="Create a connector",
        access=Access.ORG,
        query=Query,
        body=ConnectorIn,
        handler=create,
        responses={201: ConnectorOut},
    ),
    Route(
        method="GET",
        path="/connector/{connector_id}",
        operation="v1.connector.get",
        tag=TAG,
        summary="Get a connector",
        access=Access.ANY,
        query=Query,
        body=Nothing,
        handler=get,
        responses={200: ConnectorOut},
    ),
    Route(
        method="PUT",
        path="/connector/{connector_id}",
        operation="v1.connector.upsert",
        tag=TAG,
        summary="Replace a connector, or create it",
        access=Access.ORG,
        query=Query,
        body=ConnectorUpsertIn,
        handler=put,
        responses={200: ConnectorOut, 201: ConnectorOut},
    ),
    Route(
        method="PATCH",
        path="/connector/{connector_id}",
        operation="v1.connector.patch",
        tag=TAG,
        summary="Update parts of a connector",
        access=Access.ORG,
        query=Query,
        body=ConnectorPatch,
        handler=patch,
        responses={200: ConnectorOut},
    ),
    Route(
        method="DELETE",
        path="/connector/{connector_id}",
        operation="v1.connector.delete",
        tag=TAG,
        summary="Delete a connector",
        access=Access.ORG,
        query=Query,
        body=Nothing,
        handler=delete,
        responses={204: None},
    ),
    Route(
        method="GET",
        path="/connector/{connector_id}/version",
        operation="v1.connector.list-versions",
        tag=TAG,
        summary="List the scripts that a connector has had",
        access=Access.ORG,
        query=Query,
        body=Nothing,
        handler=versions,
        responses={200: ListResponse[ConnectorVersionOut]},
    ),
)
