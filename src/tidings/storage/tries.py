# SPDX-License-Identifier: MIT
"""In which stretches an endpoint was tried, each with that of the messages it was tried with: a pair.

A pair is what the marks of an endpoint say, the stretch of attempts followed by that of their messages.
"""

from collections.abc import AsyncIterator, Sequence
from itertools import groupby
from typing import Final

from tidings.ids import ATTEMPT, MESSAGE, EndpointId, moment_of, number_of
from tidings.model.attempt import MessageStatus
from tidings.model.page import Order, Span
from tidings.storage.database import Dialect, Read, Sql
from tidings.storage.marks import END, FROM, HELD_OF_EACH, LATE, WIDTH, around, clipped, listed
from tidings.storage.span import hidden, spread

_LATE: Final = Sql(
    sqlite=(
        "SELECT mark.stretch || wanted.value AS pair FROM json_each(:stretches) AS wanted CROSS JOIN mark"
        f" WHERE mark.owner = :owner AND mark.name = '{LATE}' || wanted.value"
    ),
    postgresql=(
        "SELECT made.stretch || wanted.stretch AS pair FROM unnest(CAST(:stretches AS text[])) AS wanted(stretch)"
        " CROSS JOIN LATERAL (SELECT mark.stretch FROM mark"
        f" WHERE mark.owner = :owner AND mark.name = '{LATE}' || wanted.stretch OFFSET 0) AS made"
    ),
)


_ALL_LATE: Final = (
    f"SELECT stretch, name FROM mark WHERE owner = :owner AND name >= '{LATE}' AND name < '{chr(ord(LATE) + 1)}'"
    " LIMIT CAST(:most AS BIGINT)"
)
_FEW_LATE: Final = 256


async def late(read: Read, endpoint_id: str, of_messages: Sequence[str]) -> list[str]:
    """Return in which other stretches messages of some stretches were tried at an endpoint, each with theirs."""
    if len(of_messages) > _FEW_LATE:  # most endpoints have fewer marks of that kind than are asked for here
        rows = await read.rows(_ALL_LATE, owner=endpoint_id, most=_FEW_LATE + 1)
        if len(rows) <= _FEW_LATE:
            wanted = set(of_messages)
            pairs = ((row["stretch"], row["name"].removeprefix(LATE)) for row in rows)
            return sorted({tried + made for tried, made in pairs if made in wanted})
    rows = await read.rows(_LATE, owner=endpoint_id, stretches=of_messages)
    return sorted({row["pair"] for row in rows})


async def whole(lots: AsyncIterator[list[str]]) -> AsyncIterator[list[str]]:
    """Yield pairs so that all of one stretch of attempts come together: only so they can be put in order."""
    kept: list[str] = []
    async for lot in lots:
        pairs = kept + lot
        kept = [each for each in pairs if each[:WIDTH] == pairs[-1][:WIDTH]]
        if len(kept) < len(pairs):
            yield pairs[: len(pairs) - len(kept)]
    if kept:
        yield kept


async def newest(read: Read, endpoint_id: str, names: Sequence[str], *, most: int) -> tuple[list[str], str | None]:
    """Return the newest pairs under some names, the newest first, and behind which one there are more; None for all."""
    statement = HELD_OF_EACH[read.dialect].replace("{direction}", "DESC")
    rows = await read.rows(statement, owner=endpoint_id, names=names, most=most + 1, low="", high=END)
    found = [listed(row["stretches"]) for row in rows]
    last = max((min(each) for each in found if len(each) > most), default=None)
    return sorted({pair for each in found for pair in each}, reverse=True), last


def of_messages(pair: str) -> str:
    """Return the stretch of the messages of a pair."""
    return pair[WIDTH:]


def end_of(pair: str) -> int:
    """Return a moment at the end of the stretch of attempts of a pair."""
    return moment_of(ATTEMPT + pair[:WIDTH].ljust(-FROM, "z"))


async def one_by_one(pairs: Sequence[str]) -> AsyncIterator[list[str]]:
    """Yield pairs that are in order by their stretches of attempts."""
    for _, mine in groupby(pairs, lambda each: each[:WIDTH]):
        yield list(mine)


def parts_of(dialect: Dialect, pairs: Sequence[str], span: Span) -> dict[str, list[str]]:
    """Return the ranges that pairs stand for, as far as they are in a part of a list of attempts."""
    if dialect is Dialect.SQLITE:  # whose index leads to the attempts whatever their messages are
        parts = [(*part, "") for part in clipped(ATTEMPT, list({each[:WIDTH] for each in pairs}), span)]
    else:
        parts = [(*part, of_messages(each)) for each in pairs for part in clipped(ATTEMPT, [each[:WIDTH]], span)]
    return {
        "firsts": [first for first, _, _ in parts],
        "ends": [end for _, end, _ in parts],
        "msg_firsts": [MESSAGE + stretch for *_, stretch in parts],
        "msg_ends": [MESSAGE + stretch + END for *_, stretch in parts],
    }


def are_dense(pairs: Sequence[str]) -> bool:
    """Tell whether an endpoint was tried in every other stretch at least, from the newest pair to the oldest."""
    tried = {number_of(each[:WIDTH]) for each in pairs}
    return max(tried) - min(tried) < 2 * len(tried)


APART: Final = 48
"""So many pairs are each looked at by themselves, whatever else was tried meanwhile."""
_MADE_BETWEEN: Final = {
    dialect: f"SELECT msg_id FROM attempt WHERE endpoint_id = {endpoint}{{status}} AND id >= :first AND id < :below"
    " LIMIT CAST(:most AS BIGINT)"
    for dialect, endpoint in ((Dialect.SQLITE, ":endpoint"), (Dialect.POSTGRESQL, hidden("endpoint")))
}
_MADE_IN: Final = {
    Dialect.SQLITE: (
        "SELECT attempt.msg_id FROM json_each(:firsts) AS part CROSS JOIN attempt"
        " WHERE attempt.endpoint_id = :endpoint{status} AND attempt.id >= part.value"
        " AND attempt.id < json_extract(:ends, '$[' || part.key || ']')"
    ),
    Dialect.POSTGRESQL: (
        f"SELECT made.msg_id FROM {spread('firsts', 'ends', 'msg_firsts', 'msg_ends')}"
        " AS part(first, stop, msg_first, msg_end)"
        f" CROSS JOIN LATERAL (SELECT attempt.msg_id FROM attempt WHERE attempt.endpoint_id = {hidden('endpoint')}"
        "{status}"
        " AND attempt.id >= part.first AND attempt.id < part.stop"
        " AND attempt.msg_id >= part.msg_first AND attempt.msg_id < part.msg_end"
        " OFFSET 0) AS made"
    ),
}
_EVERYTHING: Final = Span(Order.ASCENDING, 0)


async def made_in(
    read: Read, endpoint_id: EndpointId, pairs: list[str], status: MessageStatus | None, *, most: int
) -> set[str] | None:
    """Return the messages of attempts in the stretches of pairs, and perhaps of others between; None for many."""
    if len(pairs) >= APART:
        found = await between(read, endpoint_id, pairs, status, most=most)
        if found is not None:
            return found
    text = f"{_MADE_IN[read.dialect].replace('{status}', _asked(status))} LIMIT {most + 1:d}"
    rows = await read.rows(text, endpoint=endpoint_id, **parts_of(read.dialect, pairs, _EVERYTHING))
    return None if len(rows) > most else {row["msg_id"] for row in rows}


async def between(
    read: Read, endpoint_id: EndpointId, pairs: list[str], status: MessageStatus | None, *, most: int
) -> set[str] | None:
    """Return the messages of all attempts from the first pair to the last; None for more than three for each.

    Where no more lies between them it is read sooner than each of them is looked for. Failures have an index that
    tells them from the rest; other outcomes may be rare among many, so there all that was tried is read.
    """
    whole, enough = around(ATTEMPT, pairs, _EVERYTHING), min(3 * len(pairs), most)
    asked = _asked(status) if status is MessageStatus.FAIL else ""
    text = _MADE_BETWEEN[read.dialect].replace("{status}", asked)
    rows = await read.rows(text, endpoint=endpoint_id, first=whole.first, below=whole.below, most=enough + 1)
    return None if len(rows) > enough else {row["msg_id"] for row in rows}


def _asked(status: MessageStatus | None) -> str:
    return "" if status is None else f" AND attempt.status = {status:d}"
