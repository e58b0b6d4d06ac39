# SPDX-License-Identifier: MIT
"""Endpoint health: the failure records of endpoints.

Each statement's condition states the row that it expects.
Every write that begins or ends a record also calls `apps.advance_routing_version`, which refreshes the compiled
routing. The application is written before the endpoint, as in all transactions, so that two of them cannot deadlock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidings.ids import AppId, EndpointId, OrgId
from tidings.model.health import FAILING_IN_A_ROW, WARNING_PERCENTS, EndpointDisabledReason, FailureRecord
from tidings.storage.drivers.database import Read, Row, Write, from_row

COLUMNS: Final = (
    "failing_since, last_failure_at, disables_at, unreachable_since, disabled_at, disabled_reason, run_failing_since,"
    " warned_at"
)
# With `deleted_at IS NULL`, PostgreSQL could read all rows of an index with that condition.
_FIND: Final = f"""
SELECT e.id, e.app_id, e.org_id, e.uid, a.uid AS app_uid, e.url, e.disabled, {COLUMNS}
FROM endpoint e JOIN application a ON found_by(a.id, e.app_id)
WHERE coalesce(e.deleted_at, 0) = 0 AND a.deleted_at IS NULL AND e.id IN :ids ORDER BY e.id
"""
_BEGIN: Final = """
UPDATE endpoint SET failing_since = :now, last_failure_at = :now, disables_at = :disables_at
WHERE id = :id AND disabled = 0
"""
_COUNT: Final = """
UPDATE endpoint SET last_failure_at = :now, disables_at = :disables_at
WHERE id = :id AND disabled = 0 AND failing_since IS NOT NULL
"""
_UNREACHABLE: Final = """
UPDATE endpoint SET unreachable_since = :now WHERE id = :id AND unreachable_since IS NULL AND disabled = 0
"""
_CLEAR: Final = """
UPDATE endpoint SET failing_since = NULL, last_failure_at = NULL, disables_at = NULL, unreachable_since = NULL
WHERE id = :id AND disabled = 0
"""
_BEGIN_RUN: Final = """
UPDATE endpoint SET run_failing_since = :since
WHERE id = :id AND run_failing_since IS NULL AND disabled = 0 AND deleted_at IS NULL
"""
_END_REPORTED: Final = """
UPDATE endpoint SET run_failing_since = NULL, warned_at = NULL
WHERE id = :id AND disabled = 0 AND (run_failing_since IS NOT NULL OR warned_at >= failing_since)
"""
_DISABLE: Final = """
UPDATE endpoint SET disabled = 1, disabled_at = :now, disabled_reason = :reason, updated_at = :now
WHERE id = :id AND disabled = 0 AND deleted_at IS NULL
"""
_ENABLE: Final = """
UPDATE endpoint SET disabled = 0, updated_at = :now WHERE id = :id AND disabled = 1 AND deleted_at IS NULL
"""
_NOTE_DISABLED: Final = "UPDATE endpoint SET disabled_at = :now, disabled_reason = NULL WHERE id = :id"
_REASONS: Final = frozenset(reason.value for reason in EndpointDisabledReason)
_RESET: Final = """
UPDATE endpoint SET failing_since = NULL, last_failure_at = NULL, disables_at = NULL, unreachable_since = NULL,
  disabled_at = NULL, disabled_reason = NULL, run_failing_since = NULL, warned_at = NULL
WHERE id = :id
"""


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """An endpoint with its failure record, and the names that operational events need."""

    id: EndpointId
    uid: str | None
    app_id: AppId
    app_uid: str | None
    org_id: OrgId
    url: str
    disabled: bool
    record: FailureRecord


async def find(read: Read, endpoint_ids: Sequence[str]) -> dict[str, EndpointHealth]:
    """Return the health of endpoints that exist, by id."""
    return {
        row["id"]: from_row(EndpointHealth, row, record=record_of(row))
        for row in await read.rows(_FIND, ids=endpoint_ids)
    }


async def begin(tx: Write, endpoint_id: str, now: int, disables_at: int) -> bool:
    """Begin a failure record; return whether the endpoint exists and is enabled."""
    return await tx.run(_BEGIN, id=endpoint_id, now=now, disables_at=disables_at) == 1


async def count(tx: Write, endpoint_id: str, now: int, disables_at: int) -> None:
    """Record another failure in a record that has begun."""
    await tx.run(_COUNT, id=endpoint_id, now=now, disables_at=disables_at)


async def unreachable(tx: Write, endpoint_id: str, now: int) -> None:
    """Record since when an endpoint has not responded, unless that is recorded."""
    await tx.run(_UNREACHABLE, id=endpoint_id, now=now)


async def begin_run(tx: Write, endpoint_id: str, since: int) -> bool:
    """Record since when every attempt has failed; return whether that was not recorded yet."""
    return await tx.run(_BEGIN_RUN, id=endpoint_id, since=since) == 1


async def clear(tx: Write, endpoint_id: str) -> bool:
    """End the failure record of an enabled endpoint that responds again; return whether its failures were reported."""
    is_reported = await tx.run(_END_REPORTED, id=endpoint_id) == 1
    await tx.run(_CLEAR, id=endpoint_id)
    return is_reported


async def disable(tx: Write, endpoint_id: str, now: int, reason: EndpointDisabledReason) -> bool:
    """Disable an endpoint; return whether it was enabled."""
    return await tx.run(_DISABLE, id=endpoint_id, now=now, reason=reason.value) == 1


async def enable(tx: Write, endpoint_id: str, now: int) -> bool:
    """Enable an endpoint; return whether it was disabled. Its failure record stays: see `reset`."""
    return await tx.run(_ENABLE, id=endpoint_id, now=now) == 1


async def note_disabled(tx: Write, endpoint_id: str, now: int) -> None:
    """Record when an endpoint was disabled through the API, without a reason."""
    await tx.run(_NOTE_DISABLED, id=endpoint_id, now=now)


async def reset(tx: Write, endpoint_id: str) -> None:
    """Clear the failure record of an endpoint, including when and why it was disabled."""
    await tx.run(_RESET, id=endpoint_id)


def record_of(row: Row) -> FailureRecord:
    """Return the failure record from a row with `COLUMNS`."""
    found = {column: row[column] for column in COLUMNS.split(", ")}
    reason = found.pop("disabled_reason")
    # A newer version may have stored a reason that this one does not know.
    return FailureRecord(**found, disabled_reason=EndpointDisabledReason(reason) if reason in _REASONS else None)


# -----------------------------------------------------------------------------------------------------------------
# Runs of failures: the newest attempts at an endpoint, of all nodes, read from the index `attempt_endpoint`

_FAIL: Final = 2  # a value of `MessageStatus`
_FAILED_RUNS: Final = f"""
SELECT e.id AS id FROM endpoint e
WHERE e.id IN :ids AND e.run_failing_since IS NULL AND e.disabled = 0 AND coalesce(e.deleted_at, 0) = 0
  AND (SELECT count(*) FROM (SELECT status FROM attempt WHERE endpoint_id = e.id
      ORDER BY id DESC LIMIT {FAILING_IN_A_ROW:d}) AS newest WHERE status = {_FAIL:d}) = {FAILING_IN_A_ROW:d}
ORDER BY e.id
"""


async def failed_runs(read: Read, endpoint_ids: Sequence[str]) -> set[str]:
    """Return the enabled endpoints whose last `FAILING_IN_A_ROW` attempts failed, unless that is recorded."""
    return {row["id"] for row in await read.rows(_FAILED_RUNS, ids=endpoint_ids)}


# -----------------------------------------------------------------------------------------------------------------
# Warnings that an endpoint will be disabled

_LEVEL_AT: Final = "failing_since + (disables_at - failing_since) * {percent:d} / 100"
_IS_DUE: Final = " OR ".join(
    f"({at} <= CAST(:now AS BIGINT) AND coalesce(warned_at, 0) < {at})"
    for at in (_LEVEL_AT.format(percent=percent) for percent in WARNING_PERCENTS)
)
_TO_WARN: Final = f"""
SELECT e.id, e.app_id, e.org_id, e.uid, a.uid AS app_uid, e.url, e.disabled, {COLUMNS}
FROM (
  SELECT * FROM endpoint WHERE deleted_at IS NULL AND disabled = 0 AND failing_since IS NOT NULL
    AND disables_at > failing_since AND ({_IS_DUE})
  ORDER BY id LIMIT CAST(:limit AS BIGINT)
) AS e JOIN application a ON found_by(a.id, e.app_id) ORDER BY e.id
"""
_WARN: Final = """
UPDATE endpoint SET warned_at = :now
WHERE id = :id AND disabled = 0 AND deleted_at IS NULL AND failing_since = :since AND coalesce(warned_at, 0) < :level_at
"""


async def to_warn(read: Read, now: int, *, limit: int) -> list[EndpointHealth]:
    """Return endpoints that have reached a level of `WARNING_PERCENTS` without a warning, ordered by id."""
    rows = await read.rows(_TO_WARN, now=now, limit=limit)
    return [from_row(EndpointHealth, row, record=record_of(row)) for row in rows]


async def warn(tx: Write, endpoint_id: str, now: int, *, since: int, level_at: int) -> bool:
    """Record a warning; return False if the endpoint has changed, or if another node has warned of the level.

    `since` is the start of the failure record, and `level_at` the timestamp at which it reached the level.
    """
    return await tx.run(_WARN, id=endpoint_id, now=now, since=since, level_at=level_at) == 1


# -----------------------------------------------------------------------------------------------------------------
# Identifiers for operational events

_EVENT_IDS: Final = "SELECT id, event_id FROM message WHERE id IN :ids ORDER BY id"  # an order of the primary key alone
_APP_UIDS: Final = "SELECT id, uid FROM application WHERE id IN :ids"


async def event_ids(read: Read, msg_ids: Sequence[str]) -> dict[str, str | None]:
    """Return the event ids of messages by message id; None for a message without one."""
    return {row["id"]: row["event_id"] for row in await read.rows(_EVENT_IDS, ids=msg_ids)}


async def app_uids(read: Read, app_ids: Sequence[str]) -> dict[str, str | None]:
    """Return the uids of applications by id; None for an application without one."""
    return {row["id"]: row["uid"] for row in await read.rows(_APP_UIDS, ids=app_ids)}
