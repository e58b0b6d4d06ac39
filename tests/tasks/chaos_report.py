# SPDX-License-Identifier: MIT
"""The table at the end of a chaos run: for each kind the kills and stops, and the lost or doubled items.

A test adds its line as a property of its pytest report. Reports return from all pytest workers, so the table is
complete for any number of workers.
"""

from collections.abc import Callable
from dataclasses import astuple, dataclass, fields
from typing import Any, Final

import pytest

PROPERTY: Final = "what survived"


@dataclass(frozen=True)
class Line:
    """The figures of one kind on one database."""

    type: str
    database: str
    kills: int = 0
    stops: int = 0
    """Processes that were stopped past their lease, and then resumed."""
    restarts: int = 0
    """Immediate restarts of the database."""
    chunks: int = 0
    items: int = 0
    lost: int = 0
    doubled: int = 0

    def add_to(self, record_property: Callable[[str, Any], None]) -> None:
        """Add the line to the table."""
        record_property(PROPERTY, list(astuple(self)))


HEADS: Final = tuple(each.name for each in fields(Line))
NAMES: Final = 2
"""The number of leading columns without numbers."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, if a test has added a line."""
    reports = [each for every in terminalreporter.stats.values() for each in every]
    calls = [each for each in reports if getattr(each, "when", "") == "call"]
    found = [value for each in calls for name, value in each.user_properties if name == PROPERTY]
    if found:
        terminalreporter.section("what survived")
        for text in _aligned(_summed(found)):
            terminalreporter.write_line(text)


def _summed(found: list[list[Any]]) -> list[list[Any]]:
    """Add up the lines of each kind on each database, and all of them."""
    sums: dict[tuple[str, ...], list[int]] = {}
    for line in [*sorted(found), *(["all", "", *line[NAMES:]] for line in found)]:
        key, numbers = tuple(line[:NAMES]), line[NAMES:]
        sums[key] = [a + b for a, b in zip(sums.get(key, [0] * len(numbers)), numbers, strict=True)]
    return [list(HEADS), *([*key, *numbers] for key, numbers in sums.items())]


def _aligned(lines: list[Any]) -> list[str]:
    cells = [[f"{cell:,}" if isinstance(cell, int) else cell for cell in line] for line in lines]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADS))]
    return [
        "  ".join(
            cell.ljust(width) if column < NAMES else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]
