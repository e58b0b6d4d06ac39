# SPDX-License-Identifier: MIT
"""The parts of the status of the service: outstanding deliveries, endpoints by health, active tasks, nodes, database.

Timestamps are in milliseconds since the Unix epoch.
"""

from dataclasses import dataclass

from tidings.ids import AppId, EndpointId, OrgId
from tidings.model.health import FailureRecord
from tidings.model.task import State


@dataclass(frozen=True, slots=True)
class Count:
    """A number, and whether it is exact: if not, there are at least as many."""

    count: int
    is_exact: bool = True

    def __add__(self, other: "Count") -> "Count":
        return Count(self.count + other.count, self.is_exact and other.is_exact)


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """The outstanding deliveries by state: each is in one of the first three."""

    scheduled: Count
    """Due later."""
    in_flight: Count
    """Leased by a node, which holds them in memory or is sending them."""
    overdue: Count
    """Due, or leased by a node that let the lease expire."""
    held_back: Count
    """Those of the overdue ones whose endpoint is disabled, does not respond or has reached a rate limit."""


@dataclass(frozen=True, slots=True)
class OldestOverdue:
    """The oldest overdue delivery that is not held back. `since` is in milliseconds since the Unix epoch."""

    since: int
    endpoint_id: str
    app_id: str
    org_id: str


@dataclass(frozen=True, slots=True)
class EndpointCounts:
    """The endpoints by health. One that is not healthy is disabled, unreachable or failing, the first that fits.

    All but `total` are of the endpoints with a failure record, and inexact together.
    """

    total: Count
    disabled: Count
    disabled_lately: Count
    """Those that the service disabled, since a given time. They are in `disabled` too."""
    unreachable: Count
    """They do not respond."""
    failing: Count
    """They respond, but messages have run out of attempts."""

    @property
    def need_attention(self) -> Count:
        """Those that do not respond or fail, and those that the service disabled lately."""
        return self.disabled_lately + self.unreachable + self.failing

    @property
    def healthy(self) -> Count:
        """The other endpoints. A lower bound if the total is one."""
        unhealthy = self.disabled + self.unreachable + self.failing
        return Count(max(0, self.total.count - unhealthy.count), self.total.is_exact and unhealthy.is_exact)


@dataclass(frozen=True, slots=True)
class UnhealthyEndpoint:
    """An endpoint that does not respond, fails, or was disabled by the service, with its last attempt."""

    id: EndpointId
    uid: str | None
    app_id: AppId
    app_uid: str | None
    app_name: str
    org_id: OrgId
    url: str
    disabled: bool
    since: int
    """When it began to fail, or was disabled."""
    last_attempt_id: str | None
    last_status_code: int | None
    """The status code of the last response; 0 if there was none, None without an attempt."""
    record: FailureRecord


@dataclass(frozen=True, slots=True)
class ActiveTask:
    """A task that has not ended, with its progress."""

    id: str
    kind: str
    state: State
    org_id: str
    app_id: str | None
    done: int
    skipped: int
    total: int | None
    failed_attempts: int
    """Attempts of the present chunk that failed."""


@dataclass(frozen=True, slots=True)
class NodeState:
    """A running node. `heartbeat_at` is its last write, in milliseconds, or None if there was none yet."""

    name: str
    release: str
    heartbeat_at: int | None


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """The kind, version and size of the database."""

    product: str
    """`SQLite` or `PostgreSQL`."""
    version: str
    bytes: int
    free_bytes: int
    """Bytes in the file that are free for new rows; 0 on PostgreSQL, which does not count them."""
    partitions: int
    """Weekly partitions of messages and attempts; 0 on SQLite."""
