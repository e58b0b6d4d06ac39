# SPDX-License-Identifier: MIT
"""The list of an application's messages, under filters."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Final

from tidings.ids import MESSAGE, AppId, MessageId
from tidings.model.message import Message, MessageFilter
from tidings.model.page import Order, PageWindow
from tidings.storage.drivers.database import Read, Sql
from tidings.storage.lists import buckets
from tidings.storage.tables import messages
from tidings.storage.tables.key_ranges import bounds_of, end_of, spread

_PAGE: Final = "FROM message WHERE app_id = :app"
_IN_PART: Final = (
    f"SELECT message.id AS id {_PAGE} AND message.id >= {{first}} AND message.id < {{stop}}{{{{conditions}}}}"
    " ORDER BY message.id {{direction}} LIMIT {{rows:d}}"
)
# Both statements read the parts in the given order and stop at the limit. They have no constant bounds: with some,
# PostgreSQL would plan every page again, which takes longer than reading it.
_FIRST_IN: Final = Sql(
    sqlite="SELECT found.value AS id FROM json_each(:firsts) AS part CROSS JOIN json_each(({part})) AS found"
    " LIMIT {rows:d}".replace(
        "{part}",
        "SELECT json_group_array(id) FROM ("
        + _IN_PART.format(first="part.value", stop="json_extract(:ends, '$[' || part.key || ']')")
        + ")",
    ),
    postgresql=(
        f"SELECT found.id AS id FROM {spread('firsts', 'ends')} AS part(first, stop) CROSS JOIN LATERAL"
        f" ({_IN_PART.format(first='part.first', stop='part.stop')}) AS found LIMIT {{rows:d}}"
    ),
)


async def page(read: Read, app_id: AppId, window: PageWindow, filters: MessageFilter) -> list[Message]:
    """Return a page of an application's messages in id order, without payloads.

    With filters, the matching ids come from the time buckets that may have one, then the messages are read by id.
    """
    if filters.is_empty:
        columns = messages.columns(with_payload=False)
        rows = await read.rows(
            f"SELECT {columns} {_PAGE}{end_of(window, 'message.id')}", app=app_id, **bounds_of(window)
        )
        return [messages.message_of(row) for row in rows]
    found: list[str] = []
    stream = buckets.stream(read, buckets.groups_of(app_id, filters), window)
    async for batch in buckets.batches(stream, buckets.GROWTH * read.tuning.lists.buckets):
        found += await first_in(read, app_id, batch, window, filters)
        if len(found) >= window.rows:
            break
    by_id = await messages.by_ids(read, found[: window.rows])
    return [by_id[MessageId(each)] for each in found if each in by_id]


async def first_in(
    read: Read, app_id: AppId, some: Iterable[str], window: PageWindow, filters: MessageFilter
) -> list[str]:
    """Return the ids of the first matching messages in buckets, up to the window's rows."""
    parts = buckets.key_ranges(MESSAGE, some, window)
    if not parts:
        return []
    conditions = messages.filter_conditions(filters)
    rows = await read.rows(
        _FIRST_IN.format(conditions=conditions, direction=window.direction, rows=window.rows),
        app=app_id,
        firsts=[first for first, _ in parts],
        ends=[end for _, end in parts],
        **messages.filter_values(filters),
    )
    return [row["id"] for row in rows]


async def few_in(
    read: Read, app_id: AppId, some: Iterable[str], window: PageWindow, filters: MessageFilter
) -> list[str] | None:
    """Return the ids of all matching messages of a window in buckets, or None if they are not few."""
    most = read.tuning.lists.rare_messages
    found = await first_in(read, app_id, some, replace(window, rows=most + 1), filters)
    return found if len(found) <= most else None


async def all_in(
    read: Read, app_id: AppId, some: Iterable[str], window: PageWindow, filters: MessageFilter
) -> AsyncIterator[list[str]]:
    """Yield the ids of all matching messages of a window in buckets, in its order, some hundreds at a time."""
    window = replace(window, rows=read.tuning.lists.rare_messages)
    while True:
        found = await first_in(read, app_id, some, window, filters)
        yield found
        if len(found) < window.rows:
            return
        window = after(window, found[-1])


def after(window: PageWindow, key: str) -> PageWindow:
    """Return the rest of a window after a key, in its order."""
    return replace(window, below=key) if window.order is Order.DESCENDING else replace(window, above=key)
