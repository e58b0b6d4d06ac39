# SPDX-License-Identifier: MIT
"""The lists of the attempts at an endpoint, under filters, with their number, and of the attempted messages.

Filters by message (event type, channel, tag) need a second table. If few messages match, the query looks up the
attempts of each. Otherwise it reads the time buckets that may have a match. A filter by attempt outcome also uses time
buckets, because an outcome may be rare at an endpoint.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from typing import Final

from tidings.clock import DAY, HOUR
from tidings.ids import ATTEMPT, MESSAGE, AppId, EndpointId, MessageId, first_at, timestamp_of
from tidings.model.attempt import Attempt, AttemptedMessage, AttemptFilter, DestinationStatus, MessageStatus
from tidings.model.page import Order, PageWindow
from tidings.storage.drivers.database import Read, Row, Sql, Statement, composed
from tidings.storage.lists import buckets, messages
from tidings.storage.lists.buckets import Group
from tidings.storage.tables import messages as message_rows
from tidings.storage.tables import settlement
from tidings.storage.tables.attempts import COLUMNS, attempt_of, codes_of, conditions, page_from
from tidings.storage.tables.bucket_index import BUCKET_WIDTH, LATE, bucket_of
from tidings.storage.tables.key_ranges import bounds_of, end_of, hidden, spread

_LATEST_MS: Final = 92 * DAY
"""The longest time from a message to its last attempt: payload retention, a day of deferral, and clock skew."""
_OF_ENDPOINT: Final = "FROM attempt WHERE attempt.endpoint_id = {endpoint}"
_BY_ENDPOINT: Final = _OF_ENDPOINT.format(endpoint=":endpoint")
_WITH_MESSAGE: Final = Sql(
    sqlite=(
        "FROM {attempts} CROSS JOIN message WHERE message.id = attempt.msg_id AND attempt.endpoint_id = {endpoint}"
    ),
    postgresql=(
        "FROM {attempts} CROSS JOIN LATERAL (SELECT event_type, channels, tags FROM message AS m"
        " WHERE m.id = attempt.msg_id OFFSET 0) AS message WHERE attempt.endpoint_id = {endpoint}"
    ),
)
# One probe per message: the primary key keeps the attempts of a message at one endpoint together.
OF_MESSAGES: Final = Sql(
    sqlite=(
        "FROM json_each(:msgs) AS asked CROSS JOIN attempt"
        " WHERE attempt.msg_id = asked.value AND attempt.endpoint_id = :endpoint"
    ),
    postgresql=(
        f"FROM {spread('msgs')} AS asked(id) CROSS JOIN LATERAL (SELECT * FROM attempt AS a"
        f" WHERE a.msg_id = asked.id AND a.endpoint_id = {hidden('endpoint')} OFFSET 0) AS attempt WHERE TRUE"
    ),
)
# Each part is one bucket of attempts. On PostgreSQL the bucket of the messages also selects the partition.
_IN_PARTS: Final = Sql(
    sqlite=(
        f"SELECT {COLUMNS} FROM {buckets.PARTS.sqlite} CROSS JOIN json_each((SELECT json_group_array(found)"
        f" FROM (SELECT attempt.rowid AS found {{source}}{{conditions}}{buckets.IN_PART.sqlite}"
        " ORDER BY attempt.id {direction} LIMIT {rows:d}))) AS asked CROSS JOIN attempt"
        " WHERE attempt.rowid = asked.value"
    ),
    postgresql=(
        f"SELECT {COLUMNS} FROM {buckets.PARTS.postgresql}"
        f" CROSS JOIN LATERAL (SELECT attempt.* {{source}}{{conditions}}{buckets.IN_PART.postgresql}"
        " ORDER BY attempt.id {direction} LIMIT {rows:d}) AS attempt"
    ),
)
_ENDPOINT: Final = Sql(sqlite=":endpoint", postgresql=hidden("endpoint"))


async def page(
    read: Read, app_id: AppId, endpoint_id: EndpointId, window: PageWindow, filters: AttemptFilter
) -> list[Attempt]:
    """Return a page of the attempts at an endpoint, ordered by id."""
    if not filters.statuses:
        return []
    outcomes, known = buckets.outcomes_of(filters), None
    if filters.message.is_empty and len(outcomes) > 1:  # an index has the order of the list
        return await page_from(read, f"{_BY_ENDPOINT}{conditions(filters)}", window, filters, endpoint=endpoint_id)
    groups = buckets.groups_of(app_id, filters.message)
    if groups:
        of_messages = _of_messages(window)
        known = await buckets.few(read, groups, of_messages)
        few = known and await messages.few_in(read, app_id, known, of_messages, filters.message)
        if few is not None:
            return await _page_by_message(read, endpoint_id, few, window, filters)
    found: list[Attempt] = []
    async for batch in buckets.pair_batches(read, Group(endpoint_id, outcomes), groups, known, window):
        async for some in _in_pairs(read, app_id, endpoint_id, batch, window, filters):
            found += some
            if len(found) >= window.rows:
                return found[: window.rows]
    return found


def _of_messages(window: PageWindow) -> PageWindow:
    """Return the window of messages to which the attempts of a window can belong."""
    lowest = max(filter(None, (window.first, window.above)), default=None)
    first = None if lowest is None else first_at(MESSAGE, timestamp_of(lowest) - _LATEST_MS)
    below = None if window.below is None else first_at(MESSAGE, timestamp_of(window.below) + HOUR)
    return replace(window, first=first, above=None, below=below)


async def _in_pairs(
    read: Read, app_id: AppId, endpoint_id: EndpointId, batch: list[str], window: PageWindow, filters: AttemptFilter
) -> AsyncIterator[list[Attempt]]:
    """Yield matching attempts in pairs of buckets, in the order of the list.

    An index finds the matching messages. If they are not few, a few attempts fill the page, so the query reads those of
    the first bucket, then of some more, and checks the message of each.
    """
    if filters.message.is_empty:
        yield await _page_in_pairs(read, endpoint_id, batch, window, filters)
        return
    of_messages = {pair[BUCKET_WIDTH:] for pair in batch}
    few = await messages.few_in(read, app_id, of_messages, _of_messages(window), filters.message)
    if few is None:
        async for some in buckets.batches(buckets.once(batch), 1):
            yield await _page_in_pairs(read, endpoint_id, some, window, filters)
    elif few:
        around = buckets.around(ATTEMPT, batch, window)
        yield await _page_by_message(read, endpoint_id, few, around, filters)


async def _page_in_pairs(
    read: Read, endpoint_id: EndpointId, batch: Sequence[str], window: PageWindow, filters: AttemptFilter
) -> list[Attempt]:
    """Return the first matching attempts in pairs of buckets."""
    rows = await _read_in_pairs(read, endpoint_id, batch, window, filters, "{found}")
    found = sorted(map(attempt_of, rows), key=lambda each: each.id, reverse=window.order is Order.DESCENDING)
    return found[: window.rows]


async def _read_in_pairs(
    read: Read,
    endpoint_id: EndpointId,
    batch: Sequence[str],
    window: PageWindow,
    filters: AttemptFilter,
    statement: str,
) -> list[Row]:
    """Run a statement on the matching attempts in pairs of buckets, of each the first up to the window's rows."""
    parts = buckets.parts_of(read, batch, window)
    if not parts["firsts"]:
        return []
    source = _OF_ENDPOINT if filters.message.is_empty else _WITH_MESSAGE
    found = _IN_PARTS.format(
        source=composed(source, attempts="attempt", endpoint=_ENDPOINT),
        conditions=f"{conditions(filters)}{message_rows.filter_conditions(filters.message)}",
        direction=window.direction,
        rows=window.rows,
    )
    return await read.rows(
        composed(statement, found=found),
        endpoint=endpoint_id,
        **parts,
        **codes_of(filters),
        **message_rows.filter_values(filters.message),
    )


async def _page_by_message(
    read: Read, endpoint_id: EndpointId, msgs: list[str], window: PageWindow, filters: AttemptFilter
) -> list[Attempt]:
    """Return a page of the attempts of messages at an endpoint."""
    source = composed("{source}{conditions}", source=OF_MESSAGES, conditions=conditions(filters))
    return await page_from(read, source, window, filters, is_row_expensive=True, endpoint=endpoint_id, msgs=msgs)


async def count(read: Read, endpoint_id: EndpointId, window: PageWindow, filters: AttemptFilter, *, limit: int) -> int:
    """Count the attempts at an endpoint in a window. The query reads at most `limit` attempts.

    An outcome that is rare at the endpoint is counted in its time buckets.
    """
    window, outcomes = replace(window, rows=limit), buckets.outcomes_of(filters)
    if filters.message.is_empty and filters.statuses and len(outcomes) < len(buckets.OUTCOMES):
        few = await buckets.few(read, [Group(endpoint_id, outcomes)], window)
        if few is not None:
            counted = f"SELECT count(*) AS n FROM ({{found}} LIMIT {limit:d}) AS counted"
            rows = await _read_in_pairs(read, endpoint_id, few, window, filters, counted)
            return int(rows[0]["n"]) if rows else 0
    found: Statement = f"SELECT attempt.* {_BY_ENDPOINT}{conditions(filters)}{end_of(window, 'attempt.id')}"
    if not filters.message.is_empty:
        source = _WITH_MESSAGE.format(attempts=f"({found}) AS attempt", endpoint=":endpoint")
        matches = message_rows.filter_conditions(filters.message)
        found = composed("SELECT attempt.id {source}{matches}", source=source, matches=matches)
    row = await read.one(
        composed("SELECT count(*) AS n FROM ({found}) AS counted", found=found),
        endpoint=endpoint_id,
        **codes_of(filters),
        **message_rows.filter_values(filters.message),
        **bounds_of(window),
    )
    return int(row["n"])


# -----------------------------------------------------------------------------------------------------------------
# The list of the messages that were attempted at an endpoint
#
# It is ordered by message id. No index has that order for one endpoint: every attempt would pay for it, and few
# requests would read it. The query therefore generates candidates, and reads their attempts. Deliveries that ended
# without a success have an index in the order of the list, and outstanding ones are few. All other candidates are in
# the time buckets of the endpoint's attempts.

_TRIED: Final = composed("SELECT attempt.msg_id, attempt.id, attempt.status {source}", source=OF_MESSAGES)
_DUE: Final = "SELECT msg_id, due_at FROM delivery WHERE msg_id IN :msgs AND endpoint_id = :endpoint"
_ENDED: Final = f"SELECT DISTINCT msg_id FROM attempt WHERE endpoint_id = :endpoint AND {settlement.WITHOUT_SUCCESS}"
_OUTSTANDING: Final = (
    # The order selects the index by endpoint; the planner could also choose the one over all endpoints' rows.
    "SELECT msg_id FROM delivery WHERE endpoint_id = :endpoint AND lease IS NULL ORDER BY lane, due_at",
    # Few rows are leased at any time: only those that a node holds in memory.
    "SELECT msg_id FROM delivery WHERE lease IS NOT NULL AND lease_until > 0 AND endpoint_id || '' = :endpoint",
)


async def page_of_attempted_messages(
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
        case MessageStatus.PENDING:  # no attempted message is listed as such
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
    async for tried in _tried_messages(read, app_id, endpoint_id, window, filters):
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


async def _tried_messages(
    read: Read, app_id: AppId, endpoint_id: EndpointId, window: PageWindow, filters: AttemptFilter
) -> AsyncIterator[list[str]]:
    """Yield the matching messages in the time buckets of an endpoint's attempts."""
    groups = buckets.groups_of(app_id, filters.message)
    known = await buckets.few(read, groups, window) if groups else None
    rare = known and await messages.few_in(read, app_id, known, window, filters.message)
    if rare is not None:
        yield rare
        return
    status = MessageStatus.FAIL if filters.status is MessageStatus.SENDING else filters.status
    outcomes = buckets.outcomes_of(replace(filters, status=status, code_class=None))
    async for batch in buckets.pair_batches(read, Group(endpoint_id, [*outcomes, LATE]), groups, known, window):
        of_messages = {pair[:BUCKET_WIDTH] for pair in batch}
        found = await messages.few_in(read, app_id, of_messages, window, filters.message) if groups else None
        if found is None:
            tried = await buckets.messages_in(read, endpoint_id, list(map(buckets.flipped, batch)), status)
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
