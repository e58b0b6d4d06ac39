# SPDX-License-Identifier: MIT
"""Operations that this service does not implement; after authentication they respond 501 with the reason.

They are the public ones of the contract, and the others that the official SDKs have methods for. They are not in the
OpenAPI document. The page of operations is generated from these tables.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tidings.api.query import Query
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.core.idempotency import Response
from tidings.errors import not_implemented


@dataclass(frozen=True, slots=True)
class Unserved:
    """An operation that is not implemented: its method, path, id in the contract, and the reason."""

    method: str
    path: str
    operation: str
    reason: str


# The reason, the common prefix of the paths, and the operations.
_GROUPS: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "Polling endpoints are not supported; messages are delivered as webhooks.",
        "/api/v1",
        """
        GET /app/{app_id}/poller/{sink_id} v1.message.poller.poll
        GET /app/{app_id}/poller/{sink_id}/consumer/{consumer_id} v1.message.poller.consumer-poll
        POST /app/{app_id}/poller/{sink_id}/consumer/{consumer_id}/seek v1.message.poller.consumer-seek
        """,
    ),
    (
        "Streams are not supported.",
        "/api/v1",
        """
        GET /stream v1.streaming.stream.list
        POST /stream v1.streaming.stream.create
        GET /stream/{stream_id} v1.streaming.stream.get
        PUT /stream/{stream_id} v1.streaming.stream.upsert
        PATCH /stream/{stream_id} v1.streaming.stream.patch
        DELETE /stream/{stream_id} v1.streaming.stream.delete
        POST /stream/{stream_id}/events v1.streaming.events.create
        GET /stream/event-type v1.streaming.event-type.list
        POST /stream/event-type v1.streaming.event-type.create
        GET /stream/event-type/{name} v1.streaming.event-type.get
        PUT /stream/event-type/{name} v1.streaming.event-type.upsert
        PATCH /stream/event-type/{name} v1.streaming.event-type.patch
        DELETE /stream/event-type/{name} v1.streaming.event-type.delete
        GET /stream/{stream_id}/sink v1.streaming.sink.list
        POST /stream/{stream_id}/sink v1.streaming.sink.create
        GET /stream/{stream_id}/sink/{sink_id} v1.streaming.sink.get
        PUT /stream/{stream_id}/sink/{sink_id} v1.streaming.sink.upsert
        PATCH /stream/{stream_id}/sink/{sink_id} v1.streaming.sink.patch
        DELETE /stream/{stream_id}/sink/{sink_id} v1.streaming.sink.delete
        GET /stream/{stream_id}/sink/{sink_id}/events v1.streaming.events.get
        GET /stream/{stream_id}/sink/{sink_id}/headers v1.streaming.sink-headers-get
        PATCH /stream/{stream_id}/sink/{sink_id}/headers v1.streaming.sink-headers-patch
        GET /stream/{stream_id}/sink/{sink_id}/secret v1.streaming.sink.get-secret
        POST /stream/{stream_id}/sink/{sink_id}/secret/rotate v1.streaming.sink.rotate-secret
        GET /stream/{stream_id}/sink/{sink_id}/transformation v1.streaming.sink.transformation.get
        PATCH /stream/{stream_id}/sink/{sink_id}/transformation v1.streaming.sink.transformation.patch
        POST /auth/stream-logout v1.authentication.stream-logout
        POST /auth/stream-portal-access/{stream_id} v1.authentication.stream-portal-access
        POST /auth/stream/{stream_id}/expire-all v1.authentication.stream-expire-all
        GET /auth/stream/{stream_id}/sink/{sink_id}/poller/token v1.authentication.get-stream-poller-token
        POST /auth/stream/{stream_id}/sink/{sink_id}/poller/token/rotate v1.authentication.rotate-stream-poller-token
        """,
    ),
    (
        "Incoming webhooks are not supported.",
        "/ingest/api/v1/source",
        """
        GET / v1.ingest.source.list
        POST / v1.ingest.source.create
        GET /{source_id} v1.ingest.source.get
        PUT /{source_id} v1.ingest.source.upsert
        DELETE /{source_id} v1.ingest.source.delete
        POST /{source_id}/dashboard v1.ingest.authentication.consumer-portal-access
        POST /{source_id}/token/rotate v1.ingest.source.rotate-token
        GET /{source_id}/endpoint v1.ingest.endpoint.list
        POST /{source_id}/endpoint v1.ingest.endpoint.create
        GET /{source_id}/endpoint/{endpoint_id} v1.ingest.endpoint.get
        PUT /{source_id}/endpoint/{endpoint_id} v1.ingest.endpoint.upsert
        DELETE /{source_id}/endpoint/{endpoint_id} v1.ingest.endpoint.delete
        GET /{source_id}/endpoint/{endpoint_id}/headers v1.ingest.endpoint.get-headers
        PUT /{source_id}/endpoint/{endpoint_id}/headers v1.ingest.endpoint.set-headers
        GET /{source_id}/endpoint/{endpoint_id}/secret v1.ingest.endpoint.get-secret
        POST /{source_id}/endpoint/{endpoint_id}/secret/rotate v1.ingest.endpoint.rotate-secret
        GET /{source_id}/endpoint/{endpoint_id}/transformation v1.ingest.endpoint.transformation.get
        PATCH /{source_id}/endpoint/{endpoint_id}/transformation v1.ingest.endpoint.transformation.patch
        """,
    ),
)

# Operations of other SDKs: internal ones of the contract, and some that it does not have (any more).
_SDK_GROUPS: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "Keys are stored as hashes, so none can be shown again; rotate the key.",
        "/api/v1",
        "GET /app/{app_id}/integration/{integ_id}/key v1.integration.get-key",
    ),
    (
        "Destinations are not supported; messages are sent to endpoints.",
        "/api/v1/app/{app_id}/destination",
        """
        GET / v1.destination.list
        POST / v1.destination.create
        GET /{destination_id} v1.destination.get
        PUT /{destination_id} v1.destination.upsert
        PATCH /{destination_id} v1.destination.patch
        DELETE /{destination_id} v1.destination.delete
        GET /{destination_id}/headers v1.destination.headers-get
        PATCH /{destination_id}/headers v1.destination.headers-patch
        GET /{destination_id}/secret v1.destination.get-secret
        POST /{destination_id}/secret/rotate v1.destination.rotate-secret
        GET /{destination_id}/transformation v1.destination.transformation.get
        PATCH /{destination_id}/transformation v1.destination.transformation.patch
        """,
    ),
    (
        "Autoconfig is not supported; create the endpoint with its URL.",
        "/api/v1/app/{app_id}/autoconfig",
        """
        POST / v1.autoconfig.create
        GET /{autoconfig_id} v1.autoconfig.get
        DELETE /{autoconfig_id} v1.autoconfig.delete
        POST /{autoconfig_id}/rotate v1.autoconfig.rotate
        PUT /{autoconfig_id}/endpoint v1.autoconfig.set-endpoint
        PUT /{autoconfig_id}/destination v1.autoconfig.set-destination
        """,
    ),
)


def _listed(groups: tuple[tuple[str, str, str], ...]) -> Iterator[Unserved]:
    for reason, base, lines in groups:
        for line in lines.strip().splitlines():
            method, path, operation = line.split()
            yield Unserved(method, base + path.rstrip("/"), operation, reason)


UNSERVED: Final[tuple[Unserved, ...]] = tuple(_listed(_GROUPS))
"""The public operations of the contract that are not served."""
OF_SDKS: Final[tuple[Unserved, ...]] = tuple(_listed(_SDK_GROUPS))
"""Other operations that the official SDKs have methods for, and that are not served."""


def route_of(unserved: Unserved) -> AnyRoute:
    """Return the route of an operation that is not implemented; it responds 501 to any authenticated caller."""

    async def refused(call: Call[Query, Nothing]) -> Response:
        del call
        raise not_implemented(unserved.operation, unserved.reason)

    return Route(
        method=unserved.method,
        path=unserved.path,
        operation=unserved.operation,
        tag="",
        summary="",
        access=Access.ANY,
        needs=None,
        names_app=False,
        query=Query,
        body=Nothing,
        handler=refused,
        responses={},
    )
