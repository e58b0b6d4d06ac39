# SPDX-License-Identifier: MIT
"""The outcome of each item of a task, read from deliveries, attempts and stored items.

Nothing is copied: a message that a task resends has a delivery with the task's id until it is sent, and then an attempt
with that id. Each source is a range of an index that starts with the task, in key order.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidings.model.page import Order, PageWindow
from tidings.model.task_item import ItemOutcome
from tidings.storage.drivers.database import Read, Row, Value, Write


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
