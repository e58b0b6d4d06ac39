# SPDX-License-Identifier: MIT
"""Expiry of payloads, in small chunks so that other writes hardly wait.

Most payloads have the default retention, so they expire in the order of their message ids, and a stored position shows
how far expiry has progressed. Payloads with a shorter retention have an expiry timestamp and an index of their own.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from tidings.core.deletion_pace import DeletionPace, pace_of
from tidings.core.tuning import CoreTuning
from tidings.ids import MESSAGE, first_at
from tidings.model.message import RETENTION_MS
from tidings.storage.drivers.database import Database
from tidings.storage.tables import messages, nodes

MARK: Final = "payloads_expired_to"

_PayloadSizes = list[tuple[str, int | None]]


async def expire(db: Database, now: int, tuning: CoreTuning = CoreTuning()) -> int:
    """Delete the expired payloads; return their number. Several nodes may run this at the same time."""
    pace = pace_of(db, tuning, tuning.expiry_chunk_rows)
    return await _expire_due(db, now, tuning, pace) + await _expire_old(db, now, tuning, pace)


async def _expire_due(db: Database, now: int, tuning: CoreTuning, pace: DeletionPace) -> int:
    """Delete expired payloads that have a retention of their own; return their number."""
    deleted = 0
    while True:
        async with db.read() as read:
            found = await messages.due(read, now, limit=tuning.expiry_rows_read)
        for chunk in _chunks(found, tuning, pace):
            await pace.run(partial(_expunge, db, pace, chunk, None))
        deleted += len(found)
        if len(found) < tuning.expiry_rows_read:
            return deleted


async def _expire_old(db: Database, now: int, tuning: CoreTuning, pace: DeletionPace) -> int:
    """Delete expired payloads with the default retention, from the stored position; return their number."""
    deleted, before = 0, first_at(MESSAGE, now - RETENTION_MS)
    async with db.read() as read:
        after = await nodes.setting(read, MARK) or ""
    while True:
        async with db.read() as read:
            found = await messages.old(read, after=after, before=before, limit=tuning.expiry_rows_read)
        with_payload = [each for each in found if each[1] is not None]
        for chunk in _chunks(with_payload, tuning, pace):
            await pace.run(partial(_expunge, db, pace, chunk, chunk[-1]))
        deleted += len(with_payload)
        if len(found) < tuning.expiry_rows_read:
            return deleted
        after = found[-1][0]


async def _expunge(db: Database, pace: DeletionPace, msg_ids: list[str], mark: str | None) -> None:
    async with db.write(background=True) as tx:
        with pace.timed():
            await messages.expunge(tx, msg_ids)
            if mark is not None:
                await nodes.advance_setting(tx, MARK, mark)


def _chunks(found: _PayloadSizes, tuning: CoreTuning, pace: DeletionPace) -> Iterator[list[str]]:
    """Yield the message ids in chunks bounded in rows and bytes, with at least one message each."""
    chunk: list[str] = []
    size = 0
    for msg_id, payload_bytes in found:
        size += payload_bytes or 0
        if chunk and (len(chunk) >= pace.rows or size > tuning.expiry_chunk_bytes):
            yield chunk
            chunk, size = [], payload_bytes or 0
        chunk.append(msg_id)
    if chunk:
        yield chunk
