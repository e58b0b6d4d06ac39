# SPDX-License-Identifier: MIT
"""How an endpoint fares: what is on record about its failures, and what follows from them. Pure.

Two things make up an endpoint's health: its record, and its recent attempts.

The record begins when a message runs out of automatic attempts; any success ends it. If another message runs out
more than a set time later, with no success in between, the endpoint is disabled. A record twice as old as that time
is out of date, and begins anew.
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
HEALTHY_RATE: Final = 0.95
"""The success rate below which an endpoint is degraded."""


class Status(Enum):
    """How an endpoint fares, in a word."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """Fewer than 95 % of the recent attempts succeeded."""
    FAILING = "failing"
    DISABLED = "disabled"


class Reason(Enum):
    """Why an endpoint was disabled without anybody asking for it here."""

    FAILING = "failing"
    """Its messages kept running out of attempts."""
    RECEIVER = "receiver"
    """Its receiver asked for it in an answer."""
    GONE = "gone"
    """Its receiver answered 410 Gone."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is on record; moments in milliseconds."""

    failing_since: int | None = None
    last_failure_at: int | None = None
    disables_at: int | None = None
    unreachable_since: int | None = None
    disabled_at: int | None = None
    disabled_reason: Reason | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether there is something that a success would end."""
        return self.failing_since is not None or self.unreachable_since is not None


NOTHING = Record()


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """The last failed attempt at an endpoint; `detail` is our own text where there was no response."""

    id: AttemptId
    at: int
    status_code: int
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentAttempts:
    """What the last 100 attempts of the past 24 hours add up to; a run of failures counts from its beginning."""

    attempts: int = 0
    delivered: int = 0
    failures_in_a_row: int = 0
    failing_since: int | None = None
    """When the run of failures began that still lasts."""
    last_error: FailedAttempt | None = None

    @property
    def success_rate(self) -> float | None:
        """The part of the attempts that succeeded; None without attempts."""
        return self.delivered / self.attempts if self.attempts else None

    @property
    def is_failing(self) -> bool:
        """Whether the failures in a row are too many."""
        return self.failures_in_a_row >= FAILING_IN_A_ROW


NO_ATTEMPTS = RecentAttempts()


def status_of(record: Record, recent: RecentAttempts, *, disabled: bool) -> Status:
    """Return the health of an endpoint with this record and these attempts."""
    if disabled:
        return Status.DISABLED
    if record.is_open or recent.is_failing:
        return Status.FAILING
    rate = recent.success_rate
    return Status.HEALTHY if rate is None or rate >= HEALTHY_RATE else Status.DEGRADED


def failing_since(record: Record, recent: RecentAttempts) -> int | None:
    """Return since when an endpoint fails: the beginning of its record or of a long run of failures."""
    run = recent.failing_since if recent.is_failing else None
    return min((each for each in (record.failing_since, run) if each is not None), default=None)


class Verdict(Enum):
    """What follows when a message has run out of attempts."""

    BEGIN = "begin"
    """The record begins, or begins anew."""
    COUNT = "count"
    DISABLE = "disable"


def judged(failing_since: int | None, now: int, window: int) -> Verdict:
    """Judge a message's running out of attempts; `window` is the set time, in milliseconds."""
    if failing_since is None or now - failing_since > 2 * window:
        return Verdict.BEGIN
    return Verdict.DISABLE if now - failing_since > window else Verdict.COUNT
