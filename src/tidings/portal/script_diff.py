# SPDX-License-Identifier: MIT
"""What changes from one script to another, line by line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

_CONTEXT: Final = 3
"""The unchanged lines that are shown before and after a change."""
_COMPARED_MAX: Final = 400
"""The lines that are compared with each other: the time of a comparison grows with a power of their number."""


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of a difference."""

    sign: str
    """`-` for a line that goes, `+` for one that comes, a space for one that stays, `…` for a gap."""
    text: str


def lines_of(before: str, after: str) -> list[DiffLine]:
    """Return the changed lines with those around them; nothing for equal scripts.

    Long middles are not compared line by line: all lines of the one go, and those of the other come.
    """
    old, new = before.splitlines(), after.splitlines()
    if old == new:
        return []
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    changed = _compared(old[head : len(old) - tail], new[head : len(new) - tail])
    whole = [*_kept(old[:head]), *changed, *_kept(old[len(old) - tail :])]
    return list(_around(whole))


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the number of equal lines at the beginning."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count


def _kept(lines: Sequence[str]) -> list[DiffLine]:
    return [DiffLine(" ", each) for each in lines]


def _compared(old: Sequence[str], new: Sequence[str]) -> Iterator[DiffLine]:
    if max(len(old), len(new)) > _COMPARED_MAX:
        codes = [("replace", 0, len(old), 0, len(new))]
    else:
        codes = list(SequenceMatcher(None, old, new).get_opcodes())
    for kind, start, end, first, last in codes:
        if kind == "equal":
            yield from _kept(old[start:end])
        else:
            yield from (DiffLine("-", each) for each in old[start:end])
            yield from (DiffLine("+", each) for each in new[first:last])


def _around(whole: Sequence[DiffLine]) -> Iterator[DiffLine]:
    """Yield the changed lines with those around them, and a gap for the others."""
    near = set[int]()
    for number, line in enumerate(whole):
        if line.sign != " ":
            near.update(range(number - _CONTEXT, number + _CONTEXT + 1))
    was_shown = True
    for number, line in enumerate(whole):
        if number in near:
            yield line
        elif was_shown:
            yield DiffLine("…", "")
        was_shown = number in near
