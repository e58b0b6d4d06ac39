# SPDX-License-Identifier: MIT
"""The bucket index: the time buckets in which a value occurs. A filtered list reads only those buckets.

A time bucket covers the 494 seconds that share the first characters of an id's timestamp. An entry records one of
three facts: an application has messages with an event type, a channel or a tag in a bucket; an endpoint has attempts
with an outcome in a bucket; messages of one bucket were attempted in another bucket.

An entry is committed with the row that it describes, or before it. The index may therefore have superfluous entries,
but it is never missing one. Each process caches the entries that it knows to be committed, so that a frequent value
costs one lookup in a set.

Writers never wait for each other's entries. On PostgreSQL two processes may write the same entry, and both rows remain.
"""

import json
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from tidings.ids import number_of
from tidings.model.page import Order, PageWindow
from tidings.storage.drivers.database import Dialect, Read, Sql, Write

Entry = tuple[str, str, str]
"""The owner (an application or an endpoint), the value and the bucket."""
Shape = TypeVar("Shape", bound=Hashable)

BUCKET_WIDTH: Final = 4
"""The number of leading characters of an id's timestamp that identify a bucket of 494 seconds."""
BUCKET_START: Final = -27
_BUCKET_END: Final = BUCKET_START + BUCKET_WIDTH
END: Final = "~"
"""Sorts after every character of an id; a blank sorts before every one."""
_CACHE_SIZE: Final = 16_384

EVENT_TYPE: Final = "e"
CHANNEL: Final = "c"
TAG: Final = "t"
DELIVERED: Final = "d"
FAILED: Final = "f"
"""Followed by the first digit of the status code. The bucket of an attempt's entry is its own and its message's."""
LATE: Final = "l"
"""Followed by the bucket of messages that were attempted in another bucket."""


def bucket_of(identifier: str) -> str:
    """Return the time bucket of an id."""
    return identifier[BUCKET_START:_BUCKET_END]


class BucketIndexCache:
    """The entries and shapes of rows that this process knows to be committed in one connection generation."""

    __slots__ = ("_entries", "_generation", "_shapes")

    def __init__(self) -> None:
        self._generation = 0
        self._shapes: set[Hashable] = set()
        self._entries: set[Entry] = set()

    def enter(self, generation: int) -> None:
        """Clear the cache for a new generation: the database may have lost its last commits."""
        if generation > self._generation:
            self._clear()
            self._generation = generation

    def _clear(self) -> None:
        self._shapes.clear()
        self._entries.clear()

    def missing_shapes(self, shapes: set[Shape]) -> set[Shape]:
        """Return the shapes of rows whose entries are not cached."""
        return shapes - self._shapes

    def missing_entries(self, entries: set[Entry]) -> set[Entry]:
        """Return the entries that are not cached."""
        return entries - self._entries

    def add(self, shapes: Iterable[Hashable], entries: Iterable[Entry], generation: int = 0) -> None:
        """Cache what a transaction committed, unless its generation has ended; clear a full cache first."""
        if generation != self._generation:
            return
        if len(self._shapes) + len(self._entries) > _CACHE_SIZE:
            self._clear()
        self._shapes.update(shapes)
        self._entries.update(entries)


_ADD: Final = Sql(
    sqlite="INSERT INTO bucket_index (owner, name, bucket) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    postgresql=(
        "INSERT INTO bucket_index (owner, name, bucket)"
        " SELECT o, n, b FROM unnest($1::text[], $2::text[], $3::text[]) AS t(o, n, b)"
        " WHERE (SELECT 1 FROM bucket_index"
        " WHERE bucket_index.owner = t.o AND bucket_index.name = t.n AND bucket_index.bucket = t.b LIMIT 1) IS NULL"
    ),
)


async def add(
    tx: Write, shapes: set[Shape], entries_of: Callable[[Shape], Iterator[Entry]], cache: BucketIndexCache | None = None
) -> None:
    """Write the entries of rows with these shapes, except for cached entries, and cache them after the commit."""
    cache = cache or BucketIndexCache()
    cache.enter(tx.generation)
    fresh = cache.missing_shapes(shapes)
    if not fresh:
        return
    entries = cache.missing_entries({entry for shape in fresh for entry in entries_of(shape)})
    if entries:
        await tx.bulk(_ADD, sorted(entries))
    tx.after_commit(lambda: cache.add(fresh, entries, tx.generation))


def channel_value(channel: str) -> str:
    """Return the index value of a channel, in the spelling of the JSON column `message.channels`."""
    return CHANNEL + json.dumps(channel)


def tag_value(tag: str) -> str:
    """Return the index value of a tag."""
    return TAG + json.dumps(tag)


# -----------------------------------------------------------------------------------------------------------------
# Reading buckets

KeyRange = tuple[str, str]
"""A range of ids: the first id (inclusive) and the end (exclusive)."""
_FIRST_BATCH: Final = 16
_LONG_BATCH: Final = 256
"""The first batch for a statement that stops at its limit: a round trip costs more than ranges it does not read."""
_OF_SEVERAL: Final = 1_024
"""The buckets read first per value if there are several values: most buckets lack one of the values."""
_MOST_ENTRIES: Final = 4_096
_BUCKETS: Final = (
    "SELECT bucket FROM bucket_index WHERE owner = :owner AND name = {name} AND bucket >= :low AND bucket <= :high"
    " ORDER BY bucket {direction} LIMIT CAST(:most AS BIGINT)"
)
BUCKETS_OF_EACH: Final = {
    Dialect.SQLITE: (
        f"SELECT value AS name, (SELECT json_group_array(bucket) FROM ({_BUCKETS})) AS buckets FROM json_each(:names)"
    ).replace("{name}", "json_each.value"),
    Dialect.POSTGRESQL: (
        f"SELECT wanted.name AS name, ARRAY({_BUCKETS}) AS buckets FROM unnest(CAST(:names AS text[])) AS wanted(name)"
    ).replace("{name}", "wanted.name"),
}


@dataclass(frozen=True, slots=True)
class _BucketSet:
    """The next buckets in which at least one of several values occurs. Buckets after `last` are unread."""

    buckets: frozenset[str]
    last: str | None
    order: Order

    def may_contain(self, some: frozenset[str]) -> frozenset[str]:
        """Return the buckets of `some` in which a value occurs, and those that are unread."""
        found = some & self.buckets
        if self.last is None:
            return found
        return found | {each for each in some - found if _is_after(each, self.last, self.order)}


def _is_after(one: str, other: str, order: Order) -> bool:
    return one < other if order is Order.DESCENDING else one > other


def bounds(window: PageWindow) -> KeyRange:
    """Return the range of ids of a page window."""
    low = max(window.first or "", "" if window.above is None else window.above + " ")
    return low, END if window.below is None else window.below


def key_ranges(prefix: str, found: Sequence[str], window: PageWindow) -> list[KeyRange]:
    """Return the key ranges of buckets (in any order), cut to a page window."""
    low, end = bounds(window)
    ranges = ((max(low, prefix + first), min(end, prefix + last + END)) for first, last in _runs(found))
    return [(first, end) for first, end in ranges if first < end]


def _runs(found: Sequence[str]) -> Iterator[KeyRange]:
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


def _limits(window: PageWindow) -> dict[str, str]:
    low, end = bounds(window)
    return {"low": bucket_of(low.rstrip()), "high": END if end == END else bucket_of(end) + END}


def inside(found: Iterable[str], window: PageWindow) -> list[str]:
    """Return the buckets that overlap a page window."""
    limits = _limits(window)
    return [each for each in found if limits["low"] <= each <= limits["high"]]


async def buckets(
    read: Read,
    owner: str,
    groups: Sequence[Sequence[str]],
    window: PageWindow,
    *,
    most: int = 0,
    scan: "BucketScan | None" = None,
) -> AsyncIterator[list[str]]:
    """Yield batches of buckets, in the list's order, that may hold rows with a value of each group.

    The first read takes `most` buckets of each value. The default suits a single frequent value: each of its buckets
    has at least one row of the page.
    """
    limits, most = _limits(window), most or (window.rows + 1 if len(groups) == 1 else _OF_SEVERAL)
    scan = scan or BucketScan()
    while True:
        common, last = await _common(read, owner, groups, window.order, limits, most)
        for part in scan.batches(common):
            yield part
        if last is None:
            return
        limits |= _after(last, window.order)
        most = min(4 * most, _MOST_ENTRIES)


async def few(
    read: Read, owner: str, groups: Sequence[Sequence[str]], window: PageWindow, *, most: int
) -> list[str] | None:
    """Return all buckets, in list order, that may hold rows with a value of each group; None for more than `most`."""
    common, last = await _common(read, owner, groups, window.order, _limits(window), most + 1)
    return common if last is None and len(common) <= most else None


async def _common(
    read: Read, owner: str, groups: Sequence[Sequence[str]], order: Order, limits: dict[str, str], most: int
) -> tuple[list[str], str | None]:
    """Return the common buckets of the next entries, and the bucket up to which they are complete (None: all are)."""
    statement = BUCKETS_OF_EACH[read.dialect].replace("{direction}", "DESC" if order is Order.DESCENDING else "ASC")
    names = [name for group in groups for name in group]
    rows = await read.rows(statement, owner=owner, names=names, most=most, **limits)
    found = {row["name"]: listed(row["buckets"]) for row in rows}
    held = [_of_group([found[name] for name in group], most, order) for group in groups]
    furthest = _furthest(held)
    common, last = furthest.buckets, furthest.last
    if last is not None:
        common = frozenset(each for each in common if not _is_after(each, last, order))
    for other in held:
        common = other.may_contain(common)
    return sorted(common, reverse=order is Order.DESCENDING), last


class BucketScan:
    """The size of the next batch of buckets: small at first, because a few dense buckets fill the page."""

    __slots__ = ("_found", "_looked", "size")

    def __init__(self, size: int = 0) -> None:
        self.size = size or _FIRST_BATCH
        self._looked = self._found = 0

    def batches(self, found: list[str]) -> Iterator[list[str]]:
        """Yield buckets in batches, each four times as large as the last unless the observed density needs fewer."""
        start = 0
        while start < len(found):
            end, self.size = start + self.size, 4 * self.size
            yield found[start:end]
            start = end

    def observe(self, looked: int, found: int, missing: int) -> None:
        """Record that `looked` buckets held `found` rows, and that the page still needs `missing` rows."""
        self._looked, self._found = self._looked + looked, self._found + found
        if self._found:
            self.size = min(self.size, max(_FIRST_BATCH, 3 * missing * self._looked // (2 * self._found)))


async def in_batches(found: list[str], window: PageWindow, scan: BucketScan | None = None) -> AsyncIterator[list[str]]:
    """Yield buckets in the list's order, in growing batches."""
    for each in (scan or BucketScan()).batches(sorted(found, reverse=window.order is Order.DESCENDING)):
        yield each


def scan_for(dialect: Dialect) -> BucketScan:
    """Return the scan for a statement that stops at its limit of rows."""
    return BucketScan(_FIRST_BATCH if dialect is Dialect.SQLITE else _LONG_BATCH)


def _after(last: str, order: Order) -> dict[str, str]:
    """Return the bound that excludes a bucket and includes the next one in list order."""
    return {"high": last[:-1] + chr(ord(last[-1]) - 1) + END} if order is Order.DESCENDING else {"low": last + " "}


def listed(stored: str | Sequence[str]) -> Sequence[str]:
    """Return a list of texts from a result column: SQLite returns it as JSON."""
    return json.loads(stored) if isinstance(stored, str) else stored


def _of_group(found: Sequence[Sequence[str]], most: int, order: Order) -> _BucketSet:
    """Merge the buckets of several values, complete up to the point to which all values have been read."""
    ends = [(min if order is Order.DESCENDING else max)(each) for each in found if len(each) >= most]
    nearest = None if not ends else max(ends) if order is Order.DESCENDING else min(ends)
    return _BucketSet(frozenset(each for one in found for each in one), nearest, order)


def _furthest(held: Sequence[_BucketSet]) -> _BucketSet:
    """Return the smallest complete set; without a complete set, the one that was read furthest."""
    whole = [each for each in held if each.last is None]
    if whole:
        return min(whole, key=lambda each: len(each.buckets))
    return (min if held[0].order is Order.DESCENDING else max)(held, key=lambda each: each.last or "")


def around(prefix: str, found: Sequence[str], window: PageWindow) -> PageWindow:
    """Return a window cut to the range from the first bucket to the last; of pairs, the attempt buckets count."""
    first, end = prefix + min(found)[:BUCKET_WIDTH], prefix + max(found)[:BUCKET_WIDTH] + END
    return replace(window, first=max(first, window.first or ""), below=min(end, window.below or END))


# -----------------------------------------------------------------------------------------------------------------
# Deleting entries

_AFTER: Final = (
    "SELECT owner, name, bucket FROM bucket_index WHERE (owner, name, bucket) > (:owner, :name, :bucket)"
    " ORDER BY owner, name, bucket LIMIT CAST(:limit AS BIGINT)"
)
_OF_OWNER: Final = (
    "SELECT owner, name, bucket FROM bucket_index WHERE owner = :owner"
    " ORDER BY name, bucket LIMIT CAST(:limit AS BIGINT)"
)
_DELETE: Final = Sql(
    sqlite="DELETE FROM bucket_index WHERE owner = ? AND name = ? AND bucket = ?",
    postgresql=(
        "DELETE FROM bucket_index USING unnest($1::text[], $2::text[], $3::text[]) AS doomed(o, n, b)"
        " WHERE bucket_index.owner = doomed.o AND bucket_index.name = doomed.n AND bucket_index.bucket = doomed.b"
    ),
)


async def after(read: Read, entry: Entry, *, limit: int) -> list[Entry]:
    """Return up to `limit` entries of all owners after `entry`, ordered by key."""
    owner, name, bucket = entry
    rows = await read.rows(_AFTER, owner=owner, name=name, bucket=bucket, limit=limit)
    return [(row["owner"], row["name"], row["bucket"]) for row in rows]


async def of_owner(read: Read, owner: str, *, limit: int) -> list[Entry]:
    """Return up to `limit` entries of an application or an endpoint."""
    rows = await read.rows(_OF_OWNER, owner=owner, limit=limit)
    return [(row["owner"], row["name"], row["bucket"]) for row in rows]


async def delete(tx: Write, found: Sequence[Entry]) -> None:
    """Delete entries, including duplicates of them."""
    await tx.bulk(_DELETE, found)
