# SPDX-License-Identifier: MIT
"""The list of the attempts at an endpoint, under filters, and their number.

Filters by message (event type, channel, tag) need a second table. If few messages match, the query looks up the
attempts of each. Otherwise it reads the time buckets that may have a match. A filter by attempt outcome also uses time
buckets, because an outcome may be rare at an endpoint.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final

from tidings.clock import DAY, HOUR
from tidings.ids import ATTEMPT, MESSAGE, AppId, EndpointId, first_at, timestamp_of
from tidings.model.attempt import Attempt, AttemptFilter
from tidings.model.page import Order, PageWindow
from tidings.storage.drivers.database import Read, Row, Sql, Statement, composed
from tidings.storage.lists import buckets, messages, pairs
from tidings.storage.lists.buckets import Group
from tidings.storage.tables import message_filters
from tidings.storage.tables.attempts import COLUMNS, attempt_of, codes_of, conditions, page_from
from tidings.storage.tables.bucket_index import BUCKET_WIDTH
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
        f"SELECT {COLUMNS} FROM {pairs.PARTS.sqlite} CROSS JOIN json_each((SELECT json_group_array(found)"
        f" FROM (SELECT attempt.rowid AS found {{source}}{{conditions}}{pairs.IN_PART.sqlite}"
        " ORDER BY attempt.id {direction} LIMIT {rows:d}))) AS asked CROSS JOIN attempt"
        " WHERE attempt.rowid = asked.value"
    ),
    postgresql=(
        f"SELECT {COLUMNS} FROM {pairs.PARTS.postgresql}"
        f" CROSS JOIN LATERAL (SELECT attempt.* {{source}}{{conditions}}{pairs.IN_PART.postgresql}"
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
    outcomes, known = pairs.outcomes_of(filters), None
    if filters.message.is_empty and len(outcomes) > 1:  # an index has the order of the list
        return await page_from(read, f"{_BY_ENDPOINT}{conditions(filters)}", window, filters, endpoint=endpoint_id)
    groups = pairs.groups_of(app_id, filters.message)
    if groups:
        of_messages = _of_messages(window)
        known = await buckets.few(read, groups, of_messages)
        few = known and await messages.few_in(read, app_id, known, of_messages, filters.message)
        if few is not None:
            return await _page_by_message(read, endpoint_id, few, window, filters)
    found: list[Attempt] = []
    async for batch in pairs.batches(read, Group(endpoint_id, outcomes), groups, known, window):
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
    parts = pairs.parts_of(read, batch, window)
    if not parts["firsts"]:
        return []
    source = _OF_ENDPOINT if filters.message.is_empty else _WITH_MESSAGE
    found = _IN_PARTS.format(
        source=composed(source, attempts="attempt", endpoint=_ENDPOINT),
        conditions=f"{conditions(filters)}{message_filters.conditions(filters.message)}",
        direction=window.direction,
        rows=window.rows,
    )
    return await read.rows(
        composed(statement, found=found),
        endpoint=endpoint_id,
        **parts,
        **codes_of(filters),
        **message_filters.values_of(filters.message),
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
    window, outcomes = replace(window, rows=limit), pairs.outcomes_of(filters)
    if filters.message.is_empty and filters.statuses and len(outcomes) < len(pairs.OUTCOMES):
        few = await buckets.few(read, [Group(endpoint_id, outcomes)], window)
        if few is not None:
            counted = f"SELECT count(*) AS n FROM ({{found}} LIMIT {limit:d}) AS counted"
            rows = await _read_in_pairs(read, endpoint_id, few, window, filters, counted)
            return int(rows[0]["n"]) if rows else 0
    found: Statement = f"SELECT attempt.* {_BY_ENDPOINT}{conditions(filters)}{end_of(window, 'attempt.id')}"
    if not filters.message.is_empty:
        source = _WITH_MESSAGE.format(attempts=f"({found}) AS attempt", endpoint=":endpoint")
        matches = message_filters.conditions(filters.message)
        found = composed("SELECT attempt.id {source}{matches}", source=source, matches=matches)
    row = await read.one(
        composed("SELECT count(*) AS n FROM ({found}) AS counted", found=found),
        endpoint=endpoint_id,
        **codes_of(filters),
        **message_filters.values_of(filters.message),
        **bounds_of(window),
    )
    return int(row["n"])
