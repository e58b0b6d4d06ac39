# SPDX-License-Identifier: MIT
"""The items of tasks: stored items, of which a task has at most one for each key, and the outcome of each item."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidings.model.page import Order, PageWindow
from tidings.model.status import Count
from tidings.model.task_item import ItemOutcome
from tidings.storage.drivers.database import Read, Row, Sql, Value, Write
from tidings.storage.tables.key_ranges import spread

ItemRow = tuple[str, str, str, str]
"""Task id, key, outcome, and a text: JSON, or the reason why the item was skipped."""

_ADD: Final = (
    "INSERT INTO task_item (task_id, key, outcome, data)"
    " SELECT * FROM given(task_id text, key text, outcome text, data text)"
)
_FIRST_OF_EACH: Final = Sql(
    # SQLite has no LATERAL: the inner query returns rowids as a list.
    sqlite=(
        "SELECT item.task_id, item.outcome, item.key, item.data FROM json_each(:ids) AS requested"
        " CROSS JOIN json_each((SELECT json_group_array(found) FROM (SELECT rowid AS found FROM task_item"
        " WHERE task_id = requested.value AND outcome = json_extract(:outcomes, '$[' || requested.key || ']')"
        " ORDER BY key LIMIT :limit))) AS first CROSS JOIN task_item AS item WHERE item.rowid = first.value"
    ),
    postgresql=(
        "SELECT item.task_id, item.outcome, item.key, item.data"
        f" FROM {spread('ids', 'outcomes')} AS requested(id, outcome) CROSS JOIN LATERAL (SELECT * FROM task_item"
        " WHERE task_item.task_id = requested.id AND task_item.outcome = requested.outcome"
        " ORDER BY task_item.key LIMIT CAST(:limit AS BIGINT)) AS item"
    ),
)
_SET_INPUT: Final = "INSERT INTO task_input (task_id, content) VALUES (:id, :content)"
_INPUT: Final = "SELECT content FROM task_input WHERE task_id = :id"


async def add(tx: Write, items: Sequence[ItemRow]) -> None:
    """Insert items. Raises `Duplicate` if one exists; the transaction must then roll back."""
    if items:
        await tx.bulk(_ADD, items)


async def first_of_each(
    read: Read, pairs: Sequence[tuple[str, str]], *, limit: int
) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Return the first `limit` items of each task and outcome in `pairs`: key and text, in key order."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {each: [] for each in pairs}
    if pairs:
        ids, outcomes = [task_id for task_id, _ in pairs], [outcome for _, outcome in pairs]
        for row in await read.rows(_FIRST_OF_EACH, ids=ids, outcomes=outcomes, limit=limit):
            found[row["task_id"], row["outcome"]].append((row["key"], row["data"]))
    return {each: sorted(items) for each, items in found.items()}


async def keep_input(tx: Write, task_id: str, content: bytes) -> None:
    """Store the input of a task that is too large for the task's row."""
    await tx.run(_SET_INPUT, id=task_id, content=content)


async def input_of(read: Read, task_id: str) -> bytes:
    """Return the stored input of a task."""
    return bytes((await read.one(_INPUT, id=task_id))["content"])


# -----------------------------------------------------------------------------------------------------------------
# The outcome of each item, read from deliveries, attempts and stored items. Nothing is copied: a message that a task
# resends has a delivery with the task's id until it is sent, and then an attempt with that id. Each source is a range
# of an index that starts with the task, in key order.


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item of a task; `data` is a reason or JSON, depending on the kind."""

    key: str
    outcome: ItemOutcome
    msg_id: str | None = None
    endpoint_id: str | None = None
    attempt_id: str | None = None
    code: int | None = None
    data: str | None = None


def key_of(msg_id: str, endpoint_id: str) -> str:
    """Return the key of a message and an endpoint. Keys sort like pairs of message and endpoint."""
    return f"{msg_id}.{endpoint_id}"


_REARMED: Final = (
    "SELECT msg_id, endpoint_id, NULL AS attempt_id, NULL AS code FROM delivery WHERE task_id = :task{bounds}"
)
_TRIED: Final = (
    "SELECT msg_id, endpoint_id, id AS attempt_id, response_status_code AS code FROM attempt"
    " WHERE task_id = :task AND status = {status}{bounds}"
)
_SENDS: Final = {
    ItemOutcome.REARMED: _REARMED,
    ItemOutcome.DELIVERED: _TRIED.replace("{status}", "0"),
    ItemOutcome.FAILED: _TRIED.replace("{status}", "2"),
}
_NOTED: Final = "SELECT key, data FROM task_item WHERE task_id = :task AND outcome = :outcome{bounds}"


async def page(read: Read, task_id: str, window: PageWindow, outcomes: Sequence[ItemOutcome]) -> list[StoredItem]:
    """Return a page of the items of a task that have one of the outcomes, in key order."""
    parts = [await _part(read, task_id, window, outcome) for outcome in outcomes]
    merged = heapq.merge(*parts, key=lambda item: item.key, reverse=window.order is Order.DESCENDING)
    return list(merged)[: window.rows]


async def _part(read: Read, task_id: str, window: PageWindow, outcome: ItemOutcome) -> list[StoredItem]:
    rows = await read.rows(text_of(window, outcome), task=task_id, outcome=outcome.value, **_values(window))
    return [
        _sent(row, outcome) if outcome in _SENDS else StoredItem(row["key"], outcome, data=row["data"]) for row in rows
    ]


def _sent(row: Row, outcome: ItemOutcome) -> StoredItem:
    msg_id, endpoint_id, attempt_id, code = row
    return StoredItem(key_of(msg_id, endpoint_id), outcome, msg_id, endpoint_id, attempt_id, code)


COUNTED_AT_MOST: Final = 10_000
_ENOUGH: Final = f" LIMIT {COUNTED_AT_MOST + 1}"
_COUNTS: Final = "SELECT " + ", ".join(
    "(SELECT count(*) FROM ("
    + _SENDS.get(each, _NOTED).replace("{bounds}", _ENOUGH).replace(":outcome", f"'{each.value}'")
    + f") AS counted) AS {each.value}"
    for each in ItemOutcome
)


async def counts(read: Read, task_id: str) -> dict[ItemOutcome, Count]:
    """Return the number of a task's items by outcome, each exact up to 10,000."""
    row = await read.one(_COUNTS, task=task_id)
    found = {each: row[each.value] for each in ItemOutcome}
    return {each: Count(min(n, COUNTED_AT_MOST), n <= COUNTED_AT_MOST) for each, n in found.items()}


def text_of(window: PageWindow, outcome: ItemOutcome) -> str:
    """Return the statement that reads a page of the items with one outcome."""
    if outcome in _SENDS:
        return _SENDS[outcome].replace(
            "{bounds}", _bounds(window, "(msg_id, endpoint_id)", "(:{0}_msg, :{0}_endpoint)")
        )
    return _NOTED.replace("{bounds}", _bounds(window, "key", ":{0}"))


def _bounds(window: PageWindow, columns: str, value: str) -> str:
    text = "" if window.above is None else f" AND {columns} > {value.format('above')}"
    text += "" if window.below is None else f" AND {columns} < {value.format('below')}"
    order = ", ".join(f"{column} {window.direction}" for column in columns.strip("()").split(", "))
    return f"{text} ORDER BY {order} LIMIT :rows"


def _values(window: PageWindow) -> dict[str, Value]:
    values: dict[str, Value] = {"rows": window.rows}
    for name, bound in (("above", window.above), ("below", window.below)):
        if bound is not None:
            msg_id, _, endpoint_id = bound.partition(".")
            values |= {name: bound, f"{name}_msg": msg_id, f"{name}_endpoint": endpoint_id}
    return values


_WITHDRAWN: Final = (
    "INSERT INTO task_item (task_id, key, outcome) SELECT given.task, given.key, 'withdrawn'"
    " FROM given(task text, key text) ON CONFLICT DO NOTHING"
)


async def note_canceled(tx: Write, task_id: str, sends: Sequence[tuple[str, str]]) -> None:
    """Store items for canceled sends (message, endpoint). No other row records them."""
    if sends:
        await tx.bulk(_WITHDRAWN, [(task_id, key_of(*send)) for send in sends])
