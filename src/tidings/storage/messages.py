# SPDX-License-Identifier: MIT
"""Messages, as they are read; the message path writes them."""

import json
from typing import Final

from tidings.errors import not_found
from tidings.ids import MESSAGE, AppId, MessageId, OrgId
from tidings.model.message import Message, MessageFilter
from tidings.model.page import Span
from tidings.storage import narrow
from tidings.storage.database import Read, Row
from tidings.storage.span import bounds_of, end_of

_HEAD: Final = "message.id, message.app_id, message.org_id, message.event_type, message.event_id, message.channels, "
_COLUMNS: Final = _HEAD + "message.payload"
_WITHOUT_PAYLOAD: Final = _HEAD + "NULL AS payload"
_BY_ID: Final = "FROM message WHERE id = :ref AND app_id = :app"
_BY_EVENT_ID: Final = """
FROM message WHERE id = (SELECT msg_id FROM event_id WHERE app_id = :app AND event_id = :ref) AND app_id = :app
"""
_PAGE: Final = "FROM message WHERE app_id = :app"


async def find(read: Read, app_id: AppId, ref: str, *, with_payload: bool = True) -> Message | None:
    """Return an application's message by its id or by the event id that its sender gave it."""
    where = _BY_ID if ref.startswith(MESSAGE) else _BY_EVENT_ID
    row = await read.row(f"SELECT {_columns(with_payload=with_payload)} {where}", app=app_id, ref=ref)
    return None if row is None else _message(row)


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
    conditions = narrow.conditions(read.dialect, wanted.event_types, wanted.channel)
    rows = await read.rows(
        f"SELECT {_columns(with_payload=with_payload)} {_PAGE}{conditions}{end_of(span, 'id')}",
        app=app_id,
        event_types=list(wanted.event_types),
        channel=narrow.quoted(wanted.channel),
        **bounds_of(span),
    )
    return [_message(row) for row in rows]


def _columns(*, with_payload: bool) -> str:
    return _COLUMNS if with_payload else _WITHOUT_PAYLOAD


def _message(row: Row) -> Message:
    channels = row["channels"]
    return Message(
        id=MessageId(row["id"]),
        app_id=AppId(row["app_id"]),
        org_id=OrgId(row["org_id"]),
        event_type=row["event_type"],
        event_id=row["event_id"],
        channels=None if channels is None else tuple(json.loads(channels)),
        payload=None if row["payload"] is None else bytes(row["payload"]),
    )
