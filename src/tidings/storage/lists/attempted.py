# SPDX-License-Identifier: MIT
"""The lists of attempted messages: the messages of an endpoint, and the endpoints of a message.

The list of an endpoint is ordered by message id. No index has that order for one endpoint: every attempt would pay for
it, and few requests would read it. The query therefore generates candidates, and reads their attempts:

- A busy endpoint receives most messages of its application. Its candidates are the next messages of the application.
- Other endpoints, and pages that those messages do not fill, use the time buckets of the endpoint's attempts.
- If the endpoint has too many time buckets, the query continues through the messages of the application.
- Exhausted deliveries have an index in the order of the list.
- Outstanding deliveries are few, so all of them are read.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

from tidings.clock import HOUR
from tidings.ids import MESSAGE, AppId, EndpointId, MessageId, first_at
from tidings.model.attempt import AttemptedMessage, AttemptFilter, DestinationStatus, MessageStatus
from tidings.model.page import Order, PageWindow
from tidings.storage.drivers.database import Read, Sql
from tidings.storage.lists import attempt_buckets
from tidings.storage.tables import attempts, bucket_index, messages, settlement
from tidings.storage.tables.page_window import bounds_of, end_of, hidden, spread

_BATCH: Final = 100
_BATCH_MAX: Final = 500
_NEWEST: Final = 128
_PAIRS_MAX: Final = 3_000
"""The pairs of buckets that are searched; an endpoint with more has attempted most messages of the application."""
_ATTEMPTS_MAX: Final = 2_000
"""With more attempts in a batch of buckets, scanning the application's messages is the faster way to fill a page."""
_TRIED: Final = Sql(
    sqlite=(
        "SELECT attempt.msg_id, attempt.id, attempt.status FROM json_each(:msgs) AS given CROSS JOIN attempt"
        " WHERE attempt.msg_id = given.value AND attempt.endpoint_id = :endpoint"
    ),
    postgresql=(
        f"SELECT tried.msg_id, tried.id, tried.status FROM {spread('msgs')} AS given(id)"
        " CROSS JOIN LATERAL (SELECT a.msg_id, a.id, a.status FROM attempt AS a"
        f" WHERE a.msg_id = given.id AND a.endpoint_id = {hidden('endpoint')} OFFSET 0) AS tried"
    ),
)
_DUE: Final = Sql(
    sqlite=(
        "SELECT msg_id, due_at FROM delivery WHERE msg_id IN (SELECT value FROM json_each(:msgs))"
        " AND endpoint_id = :endpoint"
    ),
    postgresql=(
        "SELECT msg_id, due_at FROM delivery WHERE msg_id = ANY(CAST(:msgs AS text[])) AND endpoint_id = :endpoint"
    ),
)


async def messages_of(
    read: Read,
    app_id: AppId,
    endpoint_id: EndpointId,
    window: PageWindow,
    filters: AttemptFilter,
) -> list[AttemptedMessage]:
    """Return a page of the messages that an endpoint has attempts of, ordered by id and without payloads."""
    found: dict[str, DestinationStatus] = {}
    if filters.status in _LISTABLE:
        async for batch in _candidates(read, app_id, endpoint_id, window, filters):
            statuses = await _statuses(read, endpoint_id, batch, filters.status) if batch else {}
            for msg_id in batch:
                if msg_id in statuses and len(found) < window.rows:
                    found[msg_id] = statuses[msg_id]
            if len(found) == window.rows:
                break
    by_id = await messages.by_ids(read, list(found))
    return [AttemptedMessage(by_id[MessageId(msg_id)], status) for msg_id, status in found.items() if msg_id in by_id]


_LISTABLE: Final = (None, MessageStatus.SUCCESS, MessageStatus.FAIL, MessageStatus.SENDING)
"""The filters that can match: no attempted message is listed as pending or canceled."""


async def _statuses(
    read: Read, endpoint_id: EndpointId, msg_ids: list[str], status: MessageStatus | None
) -> dict[str, DestinationStatus]:
    """Return the status at an endpoint of each message that a status filter lists."""
    tried: dict[str, list[MessageStatus]] = {}
    for row in sorted(await read.rows(_TRIED, msgs=msg_ids, endpoint=endpoint_id), key=lambda row: str(row["id"])):
        tried.setdefault(row["msg_id"], []).append(MessageStatus(row["status"]))
    failed = [msg_id for msg_id, statuses in tried.items() if MessageStatus.FAIL in statuses]
    rows = await read.rows(_DUE, msgs=failed, endpoint=endpoint_id) if failed else []
    due = {row["msg_id"]: row["due_at"] for row in rows}
    found = ((msg_id, DestinationStatus.under(status, statuses, due.get(msg_id))) for msg_id, statuses in tried.items())
    return {msg_id: shown for msg_id, shown in found if shown is not None}


# -----------------------------------------------------------------------------------------------------------------
# Candidates


async def _candidates(
    read: Read, app_id: AppId, endpoint_id: EndpointId, window: PageWindow, filters: AttemptFilter
) -> AsyncIterator[list[str]]:
    """Yield batches of messages that may be in the window, in list order."""
    match filters.status:
        case MessageStatus.FAIL:
            found = _failed(read, app_id, endpoint_id, window, filters)
        case MessageStatus.SENDING:
            found = _outstanding(read, app_id, endpoint_id, window, filters)
        case _:
            found = _tried(read, app_id, endpoint_id, window, filters)
    async for batch in found:
        yield batch


async def _tried(
    read: Read, app_id: AppId, endpoint_id: EndpointId, window: PageWindow, filters: AttemptFilter
) -> AsyncIterator[list[str]]:
    if not filters.message.is_empty:
        # A match may be far down the list, so the search reads small batches and stops once the page is full.
        batches = _next_then_tried(read, app_id, endpoint_id, window, filters)
    else:
        pairs, last = await attempt_buckets.newest_pairs(read, endpoint_id, _outcomes(filters), most=_NEWEST)
        if last is None:
            batches = _in_buckets(read, app_id, endpoint_id, pairs, window, filters)
        elif attempt_buckets.are_dense(pairs[:_NEWEST]):
            part = replace(window, rows=max(_BATCH, 2 * window.rows))
            batches = _next_then_tried(read, app_id, endpoint_id, part, filters)
        elif window.order is Order.ASCENDING:
            batches = _tried_at_all(read, app_id, endpoint_id, window, filters)
        else:
            # All attempts after the last pair are known. A page that they fill needs no further entries.
            boundary = first_at(MESSAGE, attempt_buckets.end_of(last) + HOUR)
            recent = replace(window, first=max(boundary, window.first or ""))
            async for batch in _in_buckets(read, app_id, endpoint_id, pairs, recent, filters):
                yield batch
            rest = replace(window, below=min(boundary, window.below or boundary))
            batches = _tried_at_all(read, app_id, endpoint_id, rest, filters)
    async for batch in batches:
        yield batch


async def _next_then_tried(
    read: Read, app_id: AppId, endpoint_id: EndpointId, window: PageWindow, filters: AttemptFilter
) -> AsyncIterator[list[str]]:
    first = await messages.ids_of(read, app_id, window, filters.message)
    yield first
    if len(first) == window.rows:
        async for batch in _tried_at_all(read, app_id, endpoint_id, _after(window, first[-1]), filters):
            yield batch


async def _tried_at_all(
    read: Read, app_id: AppId, endpoint_id: EndpointId, window: PageWindow, filters: AttemptFilter
) -> AsyncIterator[list[str]]:
    pairs, last = await attempt_buckets.newest_pairs(read, endpoint_id, _outcomes(filters), most=_PAIRS_MAX)
    if last is None:
        found = _filtered(read, _in_buckets(read, app_id, endpoint_id, pairs, window, filters), filters)
    else:
        found = _scanned(read, app_id, _from_newest_attempt(window, pairs[0]), filters)
    async for batch in found:
        yield batch


def _outcomes(filters: AttemptFilter) -> list[str]:
    return attempts.outcome_values(replace(filters, code_class=None))


async def _in_buckets(
    read: Read, app_id: AppId, endpoint_id: EndpointId, pairs: list[str], window: PageWindow, filters: AttemptFilter
) -> AsyncIterator[list[str]]:
    """Yield the messages of an endpoint's attempts in pairs, batched by the buckets of the messages."""
    tried: dict[str, list[str]] = {}
    for pair in pairs:
        tried.setdefault(attempt_buckets.message_bucket(pair), []).append(pair)
    first = bucket_index.BucketScan(window.rows + 1)  # nearly every bucket has a message
    async for buckets in bucket_index.in_batches(bucket_index.inside(tried, window), window, first):
        mine = [pair for each in buckets for pair in tried[each]]
        found = await attempt_buckets.messages_in(read, endpoint_id, mine, filters.status, most=_ATTEMPTS_MAX)
        if found is None:
            batches = _scanned(read, app_id, bucket_index.around(MESSAGE, buckets, window), filters)
        else:
            inside = set(buckets)
            batches = _ordered({each for each in found if bucket_index.bucket_of(each) in inside}, window, filters)
        async for batch in batches:
            yield batch


async def _failed(
    read: Read, app_id: AppId, endpoint_id: EndpointId, window: PageWindow, filters: AttemptFilter
) -> AsyncIterator[list[str]]:
    found = _filtered(read, _ended(read, endpoint_id, window), filters)
    if not filters.message.is_empty:
        buckets = await messages.few_buckets(read, app_id, window, filters.message)
        few = None if buckets is None else await messages.few_in(read, app_id, buckets, window, filters.message)
        if few is not None:
            found = _ordered(set(few), window, filters)
        elif await _has_many_ended(read, endpoint_id, window) and not await messages.are_matches_dense(
            read, app_id, window, filters.message
        ):
            found = _scanned(read, app_id, window, filters)  # few messages match, at unknown positions
    async for batch in found:
        yield batch


async def _has_many_ended(read: Read, endpoint_id: EndpointId, window: PageWindow) -> bool:
    part = replace(window, rows=_BATCH_MAX)
    found = await read.rows(f"{_ENDED}{end_of(part, 'msg_id')}", endpoint=endpoint_id, **bounds_of(part))
    return len(found) == _BATCH_MAX


async def _outstanding(
    read: Read, app_id: AppId, endpoint_id: EndpointId, window: PageWindow, filters: AttemptFilter
) -> AsyncIterator[list[str]]:
    rows = [row for statement in _OUTSTANDING for row in await read.rows(statement, endpoint=endpoint_id)]
    if len(rows) > _PAIRS_MAX:
        found = _scanned(read, app_id, window, filters)
    else:
        found = _filtered(read, _ordered({row["msg_id"] for row in rows}, window, filters), filters)
    async for batch in found:
        yield batch


async def _filtered(read: Read, found: AsyncIterator[list[str]], filters: AttemptFilter) -> AsyncIterator[list[str]]:
    """Drop the messages that do not match the filters."""
    async for batch in found:
        if filters.message.is_empty:
            yield batch
            continue
        mine = await messages.matching(read, batch, filters.message)
        yield [msg_id for msg_id in batch if msg_id in mine]


async def _scanned(read: Read, app_id: AppId, window: PageWindow, filters: AttemptFilter) -> AsyncIterator[list[str]]:
    """Yield the messages of the application that match the filters."""
    while True:
        batch = await messages.ids_of(read, app_id, replace(window, rows=_BATCH_MAX), filters.message)
        yield batch
        if len(batch) < _BATCH_MAX:
            return
        window = _after(window, batch[-1])


def _after(window: PageWindow, key: str) -> PageWindow:
    return replace(window, below=key) if window.order is Order.DESCENDING else replace(window, above=key)


_OUTSTANDING: Final = (
    # The order selects the index by endpoint; the planner could also choose the one over all endpoints' rows.
    (
        "SELECT msg_id FROM delivery WHERE endpoint_id = :endpoint AND lease IS NULL ORDER BY lane, due_at"
        f" LIMIT {_PAIRS_MAX + 1}"
    ),
    # Few rows are leased at any time: only those that a node holds in memory.
    (
        "SELECT msg_id FROM delivery WHERE lease IS NOT NULL AND lease_until > 0 AND endpoint_id || '' = :endpoint"
        f" LIMIT {_PAIRS_MAX + 1}"
    ),
)


async def _ordered(msg_ids: set[str], window: PageWindow, filters: AttemptFilter) -> AsyncIterator[list[str]]:
    """Yield the messages that are in a page window, in its order. With filters the batches are larger."""
    size = _BATCH if filters.message.is_empty else _BATCH_MAX
    inside = [
        each
        for each in msg_ids
        if (window.above is None or each > window.above)
        and (window.below is None or each < window.below)
        and (window.first is None or each >= window.first)
    ]
    inside.sort(reverse=window.order is Order.DESCENDING)
    for start in range(0, len(inside), size):
        yield inside[start : start + size]


def _from_newest_attempt(window: PageWindow, newest: str) -> PageWindow:
    """Exclude messages that are newer than the newest attempt from the window of a descending list."""
    if window.order is Order.ASCENDING:
        return window
    below = first_at(MESSAGE, attempt_buckets.end_of(newest) + HOUR)  # an hour for clock skew between nodes
    return replace(window, below=min(filter(None, (window.below, below))))


_ENDED: Final = f"SELECT DISTINCT msg_id FROM attempt WHERE endpoint_id = :endpoint AND {settlement.WITHOUT_SUCCESS}"


async def _ended(read: Read, endpoint_id: EndpointId, window: PageWindow) -> AsyncIterator[list[str]]:
    """Yield the messages of an endpoint whose delivery ended without a success, in list order."""
    rows = max(_BATCH, window.rows)
    while True:
        part = replace(window, rows=rows)
        found = await read.rows(f"{_ENDED}{end_of(part, 'msg_id')}", endpoint=endpoint_id, **bounds_of(part))
        batch = [row["msg_id"] for row in found]
        yield batch
        if len(batch) < rows:
            return
        window, rows = _after(window, batch[-1]), min(2 * rows, _BATCH_MAX)


# -----------------------------------------------------------------------------------------------------------------
# The endpoints of a message

_DESTINATIONS: Final = """
SELECT found.endpoint_id AS id, attempt.status AS status, delivery.due_at AS due_at
FROM ({found}) AS found
JOIN attempt ON attempt.msg_id = :msg AND attempt.id = found.latest
LEFT JOIN delivery ON delivery.msg_id = :msg AND delivery.endpoint_id = found.endpoint_id
ORDER BY found.endpoint_id {direction}
"""
_LATEST_OF_EACH: Final = (
    "SELECT endpoint_id, latest FROM ("
    "SELECT endpoint_id, max(id) AS latest FROM attempt WHERE msg_id = :msg GROUP BY endpoint_id"
    ") AS tried WHERE TRUE"
)


async def destinations_of(
    read: Read, msg_id: MessageId, window: PageWindow
) -> list[tuple[EndpointId, DestinationStatus]]:
    """Return a page of the endpoints that a message has attempts at, ordered by id, including deleted endpoints."""
    found = f"{_LATEST_OF_EACH}{end_of(window, 'endpoint_id')}"
    statement = _DESTINATIONS.format(found=found, direction=window.direction)
    rows = await read.rows(statement, msg=msg_id, **bounds_of(window))
    return [(EndpointId(row["id"]), DestinationStatus.of(MessageStatus(row["status"]), row["due_at"])) for row in rows]
