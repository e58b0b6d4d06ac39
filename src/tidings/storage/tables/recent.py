# SPDX-License-Identifier: MIT
"""Aggregates of the recent attempts at endpoints, for endpoint health: two statements for a page of endpoints.

The first statement scans the newest entries of each endpoint in the index `attempt_endpoint`, which has every column
that is counted. The second reads two rows for each endpoint with a failed attempt. The aggregates are one JSON array,
because SQLite would repeat the scan for each of several columns.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidings.ids import ATTEMPT, AttemptId, EndpointId, first_at, timestamp_of
from tidings.model.attempt import MessageStatus
from tidings.model.health import WINDOW_ATTEMPTS, WINDOW_MS, FailedAttempt, RecentAttempts
from tidings.storage.drivers.database import Read, Row, Sql
from tidings.storage.tables.key_ranges import spread

DETAIL_CHARACTERS: Final = 500
_NEWEST: Final = (
    "(SELECT id, status FROM attempt WHERE endpoint_id = {endpoint}"
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


async def aggregates(read: Read, endpoint_ids: Sequence[EndpointId], now: int) -> dict[EndpointId, RecentAttempts]:
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
