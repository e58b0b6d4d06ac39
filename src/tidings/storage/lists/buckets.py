# SPDX-License-Identifier: MIT
"""The time buckets, and pairs of them, that may have rows of a filtered list, from the bucket index."""

import json
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tidings.ids import ATTEMPT, MESSAGE, AppId, EndpointId, number_of
from tidings.model.attempt import AttemptFilter, MessageStatus
from tidings.model.message import MessageFilter
from tidings.model.page import Order, PageWindow
from tidings.storage.drivers.database import Read, Sql
from tidings.storage.tables import messages as message_rows
from tidings.storage.tables.bucket_index import BUCKET_WIDTH, DELIVERED, END, FAILED, LATE, bucket_of
from tidings.storage.tables.key_ranges import hidden, spread

KeyRange = tuple[str, str]
"""A range of ids: the first id (inclusive) and the end (exclusive)."""
GROWTH: Final = 4
"""The factor from one batch to the next: few statements reach far, and the last one reads little in vain."""

_OF_VALUE: Final = (
    "SELECT bucket FROM bucket_index WHERE owner = asked.owner AND name = asked.name AND bucket >= asked.low"
    " AND bucket <= :high ORDER BY bucket {direction} LIMIT CAST(:limit AS BIGINT)"
)
_OF_VALUES: Final = (
    "SELECT asked.owner, asked.name, {buckets} FROM rows_of(:owners, :names, :lows) AS asked(owner, name, low)"
)
# A subquery returns one row, so the buckets of a value are one array.
_OF_EACH_VALUE: Final = Sql(
    sqlite=_OF_VALUES.format(buckets=f"(SELECT json_group_array(bucket) FROM ({_OF_VALUE}))"),
    postgresql=_OF_VALUES.format(buckets=f"ARRAY({_OF_VALUE})"),
)


@dataclass(frozen=True, slots=True)
class Group:
    """Values of an application or an endpoint. A row of the list has at least one of them."""

    owner: str
    values: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Part:
    """The next entries of a group. All those up to `last` have been read; with None there are no others."""

    entries: frozenset[str]
    last: str | None
    order: Order

    def up_to_last(self) -> frozenset[str]:
        """Return the entries that all values of the group have been read up to."""
        return self.entries - self._unread(self.entries)

    def may_have(self, found: frozenset[str]) -> frozenset[str]:
        """Return those of some buckets that are among the entries, or unread."""
        return (found & self.entries) | self._unread(found)

    def _unread(self, found: frozenset[str]) -> frozenset[str]:
        last = self.last
        if last is None:
            return frozenset()
        is_descending = self.order is Order.DESCENDING
        return frozenset(each for each in found if (each < last if is_descending else each > last))


@dataclass(frozen=True, slots=True)
class _Range:
    """The range of entries to read."""

    low: str
    high: str
    order: Order

    @classmethod
    def of(cls, window: PageWindow) -> "_Range":
        low, end = bounds(window)
        return cls(bucket_of(low.rstrip()), END if end == END else bucket_of(end) + END, window.order)

    def after(self, last: str) -> "_Range":
        """Return the rest of the range in list order, without an entry that has been read."""
        if self.order is Order.ASCENDING:
            return replace(self, low=last + " ")
        return replace(self, high=last[:-1] + chr(ord(last[-1]) - 1) + END)


async def stream(
    read: Read, groups: Sequence[Group], window: PageWindow, *, endpoint: Group | None = None
) -> AsyncIterator[list[str]]:
    """Yield, in list order, the buckets that may have rows with a value of each group.

    With an endpoint, these are its pairs of buckets (see `pair_batches`), and the first bucket of a pair is compared.
    The window and the groups are those of messages, or all of attempts: then the messages of a late attempt are in
    another bucket, so those pairs are not compared.
    """
    rest, limit = _Range.of(window), read.tuning.lists.entries
    while True:
        found, last = await _next(read, groups, endpoint, rest, limit)
        yield found
        if last is None:
            return
        rest, limit = rest.after(last), min(GROWTH * limit, GROWTH * GROWTH * read.tuning.lists.entries)


async def few(read: Read, groups: Sequence[Group], window: PageWindow) -> list[str] | None:
    """Return all buckets, in list order, that may have rows with a value of each group; None if they are not few."""
    found, last = await _next(read, groups, None, _Range.of(window), GROWTH * read.tuning.lists.entries)
    return found if last is None else None


async def _next(
    read: Read, groups: Sequence[Group], endpoint: Group | None, rest: _Range, limit: int
) -> tuple[list[str], str | None]:
    """Return the entries of the next statement, and the entry up to which they are complete (None: all are)."""
    every = groups if endpoint is None else [endpoint, *groups]
    parts = await _read_parts(read, every, rest, limit, has_pairs=endpoint is not None)
    chosen = parts[0] if endpoint is not None else _furthest(parts)
    entries = chosen.up_to_last()
    common = frozenset(each[:BUCKET_WIDTH] for each in entries)
    for part in parts:
        common = common if part is chosen else part.may_have(common)
    late_too = endpoint is not None and LATE not in endpoint.values
    found = [each for each in entries if each[:BUCKET_WIDTH] in common or (late_too and not is_punctual(each))]
    return sorted(found, reverse=rest.order is Order.DESCENDING), chosen.last


async def _read_parts(read: Read, groups: Sequence[Group], rest: _Range, limit: int, *, has_pairs: bool) -> list[_Part]:
    """Read the next entries of each group; with `has_pairs` the first one has pairs, the others have buckets."""
    names = [(group.owner, name) for group in groups for name in group.values]
    # After a part of the pairs of one bucket, the other groups are read from that bucket on.
    lows = [rest.low[:BUCKET_WIDTH] if has_pairs and owner != groups[0].owner else rest.low for owner, _ in names]
    rows = await read.rows(
        _OF_EACH_VALUE.format(direction=PageWindow(rest.order, limit).direction),
        owners=[owner for owner, _ in names],
        names=[name for _, name in names],
        lows=lows,
        high=rest.high,
        limit=limit,
    )
    found = {(row[0], row[1]): json.loads(row[2]) if isinstance(row[2], str) else row[2] for row in rows}
    return [_merged({name: found[group.owner, name] for name in group.values}, limit, rest.order) for group in groups]


def _merged(found: dict[str, Sequence[str]], limit: int, order: Order) -> _Part:
    """Merge the entries of several values, complete up to the entry to which all values have been read."""
    farthest, nearest = (min, max) if order is Order.DESCENDING else (max, min)
    ends = [farthest(each) for each in found.values() if len(each) >= limit]
    late = frozenset(found.get(LATE, ()))
    entries = frozenset[str]().union(*found.values())
    if LATE in found:  # the other values have the bucket of a late attempt first, not that of its message
        entries = frozenset(each for each in entries if each in late or is_punctual(each))
    return _Part(entries, nearest(ends) if ends else None, order)


def _furthest(parts: Sequence[_Part]) -> _Part:
    """Return the smallest complete part; without a complete part, the one that was read furthest."""
    whole = [part for part in parts if part.last is None]
    if whole:
        return min(whole, key=lambda part: len(part.entries))
    return (min if parts[0].order is Order.DESCENDING else max)(parts, key=lambda part: part.last or "")


def is_punctual(pair: str) -> bool:
    """Return whether the attempts of a pair are in the bucket of their messages."""
    return pair[:BUCKET_WIDTH] == pair[BUCKET_WIDTH:]


async def once(found: list[str]) -> AsyncIterator[list[str]]:
    """Yield a list that is complete."""
    yield found


async def batches(found: AsyncIterator[list[str]], first: int) -> AsyncIterator[list[str]]:
    """Yield buckets or pairs in batches that share no bucket: small at first, as a few frequent ones fill the page."""
    size, kept = first, list[str]()
    async for part in found:
        kept += part
        while end := _whole_buckets(kept, size):
            yield kept[:end]
            kept, size = kept[end:], GROWTH * size
    if kept:
        yield kept


def _whole_buckets(found: Sequence[str], size: int) -> int:
    """Return the number of leading entries in whole buckets: at most `size` of them, but for those of one bucket.

    The last bucket of pairs counts as incomplete: the next statement may return more of them.
    """
    if not found or len(found[0]) == BUCKET_WIDTH:
        return min(size, len(found))
    for end in range(min(size, len(found) - 1), 0, -1):
        if found[end][:BUCKET_WIDTH] != found[end - 1][:BUCKET_WIDTH]:
            return end
    return next(
        (end for end in range(size, len(found)) if found[end][:BUCKET_WIDTH] != found[end - 1][:BUCKET_WIDTH]), 0
    )


# -----------------------------------------------------------------------------------------------------------------
# Key ranges


def bounds(window: PageWindow) -> KeyRange:
    """Return the range of ids of a page window."""
    low = max(window.first or "", "" if window.above is None else window.above + " ")
    return low, END if window.below is None else window.below


def inside(found: Iterable[str], window: PageWindow) -> list[str]:
    """Return the buckets or pairs that overlap a page window, in its order."""
    limits = _Range.of(window)
    return sorted(
        (each for each in found if limits.low <= each <= limits.high), reverse=window.order is Order.DESCENDING
    )


def key_ranges(prefix: str, found: Iterable[str], window: PageWindow) -> list[KeyRange]:
    """Return the key ranges of buckets, cut to a page window and in its order."""
    low, end = bounds(window)
    ranges = ((max(low, prefix + first), min(end, prefix + last + END)) for first, last in _runs(found))
    return [(first, end) for first, end in ranges if first < end][:: -1 if window.order is Order.DESCENDING else 1]


def _runs(found: Iterable[str]) -> Iterator[KeyRange]:
    """Yield the first and the last bucket of each run of adjacent buckets."""
    begun, last, number = "", "", 0
    for each in sorted(found):
        its_number = number_of(each)
        if begun and its_number > number + 1:
            yield begun, last
            begun = ""
        begun, last, number = begun or each, each, its_number
    if begun:
        yield begun, last


def around(prefix: str, found: Sequence[str], window: PageWindow) -> PageWindow:
    """Return a window cut to the range from the first bucket to the last; the first bucket of a pair counts."""
    first, end = prefix + min(found)[:BUCKET_WIDTH], prefix + max(found)[:BUCKET_WIDTH] + END
    return replace(window, first=max(first, window.first or ""), below=min(end, window.below or END))


# -----------------------------------------------------------------------------------------------------------------
# The pairs of time buckets in which an endpoint has attempts: the bucket of an attempt, and that of its message
#
# A list of attempts has the bucket of the attempt first in a pair; a list of attempted messages, that of the message.

_FAILURES: Final = [f"{FAILED}{digit}" for digit in range(10)]
OUTCOMES: Final = [DELIVERED, *_FAILURES]


def outcomes_of(filters: AttemptFilter) -> list[str]:
    """Return the outcomes of matching attempts as the bucket index names them; an attempt has exactly one."""
    if MessageStatus.FAIL not in filters.statuses:
        return [DELIVERED]
    if filters.code_class is not None:
        return [f"{FAILED}{filters.code_class // 100}"]
    return _FAILURES if filters.statuses == {MessageStatus.FAIL} else OUTCOMES


def groups_of(app_id: AppId, filters: MessageFilter) -> list[Group]:
    """Return the groups of values that a matching message has."""
    return [Group(app_id, names) for names in message_rows.filter_names(filters)]


_LATE: Final = Sql(
    sqlite=(
        "SELECT bucket_index.bucket FROM json_each(:buckets) AS asked CROSS JOIN bucket_index"
        f" WHERE bucket_index.owner = :owner AND bucket_index.name = '{LATE}'"
        f" AND bucket_index.bucket >= asked.value AND bucket_index.bucket <= asked.value || '{END}'"
    ),
    postgresql=(
        "SELECT late.bucket FROM unnest(CAST(:buckets AS text[])) AS asked(bucket)"
        " CROSS JOIN LATERAL (SELECT bucket_index.bucket FROM bucket_index"
        f" WHERE bucket_index.owner = :owner AND bucket_index.name = '{LATE}'"
        f" AND bucket_index.bucket >= asked.bucket AND bucket_index.bucket <= asked.bucket || '{END}' OFFSET 0) AS late"
    ),
)


async def pairs_of_messages(read: Read, endpoint_id: EndpointId, of: Sequence[str]) -> set[str]:
    """Return the pairs, message first, in which an endpoint may have attempts of the messages in some buckets."""
    rows = await read.rows(_LATE, owner=endpoint_id, buckets=of)
    return {each + each for each in of} | {row["bucket"] for row in rows}


def flipped(pair: str) -> str:
    """Return a pair with its two buckets exchanged."""
    return pair[BUCKET_WIDTH:] + pair[:BUCKET_WIDTH]


async def pair_batches(
    read: Read, endpoint: Group, messages: Sequence[Group], known: list[str] | None, window: PageWindow
) -> AsyncIterator[list[str]]:
    """Yield batches of the pairs that may have rows of a list, in its order.

    `known` are the buckets of the matching messages if they are few. Otherwise the pairs of the endpoint are compared
    with the buckets of `messages`, which are the values that a matching message has.
    """
    if known is None:
        found = stream(read, messages, window, endpoint=endpoint)
    else:
        some = await pairs_of_messages(read, EndpointId(endpoint.owner), known)
        found = once(inside(some if LATE in endpoint.values else map(flipped, some), window))
    # A bucket of filtered messages may have a single row of the page; other buckets, and few buckets, have many.
    first = read.tuning.lists.buckets * (GROWTH if messages and known is None else 1)
    async for batch in batches(found, first):
        yield batch


_EVERYTHING: Final = PageWindow(Order.ASCENDING, 0)


def parts_of(read: Read, found: Sequence[str], window: PageWindow = _EVERYTHING) -> dict[str, list[str]]:
    """Return the key ranges of pairs, attempt first, as parameters of `PARTS`, cut to a page window of attempts."""
    if read.has_one_writer:  # the index of SQLite finds attempts without bounds on their messages
        attempted = {each[:BUCKET_WIDTH] for each in found}
        parts = [(*part, "") for part in key_ranges(ATTEMPT, attempted, window)]
    else:
        parts = [
            (*part, each[BUCKET_WIDTH:])
            for each in found
            for part in key_ranges(ATTEMPT, [each[:BUCKET_WIDTH]], window)
        ]
    return {
        "firsts": [first for first, _, _ in parts],
        "ends": [end for _, end, _ in parts],
        "msg_firsts": [MESSAGE + bucket for *_, bucket in parts],
        "msg_ends": [MESSAGE + bucket + END for *_, bucket in parts],
    }


PARTS: Final = Sql(
    sqlite="json_each(:firsts) AS part",
    postgresql=(f"{spread('firsts', 'ends', 'msg_firsts', 'msg_ends')} AS part(first, stop, msg_first, msg_end)"),
)
IN_PART: Final = Sql(
    sqlite=" AND attempt.id >= part.value AND attempt.id < json_extract(:ends, '$[' || part.key || ']')",
    postgresql=(
        " AND attempt.id >= part.first AND attempt.id < part.stop"
        " AND attempt.msg_id >= part.msg_first AND attempt.msg_id < part.msg_end"
    ),
)
_MESSAGES_IN: Final = Sql(
    sqlite=(
        f"SELECT attempt.msg_id FROM {PARTS.sqlite} CROSS JOIN attempt"
        f" WHERE attempt.endpoint_id = :endpoint{{status}}{IN_PART.sqlite} LIMIT {{limit:d}}"
    ),
    postgresql=(
        f"SELECT tried.msg_id FROM {PARTS.postgresql} CROSS JOIN LATERAL (SELECT attempt.msg_id FROM attempt"
        f" WHERE attempt.endpoint_id = {hidden('endpoint')}{{status}}{IN_PART.postgresql} OFFSET 0) AS tried"
        " LIMIT {limit:d}"
    ),
)


async def messages_in(
    read: Read, endpoint_id: EndpointId, found: Sequence[str], status: MessageStatus | None
) -> set[str] | None:
    """Return the messages of the attempts in pairs, attempt first, or None if there are too many attempts.

    On SQLite the result includes messages of other buckets that were attempted in the same ones.
    """
    condition, limit = "" if status is None else f" AND attempt.status = {status:d}", read.tuning.lists.candidates
    statement = _MESSAGES_IN.format(status=condition, limit=limit + 1)
    rows = await read.rows(statement, endpoint=endpoint_id, **parts_of(read, found))
    return None if len(rows) > limit else {row["msg_id"] for row in rows}
