# SPDX-License-Identifier: MIT
"""Queries for attempts, and the expunging of a response. `settlement` writes attempts.

`storage/lists` lists the attempts at an endpoint.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tidings.ids import AppId, AttemptId, EndpointId, MessageId
from tidings.model.attempt import (
    Attempt,
    AttemptFilter,
    DestinationStatus,
    MessageAttemptTriggerType,
    MessageStatus,
    StatusCodeClass,
)
from tidings.model.page import PageWindow
from tidings.storage.drivers.database import Read, Row, Statement, Value, Write, composed
from tidings.storage.tables import messages
from tidings.storage.tables.key_ranges import bounds_of, end_of

COLUMNS: Final = (
    "attempt.id, attempt.msg_id, attempt.endpoint_id, attempt.app_id, attempt.org_id, attempt.url, attempt.status,"
    " attempt.trigger_type, attempt.response, attempt.response_status_code, attempt.response_duration_ms"
)
_GET: Final = f"SELECT {COLUMNS} FROM attempt WHERE msg_id = :msg AND id = :id AND app_id = :app"
_CODES: Final = " AND attempt.response_status_code >= :code_from AND attempt.response_status_code < :code_to"


async def find(read: Read, app_id: AppId, msg_id: MessageId, attempt_id: str) -> Attempt | None:
    """Return an attempt of a message in an application, or None."""
    row = await read.row(_GET, app=app_id, msg=msg_id, id=attempt_id)
    return None if row is None else attempt_of(row)


async def page_of_message(read: Read, msg_id: MessageId, window: PageWindow, filters: AttemptFilter) -> list[Attempt]:
    """Return a page of the attempts of a message, ordered by id. The message filters do not apply."""
    endpoint = "" if filters.endpoint_id is None else " AND attempt.endpoint_id = :endpoint"
    source = f"FROM attempt WHERE attempt.msg_id = :msg{endpoint}{conditions(filters)}"
    return await page_from(read, source, window, filters, msg=msg_id, endpoint=filters.endpoint_id)


async def page_from(
    read: Read,
    source: Statement,
    window: PageWindow,
    filters: AttemptFilter,
    *,
    is_row_expensive: bool = False,
    **values: Value | Sequence[Value],
) -> list[Attempt]:
    """Return a page of the attempts in a source (FROM and WHERE), ordered by id."""
    end = end_of(window, "attempt.id", is_row_expensive=is_row_expensive)
    rows = await read.rows(
        composed("SELECT {columns} {source}{end}", columns=COLUMNS, source=source, end=end),
        **codes_of(filters),
        **values,
        **bounds_of(window),
    )
    return [attempt_of(row) for row in rows]


def conditions(filters: AttemptFilter) -> str:
    """Return the SQL conditions for the filters by outcome, each with a leading AND."""
    # The status is part of the text, not a parameter: only then can a query for failures use the partial index.
    codes = "" if filters.code_class in (None, StatusCodeClass.CODE_2XX) else _CODES
    match sorted(filters.statuses):
        case []:
            return " AND FALSE"
        case [status]:
            return f" AND attempt.status = {status:d}{codes}"
        case _:
            return codes


def codes_of(filters: AttemptFilter) -> dict[str, int]:
    """Return the parameters of `conditions`."""
    codes = range(0) if filters.code_class is None else filters.code_class.codes
    return {"code_from": codes.start, "code_to": codes.stop}


_DESTINATIONS: Final = """
SELECT found.endpoint_id AS id, attempt.status AS status, delivery.due_at AS due_at
FROM ({found}) AS found
JOIN attempt ON attempt.msg_id = :msg AND attempt.id = found.latest
LEFT JOIN delivery ON delivery.msg_id = :msg AND delivery.endpoint_id = found.endpoint_id
ORDER BY found.endpoint_id {direction}
"""
_LATEST_OF_EACH: Final = (
    "SELECT endpoint_id, latest FROM ("
    "SELECT endpoint_id, max(id) AS latest FROM attempt WHERE msg_id = :msg GROUP BY endpoint_id"
    ") AS tried WHERE TRUE"
)


async def destinations_of(
    read: Read, msg_id: MessageId, window: PageWindow
) -> list[tuple[EndpointId, DestinationStatus]]:
    """Return a page of the endpoints that a message has attempts at, ordered by id, including deleted endpoints."""
    found = f"{_LATEST_OF_EACH}{end_of(window, 'endpoint_id')}"
    statement = _DESTINATIONS.format(found=found, direction=window.direction)
    rows = await read.rows(statement, msg=msg_id, **bounds_of(window))
    return [(EndpointId(row["id"]), DestinationStatus.of(MessageStatus(row["status"]), row["due_at"])) for row in rows]


_COUNTED: Final = (
    "SELECT status, count(*) AS n FROM attempt WHERE endpoint_id = :endpoint AND id >= :first AND id < :below"
    " GROUP BY status"
)


async def counted(read: Read, endpoint_id: EndpointId, *, first: str, below: str) -> Counter[MessageStatus]:
    """Count the attempts at an endpoint with `first <= id < below` by status."""
    rows = await read.rows(_COUNTED, endpoint=endpoint_id, first=first, below=below)
    return Counter({MessageStatus(row["status"]): row["n"] for row in rows})


_EXPUNGE: Final = "UPDATE attempt SET response = :response WHERE msg_id = :msg AND id = :id"
EXPUNGED: Final = "EXPUNGED"
"""The response of an attempt whose response was expunged."""


async def expunge(tx: Write, attempt: Attempt) -> None:
    """Replace the response of an attempt with `EXPUNGED`."""
    await tx.run(_EXPUNGE, msg=attempt.msg_id, id=attempt.id, response=EXPUNGED)


async def with_messages(read: Read, attempts: list[Attempt]) -> list[Attempt]:
    """Return attempts with their messages, without payloads."""
    found = await messages.by_ids(read, sorted({attempt.msg_id for attempt in attempts}))
    return [replace(attempt, message=found.get(attempt.msg_id)) for attempt in attempts]


def attempt_of(row: Row) -> Attempt:
    """Build an attempt from a row with the columns of `COLUMNS`."""
    return Attempt(
        id=AttemptId(row["id"]),
        msg_id=MessageId(row["msg_id"]),
        endpoint_id=EndpointId(row["endpoint_id"]),
        url=row["url"],
        status=MessageStatus(row["status"]),
        trigger=MessageAttemptTriggerType(row["trigger_type"]),
        response=row["response"],
        response_status_code=row["response_status_code"],
        response_duration_ms=row["response_duration_ms"],
    )
