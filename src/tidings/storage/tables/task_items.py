# SPDX-License-Identifier: MIT
"""Stored items of tasks: a task has at most one item for each key, with an outcome and a text."""

from collections.abc import Sequence
from typing import Final

from tidings.storage.drivers.database import Dialect, Read, Write
from tidings.storage.tables.page_window import spread

ItemRow = tuple[str, str, str, str]
"""Task id, key, outcome, and a text: JSON, or the reason why the item was skipped."""

_ADD: Final = (
    "INSERT INTO task_item (task_id, key, outcome, data)"
    " SELECT * FROM given(task_id text, key text, outcome text, data text)"
)
_FIRST_OF_EACH: Final = {
    Dialect.SQLITE: (
        "SELECT item.task_id, item.outcome, item.key, item.data FROM json_each(:ids) AS requested"
        " CROSS JOIN json_each((SELECT json_group_array(found) FROM (SELECT rowid AS found FROM task_item"
        " WHERE task_id = requested.value AND outcome = json_extract(:outcomes, '$[' || requested.key || ']')"
        " ORDER BY key LIMIT :limit))) AS first CROSS JOIN task_item AS item WHERE item.rowid = first.value"
    ),
    Dialect.POSTGRESQL: (
        "SELECT item.task_id, item.outcome, item.key, item.data"
        f" FROM {spread('ids', 'outcomes')} AS requested(id, outcome) CROSS JOIN LATERAL (SELECT * FROM task_item"
        " WHERE task_item.task_id = requested.id AND task_item.outcome = requested.outcome"
        " ORDER BY task_item.key LIMIT CAST(:limit AS BIGINT)) AS item"
    ),
}
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
        for row in await read.rows(_FIRST_OF_EACH[read.dialect], ids=ids, outcomes=outcomes, limit=limit):
            found[row["task_id"], row["outcome"]].append((row["key"], row["data"]))
    return {each: sorted(items) for each, items in found.items()}


async def keep_input(tx: Write, task_id: str, content: bytes) -> None:
    """Store the input of a task that is too large for the task's row."""
    await tx.run(_SET_INPUT, id=task_id, content=content)


async def input_of(read: Read, task_id: str) -> bytes:
    """Return the stored input of a task."""
    return bytes((await read.one(_INPUT, id=task_id))["content"])
