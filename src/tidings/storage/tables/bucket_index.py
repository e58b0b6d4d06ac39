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
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Final, TypeVar

from tidings.storage.drivers.database import Read, Sql, Write

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
"""The number of shapes and entries that a process caches: some megabytes."""

EVENT_TYPE: Final = "e"
CHANNEL: Final = "c"
TAG: Final = "t"
DELIVERED: Final = "d"
FAILED: Final = "f"
"""Followed by the first digit of the status code. The bucket of an attempt's entry is its own and its message's."""
LATE: Final = "l"
"""The bucket of an entry is that of messages, followed by another one in which they were attempted."""


def bucket_of(identifier: str) -> str:
    """Return the time bucket of an id."""
    return identifier[BUCKET_START:_BUCKET_END]


class BucketIndexCache:
    """The entries and shapes of rows that this process knows to be committed in one connection generation."""

    __slots__ = ("_entries", "_generation", "_shapes", "_size")

    def __init__(self, size: int = _CACHE_SIZE) -> None:
        self._size = size
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
        if len(self._shapes) + len(self._entries) > self._size:
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
    entries, remember = missing(shapes, entries_of, cache, tx.generation)
    if entries:
        await tx.bulk(_ADD, entries)
    tx.after_commit(remember)


def missing(
    shapes: set[Shape], entries_of: Callable[[Shape], Iterator[Entry]], cache: BucketIndexCache, generation: int
) -> tuple[list[Entry], Callable[[], None]]:
    """Return the entries of rows that are not cached, in key order, and a call that caches them after the commit."""
    cache.enter(generation)
    fresh = cache.missing_shapes(shapes)
    entries = cache.missing_entries({entry for shape in fresh for entry in entries_of(shape)}) if fresh else set()
    return sorted(entries), lambda: cache.add(fresh, entries, generation)


def channel_value(channel: str) -> str:
    """Return the index value of a channel, in the spelling of the JSON column `message.channels`."""
    return CHANNEL + json.dumps(channel)


def tag_value(tag: str) -> str:
    """Return the index value of a tag."""
    return TAG + json.dumps(tag)


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
_DELETE: Final = (
    "DELETE FROM bucket_index USING given(owner text, name text, bucket text)"
    " WHERE found_by(bucket_index.owner, given.owner) AND bucket_index.name = given.name"
    " AND bucket_index.bucket = given.bucket"
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
