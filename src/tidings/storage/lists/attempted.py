# SPDX-License-Identifier: MIT
"""The list of the messages that were attempted at an endpoint.

It is ordered by message id. No index has that order for one endpoint: every attempt would pay for it, and few requests
would read it. The query therefore generates candidates, and reads their attempts. Deliveries that ended without a
success have an index in the order of the list, and outstanding ones are few. All other candidates are in the time
buckets of the endpoint's attempts.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Final

from tidings.ids import AppId, EndpointId, MessageId
from tidings.model.attempt import AttemptedMessage, AttemptFilter, DestinationStatus, MessageStatus
from tidings.model.page import Order, PageWindow
from tidings.storage.drivers.database import Read, composed
from tidings.storage.lists import buckets, messages, pairs
from tidings.storage.lists.attempts import OF_MESSAGES
from tidings.storage.lists.buckets import Group
from tidings.storage.tables import messages as message_rows
from tidings.storage.tables import settlement
from tidings.storage.tables.bucket_index import BUCKET_WIDTH, LATE, bucket_of
from tidings.storage.tables.key_ranges import bounds_of, end_of

_TRIED: Final = composed("SELECT attempt.msg_id, attempt.id, attempt.status {source}", source=OF_MESSAGES)
_DUE: Final = "SELECT msg_id, due_at FROM delivery WHERE msg_id IN :msgs AND endpoint_id = :endpoint"
_ENDED: Final = f"SELECT DISTINCT msg_id FROM attempt WHERE endpoint_id = :endpoint AND {settlement.WITHOUT_SUCCESS}"
_OUTSTANDING: Final = (
    # The order selects the index by endpoint; the planner could also choose the one over all endpoints' rows.
    "SELECT msg_id FROM delivery WHERE endpoint_id = :endpoint AND lease IS NULL ORDER BY lane, due_at",
    # Few rows are leased at any time: only those that a node holds in memory.
    "SELECT msg_id FROM delivery WHERE lease IS NOT NULL AND lease_until > 0 AND endpoint_id || '' = :endpoint",
)


async def page(
    read: Read, app_id: AppId, endpoint_id: EndpointId, window: PageWindow, filters: AttemptFilter
) -> list[AttemptedMessage]:
    """Return a page of the messages that an endpoint has attempts of, ordered by id and without payloads."""
    found: list[tuple[str, DestinationStatus]] = []
    async for candidates in _candidates(read, app_id, endpoint_id, window, filters):
        for start in range(0, len(candidates), 2 * window.rows):
            some = candidates[start : start + 2 * window.rows]
            statuses = await _statuses(read, endpoint_id, some, filters.status)
            found += [(msg_id, statuses[msg_id]) for msg_id in some if msg_id in statuses]
            if len(found) >= window.rows:
                break
        if len(found) >= window.rows:
            break
    found = found[: window.rows]
    by_id = await message_rows.by_ids(read, [msg_id for msg_id, _ in found])
    return [AttemptedMessage(by_id[MessageId(msg_id)], status) for msg_id, status in found if msg_id in by_id]


async def _statuses(
    read: Read, endpoint_id: EndpointId, msg_ids: list[str], status: MessageStatus | None
) -> dict[str, DestinationStatus]:
    """Return the status at an endpoint of each message that a status filter lists."""
    tried: dict[str, list[MessageStatus]] = {}
    rows = await read.rows(_TRIED, msgs=msg_ids, endpoint=endpoint_id)
    for row in sorted(rows, key=lambda row: str(row["id"])):
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
    """Yield messages that may be in the list, in its order."""
    found: list[str] | None = None
    match filters.status:
        case MessageStatus.PENDING | MessageStatus.CANCELED:  # no attempted message is listed as such
            return
        case MessageStatus.FAIL:
            part = replace(window, rows=read.tuning.lists.rare_messages)
            found = await _ended(read, endpoint_id, part)
            while len(found) == part.rows and filters.message.is_empty:
                yield found
                part = messages.after(part, found[-1])
                found = await _ended(read, endpoint_id, part)
            if len(found) == part.rows:  # with filters, few of them may be in the list
                found = None
        case MessageStatus.SENDING:
            found = await _outstanding(read, endpoint_id, window)
    if found is not None:
        yield await _matching(read, found, filters)
        return
    async for tried in _tried(read, app_id, endpoint_id, window, filters):
        yield tried


async def _matching(read: Read, msg_ids: list[str], filters: AttemptFilter) -> list[str]:
    """Return those of the messages that match the filters, in their order."""
    if filters.message.is_empty or not msg_ids:
        return msg_ids
    matching = await message_rows.matching(read, msg_ids, filters.message)
    return [each for each in msg_ids if each in matching]


async def _ended(read: Read, endpoint_id: EndpointId, window: PageWindow) -> list[str]:
    """Return the next messages whose delivery ended without a success."""
    found = await read.rows(f"{_ENDED}{end_of(window, 'msg_id')}", endpoint=endpoint_id, **bounds_of(window))
    return [row["msg_id"] for row in found]


async def _outstanding(read: Read, endpoint_id: EndpointId, window: PageWindow) -> list[str] | None:
    """Return the messages of an endpoint's outstanding deliveries, or None if there are many."""
    limit, found = read.tuning.lists.candidates, set[str]()
    for statement in _OUTSTANDING:
        rows = await read.rows(f"{statement} LIMIT {limit + 1:d}", endpoint=endpoint_id)
        if len(rows) > limit:
            return None
        found |= {row["msg_id"] for row in rows}
    return _in_order(found, window)


async def _tried(
    read: Read, app_id: AppId, endpoint_id: EndpointId, window: PageWindow, filters: AttemptFilter
) -> AsyncIterator[list[str]]:
    """Yield the matching messages in the time buckets of an endpoint's attempts."""
    groups = pairs.groups_of(app_id, filters.message)
    known = await buckets.few(read, groups, window) if groups else None
    rare = known and await messages.few_in(read, app_id, known, window, filters.message)
    if rare is not None:
        yield rare
        return
    status = MessageStatus.FAIL if filters.status is MessageStatus.SENDING else filters.status
    outcomes = pairs.outcomes_of(replace(filters, status=status, code_class=None))
    async for batch in pairs.batches(read, Group(endpoint_id, [*outcomes, LATE]), groups, known, window):
        of_messages = {pair[:BUCKET_WIDTH] for pair in batch}
        found = await messages.few_in(read, app_id, of_messages, window, filters.message) if groups else None
        if found is None:
            tried = await pairs.messages_in(read, endpoint_id, list(map(pairs.flipped, batch)), status)
            here = tried and [each for each in tried if bucket_of(each) in of_messages]
            found = None if here is None else await _matching(read, _in_order(here, window), filters)
        if found is not None:
            yield found
            continue
        async for some in messages.all_in(read, app_id, of_messages, window, filters.message):
            yield some


def _in_order(msg_ids: Iterable[str], window: PageWindow) -> list[str]:
    """Return the messages that are in a page window, in its order."""
    low, end = buckets.bounds(window)
    return sorted((each for each in msg_ids if low <= each < end), reverse=window.order is Order.DESCENDING)
