# SPDX-License-Identifier: MIT
"""How many rows the next chunk takes, so that a chunk holds the database for a known time. Pure functions of measures.

On SQLite every other writer waits for a chunk, so it gets 3 ms; on PostgreSQL a chunk holds its own rows only, and
what counts is that a round trip and a commit are paid seldom.
"""

import math
from dataclasses import dataclass
from typing import Final

from tidings.storage.database import Dialect

_SHRINK: Final = 0.5
_GROW: Final = 1.2
_KEEP: Final = 0.8
FIRST: Final = 100
"""Rows of the first chunk, when nothing has been measured."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The bounds of a chunk: time inside the write transaction, time in all, and rows."""

    write_ms: float
    whole_ms: float
    cap: int

    @property
    def first(self) -> int:
        return min(FIRST, self.cap)

    def next_size(self, size: int, *, write_ms: float, whole_ms: float) -> int:
        """Return the rows of the next chunk after one of `size` rows took so long.

        It grows by a fifth at most, so that one chunk of cheap rows does not make the next one long, and halves at
        most, so that one hiccup does not undo what was learnt.
        """
        fit = min(self.write_ms / max(write_ms, 0.001), self.whole_ms / max(whole_ms, 0.001))
        wanted = size * min(max(fit, _SHRINK), _GROW)
        return min(max(math.ceil(wanted) if fit > 1 else int(wanted), 1), self.cap)


def pace_of(dialect: Dialect, *, lease_ms: int, rows: int = 0) -> Pace:
    """Return the bounds for a database; `rows` is an operator's own cap. A chunk must fit in half a lease."""
    budget, cap = {Dialect.SQLITE: (3.0, 1_000), Dialect.POSTGRESQL: (200.0, 5_000)}[dialect]
    return Pace(budget, lease_ms / 2, min(cap, rows) if rows > 0 else cap)


def next_rate(rate: float, items: int, whole_ms: float) -> float:
    """Return rows a second as a moving average; the first measure stands for itself."""
    measured = items * 1000 / max(whole_ms, 0.001)
    return measured if rate <= 0 else _KEEP * rate + (1 - _KEEP) * measured
