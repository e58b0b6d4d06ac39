# SPDX-License-Identifier: MIT
"""How messages stand with endpoints: an endpoint's messages, a message's endpoints.

An endpoint's messages are listed in the order of the messages, and no index has that order for one endpoint: it would
be written for every attempt that anybody makes, and read by few. So they are looked for where they are likely. An
endpoint that is tried all the time gets most of the application's messages: its page is filled from the next of those.
Others, and what that does not fill, are looked for in the time buckets of the endpoint's attempts, as long as these
are not too many; else further among the application's messages. What has failed for good has an index of its
own, in order; what is outstanding is little.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

from tidings.clock import HOUR
from tidings.ids import MESSAGE, AppId, EndpointId, MessageId, first_at
from tidings.model.attempt import AttemptedMessage, AttemptFilter, DestinationStatus, MessageStatus
from tidings.model.page import Order, PageWindow
from tidings.storage import attempt_buckets, attempts, bucket_index, messages
from tidings.storage.database import Read, Sql
from tidings.storage.page_window import bounds_of, end_of, hidden, spread

_BATCH: Final = 100
_LONGEST: Final = 500
_LATEST: Final = 128
_FEW: Final = 3_000
"""Buckets that are read for messages; with more of them, the endpoint's messages are dense among all."""
_CROWD: Final = 2_000
"""Attempts from which on those of some buckets are not read: walking the application's messages fills the page."""
_TRIED: Final = Sql(
    sqlite=(
        "SELECT attempt.msg_id, attempt.id, attempt.status FROM json_each(:msgs) AS wanted CROSS JOIN attempt"
        " WHERE attempt.msg_id = wanted.value AND attempt.endpoint_id = :endpoint"
    ),
    postgresql=(
        f"SELECT tried.msg_id, tried.id, tried.status FROM {spread('msgs')} AS wanted(id)"
        " CROSS JOIN LATERAL (SELECT a.msg_id, a.id, a.status FROM attempt AS a"
        f" WHERE a.msg_id = wanted.id AND a.endpoint_id = {hidden('endpoint')} OFFSET 0) AS tried"
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
    """Return a window of the messages that an endpoint has been tried with, by their ids and without payloads."""
    found: dict[str, DestinationStatus] = {}
    if filters.status in _LISTED:
        async for batch in _candidates(read, app_id, endpoint_id, window, filters):
            standings = await _standings(read, endpoint_id, batch, filters.status) if batch else {}
            for msg_id in batch:
                if msg_id in standings and len(found) < window.rows:
                    found[msg_id] = standings[msg_id]
            if len(found) == window.rows:
                break
    told = await messages.by_ids(read, list(found))
    return [AttemptedMessage(told[MessageId(msg_id)], standing) for msg_id, standing in found.items() if msg_id in told]


_LISTED: Final = (None, MessageStatus.SUCCESS, MessageStatus.FAIL, MessageStatus.SENDING)
"""What a message can be listed as: none is pending or canceled."""


async def _standings(
    read: Read, endpoint_id: EndpointId, msg_ids: list[str], status: MessageStatus | None
) -> dict[str, DestinationStatus]:
    """Return how messages stand with an endpoint, those that are listed under a filter."""
    tried: dict[str, list[MessageStatus]] = {}
    for row in sorted(await read.rows(_TRIED, msgs=msg_ids, endpoint=endpoint_id), key=lambda row: str(row["id"])):
        tried.setdefault(row["msg_id"], []).append(MessageStatus(row["status"]))
    failed = [msg_id for msg_id, statuses in tried.items() if MessageStatus.FAIL in statuses]
    rows = await read.rows(_DUE, msgs=failed, endpoint=endpoint_id) if failed else []
    due = {row["msg_id"]: row["due_at"] for row in rows}
    found = ((msg_id, DestinationStatus.under(status, statuses, due.get(msg_id))) for msg_id, statuses in tried.items())
    return {msg_id: standing for msg_id, standing in found if standing is not None}


# -----------------------------------------------------------------------------------------------------------------
# Which messages it can be


async def _candidates(
    read: Read, app_id: AppId, endpoint_id: EndpointId, window: PageWindow, filters: AttemptFilter
) -> AsyncIterator[list[str]]:
    """Yield messages that may be in a part of the list, in its order."""
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
        # A message that matches the filters may lie far away, so the search stops once the page is full.
        batches = _next_then_tried(read, app_id, endpoint_id, window, filters)
    else:
        pairs, last = await attempt_buckets.newest(read, endpoint_id, _outcomes(filters), most=_LATEST)
        if last is None:
            batches = _in_buckets(read, app_id, endpoint_id, pairs, window, filters)
        elif attempt_buckets.are_dense(pairs[:_LATEST]):
            part = replace(window, rows=max(_BATCH, 2 * window.rows))
            batches = _next_then_tried(read, app_id, endpoint_id, part, filters)
        elif window.order is Order.ASCENDING:
            batches = _tried_at_all(read, app_id, endpoint_id, window, filters)
        else:
            # Every attempt after the last pair is known, and a page of those needs no more entries.
            lately = first_at(MESSAGE, attempt_buckets.end_of(last) + HOUR)
            recent = replace(window, first=max(lately, window.first or ""))
            async for batch in _in_buckets(read, app_id, endpoint_id, pairs, recent, filters):
                yield batch
            rest = replace(window, below=min(lately, window.below or lately))
            batches = _tried_at_all(read, app_id, endpoint_id, rest, filters)
    async for batch in batches:
        yield batch


async def _next_then_tried(
    read: Read, app_id: AppId, endpoint_id: EndpointId, window: PageWindow, filters: AttemptFilter
) -> AsyncIterator[list[str]]:
    first = await messages.ids_of(read, app_id, window, filters.message)
    yield first
    if len(first) == window.rows:
        async for batch in _tried_at_all(read, app_id, endpoint_id, _behind(window, first[-1]), filters):
            yield batch


async def _tried_at_all(
    read: Read, app_id: AppId, endpoint_id: EndpointId, window: PageWindow, filters: AttemptFilter
) -> AsyncIterator[list[str]]:
    pairs, last = await attempt_buckets.newest(read, endpoint_id, _outcomes(filters), most=_FEW)
    if last is None:
        found = _filtered(read, _in_buckets(read, app_id, endpoint_id, pairs, window, filters), filters)
    else:
        found = _walked(read, app_id, _since(window, pairs[0]), filters)
    async for batch in found:
        yield batch


def _outcomes(filters: AttemptFilter) -> list[str]:
    return attempts.outcome_values(replace(filters, code_class=None))


async def _in_buckets(
    read: Read, app_id: AppId, endpoint_id: EndpointId, pairs: list[str], window: PageWindow, filters: AttemptFilter
) -> AsyncIterator[list[str]]:
    """Yield the messages of an endpoint's attempts, by the messages' buckets."""
    tried: dict[str, list[str]] = {}
    for pair in pairs:
        tried.setdefault(attempt_buckets.message_bucket(pair), []).append(pair)
    first = bucket_index.BucketScan(window.rows + 1)  # each has a message, nearly always
    async for buckets in bucket_index.in_batches(bucket_index.inside(tried, window), window, first):
        mine = [pair for each in buckets for pair in tried[each]]
        found = await attempt_buckets.made_in(read, endpoint_id, mine, filters.status, most=_CROWD)
        if found is None:
            batches = _walked(read, app_id, bucket_index.around(MESSAGE, buckets, window), filters)
        else:
            inside = set(buckets)
            batches = _known({each for each in found if bucket_index.bucket_of(each) in inside}, window, filters)
        async for batch in batches:
            yield batch


async def _failed(
    read: Read, app_id: AppId, endpoint_id: EndpointId, window: PageWindow, filters: AttemptFilter
) -> AsyncIterator[list[str]]:
    found = _filtered(read, _exhausted(read, endpoint_id, window), filters)
    if not filters.message.is_empty:
        buckets = await messages.few_buckets(read, app_id, window, filters.message)
        few = None if buckets is None else await messages.few_in(read, app_id, buckets, window, filters.message)
        if few is not None:
            found = _known(set(few), window, filters)
        elif await _has_many_exhausted(read, endpoint_id, window) and not await messages.are_matches_dense(
            read, app_id, window, filters.message
        ):
            found = _walked(read, app_id, window, filters)  # a match may lie anywhere among them
    async for batch in found:
        yield batch


async def _has_many_exhausted(read: Read, endpoint_id: EndpointId, window: PageWindow) -> bool:
    part = replace(window, rows=_LONGEST)
    found = await read.rows(f"{_EXHAUSTED}{end_of(part, 'msg_id')}", endpoint=endpoint_id, **bounds_of(part))
    return len(found) == _LONGEST


async def _outstanding(
    read: Read, app_id: AppId, endpoint_id: EndpointId, window: PageWindow, filters: AttemptFilter
) -> AsyncIterator[list[str]]:
    rows = [row for statement in _WAITING for row in await read.rows(statement, endpoint=endpoint_id)]
    if len(rows) > _FEW:
        found = _walked(read, app_id, window, filters)
    else:
        found = _filtered(read, _known({row["msg_id"] for row in rows}, window, filters), filters)
    async for batch in found:
        yield batch


async def _filtered(read: Read, found: AsyncIterator[list[str]], filters: AttemptFilter) -> AsyncIterator[list[str]]:
    """Yield those of the messages that match the filters."""
    async for batch in found:
        if filters.message.is_empty:
            yield batch
            continue
        mine = await messages.matching(read, batch, filters.message)
        yield [msg_id for msg_id in batch if msg_id in mine]


async def _walked(read: Read, app_id: AppId, window: PageWindow, filters: AttemptFilter) -> AsyncIterator[list[str]]:
    """Yield the application's messages that match the filters."""
    while True:
        batch = await messages.ids_of(read, app_id, replace(window, rows=_LONGEST), filters.message)
        yield batch
        if len(batch) < _LONGEST:
            return
        window = _behind(window, batch[-1])


def _behind(window: PageWindow, key: str) -> PageWindow:
    return replace(window, below=key) if window.order is Order.DESCENDING else replace(window, above=key)


_WAITING: Final = (
    # The order says which index: another one has the waiting rows of all endpoints.
    (
        "SELECT msg_id FROM delivery WHERE endpoint_id = :endpoint AND lease IS NULL ORDER BY lane, due_at"
        f" LIMIT {_FEW + 1}"
    ),
    # Few rows are leased at any time: those in the memory of a process.
    (
        "SELECT msg_id FROM delivery WHERE lease IS NOT NULL AND lease_until > 0 AND endpoint_id || '' = :endpoint"
        f" LIMIT {_FEW + 1}"
    ),
)


async def _known(msg_ids: set[str], window: PageWindow, filters: AttemptFilter) -> AsyncIterator[list[str]]:
    """Yield the messages that are in a page window, in its order; in larger batches if filters are set."""
    size = _BATCH if filters.message.is_empty else _LONGEST
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


def _since(window: PageWindow, newest: str) -> PageWindow:
    """Return a part of the list without the messages that are newer than the newest attempts that count."""
    if window.order is Order.ASCENDING:
        return window
    below = first_at(MESSAGE, attempt_buckets.end_of(newest) + HOUR)  # the clocks of nodes differ
    return replace(window, below=min(filter(None, (window.below, below))))


_EXHAUSTED: Final = (
    "SELECT DISTINCT msg_id FROM attempt WHERE endpoint_id = :endpoint AND status = 2 AND next_at IS NULL"
)


async def _exhausted(read: Read, endpoint_id: EndpointId, window: PageWindow) -> AsyncIterator[list[str]]:
    """Yield the exhausted messages, in the order of the list."""
    rows = max(_BATCH, window.rows)
    while True:
        part = replace(window, rows=rows)
        found = await read.rows(f"{_EXHAUSTED}{end_of(part, 'msg_id')}", endpoint=endpoint_id, **bounds_of(part))
        batch = [row["msg_id"] for row in found]
        yield batch
        if len(batch) < rows:
            return
        window, rows = _behind(window, batch[-1]), min(2 * rows, _LONGEST)


# -----------------------------------------------------------------------------------------------------------------
# A message's endpoints

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
    """Return a window of the endpoints that a message has been tried with, deleted ones among them, by id."""
    found = f"{_LATEST_OF_EACH}{end_of(window, 'endpoint_id')}"
    statement = _DESTINATIONS.format(found=found, direction=window.direction)
    rows = await read.rows(statement, msg=msg_id, **bounds_of(window))
    return [(EndpointId(row["id"]), DestinationStatus.of(MessageStatus(row["status"]), row["due_at"])) for row in rows]
