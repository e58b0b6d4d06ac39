# SPDX-License-Identifier: MIT
"""The status of the service over HTTP: of everything for an operator, of its own part for an organization."""

from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from tidings.api.fields import UID, URL, AppId, EndpointId
from tidings.api.query import Query
from tidings.api.routes import Access, AnyRoute, Call, Nothing, Route
from tidings.api.wire import Out, Timestamp, format_timestamp, json_response
from tidings.clock import SECOND
from tidings.core.idempotency import Response
from tidings.core.status import Installation, Status
from tidings.model.health import EndpointDisabledReason, EndpointHealthStatus
from tidings.model.status import ActiveTask, Count, UnhealthyEndpoint
from tidings.model.task import State

TAG: Final = "Health"

OrgId = Annotated[str, Meta(description="The id of the organization.")]


class StatusCount(Out, kw_only=True):
    """A number that is counted up to a limit."""

    count: int
    """The number. If it is not exact, there are at least as many."""
    is_exact: bool
    """Whether everything was counted."""


class StatusDeliveries(Out, kw_only=True):
    """The outstanding deliveries by state."""

    scheduled: StatusCount
    """Deliveries that are due later."""
    in_flight: StatusCount
    """Deliveries that a node holds in memory or is sending."""
    overdue: StatusCount
    """Deliveries that are due and that no node holds."""
    held_back: StatusCount
    """The overdue deliveries whose endpoint is disabled, does not respond, or has reached a rate limit."""


class StatusOldestOverdue(Out, kw_only=True):
    """The oldest overdue delivery that is neither held back nor a resend by a task."""

    due_at: Timestamp
    """When it was due."""
    age_seconds: int
    """For how many seconds it has been overdue."""
    org_id: OrgId
    app_id: AppId
    endpoint_id: EndpointId


class StatusUnhealthyEndpoint(Out, kw_only=True):
    """An endpoint that needs attention."""

    endpoint_id: EndpointId
    endpoint_uid: str | None
    """The uid of the endpoint. Null if there is none."""
    app_id: AppId
    app_uid: Annotated[str | None, UID]
    """The uid of the application. Null if there is none."""
    app_name: str
    """The name of the application."""
    org_id: OrgId
    host: str
    """The host and port of the endpoint's URL."""
    url: Annotated[str, URL]
    status: EndpointHealthStatus
    """The stored health: `failing` or `disabled`."""
    is_unreachable: bool
    """Whether the endpoint does not respond at all."""
    since: Timestamp
    """When it began to fail, or was disabled."""
    disabled_reason: EndpointDisabledReason | None
    """Why the service disabled the endpoint. Null if it did not."""
    last_response_status_code: int | None
    """The status code of the last response. 0 if there was none; null without an attempt."""


class StatusEndpoints(Out, kw_only=True):
    """The endpoints by stored health. Recent attempts are not read: a degraded endpoint counts as healthy."""

    healthy: StatusCount
    """Endpoints without a failure record."""
    failing: StatusCount
    """Endpoints that respond, but messages have run out of attempts."""
    unreachable: StatusCount
    """Endpoints that do not respond."""
    disabled: StatusCount
    """Disabled endpoints."""
    disabled_lately: StatusCount
    """Endpoints that the service disabled in the past 24 hours; `disabled` includes them."""
    worst: list[StatusUnhealthyEndpoint]
    """At most five endpoints that need attention, those that have failed the longest first."""


class StatusTask(Out, kw_only=True):
    """A background task that has not ended."""

    id: str
    """The id of the task."""
    task: Annotated[str, Meta(extra_json_schema={"example": "endpoint.recover"})]
    """The kind of the task."""
    state: str
    """The state of the task: `queued`, `running` or `paused`."""
    org_id: OrgId
    app_id: AppId | None
    """The id of the application. Null for a task of the organization."""
    done: int
    """The number of items that are done or skipped."""
    total: int | None
    """The number of all items. Null if it is not known."""
    failed_attempts: int
    """How often the present step has failed."""


class StatusTasks(Out, kw_only=True):
    """The background tasks that have not ended."""

    running: StatusCount
    """Tasks that a node works on."""
    queued: StatusCount
    """Tasks that wait for a node, or for their backlog."""
    paused: StatusCount
    """Paused tasks."""
    first: list[StatusTask]
    """At most ten of them: those that run first, then the oldest."""


class StatusNode(Out, kw_only=True):
    """A running node."""

    name: str
    """The host, the process and the number of the node."""
    release: str | None
    """The release that it runs. Null if the database has no list of nodes."""
    heartbeat_age_seconds: int | None
    """For how many seconds it has not written to the database. Null before its first write."""


class StatusDatabase(Out, kw_only=True):
    """The database."""

    product: str
    """`SQLite` or `PostgreSQL`."""
    version: Annotated[str, Meta(extra_json_schema={"example": "15.18"})]
    """The version of the product."""
    bytes: int
    """The size of the database."""
    free_bytes: int
    """The part of a SQLite file that is free for new rows; 0 on PostgreSQL."""
    partitions: int
    """The weekly partitions of messages and attempts on PostgreSQL."""


class StatusTenant(Out, kw_only=True):
    """An organization with outstanding deliveries."""

    org_id: OrgId
    outstanding: int
    """Its deliveries among those that are due first."""


class StatusInstallation(Out, kw_only=True):
    """What spans organizations."""

    nodes: list[StatusNode]
    """The running nodes."""
    database: StatusDatabase
    """The database."""
    tenants: list[StatusTenant]
    """At most five organizations with the most scheduled and overdue deliveries."""
    tenants_of: int
    """How many deliveries were read for `tenants`, those that are due first."""


class StatusOut(Out, kw_only=True):
    """The status of the service, or of one organization."""

    healthy: bool
    """Whether nothing needs attention."""
    verdict: str
    """The status in one sentence."""
    faults: list[str]
    """What needs attention, as phrases. Empty if the service is healthy."""
    timestamp: Timestamp
    """When the status was read."""
    deliveries: StatusDeliveries
    """The outstanding deliveries by state."""
    oldest_overdue: StatusOldestOverdue | None
    """The oldest overdue delivery. Null if none is overdue."""
    endpoints: StatusEndpoints
    """The endpoints by health."""
    tasks: StatusTasks
    """The background tasks that have not ended."""
    installation: StatusInstallation | None
    """Nodes, database and organizations, for an operator. Null for an organization."""


async def get(call: Call[Query, Nothing]) -> Response:
    """Return outstanding deliveries and endpoints that need attention.

    An organization sees its own part, an operator everything with the nodes, the database and the organizations with
    the most deliveries. Counts are exact up to a limit, such as 100,000. The response may be a few seconds old:
    `timestamp` says when it was read.
    """
    org_id = None if call.principal.is_operator else call.principal.org_id
    return json_response(200, render_status(await call.context.status.read(call.now, org_id)))


def render_status(status: Status) -> StatusOut:
    """Render a status as a response body."""
    depth, oldest = status.depth, status.oldest
    return StatusOut(
        healthy=not status.faults,
        verdict=status.verdict,
        faults=status.faults,
        timestamp=format_timestamp(status.now),
        deliveries=StatusDeliveries(
            scheduled=_count(depth.scheduled),
            in_flight=_count(depth.in_flight),
            overdue=_count(depth.overdue),
            held_back=_count(depth.held_back),
        ),
        oldest_overdue=None
        if oldest is None
        else StatusOldestOverdue(
            due_at=format_timestamp(oldest.since),
            age_seconds=status.overdue_ms // SECOND,
            org_id=oldest.org_id,
            app_id=oldest.app_id,
            endpoint_id=oldest.endpoint_id,
        ),
        endpoints=_endpoints(status),
        tasks=_tasks(status),
        installation=None if status.installation is None else _installation(status.installation, status.now),
    )


def encode_status(status: Status) -> bytes:
    """Return the body of the response that a status has."""
    return msgspec.json.encode(render_status(status))


def _count(count: Count) -> StatusCount:
    return StatusCount(count=count.count, is_exact=count.is_exact)


def _endpoints(status: Status) -> StatusEndpoints:
    counts = status.endpoints
    return StatusEndpoints(
        healthy=_count(counts.healthy),
        failing=_count(counts.failing),
        unreachable=_count(counts.unreachable),
        disabled=_count(counts.disabled),
        disabled_lately=_count(counts.disabled_lately),
        worst=[_unhealthy(each) for each in status.worst],
    )


def _unhealthy(endpoint: UnhealthyEndpoint) -> StatusUnhealthyEndpoint:
    return StatusUnhealthyEndpoint(
        endpoint_id=endpoint.id,
        endpoint_uid=endpoint.uid,
        app_id=endpoint.app_id,
        app_uid=endpoint.app_uid,
        app_name=endpoint.app_name,
        org_id=endpoint.org_id,
        host=urlsplit(endpoint.url).netloc.rpartition("@")[2],
        url=endpoint.url,
        status=EndpointHealthStatus.DISABLED if endpoint.disabled else EndpointHealthStatus.FAILING,
        is_unreachable=not endpoint.disabled and endpoint.record.unreachable_since is not None,
        since=format_timestamp(endpoint.since),
        disabled_reason=endpoint.record.disabled_reason if endpoint.disabled else None,
        last_response_status_code=endpoint.last_status_code,
    )


def _tasks(status: Status) -> StatusTasks:
    return StatusTasks(
        running=_count(status.tasks[State.RUNNING]),
        queued=_count(status.tasks[State.QUEUED]),
        paused=_count(status.tasks[State.PAUSED]),
        first=[_task(each) for each in status.active],
    )


def _task(task: ActiveTask) -> StatusTask:
    return StatusTask(
        id=task.id,
        task=task.kind,
        state=task.state.value,
        org_id=task.org_id,
        app_id=task.app_id,
        done=task.done + task.skipped,
        total=task.total,
        failed_attempts=task.failed_attempts,
    )


def _installation(found: Installation, now: int) -> StatusInstallation:
    return StatusInstallation(
        nodes=[
            StatusNode(
                name=node.name,
                release=node.release or None,
                heartbeat_age_seconds=None if node.heartbeat_at is None else max(0, now - node.heartbeat_at) // SECOND,
            )
            for node in found.nodes
        ],
        database=StatusDatabase(
            product=found.database.product,
            version=found.database.version,
            bytes=found.database.bytes,
            free_bytes=found.database.free_bytes,
            partitions=found.database.partitions,
        ),
        tenants=[StatusTenant(org_id=each.org_id, outstanding=each.outstanding) for each in found.tenants],
        tenants_of=found.tenants_of,
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/status",
        operation="v1.status.get",
        tag=TAG,
        summary="Show outstanding deliveries and endpoints that need attention",
        access=Access.ORG_OR_OPERATOR,
        query=Query,
        body=Nothing,
        handler=get,
        responses={200: StatusOut},
    ),
)
