# SPDX-License-Identifier: MIT
"""Retention of messages: deletes old messages with their attempts, event ids and bucket-index entries.

A message with a delivery stays, scheduled or in flight; so does one whose attempts may not be in rollups yet. Each
chunk is one background transaction, which checks for deliveries itself, so a process may die at any point and several
nodes may run this at the same time. No position is stored: the next run begins with the oldest message.

On PostgreSQL messages are deleted by whole weeks, up to a week later. The partitions of a week without deliveries are
dropped, which costs the same for any number of rows. Those of another week are emptied in chunks, and dropped once the
last delivery has ended. On SQLite the space is returned to the file system.
"""

from dataclasses import dataclass
from functools import partial
from typing import Final

from tidings.clock import DAY
from tidings.core import rollups, wiping
from tidings.core.deletion_pace import DeletionPace, pace_of
from tidings.core.tuning import CoreTuning
from tidings.failpoint import point
from tidings.ids import MESSAGE, first_at, timestamp_of
from tidings.observe import count
from tidings.storage.drivers import partitions, space
from tidings.storage.drivers.database import Database
from tidings.storage.drivers.partitions import WEEK
from tidings.storage.tables import deletion, nodes

INDEX_MARK: Final = "bucket_index_pruned_at"


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A chunk that was deleted; `after` is where the next one begins."""

    after: str
    kept: set[str]
    is_last: bool


async def delete_old(db: Database, now: int, retention_ms: int, tuning: CoreTuning = CoreTuning()) -> None:
    """Delete the messages that are older than their retention, and count them; see the counters `retention.…`."""
    async with db.read() as read:
        before = await rollups.limited_by_mark(read, now - retention_ms)
    if not db.has_one_writer:
        before -= before % WEEK
        for start in await partitions.weeks_before(db, before):
            await _delete_week(db, start, tuning)
    oldest_kept = await _delete_in_chunks(db, first_at(MESSAGE, before), tuning)
    await _delete_orphans(db, first_at(MESSAGE, before), tuning)
    await partitions.drop_empty_partitions(db, before)
    await _prune_index(db, before if oldest_kept is None else timestamp_of(oldest_kept), now, tuning)
    count("retention.bytes_returned", await return_space(db, tuning))


# -----------------------------------------------------------------------------------------------------------------
# Whole weeks


async def _delete_week(db: Database, start: int, tuning: CoreTuning) -> None:
    """Drop the partitions of a week that has no deliveries, after the event ids of its messages."""
    first, end = first_at(MESSAGE, start), first_at(MESSAGE, start + WEEK)
    async with db.read() as read:
        if await deletion.has_deliveries(read, first, end):
            return
    messages = await _delete_event_ids(db, first, end, tuning)
    point("retention.before_drop")
    if await partitions.drop_week(db, start, lambda read: deletion.has_deliveries(read, first, end)):
        count("retention.weeks_dropped")
        count("retention.messages_deleted", messages)


async def _delete_event_ids(db: Database, first: str, end: str, tuning: CoreTuning) -> int:
    """Delete the event ids of the messages with `first <= id < end`; return the number of these messages."""
    messages, after, pace = 0, first, pace_of(db, tuning, tuning.retention_week_rows)
    while True:
        async with db.read() as read:
            found = await deletion.messages_below(read, end, pace.rows, after=after)
        if not found:
            return messages
        await pace.run(partial(_delete_ids, db, pace, found))
        messages, after = messages + len(found), found[-1]


async def _delete_ids(db: Database, pace: DeletionPace, msg_ids: list[str]) -> None:
    async with db.write(background=True) as tx:
        with pace.timed():
            await deletion.delete_event_ids(tx, msg_ids)


# -----------------------------------------------------------------------------------------------------------------
# Chunks


async def _delete_in_chunks(db: Database, below: str, tuning: CoreTuning) -> str | None:
    """Delete the messages below an id that have no deliveries; return the oldest of the others."""
    after, oldest_kept, pace = "", None, pace_of(db, tuning, _most(db, tuning))
    while True:
        chunk = await pace.run(partial(_delete_chunk, db, pace, after, below, tuning))
        if chunk.kept and oldest_kept is None:
            oldest_kept = min(chunk.kept)
        if chunk.is_last:
            return oldest_kept
        after = chunk.after


async def _delete_chunk(db: Database, pace: DeletionPace, after: str, below: str, tuning: CoreTuning) -> _Chunk:
    """Delete the oldest messages after an id; of messages with many attempts, only a part of the attempts."""
    rows = pace.rows
    limit = tuning.retention_attempts_per_message * rows
    async with db.write(background=True) as tx:
        with pace.timed():
            found = await deletion.lock_oldest(tx, after=after, below=below, limit=rows)
            kept = await deletion.with_deliveries(tx, found)
            old = [each for each in found if each not in kept]
            attempts = await deletion.delete_some_attempts(tx, old, limit) if old else 0
            point("retention.after_attempts")
            is_whole = attempts < limit
            if old and is_whole:
                await deletion.delete_rows(tx, old)
        point("retention.before_commit")
    point("retention.after_commit")
    count("retention.attempts_deleted", attempts)
    if not is_whole:
        return _Chunk(after, set(), is_last=False)
    count("retention.messages_deleted", len(old))
    count("retention.messages_kept", len(kept))
    return _Chunk(found[-1] if found else after, kept, is_last=len(found) < rows)


async def _delete_orphans(db: Database, below: str, tuning: CoreTuning) -> None:
    """Delete attempts below an id whose messages are deleted: of sends that ended after the deletion."""
    after, limit, pace = "", tuning.retention_rows_shared, pace_of(db, tuning, _most(db, tuning))
    while True:
        async with db.read() as read:
            found = await deletion.attempted(read, after=after, below=below, limit=limit)
            ids = set(found) - await deletion.existing(read, sorted(set(found)))
        orphaned = sorted(ids)
        while orphaned and await pace.run(partial(_delete_attempts, db, pace, orphaned)) > 0:
            pass
        if len(found) < limit:
            return
        after = found[-1]


async def _delete_attempts(db: Database, pace: DeletionPace, msg_ids: list[str]) -> int:
    async with db.write(background=True) as tx:
        with pace.timed():
            deleted = await deletion.delete_some_attempts(tx, msg_ids, pace.rows)
    count("retention.attempts_deleted", deleted)
    return deleted


async def _prune_index(db: Database, before: int, now: int, tuning: CoreTuning) -> None:
    """Delete bucket-index entries from before a timestamp. That reads the whole index, so it runs once a day."""
    async with db.read() as read:
        last = await nodes.setting(read, INDEX_MARK)
    if last is not None and now - int(last) < DAY:
        return
    await wiping.prune_bucket_index(db, before, tuning.retention_week_rows)
    async with db.write(background=True) as tx:
        await nodes.advance_setting(tx, INDEX_MARK, str(now))


async def return_space(db: Database, tuning: CoreTuning = CoreTuning()) -> int:
    """Return free pages of a SQLite file to the file system, a few at a time; return the bytes."""
    total = 0
    pace = pace_of(db, tuning, tuning.vacuum_pages)
    while returned := await pace.run(partial(space.return_some, db, pace.rows, tuning.vacuum_reserve, pace.timed)):
        total += returned
    return total


def _most(db: Database, tuning: CoreTuning) -> int:
    return tuning.retention_rows if db.has_one_writer else tuning.retention_rows_shared
