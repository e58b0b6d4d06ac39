# SPDX-License-Identifier: MIT
"""Queries for attempts, aggregates of recent ones, and the expunging of a response. `settlement` writes attempts.

`storage/lists` lists the attempts at an endpoint.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from tidings.ids import ATTEMPT, AppId, AttemptId, EndpointId, MessageId, first_at, timestamp_of
from tidings.model import attempt_headers
from tidings.model.attempt import (
    Attempt,
    AttemptFilter,
    DestinationStatus,
    MessageAttemptTriggerType,
    MessageStatus,
    StatusCodeClass,
)
from tidings.model.health import WINDOW_ATTEMPTS, WINDOW_MS, FailedAttempt, RecentAttempts
from tidings.model.page import PageWindow
from tidings.storage.drivers.database import Read, Row, Sql, Statement, Value, Write, composed
from tidings.storage.tables import messages
from tidings.storage.tables.key_ranges import bounds_of, end_of, spread

COLUMNS: Final = (
    "attempt.id, attempt.msg_id, attempt.endpoint_id, attempt.app_id, attempt.org_id, attempt.url, attempt.status,"
    " attempt.trigger_type, attempt.response, attempt.response_status_code, attempt.response_duration_ms,"
    " attempt.number, attempt.task_id, attempt.headers"
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


_EXPUNGE: Final = "UPDATE attempt SET response = :response, headers = NULL WHERE msg_id = :msg AND id = :id"
EXPUNGED: Final = "EXPUNGED"
"""The response of an attempt whose response was expunged."""


async def expunge(tx: Write, attempt: Attempt) -> None:
    """Replace the response of an attempt with `EXPUNGED`, and delete its recorded headers."""
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
        number=row["number"],
        task_id=row["task_id"],
        headers=attempt_headers.from_text(row["headers"]),
    )


# -----------------------------------------------------------------------------------------------------------------
# Aggregates of the recent attempts at endpoints, for endpoint health: two statements for a page of endpoints
#
# The first statement scans the newest entries of each endpoint in the index `attempt_endpoint`, which has every column
# that is counted. The second reads two rows for each endpoint with a failed attempt. The aggregates are one JSON array,
# because SQLite would repeat the scan for each of several columns.

DETAIL_CHARACTERS: Final = 500
_NEWEST: Final = (
    "(SELECT id, status FROM attempt WHERE endpoint_id = {endpoint} AND status IN (0, 2)"
    f" ORDER BY id DESC LIMIT {WINDOW_ATTEMPTS:d}) AS newest"
)
_SUMS: Final = (
    "max(id), min(id), max(id) FILTER (WHERE status = 0), max(id) FILTER (WHERE status = 2),"
    " count(*) FILTER (WHERE id >= :since), count(*) FILTER (WHERE id >= :since AND status = 0)"
)
_SUMMED: Final = Sql(
    sqlite=(
        f"SELECT value AS endpoint, (SELECT json_array({_SUMS}, group_concat(status, ''))"
        f" FROM {_NEWEST.format(endpoint='requested.value')}) AS sums FROM json_each(:endpoints) AS requested"
    ),
    postgresql=(
        f"SELECT requested.id AS endpoint, summed.sums FROM {spread('endpoints')} AS requested(id) CROSS JOIN LATERAL"
        f" (SELECT CAST(json_build_array({_SUMS}, string_agg(CAST(status AS text), '' ORDER BY id DESC)) AS text)"
        f" AS sums FROM {_NEWEST.format(endpoint='requested.id')}) AS summed"
    ),
)
# With status code 0 there was no HTTP response, and `response` holds the error. Otherwise it holds the receiver's body;
# for health, the status code is enough.
_FAILED: Final = (
    "SELECT attempt.endpoint_id AS endpoint, attempt.id AS id, response_status_code AS code,"
    f" CASE WHEN response_status_code = 0 THEN substr(response, 1, {DETAIL_CHARACTERS:d}) END AS detail,"
    " (SELECT id FROM attempt AS first WHERE first.endpoint_id = attempt.endpoint_id AND first.id >= {first}"
    " ORDER BY first.id LIMIT 1) AS run_start FROM {requested}"
)
_LAST_FAILED: Final = Sql(
    sqlite=_FAILED.format(
        first="json_extract(:firsts, '$[' || requested.key || ']')",
        requested=(
            "json_each(:endpoints) AS requested CROSS JOIN attempt WHERE attempt.endpoint_id = requested.value"
            " AND attempt.id = json_extract(:attempts, '$[' || requested.key || ']')"
        ),
    ),
    postgresql=_FAILED.format(
        first="requested.first",
        requested=(
            f"{spread('endpoints', 'attempts', 'firsts')} AS requested(endpoint, id, first) CROSS JOIN LATERAL"
            " (SELECT * FROM attempt AS a WHERE a.endpoint_id = requested.endpoint AND a.id = requested.id OFFSET 0)"
            " AS attempt"
        ),
    ),
)
_FAIL: Final = str(int(MessageStatus.FAIL))


@dataclass(frozen=True, slots=True)
class _Sums:
    """Aggregates of the newest attempts at an endpoint; `statuses` has one digit per attempt, the newest first."""

    newest: str
    oldest: str
    last_delivered: str | None
    last_failed: str | None
    attempts: int
    delivered: int
    statuses: str

    @property
    def failures_in_a_row(self) -> int:
        return len(self.statuses) - len(self.statuses.lstrip(_FAIL))

    @property
    def first_of_run(self) -> str:
        """The lower bound of the ids after the last success: its id with a space appended, the lowest suffix."""
        return self.oldest if self.last_delivered is None else f"{self.last_delivered} "


@dataclass(frozen=True, slots=True)
class _Failure:
    """The last failed attempt at an endpoint, and the start of the run of failures that it belongs to."""

    last: FailedAttempt
    began: int


async def recent_attempts(read: Read, endpoint_ids: Sequence[EndpointId], now: int) -> dict[EndpointId, RecentAttempts]:
    """Return aggregates of the recent attempts at endpoints; endpoints without any are left out."""
    day = now - WINDOW_MS
    rows = await read.rows(_SUMMED, endpoints=list(endpoint_ids), since=first_at(ATTEMPT, day))
    found = {EndpointId(row["endpoint"]): _Sums(*json.loads(row["sums"])) for row in rows}
    current = {each: sums for each, sums in found.items() if sums.newest and timestamp_of(sums.newest) >= day}
    failures = await _failures(read, {each: sums for each, sums in current.items() if sums.last_failed})
    return {each: _recent(sums, failures.get(each)) for each, sums in current.items()}


async def _failures(read: Read, failed: dict[EndpointId, _Sums]) -> dict[EndpointId, _Failure]:
    if not failed:
        return {}
    rows = await read.rows(
        _LAST_FAILED,
        endpoints=list(failed),
        attempts=[sums.last_failed for sums in failed.values()],
        firsts=[sums.first_of_run for sums in failed.values()],
    )
    return {EndpointId(row["endpoint"]): _failure(row) for row in rows}


def _failure(row: Row) -> _Failure:
    last = FailedAttempt(AttemptId(row["id"]), timestamp_of(row["id"]), row["code"], row["detail"])
    return _Failure(last, timestamp_of(row["run_start"] or row["id"]))


def _recent(sums: _Sums, failure: _Failure | None) -> RecentAttempts:
    return RecentAttempts(
        attempts=sums.attempts,
        delivered=sums.delivered,
        failures_in_a_row=sums.failures_in_a_row,
        failing_since=failure.began if failure is not None and sums.failures_in_a_row else None,
        last_error=None if failure is None else failure.last,
    )
