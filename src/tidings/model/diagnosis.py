# SPDX-License-Identifier: MIT
"""The result of one check of an installation."""

from dataclasses import dataclass
from enum import Enum


class CheckLevel(Enum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """It works, but worse or less safely than it could."""
    FAILED = "failed"
    """The service does not start, loses data, or sends nothing."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check: its name, how it ended, the finding and, unless it is ok, what to do."""

    name: str
    level: CheckLevel
    found: str
    remedy: str = ""


def ok(name: str, found: str) -> CheckResult:
    """Return the result of a check that found no fault."""
    return CheckResult(name, CheckLevel.OK, found)


def warning(name: str, found: str, remedy: str) -> CheckResult:
    """Return the result of a check that found something to improve."""
    return CheckResult(name, CheckLevel.WARNING, found, remedy)


def failed(name: str, found: str, remedy: str) -> CheckResult:
    """Return the result of a check that found a fault."""
    return CheckResult(name, CheckLevel.FAILED, found, remedy)
