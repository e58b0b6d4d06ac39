# SPDX-License-Identifier: MIT
"""Queries for attempts, and the expunging of a response. `settlement` writes attempts.

Filters by message (event type, channel, tag) need a second table. The list has three strategies:

- If few messages match, the query looks up the attempts of each.
- If many of the newest messages match, the query scans the endpoint's attempts in order until the page is full.
- Otherwise it reads only the time buckets that may have a match.

A filter by attempt outcome also uses time buckets, because an outcome may be rare at an endpoint.
"""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Final

from tidings.clock import DAY, HOUR
from tidings.ids import ATTEMPT, MESSAGE, AppId, AttemptId, EndpointId, MessageId, first_at, timestamp_of
from tidings.model.attempt import Attempt, AttemptFilter, MessageAttemptTriggerType, MessageStatus, StatusCodeClass
from tidings.model.page import Order, PageWindow
from tidings.storage.drivers.database import Dialect, Read, Row, Write
from tidings.storage.lists import attempt_buckets
from tidings.storage.tables import bucket_index, message_filters, messages
from tidings.storage.tables.page_window import bounds_of, end_of, hidden, spread

_COLUMNS: Final = (
    "attempt.id, attempt.msg_id, attempt.endpoint_id, attempt.app_id, attempt.org_id, attempt.url, attempt.status,"
    " attempt.trigger_type, attempt.response, attempt.response_status_code, attempt.response_duration_ms"
)
_GET: Final = f"SELECT {_COLUMNS} FROM attempt WHERE msg_id = :msg AND id = :id AND app_id = :app"
_CODES: Final = " AND attempt.response_status_code >= :code_from AND attempt.response_status_code < :code_to"
_OF_ENDPOINT: Final = "FROM attempt WHERE attempt.endpoint_id = :endpoint"
_OF_MESSAGE: Final = "FROM attempt WHERE attempt.msg_id = :msg"
_SCANNED: Final = {
    Dialect.SQLITE: (
        "FROM attempt CROSS JOIN message WHERE message.id = attempt.msg_id AND attempt.endpoint_id = :endpoint"
    ),
    Dialect.POSTGRESQL: (
        "FROM attempt CROSS JOIN LATERAL (SELECT event_type, channels, tags FROM message AS m"
        " WHERE m.id = attempt.msg_id OFFSET 0) AS message WHERE attempt.endpoint_id = :endpoint"
    ),
}
# One probe per message: the primary key keeps the attempts of a message at one endpoint together.
_GATHERED: Final = {
    Dialect.SQLITE: (
        "FROM json_each(:msgs) AS given CROSS JOIN attempt"
        " WHERE attempt.msg_id = given.value AND attempt.endpoint_id = :endpoint"
    ),
    Dialect.POSTGRESQL: (
        f"FROM {spread('msgs')} AS given(id) CROSS JOIN LATERAL (SELECT {{columns}} FROM attempt AS a"
        f" WHERE a.msg_id = given.id AND a.endpoint_id = {hidden('endpoint')} OFFSET 0) AS attempt WHERE TRUE"
    ),
}
# Each part is one bucket of attempts. On PostgreSQL the bucket of the messages also selects the partition.
_IN_PART: Final = {
    Dialect.SQLITE: (
        f"SELECT {_COLUMNS} FROM json_each(:firsts) AS part CROSS JOIN json_each((SELECT json_group_array(found)"
        " FROM (SELECT attempt.rowid AS found {source}{conditions} AND attempt.id >= part.value"
        " AND attempt.id < json_extract(:ends, '$[' || part.key || ']')"
        " ORDER BY attempt.id {direction} LIMIT {rows:d}))) AS given CROSS JOIN attempt"
        " WHERE attempt.rowid = given.value"
    ),
    Dialect.POSTGRESQL: (
        f"SELECT {_COLUMNS} FROM {spread('firsts', 'ends', 'msg_firsts', 'msg_ends')}"
        " AS part(first, stop, msg_first, msg_end)"
        " CROSS JOIN LATERAL (SELECT attempt.* {source}{conditions}"
        " AND attempt.id >= part.first AND attempt.id < part.stop"
        " AND attempt.msg_id >= part.msg_first AND attempt.msg_id < part.msg_end"
        " ORDER BY attempt.id {direction} LIMIT {rows:d}) AS attempt"
    ),
}
_ANY_ENDPOINT: Final = {Dialect.SQLITE: ":endpoint", Dialect.POSTGRESQL: hidden("endpoint")}


def _of_part(source: dict[Dialect, str]) -> dict[Dialect, str]:
    """Return the statements that read parts from a source of attempts."""
    return {
        dialect: _IN_PART[dialect].replace("{source}", text.replace(":endpoint", _ANY_ENDPOINT[dialect]))
        for dialect, text in source.items()
    }


_OF_PART: Final = _of_part(dict.fromkeys(Dialect, _OF_ENDPOINT))
_SCANNED_PART: Final = _of_part(_SCANNED)
_BUCKETS_MAX: Final = 4_000
_MESSAGES_MAX: Final = 300
_PAIRS_MAX: Final = 512
_FULL_ROWS_MAX: Final = 200
_BATCH: Final = 128
_SPARSE_MAX: Final = 1_000
LATEST_MS: Final = 92 * DAY
"""The longest time from a message to its last attempt: payload retention, a day of deferral, and clock skew."""


async def find(read: Read, app_id: AppId, msg_id: MessageId, attempt_id: str) -> Attempt | None:
    """Return an attempt of a message in an application, or None."""
    row = await read.row(_GET, app=app_id, msg=msg_id, id=attempt_id)
    return None if row is None else _attempt(row)


async def page_of_message(read: Read, msg_id: MessageId, window: PageWindow, filters: AttemptFilter) -> list[Attempt]:
    """Return a page of the attempts of a message, ordered by id. The message filters do not apply."""
    endpoint = "" if filters.endpoint_id is None else " AND attempt.endpoint_id = :endpoint"
    source = f"{_OF_MESSAGE}{endpoint}{_conditions(filters)}"
    return await _page(read, source, window, filters, msg=msg_id, endpoint=filters.endpoint_id)


async def page_of_endpoint(
    read: Read, app_id: AppId, endpoint_id: EndpointId, window: PageWindow, filters: AttemptFilter
) -> list[Attempt]:
    """Return a page of the attempts at an endpoint, ordered by id."""
    if not filters.statuses:
        return []
    if filters.message.is_empty:
        outcome = outcome_values(filters)
        if len(outcome) != 1:
            return await _page(read, f"{_OF_ENDPOINT}{_conditions(filters)}", window, filters, endpoint=endpoint_id)
        return await _page_in_pairs(
            read, endpoint_id, bucket_index.buckets(read, endpoint_id, [outcome], window), window, filters
        )
    part = _of_messages(window)
    buckets = await messages.few_buckets(read, app_id, part, filters.message)
    if buckets is not None:
        few = await messages.few_in(read, app_id, buckets, part, filters.message)
        if few is not None:
            return await _page_by_message(read, endpoint_id, few, window, filters)
    search = _Search(app_id, filters)
    return await _page_with_messages(
        read, endpoint_id, await _candidate_pairs(read, endpoint_id, buckets, window, search), window, search
    )


@dataclass(slots=True)
class _Search:
    """The filters of a search, and its observations of the data."""

    app_id: AppId
    filters: AttemptFilter
    scan: bucket_index.BucketScan = field(default_factory=bucket_index.BucketScan)
    may_be_sparse: bool = True
    """Whether the endpoint may have few attempts for the time that they span."""


async def _candidate_pairs(
    read: Read, endpoint_id: EndpointId, buckets: list[str] | None, window: PageWindow, search: _Search
) -> AsyncIterator[list[str]]:
    """Return the pairs that may have attempts of matching messages; `buckets` are those of the messages, if few."""
    outcome, filters = outcome_values(search.filters), search.filters.message
    if buckets is None:
        is_filtered = len(outcome) < len(_OUTCOMES)
        pairs = await bucket_index.few(read, endpoint_id, [outcome], window, most=_PAIRS_MAX) if is_filtered else None
        if pairs is not None:
            search.scan.size = _BATCH
            return bucket_index.in_batches(pairs, window, search.scan)
        part = _of_messages(window)
        if not await messages.are_matches_dense(read, search.app_id, part, filters):
            names = message_filters.names_of(filters)
            buckets = await bucket_index.few(read, search.app_id, names, part, most=_BUCKETS_MAX)
    if buckets is None:
        search.scan.size = _BATCH
        return bucket_index.buckets(read, endpoint_id, [outcome], window, most=_BATCH, scan=search.scan)
    late = await attempt_buckets.late_pairs(read, endpoint_id, buckets)
    return bucket_index.in_batches([each + each for each in buckets] + late, window, search.scan)


_FAILURES: Final = [f"{bucket_index.FAILED}{digit}" for digit in range(10)]
_OUTCOMES: Final = [bucket_index.DELIVERED, *_FAILURES]


def outcome_values(filters: AttemptFilter) -> list[str]:
    """Return the outcomes of matching attempts as the bucket index names them; an attempt has exactly one."""
    if filters.statuses == {MessageStatus.SUCCESS}:
        return [bucket_index.DELIVERED]
    if filters.code_class is not None:
        return [f"{bucket_index.FAILED}{filters.code_class // 100}"]
    return _FAILURES if filters.statuses == {MessageStatus.FAIL} else _OUTCOMES


def _of_messages(window: PageWindow) -> PageWindow:
    """Return the window of messages to which the attempts of a window can belong."""
    lowest = max(filter(None, (window.first, window.above)), default=None)
    first = None if lowest is None else first_at(MESSAGE, timestamp_of(lowest) - LATEST_MS)
    below = None if window.below is None else first_at(MESSAGE, timestamp_of(window.below) + HOUR)
    return replace(window, first=first, above=None, below=below)


async def _page_in_pairs(
    read: Read, endpoint_id: EndpointId, batches: AsyncIterator[list[str]], window: PageWindow, filters: AttemptFilter
) -> list[Attempt]:
    """Return a page of the attempts at an endpoint, read from pairs of buckets."""
    found: list[Row] = []
    async for pairs in attempt_buckets.regrouped(batches):
        found += await _read_pairs(read, endpoint_id, pairs, window, filters)
        if len(found) >= window.rows:
            break
    return [_attempt(row) for row in found[: window.rows]]


async def _page_with_messages(
    read: Read, endpoint_id: EndpointId, batches: AsyncIterator[list[str]], window: PageWindow, search: _Search
) -> list[Attempt]:
    """Return a page of the attempts with matching messages, read from pairs of buckets.

    An index finds the matching messages. If too many match, a few attempts fill the page, so the query scans the
    attempts and checks the message of each.
    """
    found: list[Attempt] = []
    async for pairs in attempt_buckets.regrouped(batches):
        before = len(found)
        msgs = await _messages_in(read, endpoint_id, pairs, search)
        if msgs is None:
            found += await _page_in_pairs(
                read, endpoint_id, attempt_buckets.by_attempt_bucket(pairs), window, search.filters
            )
        elif msgs:
            found += await _page_by_message(
                read, endpoint_id, msgs, bucket_index.around(ATTEMPT, pairs, window), search.filters
            )
        if len(found) >= window.rows:
            break
        search.scan.observe(len(pairs), len(found) - before, window.rows - len(found))
    return found[: window.rows]


async def _messages_in(read: Read, endpoint_id: EndpointId, pairs: list[str], search: _Search) -> list[str] | None:
    """Return matching messages, including those of all attempts in pairs, or None if they are too many.

    For an endpoint with sparse attempts the query reads those; otherwise it reads the messages of the application.
    """
    if search.may_be_sparse and len(pairs) >= attempt_buckets.READ_SINGLY_MAX and not attempt_buckets.are_dense(pairs):
        outcome = MessageStatus.FAIL if search.filters.statuses == {MessageStatus.FAIL} else None
        tried = await attempt_buckets.messages_between(read, endpoint_id, pairs, outcome, most=_SPARSE_MAX)
        if tried is not None:
            return sorted(await messages.matching(read, sorted(tried), search.filters.message))
        search.may_be_sparse = False
    of_messages = list({attempt_buckets.message_bucket(each) for each in pairs})
    return await messages.all_in(read, search.app_id, of_messages, search.filters.message, most=_MESSAGES_MAX)


async def _read_pairs(
    read: Read, endpoint_id: EndpointId, pairs: list[str], window: PageWindow, filters: AttemptFilter
) -> list[Row]:
    parts = attempt_buckets.parts_of(read.dialect, pairs, window)
    if not parts["firsts"]:
        return []
    conditions = f"{_conditions(filters)}{message_filters.conditions(read.dialect, filters.message)}"
    source = (_OF_PART if filters.message.is_empty else _SCANNED_PART)[read.dialect]
    rows = await read.rows(
        source.format(conditions=conditions, direction=window.direction, rows=window.rows),
        endpoint=endpoint_id,
        **parts,
        **_codes_of(filters),
        **message_filters.values_of(filters.message),
    )
    return sorted(rows, key=lambda row: str(row["id"]), reverse=window.order is Order.DESCENDING)


async def _page_by_message(
    read: Read, endpoint_id: EndpointId, msgs: list[str], window: PageWindow, filters: AttemptFilter
) -> list[Attempt]:
    """Return a page of the attempts of messages at an endpoint, selected in an index where possible."""
    conditions = _conditions(filters)
    # For a few messages, reading full rows beyond the page is faster than opening the partitions a second time.
    is_whole = read.dialect is Dialect.POSTGRESQL and len(msgs) <= _FULL_ROWS_MAX
    inner = "*" if conditions or is_whole else "a.msg_id, a.id"
    source = _GATHERED[read.dialect].replace("{columns}", inner) + conditions
    outer = _COLUMNS if is_whole else "attempt.msg_id, attempt.id"
    found = await read.rows(
        f"SELECT {outer} {source}{end_of(window, 'attempt.id', is_row_expensive=True)}",
        endpoint=endpoint_id,
        msgs=msgs,
        **_codes_of(filters),
        **bounds_of(window),
    )
    if is_whole:
        return [_attempt(row) for row in found]
    source = _GATHERED[read.dialect].replace("{columns}", "*")
    full = await read.rows(
        f"SELECT {_COLUMNS} {source}", endpoint=endpoint_id, msgs=sorted({row["msg_id"] for row in found})
    )
    by_id = {row["id"]: row for row in full}
    return [_attempt(by_id[row["id"]]) for row in found if row["id"] in by_id]


async def _page(
    read: Read, source: str, window: PageWindow, filters: AttemptFilter, **values: str | None
) -> list[Attempt]:
    rows = await read.rows(
        f"SELECT {_COLUMNS} {source}{end_of(window, 'attempt.id', is_row_expensive=not filters.message.is_empty)}",
        **_codes_of(filters),
        **message_filters.values_of(filters.message),
        **values,
        **bounds_of(window),
    )
    return [_attempt(row) for row in rows]


def _conditions(filters: AttemptFilter) -> str:
    # The status is part of the text, not a parameter: only then can a query for failures use the partial index.
    codes = "" if filters.code_class in (None, StatusCodeClass.CODE_2XX) else _CODES
    match sorted(filters.statuses):
        case []:
            return " AND FALSE"
        case [status]:
            return f" AND attempt.status = {status:d}{codes}"
        case _:
            return codes


def _codes_of(filters: AttemptFilter) -> dict[str, int]:
    codes = range(0) if filters.code_class is None else filters.code_class.codes
    return {"code_from": codes.start, "code_to": codes.stop}


_IN_PARTS: Final = {
    Dialect.SQLITE: (
        "SELECT 1 FROM json_each(:firsts) AS part CROSS JOIN attempt WHERE attempt.endpoint_id = :endpoint{conditions}"
        " AND attempt.id >= part.value AND attempt.id < json_extract(:ends, '$[' || part.key || ']')"
    ),
    Dialect.POSTGRESQL: (
        f"SELECT 1 FROM {spread('firsts', 'ends', 'msg_firsts', 'msg_ends')}"
        " AS part(first, stop, msg_first, msg_end)"
        f" CROSS JOIN LATERAL (SELECT 1 FROM attempt WHERE attempt.endpoint_id = {hidden('endpoint')}{{conditions}}"
        " AND attempt.id >= part.first AND attempt.id < part.stop"
        " AND attempt.msg_id >= part.msg_first AND attempt.msg_id < part.msg_end OFFSET 0) AS found"
    ),
}


async def count(read: Read, endpoint_id: EndpointId, window: PageWindow, filters: AttemptFilter, *, limit: int) -> int:
    """Count the attempts at an endpoint in a window. The query reads at most `limit` attempts.

    An outcome that is rare at the endpoint is counted in its time buckets.
    """
    window, outcome = replace(window, rows=limit), outcome_values(filters)
    if filters.message.is_empty and filters.statuses and len(outcome) < len(_OUTCOMES):
        pairs = await bucket_index.few(read, endpoint_id, [outcome], window, most=_PAIRS_MAX)
        if pairs is not None:
            return await _count_in_pairs(read, endpoint_id, pairs, window, filters)
    if filters.message.is_empty:
        found = f"SELECT attempt.id {_OF_ENDPOINT}{_conditions(filters)}{end_of(window, 'attempt.id')}"
    else:
        taken = f"SELECT attempt.* {_OF_ENDPOINT}{_conditions(filters)}{end_of(window, 'attempt.id')}"
        scanned = _SCANNED[read.dialect].replace("FROM attempt", f"FROM ({taken}) AS attempt", 1)
        found = f"SELECT attempt.id {scanned}{message_filters.conditions(read.dialect, filters.message)}"
    row = await read.one(
        f"SELECT count(*) AS n FROM ({found}) AS counted",
        endpoint=endpoint_id,
        **_codes_of(filters),
        **message_filters.values_of(filters.message),
        **bounds_of(window),
    )
    return int(row["n"])


async def _count_in_pairs(
    read: Read, endpoint_id: EndpointId, pairs: list[str], window: PageWindow, filters: AttemptFilter
) -> int:
    parts = attempt_buckets.parts_of(read.dialect, pairs, window)
    if not parts["firsts"]:
        return 0
    found = _IN_PARTS[read.dialect].replace("{conditions}", _conditions(filters))
    row = await read.one(
        f"SELECT count(*) AS n FROM ({found} LIMIT {window.rows:d}) AS counted",
        endpoint=endpoint_id,
        **parts,
        **_codes_of(filters),
    )
    return int(row["n"])


_COUNTED: Final = (
    "SELECT status, count(*) AS n FROM attempt WHERE endpoint_id = :endpoint AND id >= :first AND id < :below"
    " GROUP BY status"
)


async def counted(read: Read, endpoint_id: EndpointId, *, first: str, below: str) -> Counter[MessageStatus]:
    """Count the attempts at an endpoint with `first <= id < below` by status."""
    rows = await read.rows(_COUNTED, endpoint=endpoint_id, first=first, below=below)
    return Counter({MessageStatus(row["status"]): row["n"] for row in rows})


_EXPUNGE: Final = "UPDATE attempt SET response = :response WHERE msg_id = :msg AND id = :id"
EXPUNGED: Final = "EXPUNGED"
"""The response of an attempt whose response was expunged."""


async def expunge(tx: Write, attempt: Attempt) -> None:
    """Replace the response of an attempt with `EXPUNGED`."""
    await tx.run(_EXPUNGE, msg=attempt.msg_id, id=attempt.id, response=EXPUNGED)


async def with_messages(read: Read, attempts: list[Attempt]) -> list[Attempt]:
    """Return attempts with their messages, without payloads."""
    found = await messages.by_ids(read, sorted({attempt.msg_id for attempt in attempts}))
    return [replace(attempt, message=found.get(attempt.msg_id)) for attempt in attempts]


def _attempt(row: Row) -> Attempt:
    return Attempt(
        id=AttemptId(row["id"]),
        msg_id=MessageId(row["msg_id"]),
        endpoint_id=EndpointId(row["endpoint_id"]),
        url=row["url"],
        status=MessageStatus(row["status"]),
        trigger=MessageAttemptTriggerType(row["trigger_type"]),
        response=row["response"],
        response_status_code=row["response_status_code"],
        response_duration_ms=row["response_duration_ms"],
    )
