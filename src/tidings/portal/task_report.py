# SPDX-License-Identifier: MIT
"""The items of a task: a list by outcome, and a file for spreadsheets."""

import csv
import io
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from typing import Final

from tidings import ids
from tidings.asgi.stream import Stream
from tidings.clock import rfc3339
from tidings.core import task_items
from tidings.core.services import Services
from tidings.core.task_items import StoredItem
from tidings.model.page import Cursor, Order, Page
from tidings.model.task import Task
from tidings.model.task_item import ItemOutcome
from tidings.model.token import Principal
from tidings.portal import task_words
from tidings.portal.request import PageRequest

ROWS_MAX: Final = 100_000
"""The most items in a file."""
_CHUNK: Final = 1_000
_COLUMNS: Final = ("item", "message", "endpoint", "outcome", "status code", "attempt", "time", "reason or result")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""The first characters of a text that spreadsheets would compute."""
_CLASSES: Final = {0: "no response", 100: "1xx", 200: "2xx", 300: "3xx", 400: "4xx", 500: "5xx"}
_KEY_MAX: Final = 512


def code_class(value: object) -> str:
    """Return a class of status codes in words."""
    return _CLASSES.get(value, str(value)) if isinstance(value, int) else str(value)


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An item as the pages show it."""

    key: str
    msg_id: str | None
    endpoint_id: str | None
    outcome: ItemOutcome
    word: str
    color: str
    code: int | None
    attempt_id: str | None
    at: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """A page of a task's items, and the outcome that it is limited to."""

    found: Page[ItemRow]
    outcome: ItemOutcome | None


def outcome_in(page: PageRequest) -> ItemOutcome | None:
    """Return the outcome in the query of a page; None for all, or an unknown one."""
    given = page.query["outcome"]
    return ItemOutcome(given) if given in list(ItemOutcome) else None


async def report_of(page: PageRequest, task: Task, viewer: Principal) -> Report:
    """Return the items of the page's query."""
    outcome, at = outcome_in(page), page.query["at"]
    cursor = Cursor(Order.ASCENDING, iterator=at if 0 < len(at) <= _KEY_MAX else None)
    found = await task_items.page(page.services, viewer, task.id, cursor, outcome=outcome)
    return Report(found.mapped(row_of), outcome)


def row_of(item: StoredItem) -> ItemRow:
    """Return an item as the pages show it."""
    word, color = task_words.OUTCOMES[item.outcome]
    msg_id, endpoint_id = item.msg_id, item.endpoint_id
    if msg_id is None and item.key.startswith(ids.MESSAGE):
        msg_id, _, rest = item.key.partition(".")
        endpoint_id = endpoint_id or rest or None
    at = None if item.attempt_id is None else ids.timestamp_of(item.attempt_id)
    return ItemRow(
        item.key,
        msg_id,
        endpoint_id,
        item.outcome,
        word,
        color,
        item.code,
        item.attempt_id,
        at,
        task_words.reason_of(item),
    )


def csv_of(page: PageRequest, task: Task, viewer: Principal) -> Stream:
    """Return the items of a task as a file, in chunks of a thousand: at most `ROWS_MAX`, in the order of their keys.

    Raises `too_many` if the session downloads too many files already.
    """
    services, outcome = page.services, outcome_in(page)
    name = f"{task.id}{'' if outcome is None else f'-{outcome.value}'}.csv"
    headers = (
        (b"content-type", b"text/csv; charset=utf-8"),
        (b"content-disposition", f'attachment; filename="{name}"'.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"default-src 'none'; sandbox"),
    )
    end = page.context.downloads.begin(page.session.token)
    return Stream(200, parts=lambda: _lines(services, viewer, task, outcome), headers=headers, hang_up=end)


async def _lines(
    services: Services, viewer: Principal, task: Task, outcome: ItemOutcome | None
) -> AsyncGenerator[bytes, None]:
    yield encoded([_COLUMNS])
    cursor, written = Cursor(Order.ASCENDING, _CHUNK), 0
    while written < ROWS_MAX:
        found = await task_items.page(services, viewer, task.id, cursor, outcome=outcome)
        written += len(found.items)
        if found.items:
            yield encoded(map(_cells, map(row_of, found.items)))
        if found.done:
            return
        cursor = Cursor(Order.ASCENDING, _CHUNK, found.iterator)
    yield encoded([(f"The file ends after {ROWS_MAX:,} items; the API lists the others.",)])


def _cells(row: ItemRow) -> tuple[str, ...]:
    code = "" if row.code is None else "no response" if row.code == 0 else str(row.code)
    at = "" if row.at is None else rfc3339(row.at)
    return (
        row.key,
        row.msg_id or "",
        row.endpoint_id or "",
        row.word,
        code,
        row.attempt_id or "",
        at,
        row.reason,
    )


def encoded(rows: Iterable[Iterable[str]]) -> bytes:
    """Return rows as CSV; an apostrophe makes texts inert that a spreadsheet would compute."""
    text = io.StringIO()
    csv.writer(text).writerows(
        [f"'{cell}" if cell.startswith(_FORMULA) else cell.replace("\0", "") for cell in row] for row in rows
    )
    return text.getvalue().encode("utf-8", "replace")
