# SPDX-License-Identifier: MIT
"""What is told of an endpoint beyond the contract: how it fares, in a member that the clients skip."""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from tidings.api.wire import Out, Timestamp, format_timestamp
from tidings.model.endpoint import Endpoint
from tidings.model.health import (
    EndpointDisabledReason,
    EndpointHealthStatus,
    FailedAttempt,
    failing_since,
    health_status,
)
from tidings.model.task import Task


class EndpointErrorOut(Out, kw_only=True):
    """The last failed attempt at an endpoint; the status code is 0 where there was no response."""

    attempt_id: str
    timestamp: Timestamp
    response_status_code: int
    detail: str


class EndpointHealthOut(Out, kw_only=True):
    """The health of an endpoint: its last 100 attempts of the past 24 hours, and its record of exhausted messages."""

    status: EndpointHealthStatus
    success_rate: float | None
    """The part of the recent attempts that succeeded, from 0 to 1; null without attempts."""
    consecutive_failures: int
    """The failed attempts since the last success, at most 100."""
    failing_since: Timestamp | None
    last_error: EndpointErrorOut | None
    last_failure_at: Timestamp | None
    disables_at: Timestamp | None
    unreachable_since: Timestamp | None
    """Since when nothing answers there; attempts are made over few connections."""
    disabled_at: Timestamp | None
    disabled_reason: EndpointDisabledReason | None


class EndpointDetailOut(Out, kw_only=True):
    """What the contract has no member for."""

    health: EndpointHealthOut
    tasks: tuple[str, ...] | UnsetType = UNSET
    """Background tasks that were started with this request."""


def detail_of(endpoint: Endpoint, started: Sequence[Task] | UnsetType = UNSET) -> EndpointDetailOut:
    """Return how an endpoint fares, and what was started for it."""
    record, recent = endpoint.record, endpoint.recent
    return EndpointDetailOut(
        health=EndpointHealthOut(
            status=health_status(record, recent, disabled=endpoint.disabled),
            success_rate=None if recent.success_rate is None else round(recent.success_rate, 4),
            consecutive_failures=recent.failures_in_a_row,
            failing_since=_timestamp(failing_since(record, recent)),
            last_error=None if recent.last_error is None else _error(recent.last_error),
            last_failure_at=_timestamp(record.last_failure_at),
            disables_at=None if endpoint.disabled else _timestamp(record.disables_at),
            unreachable_since=_timestamp(record.unreachable_since),
            disabled_at=_timestamp(record.disabled_at),
            disabled_reason=record.disabled_reason,
        ),
        tasks=UNSET if started is UNSET else tuple(task.id for task in started),
    )


def _error(failed: FailedAttempt) -> EndpointErrorOut:
    return EndpointErrorOut(
        attempt_id=failed.id,
        timestamp=format_timestamp(failed.at),
        response_status_code=failed.status_code,
        detail=failed.detail or f"The receiver answered with status {failed.status_code}.",
    )


def _timestamp(timestamp: int | None) -> str | None:
    return None if timestamp is None else format_timestamp(timestamp)
