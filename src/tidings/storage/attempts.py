# SPDX-License-Identifier: MIT
"""Attempts, as they are read, and the end of a response; delivery writes them.

The filters by message (event type, channel, tag) need another table. Where few messages match, their attempts are
looked up one by one; where many are among the latest, the endpoint's attempts
are walked in order, and the page fills up soon; else only those time buckets are walked that can hold one. Buckets
are also what is walked for a certain outcome, which may be rare at an endpoint.
"""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Final

from tidings.clock import DAY, HOUR
from tidings.ids import ATTEMPT, MESSAGE, AppId, AttemptId, EndpointId, MessageId, first_at, timestamp_of
from tidings.model.attempt import Attempt, AttemptFilter, MessageAttemptTriggerType, MessageStatus, StatusCodeClass
from tidings.model.page import Order, PageWindow
from tidings.storage import attempt_buckets, bucket_index, message_filters, messages
from tidings.storage.database import Dialect, Read, Row, Write
from tidings.storage.page_window import bounds_of, end_of, hidden, spread

_COLUMNS: Final = (
    "attempt.id, attempt.msg_id, attempt.endpoint_id, attempt.app_id, attempt.org_id, attempt.url, attempt.status,"
    " attempt.trigger_type, attempt.response, attempt.response_status_code, attempt.response_duration_ms"
)
_GET: Final = f"SELECT {_COLUMNS} FROM attempt WHERE msg_id = :msg AND id = :id AND app_id = :app"
_CODES: Final = " AND attempt.response_status_code >= :code_from AND attempt.response_status_code < :code_to"
_OF_ENDPOINT: Final = "FROM attempt WHERE attempt.endpoint_id = :endpoint"
_OF_MESSAGE: Final = "FROM attempt WHERE attempt.msg_id = :msg"
_WALKED: Final = {
    Dialect.SQLITE: (
        "FROM attempt CROSS JOIN message WHERE message.id = attempt.msg_id AND attempt.endpoint_id = :endpoint"
    ),
    Dialect.POSTGRESQL: (
        "FROM attempt CROSS JOIN LATERAL (SELECT event_type, channels, tags FROM message AS m"
        " WHERE m.id = attempt.msg_id OFFSET 0) AS message WHERE attempt.endpoint_id = :endpoint"
    ),
}
# A probe for each message: what it was tried with at one endpoint lies together, whatever else it goes to.
_GATHERED: Final = {
    Dialect.SQLITE: (
        "FROM json_each(:msgs) AS wanted CROSS JOIN attempt"
        " WHERE attempt.msg_id = wanted.value AND attempt.endpoint_id = :endpoint"
    ),
    Dialect.POSTGRESQL: (
        f"FROM {spread('msgs')} AS wanted(id) CROSS JOIN LATERAL (SELECT {{columns}} FROM attempt AS a"
        f" WHERE a.msg_id = wanted.id AND a.endpoint_id = {hidden('endpoint')} OFFSET 0) AS attempt WHERE TRUE"
    ),
}
# A part of the list is a bucket of attempts; on PostgreSQL the messages' bucket names the partition, too.
_IN_PART: Final = {
    Dialect.SQLITE: (
        f"SELECT {_COLUMNS} FROM json_each(:firsts) AS part CROSS JOIN json_each((SELECT json_group_array(found)"
        " FROM (SELECT attempt.rowid AS found {source}{conditions} AND attempt.id >= part.value"
        " AND attempt.id < json_extract(:ends, '$[' || part.key || ']')"
        " ORDER BY attempt.id {direction} LIMIT {rows:d}))) AS wanted CROSS JOIN attempt"
        " WHERE attempt.rowid = wanted.value"
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
    """Make the statements of a part from what they read."""
    return {
        dialect: _IN_PART[dialect].replace("{source}", text.replace(":endpoint", _ANY_ENDPOINT[dialect]))
        for dialect, text in source.items()
    }


_OF_PART: Final = _of_part(dict.fromkeys(Dialect, _OF_ENDPOINT))
_WALKED_PART: Final = _of_part(_WALKED)
_MOST_BUCKETS: Final = 4_000
_MOST_GATHERED: Final = 300
_FEW_PAIRS: Final = 512
_MOST_READ: Final = 200
_AT_ONCE: Final = 128
_LONGEST: Final = 1_000
LATEST_MS: Final = 92 * DAY
"""How long after its message an attempt may be: as long as a payload is kept, put off by a day, and clocks differ."""


async def find(read: Read, app_id: AppId, msg_id: MessageId, attempt_id: str) -> Attempt | None:
    """Return an attempt of a message."""
    row = await read.row(_GET, app=app_id, msg=msg_id, id=attempt_id)
    return None if row is None else _attempt(row)


async def page_of_message(read: Read, msg_id: MessageId, window: PageWindow, filters: AttemptFilter) -> list[Attempt]:
    """Return a window of the attempts of a message, by id, without the filters of messages."""
    endpoint = "" if filters.endpoint_id is None else " AND attempt.endpoint_id = :endpoint"
    source = f"{_OF_MESSAGE}{endpoint}{_conditions(filters)}"
    return await _page(read, source, window, filters, msg=msg_id, endpoint=filters.endpoint_id)


async def page_of_endpoint(
    read: Read, app_id: AppId, endpoint_id: EndpointId, window: PageWindow, filters: AttemptFilter
) -> list[Attempt]:
    """Return a window of the attempts to an endpoint, by id."""
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
            return await _gathered(read, endpoint_id, few, window, filters)
    ask = _Ask(app_id, filters)
    return await _filtered(read, endpoint_id, await _batches(read, endpoint_id, buckets, window, ask), window, ask)


@dataclass(slots=True)
class _Ask:
    """What is looked for, and what has been learnt about where it lies."""

    app_id: AppId
    filters: AttemptFilter
    scan: bucket_index.BucketScan = field(default_factory=bucket_index.BucketScan)
    is_seldom: bool = True
    """Whether the endpoint may be one that is tried seldom."""


async def _batches(
    read: Read, endpoint_id: EndpointId, buckets: list[str] | None, window: PageWindow, ask: _Ask
) -> AsyncIterator[list[str]]:
    """Return where attempts with matching messages may lie; `buckets` are those of the messages, if few."""
    outcome, filters = outcome_values(ask.filters), ask.filters.message
    if buckets is None:
        is_filtered = len(outcome) < len(_OUTCOMES)
        pairs = await bucket_index.few(read, endpoint_id, [outcome], window, most=_FEW_PAIRS) if is_filtered else None
        if pairs is not None:
            ask.scan.size = _AT_ONCE
            return bucket_index.in_batches(pairs, window, ask.scan)
        part = _of_messages(window)
        if not await messages.are_matches_dense(read, ask.app_id, part, filters):
            names = message_filters.names_of(filters)
            buckets = await bucket_index.few(read, ask.app_id, names, part, most=_MOST_BUCKETS)
    if buckets is None:
        ask.scan.size = _AT_ONCE
        return bucket_index.buckets(read, endpoint_id, [outcome], window, most=_AT_ONCE, scan=ask.scan)
    late = await attempt_buckets.late(read, endpoint_id, buckets)
    return bucket_index.in_batches([each + each for each in buckets] + late, window, ask.scan)


_FAILURES: Final = [f"{bucket_index.FAILED}{digit}" for digit in range(10)]
_OUTCOMES: Final = [bucket_index.DELIVERED, *_FAILURES]


def outcome_values(filters: AttemptFilter) -> list[str]:
    """Return the values that the bucket index has of matching attempts: each attempt has one of them."""
    if filters.statuses == {MessageStatus.SUCCESS}:
        return [bucket_index.DELIVERED]
    if filters.code_class is not None:
        return [f"{bucket_index.FAILED}{filters.code_class // 100}"]
    return _FAILURES if filters.statuses == {MessageStatus.FAIL} else _OUTCOMES


def _of_messages(window: PageWindow) -> PageWindow:
    """Return the part of the application's messages to which the attempts of a part can belong."""
    lowest = max(filter(None, (window.first, window.above)), default=None)
    first = None if lowest is None else first_at(MESSAGE, timestamp_of(lowest) - LATEST_MS)
    below = None if window.below is None else first_at(MESSAGE, timestamp_of(window.below) + HOUR)
    return replace(window, first=first, above=None, below=below)


async def _page_in_pairs(
    read: Read, endpoint_id: EndpointId, batches: AsyncIterator[list[str]], window: PageWindow, filters: AttemptFilter
) -> list[Attempt]:
    """Return a window of the attempts to an endpoint, read from pairs of buckets."""
    found: list[Row] = []
    async for pairs in attempt_buckets.whole(batches):
        found += await _in_pairs(read, endpoint_id, pairs, window, filters)
        if len(found) >= window.rows:
            break
    return [_attempt(row) for row in found[: window.rows]]


async def _filtered(
    read: Read, endpoint_id: EndpointId, batches: AsyncIterator[list[str]], window: PageWindow, ask: _Ask
) -> list[Attempt]:
    """Return a window of the attempts with matching messages, read from pairs of buckets.

    Which messages match is seen in an index; where they are so many that a few of their attempts fill the page,
    the attempts are walked, and the message of each is looked at.
    """
    found: list[Attempt] = []
    async for pairs in attempt_buckets.whole(batches):
        before = len(found)
        msgs = await _messages_in(read, endpoint_id, pairs, ask)
        if msgs is None:
            found += await _page_in_pairs(read, endpoint_id, attempt_buckets.one_by_one(pairs), window, ask.filters)
        elif msgs:
            found += await _gathered(read, endpoint_id, msgs, bucket_index.around(ATTEMPT, pairs, window), ask.filters)
        if len(found) >= window.rows:
            break
        ask.scan.observe(len(pairs), len(found) - before, window.rows - len(found))
    return found[: window.rows]


async def _messages_in(read: Read, endpoint_id: EndpointId, pairs: list[str], ask: _Ask) -> list[str] | None:
    """Return matching messages, among them those of all attempts in pairs; None if they are many.

    For an endpoint with few attempts its attempts are read; else the application's messages.
    """
    if ask.is_seldom and len(pairs) >= attempt_buckets.APART and not attempt_buckets.are_dense(pairs):
        outcome = MessageStatus.FAIL if ask.filters.statuses == {MessageStatus.FAIL} else None
        tried = await attempt_buckets.between(read, endpoint_id, pairs, outcome, most=_LONGEST)
        if tried is not None:
            return sorted(await messages.matching(read, sorted(tried), ask.filters.message))
        ask.is_seldom = False
    of_messages = list({attempt_buckets.message_bucket(each) for each in pairs})
    return await messages.all_in(read, ask.app_id, of_messages, ask.filters.message, most=_MOST_GATHERED)


async def _in_pairs(
    read: Read, endpoint_id: EndpointId, pairs: list[str], window: PageWindow, filters: AttemptFilter
) -> list[Row]:
    parts = attempt_buckets.parts_of(read.dialect, pairs, window)
    if not parts["firsts"]:
        return []
    conditions = f"{_conditions(filters)}{message_filters.conditions(read.dialect, filters.message)}"
    source = (_OF_PART if filters.message.is_empty else _WALKED_PART)[read.dialect]
    rows = await read.rows(
        source.format(conditions=conditions, direction=window.direction, rows=window.rows),
        endpoint=endpoint_id,
        **parts,
        **_codes_of(filters),
        **message_filters.values_of(filters.message),
    )
    return sorted(rows, key=lambda row: str(row["id"]), reverse=window.order is Order.DESCENDING)


async def _gathered(
    read: Read, endpoint_id: EndpointId, msgs: list[str], window: PageWindow, filters: AttemptFilter
) -> list[Attempt]:
    """Return a window of the attempts of messages at an endpoint, selected in the index where that is possible."""
    conditions = _conditions(filters)
    # To open the partitions once more takes longer than to read a few rows that are not told.
    is_whole = read.dialect is Dialect.POSTGRESQL and len(msgs) <= _MOST_READ
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
    told = await read.rows(
        f"SELECT {_COLUMNS} {source}", endpoint=endpoint_id, msgs=sorted({row["msg_id"] for row in found})
    )
    by_id = {row["id"]: row for row in told}
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
    # The status stands in the text, not in a value: an index of failures alone serves what asks for failures.
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
    """Count the attempts to an endpoint in a part; looks at no more than so many of them.

    An outcome that is rare at the endpoint is looked for where it is marked.
    """
    window, outcome = replace(window, rows=limit), outcome_values(filters)
    if filters.message.is_empty and filters.statuses and len(outcome) < len(_OUTCOMES):
        pairs = await bucket_index.few(read, endpoint_id, [outcome], window, most=_FEW_PAIRS)
        if pairs is not None:
            return await _counted_in(read, endpoint_id, pairs, window, filters)
    if filters.message.is_empty:
        found = f"SELECT attempt.id {_OF_ENDPOINT}{_conditions(filters)}{end_of(window, 'attempt.id')}"
    else:
        taken = f"SELECT attempt.* {_OF_ENDPOINT}{_conditions(filters)}{end_of(window, 'attempt.id')}"
        walked = _WALKED[read.dialect].replace("FROM attempt", f"FROM ({taken}) AS attempt", 1)
        found = f"SELECT attempt.id {walked}{message_filters.conditions(read.dialect, filters.message)}"
    row = await read.one(
        f"SELECT count(*) AS n FROM ({found}) AS counted",
        endpoint=endpoint_id,
        **_codes_of(filters),
        **message_filters.values_of(filters.message),
        **bounds_of(window),
    )
    return int(row["n"])


async def _counted_in(
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
    """Count the attempts to an endpoint by their status."""
    rows = await read.rows(_COUNTED, endpoint=endpoint_id, first=first, below=below)
    return Counter({MessageStatus(row["status"]): row["n"] for row in rows})


_EXPUNGE: Final = "UPDATE attempt SET response = :response WHERE msg_id = :msg AND id = :id"
EXPUNGED: Final = "EXPUNGED"
"""Stands for a response that has been deleted."""


async def expunge(tx: Write, attempt: Attempt) -> None:
    """Delete the response of an attempt."""
    await tx.run(_EXPUNGE, msg=attempt.msg_id, id=attempt.id, response=EXPUNGED)


async def with_messages(read: Read, attempts: list[Attempt]) -> list[Attempt]:
    """Return attempts with their messages, without the payloads."""
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
