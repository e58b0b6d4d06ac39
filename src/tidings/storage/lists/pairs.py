# SPDX-License-Identifier: MIT
"""The pairs of time buckets in which an endpoint has attempts: the bucket of an attempt, and that of its message.

A list of attempts has the bucket of the attempt first in a pair; a list of attempted messages, that of the message.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from tidings.ids import ATTEMPT, MESSAGE, AppId, EndpointId
from tidings.model.attempt import AttemptFilter, MessageStatus
from tidings.model.message import MessageFilter
from tidings.model.page import Order, PageWindow
from tidings.storage.drivers.database import Read, Sql
from tidings.storage.lists import buckets
from tidings.storage.lists.buckets import Group
from tidings.storage.tables import message_filters
from tidings.storage.tables.bucket_index import BUCKET_WIDTH, DELIVERED, END, FAILED, LATE
from tidings.storage.tables.key_ranges import hidden, spread

_FAILURES: Final = [f"{FAILED}{digit}" for digit in range(10)]
OUTCOMES: Final = [DELIVERED, *_FAILURES]


def outcomes_of(filters: AttemptFilter) -> list[str]:
    """Return the outcomes of matching attempts as the bucket index names them; an attempt has exactly one."""
    if filters.statuses == {MessageStatus.SUCCESS}:
        return [DELIVERED]
    if filters.code_class is not None:
        return [f"{FAILED}{filters.code_class // 100}"]
    return _FAILURES if filters.statuses == {MessageStatus.FAIL} else OUTCOMES


def groups_of(app_id: AppId, filters: MessageFilter) -> list[Group]:
    """Return the groups of values that a matching message has."""
    return [Group(app_id, names) for names in message_filters.names_of(filters)]


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


async def of_messages(read: Read, endpoint_id: EndpointId, of: Sequence[str]) -> set[str]:
    """Return the pairs, message first, in which an endpoint may have attempts of the messages in some buckets."""
    rows = await read.rows(_LATE, owner=endpoint_id, buckets=of)
    return {each + each for each in of} | {row["bucket"] for row in rows}


def flipped(pair: str) -> str:
    """Return a pair with its two buckets exchanged."""
    return pair[BUCKET_WIDTH:] + pair[:BUCKET_WIDTH]


async def batches(
    read: Read, endpoint: Group, messages: Sequence[Group], known: list[str] | None, window: PageWindow
) -> AsyncIterator[list[str]]:
    """Yield batches of the pairs that may have rows of a list, in its order.

    `known` are the buckets of the matching messages if they are few. Otherwise the pairs of the endpoint are compared
    with the buckets of `messages`, which are the values that a matching message has.
    """
    if known is None:
        found = buckets.stream(read, messages, window, endpoint=endpoint)
    else:
        some = await of_messages(read, EndpointId(endpoint.owner), known)
        found = buckets.once(buckets.inside(some if LATE in endpoint.values else map(flipped, some), window))
    # A bucket of filtered messages may have a single row of the page; other buckets, and few buckets, have many.
    first = read.tuning.lists.buckets * (buckets.GROWTH if messages and known is None else 1)
    async for batch in buckets.batches(found, first):
        yield batch


_EVERYTHING: Final = PageWindow(Order.ASCENDING, 0)


def parts_of(read: Read, found: Sequence[str], window: PageWindow = _EVERYTHING) -> dict[str, list[str]]:
    """Return the key ranges of pairs, attempt first, as parameters of `PARTS`, cut to a page window of attempts."""
    if read.has_one_writer:  # the index of SQLite finds attempts without bounds on their messages
        attempted = {each[:BUCKET_WIDTH] for each in found}
        parts = [(*part, "") for part in buckets.key_ranges(ATTEMPT, attempted, window)]
    else:
        parts = [
            (*part, each[BUCKET_WIDTH:])
            for each in found
            for part in buckets.key_ranges(ATTEMPT, [each[:BUCKET_WIDTH]], window)
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
