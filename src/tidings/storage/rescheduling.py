# SPDX-License-Identifier: MIT
"""What was scheduled by a wall clock that was ahead of the time that it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidings.storage.database import Read, Row, Sql, Write

# The chunk is cut by the primary key alone, then filtered. With the condition on `due_at` inside it, PostgreSQL reads
# and sorts everything that is due later, for each chunk. The chunk's last row is the cursor, so it is always returned.
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
# `lease` and `lease_until` are null together. Naming the second rules out the partial indexes on the first: without
# statistics PostgreSQL takes one of them, and reads all rows with the same endpoint or `due_at` to find each one.
_MOVE: Final = Sql(
    sqlite="UPDATE delivery SET due_at = ?4, retry_at = ?5"
    " WHERE msg_id = ?1 AND endpoint_id = ?2 AND due_at = ?3 AND lease IS NULL",
    postgresql=(
        "UPDATE delivery AS d SET due_at = t.due_at, retry_at = t.retry_at"
        " FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])"
        " AS t(msg_id, endpoint_id, was, due_at, retry_at)"
        " WHERE d.msg_id = t.msg_id AND d.endpoint_id = t.endpoint_id AND d.due_at = t.was AND d.lease_until IS NULL"
    ),
)
_LIMITS: Final = """
UPDATE throttle SET tat = CAST(:tat AS BIGINT),
  limited_since = CASE WHEN limited_since > CAST(:now AS BIGINT) THEN CAST(:now AS BIGINT) ELSE limited_since END
WHERE tat > CAST(:tat AS BIGINT)
"""
_TASKS: Final = "UPDATE task SET ready_at = :now WHERE state = 'queued' AND ready_at > CAST(:latest AS BIGINT)"


@dataclass(frozen=True, slots=True)
class ScheduledDelivery:
    """A delivery that is to be sent later, and what says when it should be; milliseconds since the Unix epoch."""

    msg_id: str
    endpoint_id: str
    due_at: int
    retry_at: int | None
    is_manual: bool
    deliver_at: int | None
    attempt_id: str | None
    """Its last attempt."""
    next_at: int | None
    """When that attempt said it would be tried again."""


async def scheduled(
    read: Read, *, now: int, after: tuple[str, str], limit: int
) -> tuple[list[ScheduledDelivery], tuple[str, str] | None]:
    """Return those of the next `limit` deliveries by key that are due later than now, and the last key of the `limit`.

    The key is None where no deliveries are left.
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
    """Give deliveries another `due_at` and `retry_at`, unless they have changed since; return how many."""
    rows = [(was.msg_id, was.endpoint_id, was.due_at, due_at, retry_at) for was, due_at, retry_at in moved]
    return await tx.bulk(_MOVE, sorted(rows))


async def pull_limits(tx: Write, *, now: int, tat: int) -> None:
    """Bring rate limits back that are taken further ahead than `tat`, in microseconds."""
    await tx.run(_LIMITS, now=now, tat=tat)


async def pull_tasks(tx: Write, *, now: int, latest: int) -> None:
    """Make queued tasks ready that are to wait for longer than any task waits."""
    await tx.run(_TASKS, now=now, latest=latest)
