# SPDX-License-Identifier: MIT
"""The time buckets of an endpoint's attempts, each paired with the time bucket of the attempted messages.

The bucket index stores a pair as one text: the bucket of the attempts, followed by the bucket of their messages.
"""

from collections.abc import AsyncIterator, Sequence
from itertools import groupby
from typing import Final

from tidings.ids import ATTEMPT, MESSAGE, EndpointId, number_of, timestamp_of
from tidings.model.attempt import MessageStatus
from tidings.model.page import Order, PageWindow
from tidings.storage.drivers.database import Dialect, Read, Sql
from tidings.storage.tables.bucket_index import (
    BUCKET_START,
    BUCKET_WIDTH,
    BUCKETS_OF_EACH,
    END,
    LATE,
    around,
    key_ranges,
    listed,
)
from tidings.storage.tables.page_window import hidden, spread

_LATE: Final = Sql(
    sqlite=(
        "SELECT bucket_index.bucket || given.value AS pair FROM json_each(:buckets) AS given CROSS JOIN bucket_index"
        f" WHERE bucket_index.owner = :owner AND bucket_index.name = '{LATE}' || given.value"
    ),
    postgresql=(
        "SELECT made.bucket || given.bucket AS pair FROM unnest(CAST(:buckets AS text[])) AS given(bucket)"
        " CROSS JOIN LATERAL (SELECT bucket_index.bucket FROM bucket_index"
        f" WHERE bucket_index.owner = :owner AND bucket_index.name = '{LATE}' || given.bucket OFFSET 0) AS made"
    ),
)


_ALL_LATE: Final = (
    f"SELECT bucket, name FROM bucket_index WHERE owner = :owner AND name >= '{LATE}' AND name < '{chr(ord(LATE) + 1)}'"
    " LIMIT CAST(:most AS BIGINT)"
)
_LATE_MAX: Final = 256


async def late_pairs(read: Read, endpoint_id: str, of_messages: Sequence[str]) -> list[str]:
    """Return the pairs of an endpoint in which the attempts have another bucket than their messages."""
    if len(of_messages) > _LATE_MAX:  # most endpoints have fewer late entries in total
        rows = await read.rows(_ALL_LATE, owner=endpoint_id, most=_LATE_MAX + 1)
        if len(rows) <= _LATE_MAX:
            message_buckets = set(of_messages)
            pairs = ((row["bucket"], row["name"].removeprefix(LATE)) for row in rows)
            return sorted({tried + made for tried, made in pairs if made in message_buckets})
    rows = await read.rows(_LATE, owner=endpoint_id, buckets=of_messages)
    return sorted({row["pair"] for row in rows})


async def regrouped(batches: AsyncIterator[list[str]]) -> AsyncIterator[list[str]]:
    """Regroup batches so that no attempt bucket spans two of them, and the rows of a batch can be sorted."""
    kept: list[str] = []
    async for batch in batches:
        pairs = kept + batch
        kept = [each for each in pairs if each[:BUCKET_WIDTH] == pairs[-1][:BUCKET_WIDTH]]
        if len(kept) < len(pairs):
            yield pairs[: len(pairs) - len(kept)]
    if kept:
        yield kept


async def newest_pairs(
    read: Read, endpoint_id: str, names: Sequence[str], *, most: int
) -> tuple[list[str], str | None]:
    """Return the newest pairs of outcomes, newest first, and the pair up to which they are complete.

    That pair is None if the endpoint has no older pairs.
    """
    statement = BUCKETS_OF_EACH[read.dialect].replace("{direction}", "DESC")
    rows = await read.rows(statement, owner=endpoint_id, names=names, most=most + 1, low="", high=END)
    found = [listed(row["buckets"]) for row in rows]
    last = max((min(each) for each in found if len(each) > most), default=None)
    return sorted({pair for each in found for pair in each}, reverse=True), last


def message_bucket(pair: str) -> str:
    """Return the message bucket of a pair."""
    return pair[BUCKET_WIDTH:]


def end_of(pair: str) -> int:
    """Return the timestamp at which the attempt bucket of a pair ends."""
    return timestamp_of(ATTEMPT + pair[:BUCKET_WIDTH].ljust(-BUCKET_START, "z"))


async def by_attempt_bucket(pairs: Sequence[str]) -> AsyncIterator[list[str]]:
    """Yield sorted pairs in batches of one attempt bucket each."""
    for _, mine in groupby(pairs, lambda each: each[:BUCKET_WIDTH]):
        yield list(mine)


def parts_of(dialect: Dialect, pairs: Sequence[str], window: PageWindow) -> dict[str, list[str]]:
    """Return the key ranges of pairs as statement parameters, cut to a page window of attempts."""
    if dialect is Dialect.SQLITE:  # its index finds attempts without bounds on their messages
        parts = [(*part, "") for part in key_ranges(ATTEMPT, list({each[:BUCKET_WIDTH] for each in pairs}), window)]
    else:
        parts = [
            (*part, message_bucket(each))
            for each in pairs
            for part in key_ranges(ATTEMPT, [each[:BUCKET_WIDTH]], window)
        ]
    return {
        "firsts": [first for first, _, _ in parts],
        "ends": [end for _, end, _ in parts],
        "msg_firsts": [MESSAGE + bucket for *_, bucket in parts],
        "msg_ends": [MESSAGE + bucket + END for *_, bucket in parts],
    }


def are_dense(pairs: Sequence[str]) -> bool:
    """Return whether at least half of the buckets between the oldest pair and the newest have an attempt."""
    tried = {number_of(each[:BUCKET_WIDTH]) for each in pairs}
    return max(tried) - min(tried) < 2 * len(tried)


READ_SINGLY_MAX: Final = 48
"""With fewer pairs, each pair is read by its own key range; with more, one scan of the whole range is tried first."""
_MESSAGES_BETWEEN: Final = {
    dialect: f"SELECT msg_id FROM attempt WHERE endpoint_id = {endpoint}{{status}} AND id >= :first AND id < :below"
    " LIMIT CAST(:most AS BIGINT)"
    for dialect, endpoint in ((Dialect.SQLITE, ":endpoint"), (Dialect.POSTGRESQL, hidden("endpoint")))
}
_MESSAGES_IN: Final = {
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
_EVERYTHING: Final = PageWindow(Order.ASCENDING, 0)


async def messages_in(
    read: Read, endpoint_id: EndpointId, pairs: list[str], status: MessageStatus | None, *, most: int
) -> set[str] | None:
    """Return the messages of attempts in pairs, or None for more than the limit.

    The result may include messages of attempts between the pairs.
    """
    if len(pairs) >= READ_SINGLY_MAX:
        found = await messages_between(read, endpoint_id, pairs, status, most=most)
        if found is not None:
            return found
    text = f"{_MESSAGES_IN[read.dialect].replace('{status}', _status_condition(status))} LIMIT {most + 1:d}"
    rows = await read.rows(text, endpoint=endpoint_id, **parts_of(read.dialect, pairs, _EVERYTHING))
    return None if len(rows) > most else {row["msg_id"] for row in rows}


async def messages_between(
    read: Read, endpoint_id: EndpointId, pairs: list[str], status: MessageStatus | None, *, most: int
) -> set[str] | None:
    """Return the messages of all attempts from the first pair to the last, or None for more than three per pair.

    Up to that number, one scan of the range is faster than a probe per pair. Failures have a partial index, so a scan
    for failures reads nothing else. A scan for another status reads all attempts: that status may be rare among them,
    and a condition on it would not bound the rows that the scan reads.
    """
    span, limit = around(ATTEMPT, pairs, _EVERYTHING), min(3 * len(pairs), most)
    condition = _status_condition(status) if status is MessageStatus.FAIL else ""
    text = _MESSAGES_BETWEEN[read.dialect].replace("{status}", condition)
    rows = await read.rows(text, endpoint=endpoint_id, first=span.first, below=span.below, most=limit + 1)
    return None if len(rows) > limit else {row["msg_id"] for row in rows}


def _status_condition(status: MessageStatus | None) -> str:
    return "" if status is None else f" AND attempt.status = {status:d}"
