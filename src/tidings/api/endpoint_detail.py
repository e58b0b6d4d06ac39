# SPDX-License-Identifier: MIT
"""What is told of an endpoint beyond the contract: how it fares, in a member that the clients skip."""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from tidings.api.wire import Moment, Out, moment_out
from tidings.model.endpoint import Endpoint
from tidings.model.health import Reason, Status, health_of
from tidings.model.task import Task


class EndpointHealthOut(Out, kw_only=True):
    """How an endpoint fares: since when messages run out of attempts, and when that disables it."""

    status: Status
    failing_since: Moment | None
    last_failure_at: Moment | None
    disables_at: Moment | None
    unreachable_since: Moment | None
    """Since when nothing answers there; attempts are made over few connections."""
    disabled_at: Moment | None
    disabled_reason: Reason | None


class EndpointDetailOut(Out, kw_only=True):
    """What the contract has no member for."""

    health: EndpointHealthOut
    tasks: tuple[str, ...] | UnsetType = UNSET
    """Background tasks that were started with this request."""


def detail_of(endpoint: Endpoint, started: Sequence[Task] | UnsetType = UNSET) -> EndpointDetailOut:
    """Return how an endpoint fares, and what was started for it."""
    health = health_of(endpoint.record, disabled=endpoint.disabled)
    record = health.record
    return EndpointDetailOut(
        health=EndpointHealthOut(
            status=health.status,
            failing_since=_moment(record.failing_since),
            last_failure_at=_moment(record.last_failure_at),
            disables_at=None if endpoint.disabled else _moment(record.disables_at),
            unreachable_since=_moment(record.unreachable_since),
            disabled_at=_moment(record.disabled_at),
            disabled_reason=record.disabled_reason,
        ),
        tasks=UNSET if started is UNSET else tuple(task.id for task in started),
    )


def _moment(moment: int | None) -> str | None:
    return None if moment is None else moment_out(moment)
