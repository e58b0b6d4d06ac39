# SPDX-License-Identifier: MIT
"""The health of an endpoint: its failure record, and the rules that disable it. Pure.

An endpoint's health depends on its failure record and on its recent attempts.

The record starts when a message is exhausted; any success ends it. If another message is exhausted after the time
window has passed, with no success in between, the endpoint is disabled. A record older than twice the window is out of
date, and starts again.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from tidings.clock import DAY
from tidings.ids import AttemptId

WINDOW_ATTEMPTS: Final = 100
WINDOW_MS: Final = DAY
FAILING_IN_A_ROW: Final = 10
"""Failed attempts in a row that make an endpoint failing."""
WARNING_PERCENTS: Final = (50, 75, 90)
"""The shares of the time until an endpoint is disabled at which operators are warned."""
HEALTHY_RATE: Final = 0.95
"""The success rate below which an endpoint is degraded."""


class EndpointHealthStatus(Enum):
    """The health of an endpoint."""

    HEALTHY = "healthy"
    """At least 95 % of the recent attempts succeeded, or there were none."""
    DEGRADED = "degraded"
    """Fewer than 95 % of the recent attempts succeeded."""
    FAILING = "failing"
    """Ten attempts in a row failed, a message ran out of attempts, or the endpoint does not respond."""
    DISABLED = "disabled"
    """The endpoint is disabled."""


class EndpointDisabledReason(Enum):
    """Why the service disabled an endpoint."""

    FAILING = "failing"
    """Its messages kept running out of attempts."""
    RECEIVER = "receiver"
    """Its receiver requested it, with the response header `webhook-delivery: disable`."""
    GONE = "gone"
    """Its receiver responded with 410 Gone."""


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """The failures of an endpoint since its last success; timestamps in milliseconds."""

    failing_since: int | None = None
    last_failure_at: int | None = None
    disables_at: int | None = None
    unreachable_since: int | None = None
    disabled_at: int | None = None
    disabled_reason: EndpointDisabledReason | None = None
    run_failing_since: int | None = None
    """When the run of failures started that was reported; None once a success ends it."""
    warned_at: int | None = None
    """When operators were last warned that the endpoint will be disabled."""

    @property
    def is_open(self) -> bool:
        """Whether the record has failures; a success ends it."""
        since = (self.failing_since, self.unreachable_since, self.run_failing_since)
        return any(each is not None for each in since)


NO_FAILURES = FailureRecord()


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """The last failed attempt at an endpoint; `detail` explains a missing response."""

    id: AttemptId
    at: int
    status_code: int
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentAttempts:
    """The totals of the last 100 attempts within 24 hours; a run of failures may have started earlier."""

    attempts: int = 0
    delivered: int = 0
    failures_in_a_row: int = 0
    failing_since: int | None = None
    """When the current run of failures started."""
    last_error: FailedAttempt | None = None

    @property
    def success_rate(self) -> float | None:
        """The fraction of the attempts that succeeded; None without attempts."""
        return self.delivered / self.attempts if self.attempts else None

    @property
    def is_failing(self) -> bool:
        """Whether the failures in a row reach `FAILING_IN_A_ROW`."""
        return self.failures_in_a_row >= FAILING_IN_A_ROW


NO_ATTEMPTS = RecentAttempts()


def health_status(record: FailureRecord, recent: RecentAttempts, *, disabled: bool) -> EndpointHealthStatus:
    """Return the health status of an endpoint with this failure record and these attempts."""
    if disabled:
        return EndpointHealthStatus.DISABLED
    if record.is_open or recent.is_failing:
        return EndpointHealthStatus.FAILING
    rate = recent.success_rate
    return EndpointHealthStatus.HEALTHY if rate is None or rate >= HEALTHY_RATE else EndpointHealthStatus.DEGRADED


def failing_since(record: FailureRecord, recent: RecentAttempts) -> int | None:
    """Return when an endpoint began to fail: the start of its failure record or of its run of failures."""
    run = recent.failing_since if recent.is_failing else None
    since = (record.failing_since, record.run_failing_since, run)
    return min((each for each in since if each is not None), default=None)


class ExhaustionVerdict(Enum):
    """The effect of an exhausted message on its endpoint."""

    BEGIN = "begin"
    """The failure record starts, or starts again."""
    COUNT = "count"
    DISABLE = "disable"


def judge_exhaustion(failing_since: int | None, now: int, window: int) -> ExhaustionVerdict:
    """Decide the effect of an exhausted message; `window` is in milliseconds."""
    if failing_since is None or now - failing_since > 2 * window:
        return ExhaustionVerdict.BEGIN
    return ExhaustionVerdict.DISABLE if now - failing_since > window else ExhaustionVerdict.COUNT


def warning_level(record: FailureRecord, now: int) -> tuple[int, int] | None:
    """Return the highest level of `WARNING_PERCENTS` that a failure record has reached, and when; None if none."""
    if record.failing_since is None or record.disables_at is None or record.disables_at <= record.failing_since:
        return None
    window = record.disables_at - record.failing_since
    levels = [(percent, record.failing_since + window * percent // 100) for percent in WARNING_PERCENTS]
    return max((each for each in levels if each[1] <= now), default=None)
