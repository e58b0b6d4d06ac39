# SPDX-License-Identifier: MIT
"""Bulk writes of attempts, for settlement."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tidings.model.attempt import DeliveryEnd
from tidings.model.delivery import Delivery
from tidings.storage.drivers.database import OneStatement, Sql, Table, Write, composed
from tidings.storage.tables import bucket_index
from tidings.storage.tables.bucket_index import BucketIndexCache, Entry
from tidings.storage.tables.intake import columns

_SUCCESS: Final = 0
_FAIL: Final = 2
_EXHAUSTED: Final = int(DeliveryEnd.EXHAUSTED)


class AttemptRow(NamedTuple):
    """An attempt to insert; the fields are the columns, in their order."""

    msg_id: str
    id: str
    endpoint_id: str
    app_id: str
    org_id: str
    url: str
    status: int
    """A value of `MessageStatus`."""
    response_status_code: int
    """0 if there was no response."""
    response: str
    response_duration_ms: int
    trigger_type: int
    """A value of `MessageAttemptTriggerType`."""
    number: int | None = 1
    """The position among the automatic attempts, from 1; None for a manual one."""
    next_at: int | None = None
    """When the next automatic attempt is due, in milliseconds since the Unix epoch."""
    ended: int | None = None
    """A value of `DeliveryEnd`, if the delivery ended after this attempt without a success."""
    task_id: str | None = None
    headers: str | None = None
    """The recorded headers, as `attempt_headers.encoded` returns them."""

    @classmethod
    def of(  # noqa: PLR0913 - one for each column that the delivery does not have
        cls,
        delivery: Delivery,
        attempt_id: str,
        *,
        delivered: bool,
        code: int,
        response: str,
        duration_ms: int,
        next_at: int | None,
    ) -> "AttemptRow":
        """Return the row of a delivery's attempt. After a failure, `next_at` is None if the delivery is exhausted."""
        to, manual = delivery.receiver, delivery.manual
        values = (
            delivery.msg_id,
            attempt_id,
            to.id,
            to.app_id,
            to.org_id,
            to.url,
            _SUCCESS if delivered else _FAIL,
            code,
            response,
            duration_ms,
            1 if manual else 0,
            None if manual else delivery.attempts + 1,
            next_at,
            None if delivered or next_at is not None else _EXHAUSTED,
            delivery.task_id,
            None,
        )
        return tuple.__new__(cls, values)  # a third of the cost of the constructor, which parses arguments in Python

    def with_headers(self, headers: str) -> "AttemptRow":
        """Return the row with its recorded headers."""
        return tuple.__new__(AttemptRow, (*self[:-1], headers))


_ALL_COLUMNS: Final = Table("attempt", AttemptRow._fields)
# Most attempts are the first of their delivery and succeed: they need only the columns without a default.
_FIRST_SUCCESS: Final = Table("attempt", AttemptRow._fields[: -len(AttemptRow._field_defaults)])
_DEFAULTS: Final = tuple(AttemptRow._field_defaults.values())
# With `id = …`, PostgreSQL could use the index of endpoints, and read all of it, while a partition seems to be empty.
_IS_THERE: Final = "SELECT 1 FROM attempt WHERE msg_id = :msg AND id || '' = :id"


WITHOUT_SUCCESS: Final = "ended > 0"
"""The condition of the index `attempt_ended`: the attempts after which a delivery ended without a success."""
# The attempts of a message at an endpoint are a range of the primary key. PostgreSQL is left no other index: it would
# compare all failed attempts with all given pairs while the statistics say that there are none. The comparison of both
# columns keeps it from the indexes of endpoints, the two expressions from the indexes with that condition.
_OF_GIVEN: Final = Sql(
    sqlite="{attempt}.msg_id = given.msg AND {attempt}.endpoint_id = given.endpoint",
    postgresql="({attempt}.msg_id, {attempt}.endpoint_id) >= (given.msg, given.endpoint)"
    " AND ({attempt}.msg_id, {attempt}.endpoint_id) <= (given.msg, given.endpoint)",
)
_UPDATE: Final = "UPDATE attempt SET ended = {end} FROM given(msg text, endpoint text) WHERE {of_given}"
_DELIVERED_LATER: Final = composed(
    f"{_UPDATE} AND coalesce(ended, 0) > 0",
    end=int(DeliveryEnd.DELIVERED_LATER),
    of_given=_OF_GIVEN.format(attempt="attempt"),
)
# The last attempts of deliveries, if they failed.
_END: Final = composed(
    f"{_UPDATE} AND status + 0 = 2 AND id = (SELECT id FROM attempt AS other WHERE {{of_given_other}}"
    " ORDER BY other.msg_id DESC, other.endpoint_id DESC, other.id DESC LIMIT 1)",
    end="{end}",
    of_given=_OF_GIVEN.format(attempt="attempt"),
    of_given_other=_OF_GIVEN.format(attempt="other"),
)
_ENDED: Final = {end: _END.format(end=int(end)) for end in (DeliveryEnd.CANCELED, DeliveryEnd.DISCARDED)}


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
    most = len(_FIRST_SUCCESS.columns)
    if all(row[most:] == _DEFAULTS for row in rows):
        await tx.add(_FIRST_SUCCESS, [row[:most] for row in rows])
    else:
        await tx.add(_ALL_COLUMNS, rows)


def _shape(row: AttemptRow) -> _Shape:
    made, of_message = bucket_index.bucket_of(row.id), bucket_index.bucket_of(row.msg_id)
    return row.endpoint_id, made, of_message, row.status, row.response_status_code // 100


def _entries_of(shape: _Shape) -> Iterator[Entry]:
    endpoint_id, made, of_message, status, digit = shape
    yield (
        endpoint_id,
        f"{bucket_index.FAILED}{digit}" if status == _FAIL else bucket_index.DELIVERED,  # or canceled: few
        made + of_message,
    )
    if made != of_message:
        yield endpoint_id, bucket_index.LATE, of_message + made


_SETTLE: Final = "SELECT settle_batch({})".format(", ".join(f"${number}" for number in range(1, 21)))


async def add_small(
    statement: OneStatement, rows: Sequence[AttemptRow], leases: Sequence[int], *, cache: BucketIndexCache
) -> None:
    """Insert successful attempts and end their deliveries in one statement.

    Raises `Declined`, and nothing is written, if a lease was lost or a manual send was requested meanwhile.
    """
    entries, remember = bucket_index.missing({_shape(row) for row in rows}, _entries_of, cache, statement.generation)
    ordered = sorted(zip(rows, leases, strict=True), key=lambda each: (each[0].msg_id, each[0].endpoint_id))
    attempts = columns([row for row, _ in ordered], len(AttemptRow._fields))
    await statement.call(_SETTLE, [lease for _, lease in ordered], *attempts, *columns(entries, 3))
    remember()


async def is_recorded(tx: Write, row: AttemptRow) -> bool:
    """Return whether an attempt has been added."""
    return await tx.row(_IS_THERE, msg=row.msg_id, id=row.id) is not None
