# SPDX-License-Identifier: MIT
"""Queries for messages and the explanations of their deliveries, and statements that delete payloads.

`intake.py` writes new messages.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidings.errors import not_found
from tidings.ids import MESSAGE, TASK, AppId, AttemptId, EndpointId, MessageId, OrgId, TaskId, first_at, timestamp_of
from tidings.model.attempt import BLOCKED_TEXT, DeliveryEnd, MessageAttemptTriggerType, MessageStatus
from tidings.model.explanation import AttemptSummary, LastAttempt, MessageFacts, OutstandingDelivery
from tidings.model.message import RETENTION_MS, Message, MessageFilter
from tidings.model.task_item import ItemOutcome
from tidings.storage.drivers.database import Read, Row, Sql, Value, Write, from_row, names_of
from tidings.storage.tables import bucket_index, settlement
from tidings.storage.tables.key_ranges import spread
from tidings.storage.tables.task_items import key_of

HEAD: Final = (
    "message.id, message.app_id, message.org_id, message.event_type, message.event_id, message.channels, message.tags,"
    " message.deliver_at, message.raw, "
)
_SIZE: Final = ", length(message.payload) AS payload_bytes"
_COLUMNS: Final = f"{HEAD}message.payload{_SIZE}"
_WITHOUT_PAYLOAD: Final = f"{HEAD}NULL AS payload{_SIZE}"
_BY_ID: Final = "FROM message WHERE id = :ref AND app_id = :app"
_BY_EVENT_ID: Final = """
FROM message WHERE id = (SELECT msg_id FROM event_id WHERE app_id = :app AND event_id = :ref) AND app_id = :app
"""


async def find(read: Read, app_id: AppId, ref: str, *, with_payload: bool = True) -> Message | None:
    """Return an application's message by its id or event id, or None."""
    where = _BY_ID if ref.startswith(MESSAGE) else _BY_EVENT_ID
    row = await read.row(f"SELECT {columns(with_payload=with_payload)} {where}", app=app_id, ref=ref)
    return None if row is None else message_of(row)


async def get(read: Read, app_id: AppId, ref: str, *, with_payload: bool = True) -> Message:
    """Return an application's message by its id or event id. Raises `not_found`."""
    message = await find(read, app_id, ref, with_payload=with_payload)
    if message is None:
        raise not_found()
    return message


# LATERAL and OFFSET 0 force a lookup by id. With a plain join, PostgreSQL may read a whole partition.
_BY_IDS: Final = Sql(
    sqlite="SELECT {columns} FROM message WHERE id IN :ids{conditions}",
    postgresql=(
        f"SELECT {{columns}} FROM {spread('ids')} AS requested(id) CROSS JOIN LATERAL"
        " (SELECT * FROM message AS m WHERE m.id = requested.id OFFSET 0) AS message WHERE TRUE{conditions}"
    ),
)


async def by_ids(read: Read, msg_ids: Sequence[str]) -> dict[MessageId, Message]:
    """Return messages by id, without payloads; deleted ones are left out."""
    if not msg_ids:
        return {}
    rows = await read.rows(_BY_IDS.format(columns=columns(with_payload=False), conditions=""), ids=list(msg_ids))
    return {MessageId(row["id"]): message_of(row) for row in rows}


async def payloads(read: Read, messages: Sequence[Message]) -> dict[MessageId, bytes]:
    """Return the payloads of messages that were read without them.

    The caller limits their total size, which must fit in memory.
    """
    ids = [message.id for message in messages if message.payload_bytes is not None]
    if not ids:
        return {}
    rows = await read.rows(_BY_IDS.format(columns="message.id, message.payload", conditions=""), ids=ids)
    return {MessageId(row["id"]): bytes(row["payload"]) for row in rows if row["payload"] is not None}


async def matching(read: Read, msg_ids: Sequence[str], filters: MessageFilter) -> set[str]:
    """Return the ids of those of the given messages that match the filters."""
    statement = _BY_IDS.format(columns="message.id", conditions=filter_conditions(filters))
    return {row["id"] for row in await read.rows(statement, ids=list(msg_ids), **filter_values(filters))}


# -----------------------------------------------------------------------------------------------------------------
# Deleting payloads

_RESOLVED: Final = (
    "SELECT id AS ref, id FROM message WHERE app_id = :app AND id IN :refs"
    " UNION ALL SELECT event_id AS ref, msg_id AS id FROM event_id WHERE app_id = :app AND event_id IN :refs"
)
_EXPUNGE: Final = "UPDATE message SET payload = NULL WHERE id IN :ids AND payload IS NOT NULL"
_DELETE_UNLEASED: Final = "DELETE FROM delivery WHERE msg_id IN :ids AND lease IS NULL RETURNING msg_id, endpoint_id"


async def resolve(read: Read, app_id: AppId, refs: Sequence[str]) -> dict[str, MessageId]:
    """Map ids and event ids to the application's messages; unknown ones are left out."""
    return {row["ref"]: MessageId(row["id"]) for row in await read.rows(_RESOLVED, app=app_id, refs=list(refs))}


async def expunge(tx: Write, msg_ids: Sequence[str]) -> None:
    """Delete the payloads of messages, and their deliveries that are not leased: nothing is left to send."""
    ids = sorted(msg_ids)
    await tx.run(_EXPUNGE, ids=ids)
    discarded = [(row[0], row[1]) for row in await tx.rows(_DELETE_UNLEASED, ids=ids)]
    if discarded:
        await settlement.note_ended(tx, discarded, DeliveryEnd.DISCARDED)


_PURGE: Final = (
    "UPDATE message SET payload = NULL WHERE app_id = :app AND id >= :first AND id <= :last AND payload IS NOT NULL"
)
_WITH_PAYLOAD: Final = (
    "SELECT id FROM message WHERE app_id = :app AND id >= :first AND id < :end AND payload IS NOT NULL"
    " ORDER BY id LIMIT CAST(:limit AS BIGINT)"
)


async def purge(tx: Write, app_id: str, first: str, last: str) -> int:
    """Delete the payloads of the messages with `first <= id <= last`; return how many there were."""
    return await tx.run(_PURGE, app=app_id, first=first, last=last)


async def with_payload(read: Read, app_id: str, first: str, end: str, *, limit: int) -> list[str]:
    """Return the first messages with `first <= id < end` that have a payload."""
    rows = await read.rows(_WITH_PAYLOAD, app=app_id, first=first, end=end, limit=limit)
    return [row["id"] for row in rows]


# Payloads with the default retention expire in id order. Those with a shorter one are found by `message_expiry`.
_OLD: Final = (
    "SELECT id, length(payload) AS size FROM message"
    " WHERE id > :after AND id < :before ORDER BY id LIMIT CAST(:limit AS BIGINT)"
)
_DUE: Final = (
    "SELECT id, length(payload) AS size FROM message WHERE expires_at IS NOT NULL AND payload IS NOT NULL"
    " AND expires_at <= :now ORDER BY expires_at LIMIT CAST(:limit AS BIGINT)"
)


async def old(read: Read, *, after: str, before: str, limit: int) -> list[tuple[str, int | None]]:
    """Return the next messages in id order: id and payload size in bytes, None where the payload is deleted."""
    return [(row["id"], row["size"]) for row in await read.rows(_OLD, after=after, before=before, limit=limit)]


async def due(read: Read, now: int, *, limit: int) -> list[tuple[str, int | None]]:
    """Return messages whose payload is past its own retention period: id and payload size in bytes."""
    return [(row["id"], row["size"]) for row in await read.rows(_DUE, now=now, limit=limit)]


def columns(*, with_payload: bool) -> str:
    """Return the columns that `message_of` needs."""
    return _COLUMNS if with_payload else _WITHOUT_PAYLOAD


def message_of(row: Row) -> Message:
    """Build a message from a row with the columns of `columns`."""
    return Message(
        id=MessageId(row["id"]),
        app_id=AppId(row["app_id"]),
        org_id=OrgId(row["org_id"]),
        event_type=row["event_type"],
        event_id=row["event_id"],
        channels=names_of(row["channels"]),
        tags=names_of(row["tags"]),
        deliver_at=row["deliver_at"],
        payload=None if row["payload"] is None else bytes(row["payload"]),
        is_raw=bool(row["raw"]),
        payload_bytes=row["payload_bytes"],
    )


# -----------------------------------------------------------------------------------------------------------------
# SQL conditions for the message filters. The statement must name the table, or an alias, `message`.

_EVENT_TYPE: Final = " AND message.event_type = :event_type"
_EVENT_TYPES: Final = " AND message.event_type IN :event_types"
# Channels and tags are JSON arrays of strings without quotation marks, so an array contains a string if and only if its
# text contains the quoted string. Most messages have neither. IS NOT NULL lets PostgreSQL skip those within the index,
# at half the cost.
_HAS: Final = " AND message.{column} IS NOT NULL AND strpos(message.{column}, :{name}) > 0"


def filter_conditions(filters: MessageFilter) -> str:
    """Return the SQL conditions for the filters that are set, each with a leading AND."""
    found = ""
    if filters.event_types:
        found = _EVENT_TYPE if len(filters.event_types) == 1 else _EVENT_TYPES
    if filters.channel is not None:
        found += _HAS.format(column="channels", name="channel")
    if filters.tag is not None:
        found += _HAS.format(column="tags", name="tag")
    return found


def filter_values(filters: MessageFilter) -> dict[str, Value | Sequence[Value]]:
    """Return the parameters of `filter_conditions`."""
    return {
        "event_type": next(iter(filters.event_types), None),
        "event_types": list(filters.event_types),
        "channel": None if filters.channel is None else json.dumps(filters.channel),
        "tag": None if filters.tag is None else json.dumps(filters.tag),
    }


def filter_names(filters: MessageFilter) -> list[list[str]]:
    """Return lists of bucket-index names; a matching message has an entry for one name of each list."""
    groups = [[bucket_index.EVENT_TYPE + each for each in filters.event_types]] if filters.event_types else []
    if filters.channel is not None:
        groups.append([bucket_index.channel_value(filters.channel)])
    if filters.tag is not None:
        groups.append([bucket_index.tag_value(filters.tag)])
    return groups


# -----------------------------------------------------------------------------------------------------------------
# Explanations of the deliveries of a message to a page of endpoints
#
# The endpoints of a page are adjacent in the keys of deliveries and attempts, so each table is read as one range.
# Deliveries are read before attempts: if a delivery settles first, the second statement sees its attempt.

CANCELED_TASKS_MAX: Final = 100
"""The number of canceled tasks that are searched per application, newest first."""
_PAYLOAD: Final = (
    "SELECT expires_at, CASE WHEN payload IS NULL THEN 0 ELSE 1 END AS has_payload FROM message WHERE id = :msg"
)
_IN_PAGE: Final = "msg_id = :msg AND endpoint_id >= :first AND endpoint_id <= :last"
_OUTSTANDING: Final = (
    "SELECT endpoint_id, due_at, attempts, manual AS is_manual,"
    " CASE WHEN lease IS NULL THEN NULL ELSE lease_until END AS"
    f" lease_until, task_id FROM delivery WHERE {_IN_PAGE}"
)
_BLOCKED: Final = "response_status_code = 0 AND response LIKE :blocked"
_SUMMARY: Final = (
    "count(*) AS attempts, coalesce(max(number), 0) AS automatic,"
    f" count(*) FILTER (WHERE {_BLOCKED}) AS blocked,"
    " count(*) FILTER (WHERE status = 0) AS delivered, max(id) AS latest"
)
_TRIED: Final = (
    "SELECT tried.*, attempt.id, attempt.status, attempt.response_status_code, attempt.trigger_type, attempt.ended,"
    " attempt.task_id"
    f" FROM (SELECT endpoint_id, {_SUMMARY} FROM attempt WHERE {_IN_PAGE} GROUP BY endpoint_id) AS tried"
    " JOIN attempt ON attempt.msg_id = :msg AND attempt.endpoint_id = tried.endpoint_id AND attempt.id = tried.latest"
)
_LATEST: Final = (
    "latest.id, latest.status, latest.response_status_code, latest.trigger_type, latest.ended, latest.task_id"
)
_IS_PAIR: Final = "{table}.msg_id = {pair}.msg_id AND {table}.endpoint_id = {pair}.endpoint_id"
_OF_ASKED: Final = _IS_PAIR.format(table="attempt", pair="asked")
# SQLite has no LATERAL. On PostgreSQL, it and OFFSET 0 force a lookup by key.
_SUMMARIES: Final = Sql(
    sqlite=(
        f"SELECT tried.*, {_LATEST} FROM (SELECT attempt.msg_id AS msg_id, attempt.endpoint_id AS endpoint_id,"
        f" {_SUMMARY} FROM rows_of(:msgs, :endpoints) AS asked(msg_id, endpoint_id) CROSS JOIN attempt"
        f" WHERE {_OF_ASKED} GROUP BY attempt.msg_id, attempt.endpoint_id) AS tried CROSS JOIN attempt AS latest"
        f" WHERE {_IS_PAIR.format(table='latest', pair='tried')} AND latest.id = tried.latest"
    ),
    postgresql=(
        f"SELECT asked.msg_id, asked.endpoint_id, tried.*, {_LATEST}"
        f" FROM {spread('msgs', 'endpoints')} AS asked(msg_id, endpoint_id)"
        f" CROSS JOIN LATERAL (SELECT {_SUMMARY} FROM (SELECT * FROM attempt WHERE {_OF_ASKED} OFFSET 0) AS every)"
        " AS tried"
        f" CROSS JOIN LATERAL (SELECT * FROM attempt WHERE {_OF_ASKED} AND attempt.id = tried.latest OFFSET 0)"
        " AS latest"
    ),
)
_CANCELED: Final = (
    "SELECT id, args FROM task WHERE app_id = :app AND wire_status = 'failed' AND id >= :since AND state = 'cancelled'"
    f" ORDER BY id DESC LIMIT {CANCELED_TASKS_MAX:d}"
)
_CANCELED_ITEMS: Final = (
    "SELECT task_item.task_id, task_item.key FROM rows_of(:tasks, :keys) AS asked(task, key) CROSS JOIN task_item"
    " WHERE found_by(task_item.task_id, asked.task) AND task_item.key = asked.key AND task_item.outcome = :outcome"
)


@dataclass(frozen=True, slots=True)
class EndpointDeliveries:
    """The outstanding deliveries and the attempts of a message, by endpoint."""

    outstanding: dict[EndpointId, OutstandingDelivery]
    attempts: dict[EndpointId, AttemptSummary]


NO_DELIVERIES: Final = EndpointDeliveries({}, {})


async def facts_of(read: Read, message: Message) -> MessageFacts:
    """Return the facts about a message, including whether its payload exists and when it expires."""
    row = await read.one(_PAYLOAD, msg=message.id)
    at = timestamp_of(message.id)
    return MessageFacts(
        at=at,
        event_type=message.event_type,
        channels=message.channels,
        deliver_at=message.deliver_at,
        has_payload=bool(row["has_payload"]),
        expires_at=row["expires_at"] or at + RETENTION_MS,
    )


async def stored_deliveries(read: Read, msg_id: MessageId, first: EndpointId, last: EndpointId) -> EndpointDeliveries:
    """Return the deliveries and attempts of a message at the endpoints from `first` to `last`, inclusive."""
    page = {"msg": msg_id, "first": first, "last": last}
    outstanding = await read.rows(_OUTSTANDING, **page)
    tried = await read.rows(_TRIED, **page, blocked=f"{BLOCKED_TEXT}%")
    return EndpointDeliveries(
        {EndpointId(row["endpoint_id"]): from_row(OutstandingDelivery, row) for row in outstanding},
        {EndpointId(row["endpoint_id"]): _tried(row) for row in tried},
    )


async def summaries_of_attempts(
    read: Read, pairs: Sequence[tuple[MessageId, EndpointId]]
) -> dict[tuple[MessageId, EndpointId], AttemptSummary]:
    """Return summaries of the attempts of messages at endpoints; pairs without attempts are left out."""
    if not pairs:
        return {}
    msgs, endpoints = [msg_id for msg_id, _ in pairs], [endpoint_id for _, endpoint_id in pairs]
    rows = await read.rows(_SUMMARIES, msgs=msgs, endpoints=endpoints, blocked=f"{BLOCKED_TEXT}%")
    return {(MessageId(row["msg_id"]), EndpointId(row["endpoint_id"])): _tried(row) for row in rows}


async def canceled_by_tasks(
    read: Read, app_id: AppId, msg_id: MessageId, since: dict[EndpointId, int]
) -> dict[EndpointId, TaskId]:
    """Return, by endpoint, the newest task that was canceled before it sent a message there.

    `since` has a timestamp for each endpoint; tasks that were created before it do not count.
    """
    rows = await read.rows(_CANCELED, app=app_id, since=first_at(TASK, min(since.values())))
    tasks = [(TaskId(row["id"]), EndpointId(json.loads(row["args"]).get("endpoint_id", ""))) for row in rows]
    keys = {
        (task, key_of(msg_id, each)): each
        for task, each in tasks
        if each in since and timestamp_of(task) >= since[each]
    }
    if not keys:
        return {}
    found = await read.rows(
        _CANCELED_ITEMS,
        tasks=[task for task, _ in keys],
        keys=[key for _, key in keys],
        outcome=ItemOutcome.WITHDRAWN.value,
    )
    items = {(TaskId(row["task_id"]), str(row["key"])) for row in found}
    return {each: task for (task, key), each in reversed(keys.items()) if (task, key) in items}  # the newest one wins


def _tried(row: Row) -> AttemptSummary:
    return AttemptSummary(
        count=row["attempts"],
        automatic=row["automatic"],
        blocked=row["blocked"],
        is_delivered=row["delivered"] > 0,
        last=LastAttempt(
            id=AttemptId(row["id"]),
            at=timestamp_of(row["id"]),
            status=MessageStatus(row["status"]),
            status_code=row["response_status_code"],
            trigger=MessageAttemptTriggerType(row["trigger_type"]),
            ended=None if row["ended"] is None else DeliveryEnd(row["ended"]),
            task_id=row["task_id"],
        ),
    )
