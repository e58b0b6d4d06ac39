# SPDX-License-Identifier: MIT
"""The end of payloads that were kept long enough: a few at a time, so that whoever writes meanwhile hardly waits.

Most payloads are kept as long as any, so these end in the order of their messages' ids: a mark says how far that has
come. The others have a timestamp of their own, and an index that holds only them.
"""

import asyncio
from collections.abc import Iterator
from typing import Final

from tidings.ids import MESSAGE, first_at
from tidings.model.message import RETENTION_MS
from tidings.storage import messages, settings
from tidings.storage.database import Database, retried

READ_ROWS: Final = 500
CHUNK_ROWS: Final = 64
CHUNK_BYTES: Final = 256 * 1024
"""Deleting a payload costs what it weighs: SQLite visits each of its pages."""
MARK: Final = "payloads_expired_to"

Sized = list[tuple[str, int | None]]


async def expire(db: Database, now: int) -> int:
    """Delete the payloads whose time is over; return how many. May run on any number of nodes at once."""
    return await _expire_due(db, now) + await _expire_old(db, now)


async def _expire_due(db: Database, now: int) -> int:
    """Delete payloads whose senders said how long they are kept."""
    gone = 0
    while True:
        async with db.read() as read:
            found = await messages.due(read, now, limit=READ_ROWS)
        for chunk in _chunks(found):
            await _expunge(db, chunk, None)
        gone += len(found)
        if len(found) < READ_ROWS:
            return gone


async def _expire_old(db: Database, now: int) -> int:
    """Delete payloads that are kept as long as any, from where the last time ended."""
    gone, before = 0, first_at(MESSAGE, now - RETENTION_MS)
    async with db.read() as read:
        after = await settings.find(read, MARK) or ""
    while True:
        async with db.read() as read:
            found = await messages.old(read, after=after, before=before, limit=READ_ROWS)
        kept = [each for each in found if each[1] is not None]
        for chunk in _chunks(kept):
            await _expunge(db, chunk, chunk[-1])
        gone += len(kept)
        if len(found) < READ_ROWS:
            return gone
        after = found[-1][0]


async def _expunge(db: Database, msg_ids: list[str], mark: str | None) -> None:
    async def work() -> None:
        async with db.write(background=True) as tx:
            await messages.expunge(tx, msg_ids)
            if mark is not None:
                await settings.advance(tx, MARK, mark)

    await retried(work)
    await asyncio.sleep(0)  # whoever waits for the writer comes first


def _chunks(found: Sized) -> Iterator[list[str]]:
    """Yield messages in groups of few rows and few bytes, of one message at least."""
    chunk: list[str] = []
    size = 0
    for msg_id, weight in found:
        if chunk and (len(chunk) == CHUNK_ROWS or size + (weight or 0) > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(msg_id)
        size += weight or 0
    if chunk:
        yield chunk
