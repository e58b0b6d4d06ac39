# SPDX-License-Identifier: MIT
"""What a replay reads and writes: an application's messages in the order of their ids, and an endpoint's part in them.

A chunk is scanned outside the write and written by one statement over the ids that were found; what may have changed
in between is asked again there, on PostgreSQL of the whole range at once. Every probe goes through an index that
begins with the message: `endpoint_id || ''` says so to the planners.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tidings.model.attempt import MessageStatus
from tidings.model.delivery import Mode
from tidings.model.message import MessageFilter
from tidings.model.resending import ReplayFilters
from tidings.storage import message_filters
from tidings.storage.database import Dialect, Duplicate, Read, Sql, Value, Write
from tidings.storage.deliveries import ASK_CONFLICT
from tidings.storage.recovery import Scanned, ScanVerdict, gathered, scanned

_HIGH_WATER_MARK: Final = "SELECT max(id) AS high_water_mark FROM message WHERE app_id = :app"
_FIRST: Final = "SELECT min(id) AS first FROM message WHERE app_id = :app"
_COUNT: Final = (
    "SELECT count(*) AS n, max(id) AS last FROM (SELECT id FROM message WHERE app_id = :app"
    " AND id >= :first AND id < :end ORDER BY id LIMIT CAST(:limit AS BIGINT)) AS counted"
)


async def high_water_mark(read: Read, app_id: str) -> str:
    """Return the greatest id of an application's messages that is visible, or nothing."""
    return (await read.one(_HIGH_WATER_MARK, app=app_id))["high_water_mark"] or ""


async def first(read: Read, app_id: str) -> str:
    """Return the least id of an application's messages, or nothing."""
    return (await read.one(_FIRST, app=app_id))["first"] or ""


async def count(read: Read, app_id: str, first: str, end: str, *, limit: int) -> tuple[int, str | None]:
    """Count the messages with `first <= id < end`, up to a limit; return the last id that was counted too."""
    row = await read.one(_COUNT, app=app_id, first=first, end=end, limit=limit)
    return row["n"], row["last"]


# -----------------------------------------------------------------------------------------------------------------
# Scans. A message that the filters want is asked for, or gone if its payload is no longer there; the rows of those
# that are not wanted only move the cursor.

_SCANNED: Final = (
    "WITH scanned AS (SELECT id, event_type, channels, tags, CASE WHEN payload IS NULL THEN 0 ELSE 1 END AS kept"
    " FROM message WHERE app_id = :app AND id >= :first AND id < :end ORDER BY id LIMIT CAST(:limit AS BIGINT))"
)
_KEPT: Final = f"CASE WHEN message.kept = 1 THEN {ScanVerdict.SEND:d} ELSE {ScanVerdict.GONE:d} END"
_NEVER_SENT: Final = (
    "(SELECT 1 FROM attempt WHERE attempt.msg_id = message.id AND attempt.endpoint_id || '' = :endpoint LIMIT 1)"
    " IS NULL"
)
_MISSING: Final = (
    f"{_SCANNED} SELECT message.id AS id, message.id AS msg_id, CASE WHEN {{wanted}} THEN"
    f" CASE WHEN {_NEVER_SENT} THEN {_KEPT} ELSE {ScanVerdict.NOTHING:d} END"
    f" ELSE {ScanVerdict.NOTHING:d} END AS verdict"
    " FROM scanned AS message ORDER BY message.id"
)
_CHANNELS: Final = {
    Dialect.SQLITE: (
        " AND EXISTS (SELECT 1 FROM json_each(message.channels) AS channel"
        " WHERE channel.value IN (SELECT value FROM json_each(:channels)))"
    ),
    Dialect.POSTGRESQL: (
        " AND EXISTS (SELECT 1 FROM json_array_elements_text(CAST(message.channels AS json)) AS channel"
        " WHERE channel = ANY(CAST(:channels AS text[])))"
    ),
}


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


_FILTERS: Final = "SELECT event_types, channels FROM endpoint WHERE id = :endpoint"


async def missing(read: Read, endpoint_id: str, part: MessageRange) -> Scanned:
    """Look for messages that an endpoint wants, by the filters it has now, and was never sent."""
    row = await read.row(_FILTERS, endpoint=endpoint_id)
    types, channels = (None, None) if row is None else (_listed(row["event_types"]), _listed(row["channels"]))
    wanted = MessageFilter(event_types=tuple(types or ()))
    conditions = "1 = 0" if types == [] else "1 = 1" + message_filters.conditions(read.dialect, wanted)
    conditions += "" if channels is None else _CHANNELS[read.dialect]
    values = message_filters.values_of(wanted) | {"channels": channels or []}
    return await _scan(read, _MISSING.replace("{wanted}", conditions), endpoint_id, part, values)


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else list(json.loads(text))


_LATEST: Final = (
    f"{_SCANNED}, latest AS MATERIALIZED (SELECT message.id AS id, message.kept AS kept, CASE WHEN {{wanted}} THEN"
    " (SELECT max(attempt.id) FROM attempt WHERE attempt.msg_id = message.id"
    " AND attempt.endpoint_id || '' = :endpoint) END AS attempt_id FROM scanned AS message)"
    " SELECT message.id AS id, message.id AS msg_id, CASE WHEN message.attempt_id IS NULL THEN"
    f" {ScanVerdict.NOTHING:d} WHEN {{ended}} THEN {_KEPT} ELSE {ScanVerdict.NOTHING:d} END AS verdict"
    " FROM latest AS message ORDER BY message.id"
)
# Scalars where a join would do: without statistics PostgreSQL would read a whole table for the join.
_OF_LATEST: Final = "(SELECT {what} FROM attempt WHERE attempt.msg_id = message.id AND attempt.id = message.attempt_id)"
_IS: Final = f" AND {_OF_LATEST.format(what='attempt.status')} = CAST(:status AS SMALLINT)"
_STATUS: Final = {
    MessageStatus.SUCCESS: MessageStatus.SUCCESS,
    MessageStatus.FAIL: MessageStatus.FAIL,
    MessageStatus.SENDING: MessageStatus.FAIL,
}
"""What a status asks of the latest attempt. A failure that will be tried again is `sending`: whether it will be is
seen where it is sent, because the rows of what is outstanding come and go."""
_CODES: Final = f" AND {_OF_LATEST.format(what='attempt.response_status_code')} BETWEEN :code_from AND :code_to"


async def sent(read: Read, endpoint_id: str, part: MessageRange, filters: ReplayFilters) -> Scanned:
    """Look for messages that an endpoint was sent at least once; filters on the outcome are on the latest attempt."""
    conditions = "1 = 1" + message_filters.conditions(read.dialect, filters.messages)
    status = MessageStatus.CANCELED if filters.status is None else _STATUS.get(filters.status, MessageStatus.CANCELED)
    ended = "1 = 1" + ("" if filters.status is None else _IS) + ("" if filters.code_class is None else _CODES)
    text = _LATEST.replace("{wanted}", conditions).replace("{ended}", ended)
    codes = range(1) if filters.code_class is None else filters.code_class.codes
    values = message_filters.values_of(filters.messages) | {
        "status": int(status),
        "code_from": codes[0],
        "code_to": codes[-1],
    }
    return await _scan(read, text, endpoint_id, part, values)


async def _scan(
    read: Read, text: str, endpoint_id: str, part: MessageRange, values: Mapping[str, Value | Sequence[Value]]
) -> Scanned:
    return await scanned(read, gathered(text), endpoint=endpoint_id, **part.values, **values)


# -----------------------------------------------------------------------------------------------------------------
# Sends


@dataclass(frozen=True, slots=True)
class ReplayTarget:
    """Where a task sends messages again, and in whose name."""

    endpoint_id: str
    app_id: str
    org_id: str
    task_id: str
    now: int

    @property
    def values(self) -> dict[str, Value]:
        """The parameters of a statement that asks for sends."""
        return {
            "endpoint": self.endpoint_id,
            "app": self.app_id,
            "org": self.org_id,
            "task": self.task_id,
            "now": self.now,
        }


_INTO: Final = (
    "INSERT INTO delivery (msg_id, endpoint_id, app_id, org_id, lane, due_at, manual, task_id)"
    " SELECT wanted.id, :endpoint, :app, :org, 1, CAST(:now AS BIGINT), 1, :task FROM {wanted} WHERE {condition}"
)
_WANTED: Final = {
    Dialect.SQLITE: "(SELECT value AS id FROM json_each(:msgs)) AS wanted",
    Dialect.POSTGRESQL: "unnest(CAST(:msgs AS text[])) AS wanted(id)",
}
_PROBE: Final = (
    "(SELECT 1 FROM attempt WHERE attempt.msg_id = wanted.id AND attempt.endpoint_id || '' = :endpoint{more} LIMIT 1)"
    " IS NULL"
)
# One probe for each message. As `msg_id = ANY(…)` it is a filter to the planner, and a plan that was made while the
# table was small compares every row with every id once the table has grown.
_LOCK: Final = (
    "SELECT wanted.id FROM unnest(CAST(:msgs AS text[])) AS wanted(id) CROSS JOIN LATERAL (SELECT 1 FROM delivery"
    " WHERE delivery.msg_id = wanted.id AND delivery.endpoint_id = :endpoint FOR UPDATE) AS held"
)
# Plans are kept. One that was made when little was outstanding would read all of it, for every message; and one that
# was made when a range held little would read and sort all of it, before it takes the part that it is to read.
_BY_KEY: Final = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off"
_FEW: Final = 1_000
"""So many outstanding rows are read to see which are a chunk's; where there are more, each message is looked for."""
_NEAR: Final = 2
"""So many attempts for each message are read to see which it had; where there are more, each is asked for its own."""
_PART: Final = "{table} WHERE msg_id >= :first AND msg_id <= :last ORDER BY msg_id LIMIT CAST(:{most} AS BIGINT)"
_AT: Final = "count(*) AS {count}, array_agg(msg_id) FILTER (WHERE endpoint_id = :endpoint{more}) AS {msgs}"
_LOOK: Final = (
    f"SELECT * FROM (SELECT {_AT.format(count='outstanding', msgs='waiting', more='')}"
    f" FROM (SELECT msg_id, endpoint_id FROM {_PART.format(table='delivery', most='few')}) AS part) AS of_deliveries"
    f" CROSS JOIN (SELECT {_AT.format(count='attempts', msgs='tried', more='{more}')}"
    f" FROM (SELECT msg_id, endpoint_id, status FROM {_PART.format(table='attempt', most='near')}) AS part)"
    " AS of_attempts"
)


@dataclass(frozen=True, slots=True)
class _Sending:
    """A way to ask for sends: of messages of which nothing may be outstanding, and of any.

    Which attempts are in the way is asked by both, `more` being part of the question. `look` asks it for a whole
    chunk, and then `bare` asks nothing; both are None where no attempt is in the way.
    """

    fresh: str
    any: Sql
    look: str
    bare: str | None


def _sending(condition: str, conflict: str, in_the_way: str | None = None) -> _Sending:
    sqlite, postgresql = (_INTO.replace("{wanted}", _WANTED[each]) for each in (Dialect.SQLITE, Dialect.POSTGRESQL))
    fresh = postgresql.replace("{condition}", condition)
    return _Sending(
        fresh,
        Sql(f"{sqlite.replace('{condition}', condition)} {conflict}", f"{fresh} {conflict}"),
        _LOOK.replace("{more}", in_the_way or ""),
        None if in_the_way is None else postgresql.replace("{condition}", "1 = 1"),
    )


def _unless_tried(more: str, conflict: str) -> _Sending:
    return _sending(_PROBE.replace("{more}", more), conflict, more)


_SEND_MISSING: Final = _unless_tried("", "ON CONFLICT (msg_id, endpoint_id) DO NOTHING")
_SEND_FAILED: Final = _unless_tried(" AND status = 0", ASK_CONFLICT.replace("{mode}", str(int(Mode.UNLESS_DELIVERED))))
_ASK: Final = ASK_CONFLICT.replace("{mode}", str(int(Mode.ALWAYS)))
_OUTSTANDING: Final = (
    "(SELECT 1 FROM delivery WHERE delivery.msg_id = wanted.id AND delivery.endpoint_id || '' = :endpoint LIMIT 1) = 1"
)
_SEND_ANY: Final = {
    None: _sending("1 = 1", _ASK),
    MessageStatus.FAIL: _sending("1 = 1", "ON CONFLICT (msg_id, endpoint_id) DO NOTHING"),
    MessageStatus.SENDING: _sending(_OUTSTANDING, _ASK),
}


async def send_missing(tx: Write, target: ReplayTarget, msg_ids: Sequence[str]) -> int:
    """Send what was never sent and is not waiting to be; return how many."""
    return await _send(tx, _SEND_MISSING, target, msg_ids)


async def send_failed(tx: Write, target: ReplayTarget, msg_ids: Sequence[str]) -> int:
    """Send again what has not got through, also not since it was looked at; return how many."""
    return await _send(tx, _SEND_FAILED, target, msg_ids)


async def send_any(tx: Write, target: ReplayTarget, msg_ids: Sequence[str], status: MessageStatus | None) -> int:
    """Send again, of failures only those that will not be tried again, or only those that will; return how many."""
    return await _send(tx, _SEND_ANY.get(status, _SEND_ANY[None]), target, msg_ids)


async def _send(tx: Write, sending: _Sending, target: ReplayTarget, msg_ids: Sequence[str]) -> int:
    """Ask for sends in the order of the ids, so that two who ask never wait for one another in a circle.

    On PostgreSQL a send may be settling concurrently. So what is outstanding is locked first: when the lock is ours
    the settlement has committed, and the statement that follows sees its attempt.
    """
    if not msg_ids:
        return 0
    ordered = sorted(msg_ids)
    if tx.dialect is Dialect.SQLITE:
        return await tx.run(sending.any, msgs=ordered, **target.values)
    await tx.run(_BY_KEY)
    found = await _look(tx, sending, target, ordered)
    held: set[str] = set()
    if found.waiting:
        held.update(row[0] for row in await tx.rows(_LOCK, endpoint=target.endpoint_id, msgs=found.waiting))
    sent = await tx.run(sending.any, msgs=sorted(held), **target.values) if held else 0
    settled = [each for each in found.waiting if each not in held]
    if found.waiting and found.free:  # locks may have been waited for, and others have got through meanwhile
        found = await _look(tx, sending, target, found.free)
        settled += found.waiting
    sent += await _send_fresh(tx, sending, sending.fresh, target, sorted(settled + found.unsure))
    return sent + await _send_fresh(tx, sending, sending.bare or sending.fresh, target, found.free)


@dataclass(frozen=True, slots=True)
class _Found:
    """What a chunk's messages are: outstanding, and to be locked first; free to be asked for; or not known to be."""

    waiting: list[str]
    free: list[str]
    unsure: list[str]


async def _look(tx: Write, sending: _Sending, target: ReplayTarget, ordered: list[str]) -> _Found:
    """Read the range of a chunk's messages, where a probe for each would cost as much as the insert.

    Both questions are asked in one statement: what is not outstanding in it has settled before, if at all, and so its
    attempt is seen.
    """
    near = 0 if sending.bare is None else _NEAR * len(ordered)
    bounds: dict[str, Value] = {"first": ordered[0], "last": ordered[-1], "few": _FEW, "near": near}
    row = await tx.one(sending.look, endpoint=target.endpoint_id, **bounds)
    if row["outstanding"] == _FEW:
        return _Found(ordered, [], [])
    seen = set(row["waiting"] or ())
    waiting = [each for each in ordered if each in seen]
    others = [each for each in ordered if each not in seen] if waiting else ordered
    if near and row["attempts"] == near:
        return _Found(waiting, [], others)
    tried = set(row["tried"] or ())
    return _Found(waiting, [each for each in others if each not in tried] if tried else others, [])


async def _send_fresh(tx: Write, sending: _Sending, text: str, target: ReplayTarget, msg_ids: Sequence[str]) -> int:
    """Request sends of messages that had no delivery a statement ago.

    An insert that expects other rows looks for each, and writes it twice: first that it may be taken back. It takes a
    third more of the database's time than one that does not. So here another's row is an error, which takes back this
    insert and nothing before it, and then it is expected.
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
