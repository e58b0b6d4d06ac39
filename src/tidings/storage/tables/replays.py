# SPDX-License-Identifier: MIT
"""Queries and statements of replays and recoveries. A replay scans messages by id, and sends them.

A chunk is scanned before its write transaction opens, then written by one statement over the ids found. That statement
checks again the conditions that may have changed in between; on PostgreSQL, one query checks the whole range of the
chunk. Every lookup must use an index that starts with the message; `endpoint_id || ''` rules out the other indexes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tidings.model.attempt import MessageStatus
from tidings.model.delivery import Mode
from tidings.model.message import MessageFilter
from tidings.model.payload_filter import stored
from tidings.model.resending import ReplayFilters
from tidings.model.undelivered import UndeliveredState
from tidings.storage.drivers.database import Duplicate, Read, Row, Value, Write, names_of
from tidings.storage.tables import messages, payload_scans
from tidings.storage.tables.deliveries import ASK_CONFLICT
from tidings.storage.tables.index_order import use_index_order
from tidings.storage.tables.key_ranges import Scanned, ScanVerdict, run_scan, scan_statement

# -----------------------------------------------------------------------------------------------------------------
# Scans. A message that matches the filters gets the verdict `SEND`, or `NO_PAYLOAD` if its payload was deleted. The
# other rows get `NOTHING`: they only advance the cursor.

_SCANNED: Final = (
    "WITH scanned AS (SELECT id, event_type, channels, tags, CASE WHEN payload IS NULL THEN 0 ELSE 1 END AS kept"
    " FROM message WHERE app_id = :app AND id >= :first AND id < :end ORDER BY id LIMIT CAST(:limit AS BIGINT))"
)
_KEPT: Final = f"CASE WHEN message.kept = 1 THEN {ScanVerdict.SEND:d} ELSE {ScanVerdict.NO_PAYLOAD:d} END"
_NEVER_SENT: Final = (
    "(SELECT 1 FROM attempt WHERE attempt.msg_id = message.id AND attempt.endpoint_id || '' = :endpoint LIMIT 1)"
    " IS NULL"
)
_MISSING: Final = (
    f"{_SCANNED} SELECT message.id AS id, message.id AS msg_id, CASE WHEN {{matches}} THEN"
    f" CASE WHEN {_NEVER_SENT} THEN {_KEPT} ELSE {ScanVerdict.NOTHING:d} END"
    f" ELSE {ScanVerdict.NOTHING:d} END AS verdict"
    " FROM scanned AS message ORDER BY message.id"
)
_CHANNELS: Final = " AND EXISTS (SELECT 1 FROM items_of(message.channels) AS channel WHERE channel.value IN :channels)"


@dataclass(frozen=True, slots=True)
class MessageRange:
    """A key range of an application's messages: `first <= id < end`, at most `limit` of them."""

    app_id: str
    first: str
    end: str
    limit: int

    @property
    def values(self) -> dict[str, Value]:
        """The parameters of a scan."""
        return {"app": self.app_id, "first": self.first, "end": self.end, "limit": self.limit}


_FILTERS: Final = "SELECT event_types, channels, filter FROM endpoint WHERE id = :endpoint"


async def missing(read: Read, endpoint_id: str, part: MessageRange, *, payload_bytes: int) -> Scanned:
    """Scan for messages that match the endpoint's current filters and have no attempt at it.

    With a payload filter, the scan ends before the payloads to load exceed `payload_bytes`, unless there is only one.
    """
    row = await read.row(_FILTERS, endpoint=endpoint_id)
    found = await _missing(read, endpoint_id, part, row)
    if row is None or row["filter"] is None:
        return found
    loaded = await payload_scans.fitting(read, found, payload_bytes)
    if loaded.end is not None:
        found = replace(await _missing(read, endpoint_id, replace(part, end=loaded.end), row), is_cut=True)
    return await payload_scans.filtered(read, found, loaded, stored(row["filter"]))


async def _missing(read: Read, endpoint_id: str, part: MessageRange, row: Row | None) -> Scanned:
    """Scan for messages that match event types and channels and have no attempt; the rules are those of `mismatch`."""
    types, channels = (None, None) if row is None else (names_of(row["event_types"]), names_of(row["channels"]))
    filters = MessageFilter(event_types=types or ())
    conditions = "1 = 0" if types == () else "1 = 1" + messages.filter_conditions(filters)
    conditions += "" if channels is None else _CHANNELS
    values = messages.filter_values(filters) | {"channels": channels or ()}
    return await _scan(read, _MISSING.replace("{matches}", conditions), endpoint_id, part, values)


# A message that is scheduled may have no attempt yet.
_LATEST: Final = (
    f"{_SCANNED}, latest AS MATERIALIZED (SELECT message.id AS id, message.kept AS kept, CASE WHEN {{matches}} THEN"
    " coalesce((SELECT max(attempt.id) FROM attempt WHERE attempt.msg_id = message.id"
    " AND attempt.endpoint_id || '' = :endpoint), {without}) END AS attempt_id FROM scanned AS message)"
    " SELECT message.id AS id, message.id AS msg_id, CASE WHEN message.attempt_id IS NULL THEN"
    f" {ScanVerdict.NOTHING:d} WHEN {{ended}} THEN {_KEPT} ELSE {ScanVerdict.NOTHING:d} END AS verdict"
    " FROM latest AS message ORDER BY message.id"
)
# Scalar subqueries instead of a join: without statistics, PostgreSQL would read a whole table for the join.
_OF_LATEST: Final = "(SELECT {what} FROM attempt WHERE attempt.msg_id = message.id AND attempt.id = message.attempt_id)"
_STATUS_IS: Final = f" AND {_OF_LATEST.format(what='attempt.status')} = CAST(:status AS SMALLINT)"
_LATEST_STATUS: Final = {
    MessageStatus.SUCCESS: MessageStatus.SUCCESS,
    MessageStatus.FAIL: MessageStatus.FAIL,
    MessageStatus.SENDING: MessageStatus.FAIL,
}
"""The status that the latest attempt must have for each status filter. A `sending` message has a failed attempt and a
delivery. `send_any` checks for the delivery, because deliveries may be added or deleted after the scan."""
_CODES: Final = f" AND {_OF_LATEST.format(what='attempt.response_status_code')} BETWEEN :code_from AND :code_to"


_WITH_DELIVERY: Final = (
    " AND (SELECT 1 FROM delivery WHERE delivery.msg_id = message.id AND delivery.endpoint_id || '' = :endpoint{more}"
    " LIMIT 1) {found}"
)
_WITH_ATTEMPT: Final = (
    " AND (SELECT 1 FROM attempt WHERE attempt.msg_id = message.id AND attempt.endpoint_id || '' = :endpoint"
    " AND {is_one} LIMIT 1) {found}"
)
# The same rules as those of `storage/lists/undelivered.py`: a test compares them.
_STATES: Final = {
    UndeliveredState.SCHEDULED: _WITH_DELIVERY.format(
        more=" AND (lease IS NULL OR lease_until <= CAST(:now AS BIGINT))", found="= 1"
    ),
    UndeliveredState.IN_FLIGHT: _WITH_DELIVERY.format(
        more=" AND lease IS NOT NULL AND lease_until > CAST(:now AS BIGINT)", found="= 1"
    ),
    UndeliveredState.EXHAUSTED: _WITH_ATTEMPT.format(is_one="attempt.ended = 1", found="= 1")
    + _WITH_ATTEMPT.format(is_one="attempt.status = 0", found="IS NULL")
    + _WITH_DELIVERY.format(more="", found="IS NULL"),
}


async def sent(read: Read, endpoint_id: str, part: MessageRange, filters: ReplayFilters, now: int) -> Scanned:
    """Scan for messages with at least one attempt at the endpoint; status filters apply to the latest attempt.

    With a `state`, scan for undelivered messages in that state at the time `now`.
    """
    conditions = "1 = 1" + messages.filter_conditions(filters.messages)
    status = (
        MessageStatus.CANCELED if filters.status is None else _LATEST_STATUS.get(filters.status, MessageStatus.PENDING)
    )
    ended = "1 = 1" + ("" if filters.status is None else _STATUS_IS) + ("" if filters.code_class is None else _CODES)
    ended += "" if filters.state is None else _STATES[filters.state]
    needs_none = filters.state is not None and filters.status is None and filters.code_class is None
    text = _LATEST.replace("{matches}", conditions).replace("{ended}", ended)
    text = text.replace("{without}", "''" if needs_none else "NULL")
    codes = range(1) if filters.code_class is None else filters.code_class.codes
    values = messages.filter_values(filters.messages) | {
        "status": int(status),
        "code_from": codes[0],
        "code_to": codes[-1],
        "now": now,
    }
    return await _scan(read, text, endpoint_id, part, values)


async def _scan(
    read: Read, text: str, endpoint_id: str, part: MessageRange, values: Mapping[str, Value | Sequence[Value]]
) -> Scanned:
    return await run_scan(read, scan_statement(text), endpoint=endpoint_id, **part.values, **values)


# -----------------------------------------------------------------------------------------------------------------
# Sends


@dataclass(frozen=True, slots=True)
class ReplayTarget:
    """The endpoint to which a task resends messages, with the values of the new deliveries."""

    endpoint_id: str
    app_id: str
    org_id: str
    task_id: str
    now: int

    @property
    def values(self) -> dict[str, Value]:
        """The parameters of a statement that requests sends."""
        return {
            "endpoint": self.endpoint_id,
            "app": self.app_id,
            "org": self.org_id,
            "task": self.task_id,
            "now": self.now,
        }


_INTO: Final = (
    "INSERT INTO delivery (msg_id, endpoint_id, app_id, org_id, lane, due_at, manual, task_id)"
    " SELECT requested.id, :endpoint, :app, :org, 1, CAST(:now AS BIGINT), 1, :task"
    " FROM rows_of(:msgs) AS requested(id) WHERE {condition}"
)
_NO_ATTEMPT: Final = (
    "(SELECT 1 FROM attempt WHERE attempt.msg_id = requested.id AND attempt.endpoint_id || '' = :endpoint{more}"
    " LIMIT 1) IS NULL"
)
# One index lookup for each message. With `msg_id = ANY(…)` instead, a plan made while the table was small would filter
# a scan, and compare every row with every id after the table has grown.
_LOCK: Final = (
    "SELECT requested.id FROM rows_of(:msgs) AS requested(id) CROSS JOIN LATERAL (SELECT 1 FROM delivery"
    " WHERE delivery.msg_id = requested.id AND delivery.endpoint_id = :endpoint FOR UPDATE) AS held"
)
_MAX_DELIVERIES: Final = 1_000
"""The maximum number of deliveries read over the range of a chunk; if there are more, each message is looked up."""
_MAX_ATTEMPTS_PER_MESSAGE: Final = 2
"""The maximum number of attempts read per message of a chunk; if there are more, each message is looked up."""
_PART: Final = "{table} WHERE msg_id >= :first AND msg_id <= :last ORDER BY msg_id LIMIT CAST(:{most} AS BIGINT)"
_AT: Final = "count(*) AS {count}, array_agg(msg_id) FILTER (WHERE endpoint_id = :endpoint{more}) AS {msgs}"
_LOOK: Final = (
    f"SELECT * FROM (SELECT {_AT.format(count='outstanding', msgs='pending', more='')}"
    f" FROM (SELECT msg_id, endpoint_id FROM {_PART.format(table='delivery', most='few')}) AS part) AS of_deliveries"
    f" CROSS JOIN (SELECT {_AT.format(count='attempts', msgs='tried', more='{more}')}"
    f" FROM (SELECT msg_id, endpoint_id, status FROM {_PART.format(table='attempt', most='near')}) AS part)"
    " AS of_attempts"
)


@dataclass(frozen=True, slots=True)
class _Sending:
    """The statements of one way to request sends."""

    fresh: str
    """Inserts deliveries for messages without one; skips messages with an attempt that excludes a send."""
    any: str
    """Like `fresh`, for messages that may have a delivery; ON CONFLICT updates or keeps it."""
    look: str
    """Reads the deliveries of a chunk's range, and the attempts that exclude a send."""
    bare: str | None
    """Like `fresh`, without a lookup of attempts, for use after `look`; None where no attempt excludes a send."""


def _sending(condition: str, conflict: str, excluding: str | None = None) -> _Sending:
    fresh = _INTO.replace("{condition}", condition)
    return _Sending(
        fresh,
        f"{fresh} {conflict}",
        _LOOK.replace("{more}", excluding or ""),
        None if excluding is None else _INTO.replace("{condition}", "1 = 1"),
    )


def _unless_tried(more: str, conflict: str) -> _Sending:
    return _sending(_NO_ATTEMPT.replace("{more}", more), conflict, more)


_SEND_MISSING: Final = _unless_tried("", "ON CONFLICT (msg_id, endpoint_id) DO NOTHING")
_ASK_UNLESS_DELIVERED: Final = ASK_CONFLICT.replace("{mode}", str(int(Mode.UNLESS_DELIVERED)))
_SEND_FAILED: Final = _unless_tried(" AND status IN (0, 4)", _ASK_UNLESS_DELIVERED)
_ASK: Final = ASK_CONFLICT.replace("{mode}", str(int(Mode.ALWAYS)))
_OUTSTANDING: Final = (
    "(SELECT 1 FROM delivery WHERE delivery.msg_id = requested.id AND delivery.endpoint_id || '' = :endpoint"
    " LIMIT 1) = 1"
)
_SEND_UNDELIVERED: Final = {
    UndeliveredState.SCHEDULED: _sending(_OUTSTANDING, _ASK_UNLESS_DELIVERED),
    UndeliveredState.IN_FLIGHT: _sending(_OUTSTANDING, _ASK_UNLESS_DELIVERED),
    UndeliveredState.EXHAUSTED: _unless_tried(" AND status IN (0, 4)", "ON CONFLICT (msg_id, endpoint_id) DO NOTHING"),
}
_SEND_ANY: Final = {
    None: _sending("1 = 1", _ASK),
    MessageStatus.FAIL: _sending("1 = 1", "ON CONFLICT (msg_id, endpoint_id) DO NOTHING"),
    MessageStatus.SENDING: _sending(_OUTSTANDING, _ASK),
}


async def send_missing(tx: Write, target: ReplayTarget, msg_ids: Sequence[str]) -> int:
    """Request sends of the messages that have neither an attempt nor a delivery; return how many."""
    return await _send(tx, _SEND_MISSING, target, msg_ids)


async def send_failed(tx: Write, target: ReplayTarget, msg_ids: Sequence[str]) -> int:
    """Request sends of the messages that are still not delivered, including since the scan; return how many."""
    return await _send(tx, _SEND_FAILED, target, msg_ids)


async def send_any(tx: Write, target: ReplayTarget, msg_ids: Sequence[str], filters: ReplayFilters) -> int:
    """Request sends of messages that were sent before; return how many.

    With the status `FAIL` only those without a delivery, with `SENDING` only those that have one. With a `state`, only
    those that are still undelivered.
    """
    if filters.state is not None:
        return await _send(tx, _SEND_UNDELIVERED[filters.state], target, msg_ids)
    return await _send(tx, _SEND_ANY.get(filters.status, _SEND_ANY[None]), target, msg_ids)


async def _send(tx: Write, sending: _Sending, target: ReplayTarget, msg_ids: Sequence[str]) -> int:
    """Request sends in id order, so that concurrent transactions cannot deadlock.

    On PostgreSQL a delivery may be settled concurrently. So the existing deliveries are locked first: once they are
    locked, the settlement has committed, and the next statement sees its attempt.
    """
    if not msg_ids:
        return 0
    ordered = sorted(msg_ids)
    if tx.has_one_writer:
        return await tx.run(sending.any, msgs=ordered, **target.values)
    # A plan made while there were few deliveries would read all of them for every message. A plan made while a range
    # had few rows would read and sort the whole range before applying the limit.
    await use_index_order(tx)
    found = await _look(tx, sending, target, ordered)
    held: set[str] = set()
    if found.outstanding:
        held.update(row[0] for row in await tx.rows(_LOCK, endpoint=target.endpoint_id, msgs=found.outstanding))
    sent = await tx.run(sending.any, msgs=sorted(held), **target.values) if held else 0
    settled = [each for each in found.outstanding if each not in held]
    if found.outstanding and found.free:  # while this waited for locks, others may have been settled
        found = await _look(tx, sending, target, found.free)
        settled += found.outstanding
    sent += await _send_fresh(tx, sending, sending.fresh, target, sorted(settled + found.unsure))
    return sent + await _send_fresh(tx, sending, sending.bare or sending.fresh, target, found.free)


@dataclass(frozen=True, slots=True)
class _Found:
    """The messages of a chunk, by the state of their deliveries and attempts at the endpoint."""

    outstanding: list[str]
    """Has, or may have, a delivery: lock it first."""
    free: list[str]
    """Has no delivery and no attempt that excludes a send."""
    unsure: list[str]
    """Has no delivery; its attempts were not read."""


async def _look(tx: Write, sending: _Sending, target: ReplayTarget, ordered: list[str]) -> _Found:
    """Read deliveries and attempts over the range of a chunk; one lookup per message would cost as much as the insert.

    One statement reads both, so both come from one snapshot: if a delivery has been settled in it, its attempt
    is visible.
    """
    near = 0 if sending.bare is None else _MAX_ATTEMPTS_PER_MESSAGE * len(ordered)
    bounds: dict[str, Value] = {"first": ordered[0], "last": ordered[-1], "few": _MAX_DELIVERIES, "near": near}
    row = await tx.one(sending.look, endpoint=target.endpoint_id, **bounds)
    if row["outstanding"] == _MAX_DELIVERIES:
        return _Found(ordered, [], [])
    seen = set(row["pending"] or ())
    outstanding = [each for each in ordered if each in seen]
    others = [each for each in ordered if each not in seen] if outstanding else ordered
    if near and row["attempts"] == near:
        return _Found(outstanding, [], others)
    tried = set(row["tried"] or ())
    return _Found(outstanding, [each for each in others if each not in tried] if tried else others, [])


async def _send_fresh(tx: Write, sending: _Sending, text: str, target: ReplayTarget, msg_ids: Sequence[str]) -> int:
    """Request sends of messages that had no delivery in the previous statement.

    An INSERT with ON CONFLICT checks for each row first and inserts it speculatively, which takes the database a third
    longer. So the first INSERT has no ON CONFLICT. If another transaction has added a delivery, the savepoint undoes
    this INSERT alone, and the second one has ON CONFLICT.
    """
    if not msg_ids:
        return 0
    await tx.run("SAVEPOINT fresh")
    try:
        sent = await tx.run(text, msgs=msg_ids, **target.values)
    except Duplicate:
        await tx.run("ROLLBACK TO SAVEPOINT fresh")
        sent = await tx.run(sending.any, msgs=msg_ids, **target.values)
    await tx.run("RELEASE SAVEPOINT fresh")
    return sent


# -----------------------------------------------------------------------------------------------------------------
# Recoveries: the attempts at an endpoint in id order, and the state of their messages

_SCAN_ATTEMPTS: Final = scan_statement(f"""
WITH scanned AS (
  SELECT id, msg_id, status FROM attempt
  WHERE endpoint_id = :endpoint AND id >= :first AND id < :end ORDER BY id LIMIT CAST(:limit AS BIGINT)
)
SELECT id, msg_id, CASE
  WHEN status <> 2 THEN {ScanVerdict.NOTHING:d}
  WHEN (SELECT 1 FROM attempt AS other WHERE other.msg_id = scanned.msg_id AND other.endpoint_id || '' = :endpoint
    AND (other.status IN (0, 4) OR (other.status = 2 AND other.id >= :lower AND other.id < scanned.id)) LIMIT 1) = 1
    THEN {ScanVerdict.NOTHING:d}
  WHEN (SELECT 1 FROM message WHERE message.id = scanned.msg_id AND message.payload IS NOT NULL LIMIT 1) = 1
    THEN {ScanVerdict.SEND:d}
  ELSE {ScanVerdict.NO_PAYLOAD:d} END AS verdict
FROM scanned ORDER BY id
""")


async def scan_attempts(read: Read, endpoint_id: str, *, lower: str, first: str, end: str, limit: int) -> Scanned:
    """Scan the next attempts from `first` on, in a range that begins at `lower` and ends before `end`.

    A message gets its verdict at its first failed attempt of the range. So each message is sent once, and the scan
    needs no list of the messages it has seen.
    """
    return await run_scan(read, _SCAN_ATTEMPTS, endpoint=endpoint_id, lower=lower, first=first, end=end, limit=limit)


# The lock is shared with other tasks and excludes writes to the endpoint: no chunk adds deliveries once it is disabled.
_LOCK_DISABLED: Final = (
    "SELECT endpoint.disabled FROM endpoint JOIN application ON application.id = endpoint.app_id"
    " WHERE endpoint.id = :endpoint AND endpoint.deleted_at IS NULL AND application.deleted_at IS NULL"
    " FOR SHARE OF endpoint"
)


async def is_disabled(tx: Write, endpoint_id: str) -> bool | None:
    """Return whether an endpoint is disabled, or None if it or its application is deleted.

    Locks the endpoint's row until the transaction ends, so that the result stays true.
    """
    row = await tx.row(_LOCK_DISABLED, endpoint=endpoint_id)
    return None if row is None else bool(row["disabled"])
