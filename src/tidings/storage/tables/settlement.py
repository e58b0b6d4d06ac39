# SPDX-License-Identifier: MIT
"""Bulk writes of attempts, for settlement."""

from collections.abc import Iterator, Sequence
from typing import Final

from tidings.model.attempt import DeliveryEnd
from tidings.storage.drivers.database import Sql, Table, Write
from tidings.storage.tables import bucket_index
from tidings.storage.tables.bucket_index import BucketIndexCache, Entry

AttemptRow = tuple[
    str, str, str, str, str, str, int, int, str, int, int, int | None, int | None, int | None, str | None
]
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
_ATTEMPT: Final = Table("attempt", (*_SUCCESS.columns, "number", "next_at", "ended", "task_id"))
_DEFAULTS: Final = (1, None, None, None)
_IS_THERE: Final = "SELECT 1 FROM attempt WHERE msg_id = :msg AND id = :id"


_PAIRS: Final = "unnest($1::text[], $2::text[]) AS t(m, e)"
WITHOUT_SUCCESS: Final = "ended > 0"
"""The condition of the index `attempt_ended`: the attempts after which a delivery ended without a success."""
_LATER: Final = f"UPDATE attempt SET ended = {DeliveryEnd.DELIVERED_LATER:d}"
_DELIVERED_LATER: Final = Sql(
    sqlite=f"{_LATER} WHERE msg_id = ? AND endpoint_id = ? AND {WITHOUT_SUCCESS}",
    postgresql=f"{_LATER} FROM {_PAIRS} WHERE msg_id = t.m AND endpoint_id = t.e AND {WITHOUT_SUCCESS}",
)


def _ended(end: DeliveryEnd) -> Sql:
    """Return the statement that marks the last attempts of deliveries, if they failed."""
    change = f"UPDATE attempt SET ended = {end:d}"
    last = "status = 2 AND id = (SELECT max(id) FROM attempt AS other WHERE"
    return Sql(
        sqlite=(
            f"{change} WHERE msg_id = ?1 AND endpoint_id = ?2 AND {last} other.msg_id = ?1 AND other.endpoint_id = ?2)"
        ),
        postgresql=(
            f"{change} FROM {_PAIRS} WHERE msg_id = t.m AND endpoint_id = t.e"
            f" AND {last} other.msg_id = t.m AND other.endpoint_id = t.e)"
        ),
    )


_ENDED: Final = {end: _ended(end) for end in (DeliveryEnd.CANCELED, DeliveryEnd.DISCARDED)}


async def note_delivered(tx: Write, pairs: Sequence[tuple[str, str]]) -> None:
    """Mark the failed attempts after which deliveries had ended: a manual send has succeeded."""
    await tx.bulk(_DELIVERED_LATER, sorted(pairs))


async def note_ended(tx: Write, pairs: Sequence[tuple[str, str]], end: DeliveryEnd) -> None:
    """Mark the last attempts of deliveries that are canceled or discarded, as (message, endpoint)."""
    await tx.bulk(_ENDED[end], sorted(pairs))


_Shape = tuple[str, str, str, int, int]
"""Endpoint, bucket of the attempt, bucket of its message, status, and first digit of the status code."""


async def add_attempts(tx: Write, rows: Sequence[AttemptRow], cache: BucketIndexCache | None = None) -> None:
    """Insert attempts, and their bucket-index entries unless they are in `cache`."""
    await bucket_index.add(tx, {_shape(row) for row in rows}, _entries_of, cache)
    most = len(_SUCCESS.columns)
    if all(row[most:] == _DEFAULTS for row in rows):
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
