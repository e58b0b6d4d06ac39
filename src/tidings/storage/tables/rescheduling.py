# SPDX-License-Identifier: MIT
"""Statements that reschedule work after the wall clock was set back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidings.storage.drivers.database import Read, Row, Write

# The chunk is limited by primary key first and filtered afterwards. With the condition on `due_at` inside, PostgreSQL
# would read and sort all later deliveries for each chunk. The last row is always returned, because it is the cursor.
_SCHEDULED: Final = """
WITH chunk AS MATERIALIZED (
  SELECT msg_id, endpoint_id, due_at, retry_at, manual, lease FROM delivery
  WHERE (msg_id, endpoint_id) > (:msg, :endpoint)
  ORDER BY msg_id, endpoint_id LIMIT CAST(:limit AS BIGINT)
)
SELECT d.msg_id AS msg_id, d.endpoint_id AS endpoint_id, d.due_at AS due_at, d.retry_at AS retry_at,
  d.manual AS manual, d.lease AS lease, m.deliver_at AS deliver_at, a.id AS attempt_id, a.next_at AS next_at
FROM chunk AS d
LEFT JOIN message AS m ON m.id = d.msg_id
LEFT JOIN attempt AS a ON a.msg_id = d.msg_id AND a.endpoint_id = d.endpoint_id AND a.id = (
  SELECT max(id) FROM attempt WHERE msg_id = d.msg_id AND endpoint_id = d.endpoint_id
)
WHERE (d.lease IS NULL AND d.due_at > :now) OR (d.msg_id, d.endpoint_id) = (
  SELECT msg_id, endpoint_id FROM chunk ORDER BY msg_id DESC, endpoint_id DESC LIMIT 1
)
ORDER BY d.msg_id, d.endpoint_id
"""
# `lease` and `lease_until` are null together. A condition on `lease_until` rules out the partial indexes on `lease`:
# without statistics PostgreSQL would use one, and read all rows with the same endpoint or `due_at` to find each row.
_MOVE: Final = """
UPDATE delivery SET due_at = given.due, retry_at = given.retry
FROM given(msg text, endpoint text, was bigint, due bigint, retry bigint)
WHERE msg_id = given.msg AND endpoint_id = given.endpoint AND due_at = given.was AND lease_until IS NULL
"""
_CAP_THROTTLES: Final = """
UPDATE throttle SET tat_us = CAST(:tat AS BIGINT),
  limited_since = CASE WHEN limited_since > CAST(:now AS BIGINT) THEN CAST(:now AS BIGINT) ELSE limited_since END
WHERE tat_us > CAST(:tat AS BIGINT)
"""
_CAP_TASKS: Final = "UPDATE task SET ready_at = :now WHERE state = 'queued' AND ready_at > CAST(:latest AS BIGINT)"


@dataclass(frozen=True, slots=True)
class ScheduledDelivery:
    """A delivery that is due later, with the timestamps that determine when; in milliseconds since the Unix epoch."""

    msg_id: str
    endpoint_id: str
    due_at: int
    retry_at: int | None
    is_manual: bool
    deliver_at: int | None
    attempt_id: str | None
    """The last attempt of the delivery."""
    next_at: int | None
    """The time of the retry that the last attempt scheduled."""


async def scheduled(
    read: Read, *, now: int, after: tuple[str, str], limit: int
) -> tuple[list[ScheduledDelivery], tuple[str, str] | None]:
    """Scan the next `limit` deliveries by key; return those that are due after now, and the last key scanned.

    The key is None if no deliveries are left.
    """
    msg, endpoint = after
    rows = await read.rows(_SCHEDULED, now=now, msg=msg, endpoint=endpoint, limit=limit)
    found = [_of(row) for row in rows if row["lease"] is None and row["due_at"] > now]
    return found, (rows[-1]["msg_id"], rows[-1]["endpoint_id"]) if rows else None


def _of(row: Row) -> ScheduledDelivery:
    return ScheduledDelivery(
        row["msg_id"],
        row["endpoint_id"],
        row["due_at"],
        row["retry_at"],
        bool(row["manual"]),
        row["deliver_at"],
        row["attempt_id"],
        row["next_at"],
    )


async def move(tx: Write, moved: Sequence[tuple[ScheduledDelivery, int, int | None]]) -> int:
    """Set `due_at` and `retry_at` of deliveries that have not changed since they were read; return how many."""
    rows = [(was.msg_id, was.endpoint_id, was.due_at, due_at, retry_at) for was, due_at, retry_at in moved]
    return await tx.bulk(_MOVE, sorted(rows))


async def cap_throttles(tx: Write, *, now: int, tat: int) -> None:
    """Lower the theoretical arrival times of rate limits that exceed `tat` (microseconds) to `tat`."""
    await tx.run(_CAP_THROTTLES, now=now, tat=tat)


async def cap_task_waits(tx: Write, *, now: int, latest: int) -> None:
    """Make queued tasks ready if they would wait until after `latest`, longer than any task should."""
    await tx.run(_CAP_TASKS, now=now, latest=latest)
