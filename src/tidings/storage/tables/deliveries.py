# SPDX-License-Identifier: MIT
"""The outstanding deliveries: one row per message and endpoint. `model.delivery` has the rules as pure functions.

Every statement that ends or reschedules a leased row has the lease in its condition.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidings.model.attempt import DeliveryEnd
from tidings.model.delivery import Lane
from tidings.storage.drivers.database import Read, Row, Sql, Write, composed
from tidings.storage.tables import settlement

_COLUMNS: Final = "msg_id, endpoint_id, app_id, org_id, lane, due_at, attempts, retry_at, manual, lease, task_id"


@dataclass(frozen=True, slots=True)
class ManualSend:
    """A manual send of one message to one endpoint; `lane` and `mode` are values of the enums in `model.delivery`."""

    msg_id: str
    endpoint_id: str
    app_id: str
    org_id: str
    lane: int
    mode: int
    task_id: str | None


@dataclass(slots=True, eq=False)
class SettledDelivery:
    """The end of a leased send. `next_at` is the next time in the retry schedule, or None at its end."""

    msg_id: str
    endpoint_id: str
    lease: int
    next_at: int | None = None


# -----------------------------------------------------------------------------------------------------------------
# Claim

_NEXT: Final = (
    "SELECT (SELECT due_at FROM delivery WHERE lease IS NULL AND due_at > CAST(:now AS BIGINT)"
    " ORDER BY due_at LIMIT 1) AS later,"
    " (SELECT due_at FROM delivery WHERE lease IS NULL ORDER BY due_at LIMIT 1) AS first,"
    " (SELECT lease_until FROM delivery WHERE lease IS NOT NULL ORDER BY lease_until LIMIT 1) AS expiry"
)


@dataclass(frozen=True, slots=True)
class DueTimes:
    """Whether a delivery is due now, and the next time after now at which one is due or a lease expires."""

    due: bool
    next_at: int | None


async def due_times(read: Read, now: int) -> DueTimes:
    """Return when deliveries are due and leases expire, from three index probes."""
    row = await read.one(_NEXT, now=now)
    later = [timestamp for timestamp in (row["later"], row["expiry"]) if timestamp is not None]
    first = [timestamp for timestamp in (row["first"], row["expiry"]) if timestamp is not None]
    return DueTimes(due=bool(first) and min(first) <= now, next_at=min(later, default=None))


# The recursion visits the distinct endpoints of the index with one probe each. An endpoint with 100,000 due rows costs
# no more than an endpoint with one row, and does not hide others. The order and the comparison of the whole key make
# PostgreSQL use that index (see `use_index_order`); SQLite would use its first column only.
def _due_endpoints(is_due: str) -> str:
    live, replay = is_due.format(lane=int(Lane.LIVE)), is_due.format(lane=int(Lane.REPLAY))
    of, first = "FROM delivery WHERE lease IS NULL AND", "ORDER BY endpoint_id, lane, due_at LIMIT 1"
    return f"""
WITH RECURSIVE walk(id) AS (
  SELECT (SELECT endpoint_id {of} endpoint_id > :after {first})
  UNION ALL
  SELECT (SELECT endpoint_id {of} endpoint_id > walk.id {first}) FROM walk WHERE walk.id IS NOT NULL
)
SELECT walk.id AS id, (SELECT app_id {of} endpoint_id = walk.id {first}) AS app_id,
  (SELECT 1 {of} {live} {first}) = 1 AS is_live
FROM walk WHERE walk.id IS NOT NULL AND ((SELECT 1 {of} {live} {first}) = 1 OR (SELECT 1 {of} {replay} {first}) = 1)
LIMIT :limit
"""


_DUE_ENDPOINTS: Final = Sql(
    sqlite=_due_endpoints("endpoint_id = walk.id AND lane = {lane} AND due_at <= :now"),
    postgresql=_due_endpoints(
        "(endpoint_id, lane, due_at) >= (walk.id, CAST({lane} AS SMALLINT), 0)"
        " AND (endpoint_id, lane, due_at) <= (walk.id, CAST({lane} AS SMALLINT), CAST(:now AS BIGINT))"
    ),
)


async def due_endpoints(read: Read, now: int, *, after: str, limit: int) -> list[tuple[str, str, bool]]:
    """Return up to `limit` endpoints with due deliveries, ordered by id, after the endpoint `after`.

    Each endpoint comes with its application, and whether a delivery of the live lane is due.
    """
    rows = await read.rows(_DUE_ENDPOINTS, now=now, after=after, limit=limit)
    return [(row["id"], row["app_id"], bool(row["is_live"])) for row in rows if row["app_id"] is not None]


_CLAIM: Final = Sql(
    # SQLite has no LATERAL, so it runs once per endpoint.
    sqlite=f"""
UPDATE delivery SET lease = :lease, lease_until = :until WHERE rowid IN (
  SELECT rowid FROM delivery WHERE endpoint_id = :endpoint AND lane = :lane AND lease IS NULL AND due_at <= :now
  ORDER BY due_at LIMIT :room)
RETURNING {_COLUMNS}
""",
    # The update finds rows by `ctid`, and the subquery compares the whole key of one index. Otherwise a plan made while
    # the table has few rows could use any index, and search all rows of an endpoint for each row.
    postgresql=f"""
UPDATE delivery SET lease = CAST(:lease AS BIGINT), lease_until = CAST(:until AS BIGINT)
WHERE ctid = ANY(ARRAY(
  SELECT picked.place FROM rows_of(:endpoints, :rooms bigint) AS requested(id, room)
  CROSS JOIN LATERAL (
    SELECT ctid AS place FROM delivery WHERE lease IS NULL
    AND (endpoint_id, lane, due_at) >= (requested.id, CAST(:lane AS SMALLINT), 0)
    AND (endpoint_id, lane, due_at) <= (requested.id, CAST(:lane AS SMALLINT), CAST(:now AS BIGINT))
    ORDER BY endpoint_id, lane, due_at LIMIT requested.room FOR UPDATE SKIP LOCKED) AS picked
))
RETURNING {_COLUMNS}
""",
)


async def claim(
    tx: Write, capacities: Sequence[tuple[str, int]], *, lane: Lane, lease: int, now: int, until: int
) -> list[Row]:
    """Lease due rows of one lane, oldest first; `capacities` has the endpoints and the number of rows for each."""
    shared = {"lane": int(lane), "lease": lease, "until": until, "now": now}
    if not tx.has_one_writer:
        endpoints, rooms = [endpoint for endpoint, _ in capacities], [room for _, room in capacities]
        return await tx.rows(_CLAIM, **shared, endpoints=endpoints, rooms=rooms)
    claimed: list[Row] = []
    for endpoint, room in capacities:
        claimed += await tx.rows(_CLAIM, **shared, endpoint=endpoint, room=room)
    return claimed


# -----------------------------------------------------------------------------------------------------------------
# Settle

_SENDS: Final = "given(msg text, endpoint text, token bigint)"
_TIMED_SENDS: Final = "given(msg text, endpoint text, token bigint, at bigint)"
# This leaves PostgreSQL only the look-up of each row by its key, whatever the statistics say. The table is often empty
# when it is analyzed. Then other plans seem as cheap: with `msg_id = …`, comparing all rows with all given ones; with
# `lease = …`, which implies that it is not null, reading the index of leases.
_IS_LEASED: Final = "found_by(msg_id, given.msg) AND endpoint_id = given.endpoint AND coalesce(lease, 0) = given.token"

_END_DELIVERED: Final = f"DELETE FROM delivery USING {_SENDS} WHERE {_IS_LEASED} AND again < 2"
_AGAIN_DELIVERED: Final = (
    "UPDATE delivery SET lease = NULL, lease_until = NULL, manual = 1, retry_at = NULL, again = 0, due_at = given.at"
    f" FROM {_TIMED_SENDS} WHERE {_IS_LEASED} AND again = 2"
)


async def settle_delivered(tx: Write, sends: Sequence[SettledDelivery], now: int) -> bool:
    """End successful deliveries, or make them due if a manual send was requested; return whether any is due."""
    keys = sorted((send.msg_id, send.endpoint_id, send.lease) for send in sends)
    left = len(keys) - await tx.bulk(_END_DELIVERED, keys)
    again = await tx.bulk(_AGAIN_DELIVERED, [(*key, now) for key in keys]) if left else 0
    if again < left:  # a lease was lost, or a request was canceled between the two statements
        await tx.bulk(_END_DELIVERED, keys)
    return again > 0


_FAILED_SENDS: Final = "given(msg text, endpoint text, token bigint, next_at bigint, now bigint)"
_SCHEDULE: Final = "CASE WHEN manual = 1 THEN retry_at ELSE given.next_at END"
_MOVE: Final = "UPDATE delivery SET lease = NULL, lease_until = NULL, attempts = attempts + 1 - manual, again = 0"

_END_FAILED: Final = (
    f"DELETE FROM delivery USING {_FAILED_SENDS} WHERE {_IS_LEASED} AND again = 0 AND ({_SCHEDULE}) IS NULL"
)
_MOVE_FAILED: Final = (
    f"{_MOVE}, due_at = {_SCHEDULE}, retry_at = NULL, manual = 0, lane = 0, task_id = NULL"
    f" FROM {_FAILED_SENDS} WHERE {_IS_LEASED} AND again = 0 AND ({_SCHEDULE}) IS NOT NULL"
)
_AGAIN_FAILED: Final = (
    f"{_MOVE}, due_at = given.now, retry_at = {_SCHEDULE}, manual = 1"
    f" FROM {_FAILED_SENDS} WHERE {_IS_LEASED} AND again > 0"
)


async def settle_failed(tx: Write, sends: Sequence[SettledDelivery], now: int) -> bool:
    """Reschedule, end or (on a manual request) make due the failed deliveries; return whether any is due now."""
    rows = sorted((send.msg_id, send.endpoint_id, send.lease, send.next_at, now) for send in sends)
    left = len(rows)
    for statement in (_END_FAILED, _MOVE_FAILED):
        left -= await tx.bulk(statement, rows) if left else 0
    again = await tx.bulk(_AGAIN_FAILED, rows) if left else 0
    if again < left:  # a lease was lost, or a request was canceled between the statements
        await tx.bulk(_END_FAILED, rows)
        await tx.bulk(_MOVE_FAILED, rows)
    return again > 0


_END_RETRY_SCHEDULE: Final = f"UPDATE delivery SET retry_at = NULL FROM {_SENDS} WHERE {_IS_LEASED}"


async def end_retry_schedule(tx: Write, sends: Sequence[SettledDelivery]) -> None:
    """End the retry schedule of leased manual sends. Manual sends that were requested meanwhile stay."""
    await tx.bulk(_END_RETRY_SCHEDULE, sorted((send.msg_id, send.endpoint_id, send.lease) for send in sends))


_RETURN_SET: Final = (
    "UPDATE delivery SET lease = NULL, lease_until = NULL, due_at = {at},"
    " retry_at = CASE WHEN again > 0 AND manual = 0 THEN {at} ELSE retry_at END,"
    " manual = CASE WHEN again > 0 THEN 1 ELSE manual END, again = 0"
)
_RETURN: Final = f"{_RETURN_SET} FROM {_TIMED_SENDS} WHERE {_IS_LEASED}".replace("{at}", "given.at")
_RETURN_SOME: Final = (
    f"{_RETURN_SET} WHERE row_address IN (SELECT row_address FROM delivery WHERE lease IS NOT NULL"
    " AND {condition} ORDER BY lease_until LIMIT CAST(:limit AS BIGINT) FOR UPDATE SKIP LOCKED)"
).replace("{at}", "CAST(:now AS BIGINT)")
_RETURN_EXPIRED: Final = _RETURN_SOME.replace("{condition}", "lease_until <= :before")
_RETURN_LEASED: Final = _RETURN_SOME.replace("{condition}", "lease >= :first AND lease <= :last")
_DISCARD: Final = f"DELETE FROM delivery USING {_SENDS} WHERE {_IS_LEASED}"


async def return_unsent(tx: Write, sends: Sequence[SettledDelivery], now: int) -> None:
    """Make leased rows that were not sent due again at their `next_at`, or now without one."""
    await tx.bulk(_RETURN, sorted((send.msg_id, send.endpoint_id, send.lease, send.next_at or now) for send in sends))


async def return_expired(tx: Write, *, before: int, now: int, limit: int) -> int:
    """Make rows due again whose lease expired by `before`: their node has ended or stopped working on them."""
    return await tx.run(_RETURN_EXPIRED, before=before, now=now, limit=limit)


async def return_leased(tx: Write, *, first: int, last: int, now: int, limit: int) -> int:
    """Make rows due again whose lease is in a range, before lease expiry: their node has ended. PostgreSQL only."""
    return await tx.run(_RETURN_LEASED, first=first, last=last, now=now, limit=limit)


async def discard(tx: Write, sends: Sequence[SettledDelivery]) -> int:
    """Discard leased deliveries that cannot be sent because the payload or the endpoint is deleted."""
    keys = sorted((send.msg_id, send.endpoint_id, send.lease) for send in sends)
    discarded = await tx.bulk(_DISCARD, keys)
    await settlement.note_ended(tx, [(msg_id, endpoint_id) for msg_id, endpoint_id, _ in keys], DeliveryEnd.DISCARDED)
    return discarded


_WAITING: Final = (
    " WHERE row_address IN (SELECT row_address FROM delivery WHERE {condition}"
    " ORDER BY {order} LIMIT CAST(:limit AS BIGINT) FOR UPDATE SKIP LOCKED) RETURNING msg_id, endpoint_id"
)
_OF_ENDPOINT: Final = _WAITING.format(
    condition="endpoint_id = :endpoint AND lease IS NULL", order="endpoint_id, lane, due_at"
)
_DISCARD_WAITING: Final = f"DELETE FROM delivery{_OF_ENDPOINT}"


async def discard_waiting(tx: Write, endpoint_id: str, *, limit: int) -> int:
    """Discard up to `limit` scheduled deliveries of a disabled or deleted endpoint; return the number."""
    rows = await tx.rows(_DISCARD_WAITING, endpoint=endpoint_id, limit=limit)
    await settlement.note_ended(tx, [(row[0], row[1]) for row in rows], DeliveryEnd.DISCARDED)
    return len(rows)


# -----------------------------------------------------------------------------------------------------------------
# Manual sends

ASK_CONFLICT: Final = """
ON CONFLICT (msg_id, endpoint_id) DO UPDATE SET
  again = CASE WHEN delivery.lease IS NULL THEN 0 WHEN delivery.again > {mode} THEN delivery.again ELSE {mode} END,
  due_at = CASE WHEN delivery.lease IS NULL THEN excluded.due_at ELSE delivery.due_at END,
  retry_at = CASE WHEN delivery.lease IS NULL AND delivery.manual = 0 THEN delivery.due_at ELSE delivery.retry_at END,
  lane = CASE WHEN delivery.lease IS NOT NULL THEN delivery.lane WHEN delivery.manual = 0 THEN excluded.lane
    WHEN excluded.lane < delivery.lane THEN excluded.lane ELSE delivery.lane END,
  manual = CASE WHEN delivery.lease IS NULL THEN 1 ELSE delivery.manual END,
  task_id = excluded.task_id
"""
"""The update of an existing row by a manual send; `{mode}` is a value of `model.delivery.Mode`."""


_ASK: Final = f"""
INSERT INTO delivery (msg_id, endpoint_id, app_id, org_id, lane, due_at, manual, task_id)
SELECT given.msg, given.endpoint, given.app, given.org, given.lane, given.due, 1, given.task
FROM given(msg text, endpoint text, app text, org text, lane smallint, due bigint, task text) {ASK_CONFLICT}
"""
_ASKS: Final = {mode: _ASK.replace("{mode}", str(int(mode))) for mode in (1, 2)}


async def schedule_manual_sends(tx: Write, sends: Sequence[ManualSend], now: int) -> None:
    """Schedule manual sends. Each is one attempt, due now, before the next automatic attempt."""
    for mode, statement in _ASKS.items():
        rows = sorted(
            (send.msg_id, send.endpoint_id, send.app_id, send.org_id, send.lane, now, send.task_id)
            for send in sends
            if send.mode == mode
        )
        if rows:
            await tx.bulk(statement, rows)


_CANCEL_LEASED: Final = (
    "UPDATE delivery SET again = 0, task_id = NULL WHERE task_id = :task AND lease IS NOT NULL AND again > 0"
    " RETURNING msg_id, endpoint_id"
)
# `+ 0` and no order by message leave PostgreSQL the index of tasks.
_OF_TASK: Final = _WAITING.format(
    condition="task_id = :task AND retry_at IS {retry} AND lease + 0 IS NULL", order="task_id"
)
_CANCEL_ENDED: Final = f"DELETE FROM delivery{_OF_TASK}".replace("{retry}", "NULL")
_CANCEL_WAITING: Final = (
    f"UPDATE delivery SET due_at = retry_at, retry_at = NULL, manual = 0, lane = 0, task_id = NULL{_OF_TASK}"
).replace("{retry}", "NOT NULL")


async def cancel_of_task(tx: Write, task_id: str, *, limit: int) -> list[tuple[str, str]]:
    """Cancel the sends that a task requested and that are not in flight; return them as (message, endpoint).

    A call cancels up to `limit` rows that only the task scheduled, and up to `limit` rows that also have an automatic
    retry. Rows that wait for a send in flight are all canceled: a node holds few rows in memory.
    """
    leased = await tx.rows(_CANCEL_LEASED, task=task_id)
    ended = [(row[0], row[1]) for row in await tx.rows(_CANCEL_ENDED, task=task_id, limit=limit)]
    await settlement.note_ended(tx, ended, DeliveryEnd.CANCELED)
    waiting = await tx.rows(_CANCEL_WAITING, task=task_id, limit=limit)
    return [*((row[0], row[1]) for row in (*leased, *waiting)), *ended]


# Few rows are leased at any time: only those that a node holds in memory. `|| ''` keeps the planners on that index, and
# the comparison of the whole key PostgreSQL on that of the scheduled ones.
_BACKLOG: Final = composed(
    "SELECT count(*) AS n FROM (SELECT 1 FROM (SELECT 1 FROM (SELECT 1 FROM delivery WHERE {is_scheduled}"
    " AND lease IS NULL ORDER BY endpoint_id, lane, due_at LIMIT CAST(:limit AS BIGINT)) AS scheduled"
    " UNION ALL SELECT 1 FROM delivery"
    " WHERE lease IS NOT NULL AND lease_until > 0 AND lane = 1 AND endpoint_id || '' = :endpoint) AS either"
    " LIMIT CAST(:limit AS BIGINT)) AS outstanding",
    is_scheduled=Sql(
        sqlite="endpoint_id = :endpoint AND lane = 1",
        postgresql=(
            "(endpoint_id, lane) >= (:endpoint, CAST(1 AS SMALLINT))"
            " AND (endpoint_id, lane) <= (:endpoint, CAST(1 AS SMALLINT))"
        ),
    ),
)


async def backlog(read: Read, endpoint_id: str, *, limit: int) -> int:
    """Count the deliveries in the replay lane of an endpoint, scheduled and leased, up to `limit`."""
    return int((await read.one(_BACKLOG, endpoint=endpoint_id, limit=limit))["n"])
