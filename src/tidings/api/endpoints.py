# SPDX-License-Identifier: MIT
"""Endpoints over HTTP."""

from typing import Annotated, Any, Final

from msgspec import UNSET, UnsetType

from tidings.api.endpoint_bodies import EndpointIn, EndpointPatch, EndpointUpsertIn
from tidings.api.endpoint_detail import EndpointDetailOut, detail_of
from tidings.api.fields import URL, Channel, EndpointId, Metadata, Name, Rate, given
from tidings.api.query import Direction, EndpointIterator, PageLimit, Query
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import CreatedAt, ListResponse, Out, UpdatedAt, format_timestamp, json_response, listing
from tidings.core import endpoints
from tidings.core.idempotency import Response
from tidings.errors import invalid
from tidings.model.endpoint import Endpoint, EndpointDraft
from tidings.model.endpoint_rules import https_faults
from tidings.model.page import LIMIT_DEFAULT, Cursor, Order
from tidings.model.token import Capability
from tidings.model.url import normalize_url

TAG: Final = "Endpoint"


class EndpointOut(Out, kw_only=True):
    """An endpoint."""

    id: EndpointId
    url: Annotated[str, URL]
    description: str
    """A description for people."""
    version: int
    """The version number that the caller chose."""
    disabled: bool
    """Whether the endpoint is disabled: a disabled endpoint receives nothing."""
    event_types: tuple[Name, ...] | None
    """The event types that the endpoint receives. Null means all."""
    filter_types: tuple[Name, ...] | None
    """The former name of `eventTypes`, with the same value."""
    channels: tuple[Channel, ...] | None
    """The endpoint receives only messages with one of these channels. Null means all messages."""
    uid: str | None
    """The identifier that the caller chose. Null if there is none."""
    rate_limit: Rate | None
    """The former name of `throttleRate`, with the same value."""
    throttle_rate: Rate | None
    """Maximum number of messages per second to the endpoint. Null means no limit."""
    metadata: Metadata
    """Key-value pairs of your choice."""
    created_at: CreatedAt
    updated_at: UpdatedAt
    x: EndpointDetailOut | UnsetType = UNSET
    """Details that the Svix API does not have. SDKs skip this property."""


class EndpointListQuery(Query, kw_only=True):
    """Page of a list of endpoints."""

    limit: PageLimit = LIMIT_DEFAULT
    iterator: EndpointIterator = None
    order: Direction = None
    """The sort order by creation: `descending`, the default, lists the newest endpoint first."""


async def create(call: Call[Query, EndpointIn]) -> Response:
    """Create an endpoint, with a generated secret unless one is given.

    An unknown event type is a 422, a uid in use a 409, and one endpoint too many for the application a 400.
    """
    return await endpoints.create(
        call.context.services,
        call.app,
        _checked(call, call.body.drafted()),
        idempotency_key=call.idempotency_key,
        render=lambda endpoint: json_response(201, render_endpoint(endpoint)),
    )


async def put(call: Call[Query, EndpointUpsertIn]) -> Response:
    """Replace an endpoint except for its secret and headers, or create it if there is none.

    A new endpoint gets the uid in the body, not that in the path. An unknown event type is a 422, and a uid in use
    a 409.
    """
    return await endpoints.put(
        call.context.services,
        call.app,
        call.path["endpoint_id"],
        _checked(call, call.body.drafted()),
        render=lambda settled: json_response(201 if settled.is_new else 200, render_endpoint(settled.endpoint)),
    )


async def patch(call: Call[Query, EndpointPatch]) -> Response:
    """Update the given properties of an endpoint.

    An absent property stays as it is, and null clears one that may be null. An unknown event type is a 422, and a
    uid in use a 409.
    """
    body = call.body
    if body.url is not UNSET:
        require_https(call, normalize_url(body.url))
    return await endpoints.change(
        call.context.services,
        call.app,
        call.path["endpoint_id"],
        endpoints.EndpointEdit(body.applied, tuple(dict.fromkeys(given(body.subscribed) or ()))),
        render=lambda endpoint: json_response(200, render_endpoint(endpoint)),
    )


async def delete(call: Call[Query, Nothing]) -> Response:
    """Delete an endpoint.

    Its pending deliveries are discarded, and its uid can be used again.
    """
    await endpoints.delete(call.context.services, call.app, call.path["endpoint_id"])
    return Response(204)


def _checked(call: Call[Query, Any], draft: EndpointDraft) -> EndpointDraft:
    require_https(call, draft.url)
    return draft


def require_https(call: Call[Query, Any], url: str) -> None:
    """Raise `invalid` if the settings require https and the URL has another scheme."""
    faults = tuple(https_faults(url)) if call.context.https_only else ()
    if faults:
        raise invalid(*faults)


async def get(call: Call[Query, Nothing]) -> Response:
    """Return an endpoint, by its id or uid, with its health."""
    return json_response(
        200, render_endpoint(await endpoints.get(call.context.services, call.app, call.path["endpoint_id"]))
    )


async def page(call: Call[EndpointListQuery, Nothing]) -> Response:
    """Return a page of an application's endpoints, newest first by default, with their health."""
    query = call.query
    cursor = Cursor(query.order or Order.DESCENDING, query.limit, query.iterator)
    return listing(await endpoints.page(call.context.services, call.app, cursor), render_endpoint)


def render_endpoint(endpoint: Endpoint) -> EndpointOut:
    """Render an endpoint as a response body."""
    return EndpointOut(
        id=endpoint.id,
        url=endpoint.url,
        description=endpoint.description,
        version=endpoint.version,
        disabled=endpoint.disabled,
        event_types=endpoint.event_types,
        filter_types=endpoint.event_types,
        channels=endpoint.channels,
        uid=endpoint.uid,
        rate_limit=endpoint.throttle_rate,
        throttle_rate=endpoint.throttle_rate,
        metadata=dict(endpoint.metadata),
        created_at=format_timestamp(endpoint.created_at),
        updated_at=format_timestamp(endpoint.updated_at),
        x=detail_of(endpoint),
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/app/{app_id}/endpoint",
        operation="v1.endpoint.list",
        tag=TAG,
        summary="List the endpoints of an application",
        access=Access.APP,
        query=EndpointListQuery,
        body=Nothing,
        handler=page,
        responses={200: ListResponse[EndpointOut]},
    ),
    Route(
        method="POST",
        path="/app/{app_id}/endpoint",
        operation="v1.endpoint.create",
        tag=TAG,
        summary="Create an endpoint",
        access=Access.APP,
        needs=Capability.MANAGE_ENDPOINT,
        query=Query,
        body=EndpointIn,
        handler=create,
        responses={201: EndpointOut},
    ),
    Route(
        method="GET",
        path="/app/{app_id}/endpoint/{endpoint_id}",
        operation="v1.endpoint.get",
        tag=TAG,
        summary="Get an endpoint",
        access=Access.APP,
        query=Query,
        body=Nothing,
        handler=get,
        responses={200: EndpointOut},
    ),
    Route(
        method="PUT",
        path="/app/{app_id}/endpoint/{endpoint_id}",
        operation="v1.endpoint.upsert",
        tag=TAG,
        summary="Replace an endpoint, or create it",
        access=Access.APP,
        needs=Capability.MANAGE_ENDPOINT,
        query=Query,
        body=EndpointUpsertIn,
        handler=put,
        responses={200: EndpointOut, 201: EndpointOut},
    ),
    Route(
        method="PATCH",
        path="/app/{app_id}/endpoint/{endpoint_id}",
        operation="v1.endpoint.patch",
        tag=TAG,
        summary="Update parts of an endpoint",
        access=Access.APP,
        needs=Capability.MANAGE_ENDPOINT,
        query=Query,
        body=EndpointPatch,
        handler=patch,
        responses={200: EndpointOut},
    ),
    Route(
        method="DELETE",
        path="/app/{app_id}/endpoint/{endpoint_id}",
        operation="v1.endpoint.delete",
        tag=TAG,
        summary="Delete an endpoint",
        access=Access.APP,
        needs=Capability.MANAGE_ENDPOINT,
        query=Query,
        body=Nothing,
        handler=delete,
        responses={204: None},
    ),
)
