# SPDX-License-Identifier: MIT
"""Details of an endpoint beyond the contract: its health and payload filter, in a member that SDKs skip."""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from tidings.api.fields import AttemptId
from tidings.api.payload_filters import FilterConditionOut, shown_filter
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
    """The last failed attempt at an endpoint."""

    attempt_id: AttemptId
    timestamp: Timestamp
    """When the attempt was made."""
    response_status_code: int
    """The status code of the response. 0 if there was no response."""
    detail: str
    """A sentence that states why the attempt failed."""


class EndpointHealthOut(Out, kw_only=True):
    """The health of an endpoint, from its last 100 attempts in 24 hours and its failure record."""

    status: EndpointHealthStatus
    """The health of the endpoint, in one word."""
    success_rate: float | None
    """The share of the recent attempts that succeeded, from 0 to 1. Null without attempts."""
    consecutive_failures: int
    """The number of failed attempts since the last success, at most 100."""
    failing_since: Timestamp | None
    """When the endpoint began to fail. Null if it is not failing."""
    last_error: EndpointErrorOut | None
    """The last failed attempt. Null if there is none among the recent attempts."""
    last_failure_at: Timestamp | None
    """When a message last ran out of attempts. Null if the failure record is empty."""
    disables_at: Timestamp | None
    """The earliest time at which another exhausted message disables the endpoint. Null if no failures are on record."""
    unreachable_since: Timestamp | None
    """When the endpoint stopped responding and got reduced concurrency. Null if it responds."""
    disabled_at: Timestamp | None
    """When the endpoint was disabled. Null if it is enabled."""
    disabled_reason: EndpointDisabledReason | None
    """Why the service disabled the endpoint. Null if the API disabled it, or if it is enabled."""


class EndpointDetailOut(Out, kw_only=True):
    """Details of an endpoint that the Svix API does not have."""

    health: EndpointHealthOut
    """The health of the endpoint."""
    filter: tuple[FilterConditionOut, ...] | None
    """The payload filter: the endpoint receives only messages that meet every condition. Null means all messages."""
    tasks: tuple[str, ...] | UnsetType = UNSET
    """The ids of the background tasks that the request started. Absent in responses that start none."""


def detail_of(endpoint: Endpoint, started: Sequence[Task] | UnsetType = UNSET) -> EndpointDetailOut:
    """Return the health and the payload filter of an endpoint, and the tasks that the request started for it."""
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
        filter=shown_filter(endpoint.filter),
        tasks=UNSET if started is UNSET else tuple(task.id for task in started),
    )


def _error(failed: FailedAttempt) -> EndpointErrorOut:
    return EndpointErrorOut(
        attempt_id=failed.id,
        timestamp=format_timestamp(failed.at),
        response_status_code=failed.status_code,
        detail=failed.detail or f"The receiver responded with status {failed.status_code}.",
    )


def _timestamp(timestamp: int | None) -> str | None:
    return None if timestamp is None else format_timestamp(timestamp)
