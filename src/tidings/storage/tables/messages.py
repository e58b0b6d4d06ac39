# SPDX-License-Identifier: MIT
"""Queries for messages, and statements that delete their payloads. `intake.py` writes new messages."""

import json
from collections.abc import Sequence
from typing import Final

from tidings.errors import not_found
from tidings.ids import MESSAGE, AppId, MessageId, OrgId
from tidings.model.attempt import DeliveryEnd
from tidings.model.message import Message, MessageFilter
from tidings.storage.drivers.database import Read, Row, Sql, Write
from tidings.storage.tables import message_filters, settlement
from tidings.storage.tables.key_ranges import spread

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
    statement = _BY_IDS.format(columns="message.id", conditions=message_filters.conditions(filters))
    return {row["id"] for row in await read.rows(statement, ids=list(msg_ids), **message_filters.values_of(filters))}


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
        channels=_listed(row["channels"]),
        tags=_listed(row["tags"]),
        deliver_at=row["deliver_at"],
        payload=None if row["payload"] is None else bytes(row["payload"]),
        is_raw=bool(row["raw"]),
        payload_bytes=row["payload_bytes"],
    )


def _listed(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(json.loads(text))
