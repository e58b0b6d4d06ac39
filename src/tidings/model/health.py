# SPDX-License-Identifier: MIT
"""How an endpoint fares: what is on record about its failures, and what follows from them. Pure.

The record begins when a message runs out of automatic attempts; any success ends it. If another message runs out
more than a set time later, with no success in between, the endpoint is disabled. A record twice as old as that time
is out of date, and begins anew.
"""

from dataclasses import dataclass
from enum import Enum


class Status(Enum):
    """How an endpoint fares, in a word."""

    OK = "ok"
    FAILING = "failing"
    DISABLED = "disabled"


class Reason(Enum):
    """Why an endpoint was disabled without anybody asking for it here."""

    FAILING = "failing"
    """Its messages kept running out of attempts."""
    RECEIVER = "receiver"
    """Its receiver asked for it in an answer."""


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
class Health:
    """An endpoint's health as it is told."""

    status: Status
    record: Record


def health_of(record: Record, *, disabled: bool) -> Health:
    """Return the health of an endpoint with this record."""
    if disabled:
        return Health(Status.DISABLED, record)
    return Health(Status.FAILING if record.is_open else Status.OK, record)


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
