# SPDX-License-Identifier: MIT
"""Messages, as they are read, and the end of their payloads; the message path writes them."""

import json
from collections.abc import Sequence
from typing import Final

from tidings.errors import not_found
from tidings.ids import MESSAGE, AppId, MessageId, OrgId
from tidings.model.message import Message, MessageFilter
from tidings.model.page import Span
from tidings.storage import narrow
from tidings.storage.database import Dialect, Read, Row, Sql, Write
from tidings.storage.span import bounds_of, end_of

HEAD: Final = (
    "message.id, message.app_id, message.org_id, message.event_type, message.event_id, message.channels, message.tags,"
    " message.deliver_at, message.raw, "
)
_COLUMNS: Final = HEAD + "message.payload"
_WITHOUT_PAYLOAD: Final = HEAD + "NULL AS payload"
_BY_ID: Final = "FROM message WHERE id = :ref AND app_id = :app"
_BY_EVENT_ID: Final = """
FROM message WHERE id = (SELECT msg_id FROM event_id WHERE app_id = :app AND event_id = :ref) AND app_id = :app
"""
_PAGE: Final = "FROM message WHERE app_id = :app"


async def find(read: Read, app_id: AppId, ref: str, *, with_payload: bool = True) -> Message | None:
    """Return an application's message by its id or by the event id that its sender gave it."""
    where = _BY_ID if ref.startswith(MESSAGE) else _BY_EVENT_ID
    row = await read.row(f"SELECT {columns(with_payload=with_payload)} {where}", app=app_id, ref=ref)
    return None if row is None else message_of(row)


async def get(read: Read, app_id: AppId, ref: str, *, with_payload: bool = True) -> Message:
    """Return an application's message by its id or event id; raises `not_found`."""
    message = await find(read, app_id, ref, with_payload=with_payload)
    if message is None:
        raise not_found()
    return message


async def page(
    read: Read, app_id: AppId, span: Span, wanted: MessageFilter, *, with_payload: bool = True
) -> list[Message]:
    """Return a part of an application's messages, by id."""
    shown = columns(with_payload=with_payload)
    if wanted.is_wide:
        statement = f"SELECT {shown} {_PAGE}{end_of(span, 'message.id')}"
    else:
        statement = f"SELECT {shown} FROM {narrowed(read, span, wanted)} ORDER BY message.id {span.direction}"
    rows = await read.rows(statement, app=app_id, **narrow.values_of(wanted), **bounds_of(span))
    return [message_of(row) for row in rows]


def narrowed(read: Read, span: Span, wanted: MessageFilter) -> str:
    """Return a table of the messages of a part that are wanted: found in the index, and only then looked up."""
    found = f"SELECT message.id {_PAGE}{narrow.conditions(read.dialect, wanted)}{end_of(span, 'message.id')}"
    return f"({found}) AS found {_LOOKED_UP[read.dialect].format(id='found.id')}"


# Left to itself PostgreSQL may join by reading a whole partition.
_LOOKED_UP: Final = {
    Dialect.SQLITE: "CROSS JOIN message ON message.id = {id}",
    Dialect.POSTGRESQL: "CROSS JOIN LATERAL (SELECT * FROM message AS m WHERE m.id = {id} OFFSET 0) AS message",
}
_BY_IDS: Final = Sql(
    sqlite=f"SELECT {_WITHOUT_PAYLOAD} FROM message WHERE id IN (SELECT value FROM json_each(:ids))",
    postgresql=(
        f"SELECT {_WITHOUT_PAYLOAD} FROM unnest(CAST(:ids AS text[])) AS wanted(id)"
        f" {_LOOKED_UP[Dialect.POSTGRESQL].format(id='wanted.id')}"
    ),
)


async def by_ids(read: Read, msg_ids: Sequence[str]) -> dict[MessageId, Message]:
    """Return messages without their payloads, by id; those that are gone are left out."""
    found = [message_of(row) for row in await read.rows(_BY_IDS, ids=list(msg_ids))] if msg_ids else []
    return {message.id: message for message in found}


async def few(read: Read, app_id: AppId, wanted: MessageFilter, *, first: str, below: str) -> list[str] | None:
    """Return the ids of the messages that are wanted, or None where they are many. Reads the index alone."""
    statement = f"SELECT message.id {_PAGE}{narrow.conditions(read.dialect, wanted)}{_FEW}"
    rows = await read.rows(
        statement, app=app_id, first=first, below=below, most=narrow.FEW + 1, **narrow.values_of(wanted)
    )
    return None if len(rows) > narrow.FEW else [row["id"] for row in rows]


_FEW: Final = " AND message.id >= :first AND message.id < :below ORDER BY message.id DESC LIMIT CAST(:most AS BIGINT)"


# -----------------------------------------------------------------------------------------------------------------
# The end of a payload

_RESOLVED: Final = Sql(
    sqlite=(
        "SELECT id AS ref, id FROM message WHERE app_id = :app AND id IN (SELECT value FROM json_each(:refs))"
        " UNION ALL SELECT event_id AS ref, msg_id AS id FROM event_id"
        " WHERE app_id = :app AND event_id IN (SELECT value FROM json_each(:refs))"
    ),
    postgresql=(
        "SELECT id AS ref, id FROM message WHERE app_id = :app AND id = ANY(CAST(:refs AS text[]))"
        " UNION ALL SELECT event_id AS ref, msg_id AS id FROM event_id"
        " WHERE app_id = :app AND event_id = ANY(CAST(:refs AS text[]))"
    ),
)
_EXPUNGE: Final = Sql(
    sqlite=(
        "UPDATE message SET payload = NULL WHERE id IN (SELECT value FROM json_each(:ids)) AND payload IS NOT NULL"
    ),
    postgresql="UPDATE message SET payload = NULL WHERE id = ANY(CAST(:ids AS text[])) AND payload IS NOT NULL",
)
_UNSENT: Final = Sql(
    sqlite="DELETE FROM delivery WHERE msg_id IN (SELECT value FROM json_each(:ids)) AND lease IS NULL",
    postgresql="DELETE FROM delivery WHERE msg_id = ANY(CAST(:ids AS text[])) AND lease IS NULL",
)


async def resolve(read: Read, app_id: AppId, refs: Sequence[str]) -> dict[str, MessageId]:
    """Return the messages of an application by the ids or event ids that name them."""
    return {row["ref"]: MessageId(row["id"]) for row in await read.rows(_RESOLVED, app=app_id, refs=list(refs))}


async def expunge(tx: Write, msg_ids: Sequence[str]) -> None:
    """Delete payloads, and what waits to be sent of them: nothing is left to send."""
    await tx.run(_EXPUNGE, ids=sorted(msg_ids))
    await tx.run(_UNSENT, ids=sorted(msg_ids))


# Payloads that are kept as long as any end in the order of their ids; the others have an index of their own.
_OLD: Final = (
    "SELECT id, length(payload) AS size FROM message"
    " WHERE id > :after AND id < :before ORDER BY id LIMIT CAST(:limit AS BIGINT)"
)
_DUE: Final = (
    "SELECT id, length(payload) AS size FROM message WHERE expires_at IS NOT NULL AND payload IS NOT NULL"
    " AND expires_at <= :now ORDER BY expires_at LIMIT CAST(:limit AS BIGINT)"
)


async def old(read: Read, *, after: str, before: str, limit: int) -> list[tuple[str, int | None]]:
    """Return the next messages by id, each with the size of its payload, None where that is gone."""
    return [(row["id"], row["size"]) for row in await read.rows(_OLD, after=after, before=before, limit=limit)]


async def due(read: Read, now: int, *, limit: int) -> list[tuple[str, int | None]]:
    """Return messages whose payload has outlived the time that its sender gave it, each with its size."""
    return [(row["id"], row["size"]) for row in await read.rows(_DUE, now=now, limit=limit)]


def columns(*, with_payload: bool) -> str:
    """Return what is read of a message."""
    return _COLUMNS if with_payload else _WITHOUT_PAYLOAD


def message_of(row: Row) -> Message:
    """Return the message in a row of `columns`."""
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
    )


def _listed(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(json.loads(text))
