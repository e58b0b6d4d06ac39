# SPDX-License-Identifier: MIT
"""What tasks write down of single items: each key of a task once, with an outcome and what is to be told of it."""

from collections.abc import Sequence
from typing import Final

from tidings.storage.database import Read, Row, Sql, Write

ItemRow = tuple[str, str, str, str]
"""A task's id, the item's key, its outcome, and a text: JSON, or the reason why it was skipped."""

_ADD: Final = Sql(
    sqlite="INSERT INTO task_item (task_id, key, outcome, data) VALUES (?, ?, ?, ?)",
    postgresql=(
        "INSERT INTO task_item (task_id, key, outcome, data)"
        " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])"
    ),
)
_PAGE: Final = (
    "SELECT key, data FROM task_item WHERE task_id = :id AND outcome = :outcome AND key > :after"
    " ORDER BY key LIMIT CAST(:limit AS BIGINT)"
)
_SET_INPUT: Final = "INSERT INTO task_input (task_id, content) VALUES (:id, :content)"
_INPUT: Final = "SELECT content FROM task_input WHERE task_id = :id"


async def add(tx: Write, items: Sequence[ItemRow]) -> None:
    """Add items; one that is there already is a fault, and takes the whole transaction back."""
    if items:
        await tx.bulk(_ADD, items)


async def page(read: Read, task_id: str, outcome: str, *, after: str = "", limit: int) -> list[tuple[str, str]]:
    """Return items of one outcome in order of their keys: key and text."""
    rows: list[Row] = await read.rows(_PAGE, id=task_id, outcome=outcome, after=after, limit=limit)
    return [(row["key"], row["data"]) for row in rows]


async def keep_input(tx: Write, task_id: str, content: bytes) -> None:
    """Keep what a task is to work with and is too big for its row."""
    await tx.run(_SET_INPUT, id=task_id, content=content)


async def input_of(read: Read, task_id: str) -> bytes:
    """Return what a task is to work with."""
    return bytes((await read.one(_INPUT, id=task_id))["content"])
