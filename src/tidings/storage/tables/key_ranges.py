# SPDX-License-Identifier: MIT
"""Key ranges that tasks visit, and windows of list pages.

A range has the rows of one owner in the order of their ids, from `first` to before `end`.

Ids sort by creation, so the high-water mark, the greatest id when a task starts, closes its range: rows that are
created later are after it. An index on owner and id serves every query here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import repeat
from typing import Final

from tidings.model.page import PageWindow
from tidings.storage.drivers.database import Dialect, Read, Sql, Value


@dataclass(frozen=True, slots=True)
class CountedRange:
    """A counted part of a range: its rows, the last id, and the rows that match the condition of `OwnedRows`."""

    count: int
    last_id: str | None
    matching: int


class OwnedRows:
    """A table whose rows belong to owners. `among` limits it to some rows; `matching` is counted separately."""

    __slots__ = ("count_text", "first_text", "mark_text")

    def __init__(self, table: str, owner: str, *, among: str = "1 = 1", matching: str | None = None) -> None:
        matches = "" if matching is None else f", CASE WHEN {matching} THEN 1 ELSE 0 END AS matches"
        matched = "count(*)" if matching is None else "coalesce(sum(matches), 0)"
        self.mark_text = f"SELECT max(id) AS id FROM {table} WHERE {owner} = :owner"
        self.first_text = f"SELECT min(id) AS id FROM {table} WHERE {owner} = :owner AND id >= :first"
        self.count_text = (
            f"SELECT count(*) AS n, max(id) AS last_id, {matched} AS matching FROM (SELECT id{matches} FROM {table}"
            f" WHERE {owner} = :owner AND id >= :first AND id < :end AND {among}"
            " ORDER BY id LIMIT CAST(:limit AS BIGINT)) AS counted"
        )

    async def high_water_mark(self, read: Read, owner: str) -> str:
        """Return the greatest visible id, or an empty string."""
        return (await read.one(self.mark_text, owner=owner))["id"] or ""

    async def high_water_mark_at_start(self, read: Read, owner: str) -> str | None:
        """Return the high-water mark in the transaction that starts a task; None if the task has to read it later.

        On PostgreSQL an older transaction may still commit a smaller id. The task waits until those have ended.
        """
        return await self.high_water_mark(read, owner) if read.has_one_writer else None

    async def first(self, read: Read, owner: str, *, first: str = "") -> str | None:
        """Return the least id from `first` on, or None."""
        found: str | None = (await read.one(self.first_text, owner=owner, first=first))["id"]
        return found

    async def count(self, read: Read, owner: str, first: str, end: str, *, limit: int) -> CountedRange:
        """Count the rows with `first <= id < end`, up to a limit."""
        count, last_id, matching = await read.one(self.count_text, owner=owner, first=first, end=end, limit=limit)
        return CountedRange(count, last_id, matching)


ATTEMPTS: Final = OwnedRows("attempt", "endpoint_id")
"""The attempts at an endpoint."""
MESSAGES: Final = OwnedRows("message", "app_id")
"""The messages of an application."""
PAYLOADS: Final = OwnedRows("message", "app_id", matching="payload IS NOT NULL")
"""The messages of an application; those with a payload match."""
APPLICATIONS: Final = OwnedRows("application", "org_id", among="deleted_at IS NULL")
"""The applications of an organization that are not deleted."""


# -----------------------------------------------------------------------------------------------------------------
# Scans that give each row a verdict


class ScanVerdict(IntEnum):
    """The action that a scanned row requires.

    In a recovery: `NOTHING` if the attempt did not fail, if its message was delivered, or if the range has an earlier
    failed attempt of the message. `NO_PAYLOAD` if the payload of the message was deleted. `SEND` otherwise.
    """

    NOTHING = 0
    SEND = 1
    NO_PAYLOAD = 2


VERDICTS: Final = tuple(ScanVerdict)
"""The verdicts by number. Constructing the enum member from its number costs more than reading the row."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """A scanned range: the number of rows, the last id, and the messages to act on."""

    count: int
    last_id: str | None
    verdicts: tuple[tuple[str, ScanVerdict], ...]
    is_cut: bool = False
    """Whether rows are left although there are fewer than the limit."""

    @property
    def to_send(self) -> list[str]:
        """The messages to send, in the order of their ids."""
        return sorted(msg_id for msg_id, verdict in self.verdicts if verdict is ScanVerdict.SEND)


def scan_statement(text: str) -> Sql:
    """Build the statement of a scan from a query that returns id, message and verdict of each row.

    On PostgreSQL it returns the count, the last id, and one array of messages for each verdict that needs action. The
    driver decodes arrays faster than rows, and most rows need no action.
    """
    lists = ", ".join(
        f"coalesce(array_agg(msg_id) FILTER (WHERE verdict = {verdict:d}), '{{}}') AS {verdict.name}"
        for verdict in (ScanVerdict.SEND, ScanVerdict.NO_PAYLOAD)
    )
    return Sql(text, f"SELECT count(*) AS n, max(id) AS last_id, {lists} FROM ({text}) AS looked")


async def run_scan(read: Read, sql: Sql, **values: Value | Sequence[Value]) -> Scanned:
    """Run the statement of a scan."""
    if read.dialect is Dialect.SQLITE:
        rows = await read.rows(sql, **values)
        verdicts = tuple((row[1], VERDICTS[row[2]]) for row in rows if row[2])
        return Scanned(len(rows), rows[-1][0] if rows else None, verdicts)
    count, last_id, sends, no_payload = await read.one(sql, **values)
    return Scanned(
        count, last_id, (*zip(sends, repeat(ScanVerdict.SEND)), *zip(no_payload, repeat(ScanVerdict.NO_PAYLOAD)))
    )


# -----------------------------------------------------------------------------------------------------------------
# Windows of list pages


def end_of(window: PageWindow, column: str, *, is_row_expensive: bool = False) -> str:
    """Return the key conditions, ORDER BY and LIMIT of a page.

    `column` goes into the SQL as it is: pass constants only. With `is_row_expensive`, each row needs another lookup.
    """
    conditions = [
        f" AND {column} {operator} :{name}"
        for name, operator, bound in (
            ("above", ">", window.above),
            ("below", "<", window.below),
            ("first", ">=", window.first),
        )
        if bound is not None
    ]
    has_two_ends = window.below is not None and (window.first is not None or window.above is not None)
    limit = ":rows" if has_two_ends and not is_row_expensive else f"{window.rows:d}"
    return f"{''.join(conditions)} ORDER BY {column} {window.direction} LIMIT {limit}"


def bounds_of(window: PageWindow) -> dict[str, Value]:
    """Return the parameters of `end_of`."""
    return {"above": window.above, "below": window.below, "first": window.first, "rows": window.rows}


def spread(*names: str) -> str:
    """Return SQL that expands PostgreSQL array parameters to rows, and hides their length from the planner.

    If the planner saw a short array, it would estimate a custom plan as cheaper and plan on every execution.
    """
    return f"unnest({', '.join(f'(SELECT CAST(:{name} AS text[]))' for name in names)})"


def hidden(name: str) -> str:
    """Return SQL for a text parameter that hides its value from the PostgreSQL planner.

    For a value that seems to match few rows, the planner would plan on every execution.
    """
    return f"(SELECT CAST(:{name} AS text))"
