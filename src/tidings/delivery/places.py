# SPDX-License-Identifier: MIT
"""Which line begins the next send: a few in one turn of the loop, and so many in flight from all lines.

A line that answers goes beside one that does not, and lines that do not answer get three quarters of the sends in
flight and of memory at most: however many receivers hang, the others are sent to at once.
"""

from typing import Final

from tidings.delivery.line import Line

_AT_ONCE: Final = 64
"""Sends that begin in one turn of the loop: some milliseconds."""
_CROWDED: Final = 10
"""Sends in flight from one line while half of all that may be are."""
_CROWDED_UNANSWERED: Final = 2
"""Sends in flight from a line that does not answer, while five eighths of all that may be are from such lines."""


class Places:
    """The sends in flight, and the lines whose next send waits for a later turn of the loop or for a place."""

    __slots__ = ("_in_flight", "_is_turn_of_others", "_memory", "_most", "_ready", "_unanswered", "_waiting", "begun")

    def __init__(self, in_flight: int, memory: int) -> None:
        self._most = in_flight
        self._memory = memory
        self._in_flight = 0
        self._unanswered = 0
        """Sends in flight from lines that do not answer."""
        self._waiting = 0
        """Deliveries in memory of lines that do not answer, with those in flight."""
        self.begun = 0
        """Sends begun since the last turn that was counted."""
        self._ready: tuple[dict[Line, None], dict[Line, None]] = ({}, {})
        """Lines that answer and others, the next one first."""
        self._is_turn_of_others = False

    @property
    def left_for_unanswered(self) -> int:
        """How many more deliveries of lines that do not answer may be in memory."""
        return _three_quarters(self._memory) - self._waiting

    def keep(self, line: Line) -> None:
        """Count a delivery that comes to memory."""
        self._waiting += not line.answers

    def drop(self, line: Line) -> None:
        """Count out a delivery that leaves memory."""
        self._waiting -= not line.answers

    def take(self, line: Line) -> bool:
        """Count a send that begins; return whether it is the last one in this turn."""
        self._in_flight += 1
        self._unanswered += not line.answers
        self.begun += 1
        return self.begun == _AT_ONCE

    def free(self, line: Line) -> None:
        """Count out a send that has ended."""
        self._in_flight -= 1
        self._unanswered -= not line.answers

    def clear(self) -> None:
        """Count out all sends in flight."""
        self._in_flight = self._unanswered = 0

    def judge(self, line: Line, *, answers: bool) -> None:
        """Note whether a line answers, and count what it has accordingly."""
        sign = -1 if answers else 1
        self._unanswered += sign * len(line.under_way)
        self._waiting += sign * line.held
        line.answers = answers

    def concurrency(self, line: Line) -> int:
        """Return how many sends of a line may be in flight: few while many of all lines are."""
        if 2 * self._in_flight < self._most:
            return line.concurrency
        is_tight = not line.answers and 8 * self._unanswered >= 5 * self._most
        return min(line.concurrency, _CROWDED_UNANSWERED if is_tight else _CROWDED)

    def has_place(self, *, answers: bool) -> bool:
        """Return whether another send may be in flight from a line that answers, or from one that does not."""
        return self._in_flight < self._most and (answers or self._unanswered < _three_quarters(self._most))

    def may_begin(self, line: Line) -> bool:
        """Return whether a line may begin a send now."""
        return not self._ready[not line.answers] and self.begun < _AT_ONCE and self.has_place(answers=line.answers)

    def wait(self, line: Line) -> None:
        """Let a line wait behind others of its kind."""
        self._ready[not line.answers][line] = None

    @property
    def has_next(self) -> bool:
        """Whether there is a place for a line that waits."""
        return any(lines and self.has_place(answers=not others) for others, lines in enumerate(self._ready))

    def next(self) -> Line | None:
        """Take out the next line with a place, in this turn of the loop: one that answers, then one that does not."""
        if self.begun >= _AT_ONCE:
            return None
        self._is_turn_of_others = not self._is_turn_of_others
        for others in (self._is_turn_of_others, not self._is_turn_of_others):
            lines = self._ready[others]
            if lines and self.has_place(answers=not others):
                line = next(iter(lines))
                del lines[line]
                return line
        return None


def _three_quarters(most: int) -> int:
    return most - most // 4
