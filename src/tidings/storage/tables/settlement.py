# SPDX-License-Identifier: MIT
"""Bulk writes of attempts, for settlement."""

from collections.abc import Iterator, Sequence
from typing import Final

from tidings.storage.drivers.database import Sql, Table, Write
from tidings.storage.tables import bucket_index
from tidings.storage.tables.bucket_index import BucketIndexCache, Entry

AttemptRow = tuple[str, str, str, str, str, str, int, int, str, int, int, int | None, str | None]
"""The columns of `_ATTEMPT`."""

_SUCCESS: Final = Table(
    "attempt",
    (
        "msg_id",
        "id",
        "endpoint_id",
        "app_id",
        "org_id",
        "url",
        "status",
        "response_status_code",
        "response",
        "response_duration_ms",
        "trigger_type",
    ),
)
_ATTEMPT: Final = Table("attempt", (*_SUCCESS.columns, "next_at", "task_id"))
_NOTHING: Final = (None, None)
_IS_THERE: Final = "SELECT 1 FROM attempt WHERE msg_id = :msg AND id = :id"


_PAIRS: Final = "unnest($1::text[], $2::text[]) AS t(m, e)"
_OF_PAIR: Final = "msg_id = ? AND endpoint_id = ? AND status = 2"
_OF_PAIRS: Final = "msg_id = t.m AND endpoint_id = t.e AND status = 2"
_DELIVERED_LATER: Final = Sql(
    sqlite=f"UPDATE attempt SET next_at = 0 WHERE {_OF_PAIR} AND next_at IS NULL",
    postgresql=f"UPDATE attempt SET next_at = 0 FROM {_PAIRS} WHERE {_OF_PAIRS} AND next_at IS NULL",
)
_RETRIES_ENDED: Final = Sql(
    sqlite=f"UPDATE attempt SET next_at = NULL WHERE {_OF_PAIR} AND next_at > 0",
    postgresql=f"UPDATE attempt SET next_at = NULL FROM {_PAIRS} WHERE {_OF_PAIRS} AND next_at > 0",
)


async def note_delivered(tx: Write, pairs: Sequence[tuple[str, str]]) -> None:
    """Mark the failed attempts of deliveries that succeeded later, so that they no longer count as exhausted."""
    await tx.bulk(_DELIVERED_LATER, sorted(pairs))


async def end_retries(tx: Write, pairs: Sequence[tuple[str, str]]) -> None:
    """Clear the retry time of deliveries' failed attempts: no retry is scheduled any longer."""
    await tx.bulk(_RETRIES_ENDED, sorted(pairs))


_Shape = tuple[str, str, str, int, int]
"""Endpoint, bucket of the attempt, bucket of its message, status, and first digit of the status code."""


async def add_attempts(tx: Write, rows: Sequence[AttemptRow], cache: BucketIndexCache | None = None) -> None:
    """Insert attempts, and their bucket-index entries unless they are in `cache`."""
    await bucket_index.add(tx, {_shape(row) for row in rows}, _entries_of, cache)
    most = len(_SUCCESS.columns)
    if all(row[most:] == _NOTHING for row in rows):
        await tx.add(_SUCCESS, [row[:most] for row in rows])
    else:
        await tx.add(_ATTEMPT, rows)


def _shape(row: AttemptRow) -> _Shape:
    return row[2], bucket_index.bucket_of(row[1]), bucket_index.bucket_of(row[0]), row[6], row[7] // 100


def _entries_of(shape: _Shape) -> Iterator[Entry]:
    endpoint_id, made, of_message, status, digit = shape
    yield endpoint_id, bucket_index.DELIVERED if status == 0 else f"{bucket_index.FAILED}{digit}", made + of_message
    if made != of_message:
        yield endpoint_id, bucket_index.LATE + of_message, made


async def is_recorded(tx: Write, row: AttemptRow) -> bool:
    """Return whether an attempt has been added."""
    return await tx.row(_IS_THERE, msg=row[0], id=row[1]) is not None
