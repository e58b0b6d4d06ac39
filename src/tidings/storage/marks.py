# SPDX-License-Identifier: MIT
"""Marks: in which stretches of time something occurs, so that what is rare is looked for where it is.

A stretch is what the first characters of an id's moment say, some eight minutes. A mark says of an application that
messages with an event type, a channel or a tag were made in a stretch, of an endpoint that attempts in a stretch ended
in a certain way, or that messages of one stretch were tried in another. It is written in the transaction of what it
speaks of, or was committed before: so there may be a mark too many, and never one too few. A process remembers those
that it knows to be committed; what is frequent then costs a look into a set.

Nobody waits for anybody else's mark. On PostgreSQL two processes may write the same one at once, and both remain.
"""

import json
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from tidings.ids import number_of
from tidings.model.page import Order, Span
from tidings.storage.database import Dialect, Read, Sql, Write

Mark = tuple[str, str, str]
"""Whose it is, what occurs, and in which stretch."""
Kind = TypeVar("Kind", bound=Hashable)

WIDTH: Final = 4
"""Characters of an id's moment that name a stretch of 494 seconds."""
FROM: Final = -27
_TO: Final = FROM + WIDTH
END: Final = "~"
"""Sorts behind every character of an id, as a blank sorts before all."""
_KNOWN: Final = 16_384

EVENT_TYPE: Final = "e"
CHANNEL: Final = "c"
TAG: Final = "t"
DELIVERED: Final = "d"
FAILED: Final = "f"
"""With the first digit of the status code. The stretch of an attempt's mark is followed by that of its message."""
LATE: Final = "l"
"""With the stretch of messages: they were tried in another one than their own."""


def stretch_of(identifier: str) -> str:
    """Return the stretch in which an id was made."""
    return identifier[FROM:_TO]


class Known:
    """What a process knows to be marked: kinds of rows, and marks. It is of one era of the database."""

    __slots__ = ("_era", "_kinds", "_marks")

    def __init__(self) -> None:
        self._era = 0
        self._kinds: set[Hashable] = set()
        self._marks: set[Mark] = set()

    def enter(self, era: int) -> None:
        """Know nothing in a new era: what was committed before may be lost."""
        if era > self._era:
            self._forget()
            self._era = era

    def _forget(self) -> None:
        self._kinds.clear()
        self._marks.clear()

    def new_kinds(self, kinds: set[Kind]) -> set[Kind]:
        """Return the kinds of rows whose marks are not known to be there."""
        return kinds - self._kinds

    def new_marks(self, marks: set[Mark]) -> set[Mark]:
        """Return the marks that are not known to be there."""
        return marks - self._marks

    def learn(self, kinds: Iterable[Hashable], marks: Iterable[Mark], era: int = 0) -> None:
        """Remember what has been committed in this era; where that gets too much, begin anew."""
        if era != self._era:
            return
        if len(self._kinds) + len(self._marks) > _KNOWN:
            self._forget()
        self._kinds.update(kinds)
        self._marks.update(marks)


_ADD: Final = Sql(
    sqlite="INSERT INTO mark (owner, name, stretch) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    postgresql=(
        "INSERT INTO mark (owner, name, stretch)"
        " SELECT o, n, s FROM unnest($1::text[], $2::text[], $3::text[]) AS t(o, n, s) WHERE (SELECT 1 FROM mark"
        " WHERE mark.owner = t.o AND mark.name = t.n AND mark.stretch = t.s LIMIT 1) IS NULL"
    ),
)


async def add(
    tx: Write, kinds: set[Kind], marks_of: Callable[[Kind], Iterator[Mark]], known: Known | None = None
) -> None:
    """Mark rows of some kinds, as far as that is not known to be done."""
    known = known or Known()
    known.enter(tx.era)
    fresh = known.new_kinds(kinds)
    if not fresh:
        return
    marks = known.new_marks({mark for kind in fresh for mark in marks_of(kind)})
    if marks:
        await tx.bulk(_ADD, sorted(marks))
    tx.after_commit(lambda: known.learn(fresh, marks, tx.era))


def has_channel(channel: str) -> str:
    """Name a channel, as it stands in the JSON of a message's channels."""
    return CHANNEL + json.dumps(channel)


def has_tag(tag: str) -> str:
    """Name a tag."""
    return TAG + json.dumps(tag)


# -----------------------------------------------------------------------------------------------------------------
# Looking where there are marks

Part = tuple[str, str]
"""A range of ids: the first one, and the end, which is not in it."""
_FIRST_LOT: Final = 16
_LONG_LOT: Final = 256
"""Where a statement stops when it has found enough: a round trip costs more than ranges that are not looked at."""
_OF_SEVERAL: Final = 1_024
"""Stretches that are read at first of each of several names: most have not all of them."""
_MOST_MARKS: Final = 4_096
_HELD: Final = (
    "SELECT stretch FROM mark WHERE owner = :owner AND name = {name} AND stretch >= :low AND stretch <= :high"
    " ORDER BY stretch {direction} LIMIT CAST(:most AS BIGINT)"
)
HELD_OF_EACH: Final = {
    Dialect.SQLITE: (
        f"SELECT value AS name, (SELECT json_group_array(stretch) FROM ({_HELD})) AS stretches FROM json_each(:names)"
    ).replace("{name}", "json_each.value"),
    Dialect.POSTGRESQL: (
        f"SELECT wanted.name AS name, ARRAY({_HELD}) AS stretches FROM unnest(CAST(:names AS text[])) AS wanted(name)"
    ).replace("{name}", "wanted.name"),
}


@dataclass(frozen=True, slots=True)
class _Held:
    """The next stretches in which one of some names occurs; behind the last one that was read nothing is known."""

    stretches: frozenset[str]
    last: str | None
    order: Order

    def may_hold(self, some: frozenset[str]) -> frozenset[str]:
        """Return those of some stretches in which it occurs or of which that is not known."""
        known = some & self.stretches
        if self.last is None:
            return known
        return known | {each for each in some - known if _is_behind(each, self.last, self.order)}


def _is_behind(one: str, other: str, order: Order) -> bool:
    return one < other if order is Order.DESCENDING else one > other


def bounds(span: Span) -> Part:
    """Return the range of ids that a part of a list covers."""
    low = max(span.first or "", "" if span.above is None else span.above + " ")
    return low, END if span.below is None else span.below


def clipped(prefix: str, found: Sequence[str], span: Span) -> list[Part]:
    """Return the ranges of ids of some stretches, in any order, as far as they are in a part of a list."""
    low, end = bounds(span)
    ranges = ((max(low, prefix + first), min(end, prefix + last + END)) for first, last in _runs(found))
    return [(first, end) for first, end in ranges if first < end]


def _runs(found: Sequence[str]) -> Iterator[Part]:
    """Yield the first and the last one of stretches that follow one another without a gap."""
    begun, last, number = "", "", 0
    for each in sorted(found):
        its_number = number_of(each)
        if begun and its_number > number + 1:
            yield begun, last
            begun = ""
        begun, last, number = begun or each, each, its_number
    if begun:
        yield begun, last


def _edges(span: Span) -> dict[str, str]:
    low, end = bounds(span)
    return {"low": stretch_of(low.rstrip()), "high": END if end == END else stretch_of(end) + END}


def inside(found: Iterable[str], span: Span) -> list[str]:
    """Return the stretches that are in a part of a list, be it with an edge."""
    edges = _edges(span)
    return [each for each in found if edges["low"] <= each <= edges["high"]]


async def stretches(
    read: Read, owner: str, groups: Sequence[Sequence[str]], span: Span, *, most: int = 0, lot: "Lot | None" = None
) -> AsyncIterator[list[str]]:
    """Yield the stretches, in the order of a list, that may hold what has a name of each group; in ever longer lots.

    `most` of each name are read at first, and the first lot is of so many; by themselves they suit a single name that
    is frequent: each of its stretches has a row of the page at least.
    """
    edges, most = _edges(span), most or (span.rows + 1 if len(groups) == 1 else _OF_SEVERAL)
    lot = lot or Lot()
    while True:
        shared, last = await _shared(read, owner, groups, span.order, edges, most)
        for part in lot.of(shared):
            yield part
        if last is None:
            return
        edges |= _behind(last, span.order)
        most = min(4 * most, _MOST_MARKS)


async def few(read: Read, owner: str, groups: Sequence[Sequence[str]], span: Span, *, most: int) -> list[str] | None:
    """Return all stretches, in the order of a list, that may hold what has a name of each group; None for many."""
    shared, last = await _shared(read, owner, groups, span.order, _edges(span), most + 1)
    return shared if last is None and len(shared) <= most else None


async def _shared(
    read: Read, owner: str, groups: Sequence[Sequence[str]], order: Order, edges: dict[str, str], most: int
) -> tuple[list[str], str | None]:
    """Return what the next marks of each name tell together, and up to where that is all; None for the end."""
    statement = HELD_OF_EACH[read.dialect].replace("{direction}", "DESC" if order is Order.DESCENDING else "ASC")
    names = [name for group in groups for name in group]
    rows = await read.rows(statement, owner=owner, names=names, most=most, **edges)
    found = {row["name"]: listed(row["stretches"]) for row in rows}
    held = [_of_group([found[name] for name in group], most, order) for group in groups]
    furthest = _furthest(held)
    shared, last = furthest.stretches, furthest.last
    if last is not None:
        shared = frozenset(each for each in shared if not _is_behind(each, last, order))
    for other in held:
        shared = other.may_hold(shared)
    return sorted(shared, reverse=order is Order.DESCENDING), last


class Lot:
    """How many stretches are looked through next: few at first, for where much is found the others need no look."""

    __slots__ = ("_found", "_looked", "size")

    def __init__(self, size: int = 0) -> None:
        self.size = size or _FIRST_LOT
        self._looked = self._found = 0

    def of(self, found: list[str]) -> Iterator[list[str]]:
        """Yield stretches in lots, each four times as long as the last unless what was learnt promises enough."""
        start = 0
        while start < len(found):
            end, self.size = start + self.size, 4 * self.size
            yield found[start:end]
            start = end

    def learn(self, looked: int, found: int, wanted: int) -> None:
        """Take note of how much some stretches held, and how much is wanted yet."""
        self._looked, self._found = self._looked + looked, self._found + found
        if self._found:
            self.size = min(self.size, max(_FIRST_LOT, 3 * wanted * self._looked // (2 * self._found)))


async def in_lots(found: list[str], span: Span, lot: Lot | None = None) -> AsyncIterator[list[str]]:
    """Yield what is known whole in the order of a list, in ever longer lots."""
    for each in (lot or Lot()).of(sorted(found, reverse=span.order is Order.DESCENDING)):
        yield each


def lot_for(dialect: Dialect) -> Lot:
    """Return with how many ranges to begin for a statement that stops when it has found enough."""
    return Lot(_FIRST_LOT if dialect is Dialect.SQLITE else _LONG_LOT)


def _behind(last: str, order: Order) -> dict[str, str]:
    """Return the edge of what lies behind a stretch: nothing sorts between it and the edge."""
    return {"high": last[:-1] + chr(ord(last[-1]) - 1) + END} if order is Order.DESCENDING else {"low": last + " "}


def listed(stored: str | Sequence[str]) -> Sequence[str]:
    """Return a list of texts that a statement has made."""
    return json.loads(stored) if isinstance(stored, str) else stored


def _of_group(found: Sequence[Sequence[str]], most: int, order: Order) -> _Held:
    """Put together what occurs under several names: it is known as far as each of them is."""
    ends = [(min if order is Order.DESCENDING else max)(each) for each in found if len(each) >= most]
    nearest = None if not ends else max(ends) if order is Order.DESCENDING else min(ends)
    return _Held(frozenset(each for one in found for each in one), nearest, order)


def _furthest(held: Sequence[_Held]) -> _Held:
    """Return the one that is known whole, or else the furthest; the fewer stretches it has the better."""
    whole = [each for each in held if each.last is None]
    if whole:
        return min(whole, key=lambda each: len(each.stretches))
    return (min if held[0].order is Order.DESCENDING else max)(held, key=lambda each: each.last or "")


def around(prefix: str, found: Sequence[str], span: Span) -> Span:
    """Return what a part of a list has in some stretches, or those of attempts in pairs, and between them."""
    first, end = prefix + min(found)[:WIDTH], prefix + max(found)[:WIDTH] + END
    return replace(span, first=max(first, span.first or ""), below=min(end, span.below or END))


# -----------------------------------------------------------------------------------------------------------------
# The end of marks

_AFTER: Final = (
    "SELECT owner, name, stretch FROM mark WHERE (owner, name, stretch) > (:owner, :name, :stretch)"
    " ORDER BY owner, name, stretch LIMIT CAST(:limit AS BIGINT)"
)
_OF_OWNER: Final = (
    "SELECT owner, name, stretch FROM mark WHERE owner = :owner ORDER BY name, stretch LIMIT CAST(:limit AS BIGINT)"
)
_DROP: Final = Sql(
    sqlite="DELETE FROM mark WHERE owner = ? AND name = ? AND stretch = ?",
    postgresql=(
        "DELETE FROM mark USING unnest($1::text[], $2::text[], $3::text[]) AS gone(o, n, s)"
        " WHERE mark.owner = gone.o AND mark.name = gone.n AND mark.stretch = gone.s"
    ),
)


async def after(read: Read, mark: Mark, *, limit: int) -> list[Mark]:
    """Return the next marks of all, in the order of their keys."""
    owner, name, stretch = mark
    rows = await read.rows(_AFTER, owner=owner, name=name, stretch=stretch, limit=limit)
    return [(row["owner"], row["name"], row["stretch"]) for row in rows]


async def of_owner(read: Read, owner: str, *, limit: int) -> list[Mark]:
    """Return some marks of an application or an endpoint."""
    rows = await read.rows(_OF_OWNER, owner=owner, limit=limit)
    return [(row["owner"], row["name"], row["stretch"]) for row in rows]


async def drop(tx: Write, found: Sequence[Mark]) -> None:
    """Delete marks."""
    await tx.bulk(_DROP, found)
