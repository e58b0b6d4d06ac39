# SPDX-License-Identifier: MIT
"""Attempts, as they are read; delivery writes them."""

import json
from typing import Final

from tidings.ids import AppId, AttemptId, EndpointId, MessageId, OrgId
from tidings.model.attempt import Attempt, AttemptFilter, MessageAttemptTriggerType, MessageStatus
from tidings.model.message import Message
from tidings.model.page import Span
from tidings.storage import narrow
from tidings.storage.database import Read, Row
from tidings.storage.span import bounds_of, end_of

_COLUMNS: Final = (
    "attempt.id, attempt.msg_id, attempt.endpoint_id, attempt.app_id, attempt.org_id, attempt.url, attempt.status,"
    " attempt.trigger_type, attempt.response, attempt.response_status_code, attempt.response_duration_ms"
)
_MESSAGE: Final = ", message.event_type, message.event_id, message.channels"
_JOIN: Final = " JOIN message ON message.id = attempt.msg_id"
_GET: Final = f"SELECT {_COLUMNS} FROM attempt WHERE msg_id = :msg AND id = :id AND app_id = :app"
_STATUS: Final = " AND attempt.status = :status"
_CODES: Final = " AND attempt.response_status_code >= :code_from AND attempt.response_status_code < :code_to"
_ENDPOINT: Final = " AND attempt.endpoint_id = :endpoint"
_MSG: Final = " AND attempt.msg_id = :msg"


async def find(read: Read, app_id: AppId, msg_id: MessageId, attempt_id: str) -> Attempt | None:
    """Return an attempt of a message."""
    row = await read.row(_GET, app=app_id, msg=msg_id, id=attempt_id)
    return None if row is None else _attempt(row, None)


async def page(
    read: Read, app_id: AppId, span: Span, wanted: AttemptFilter, *, with_message: bool = False
) -> list[Attempt]:
    """Return a part of the attempts of an endpoint or of a message, by id; `with_message` all but the payload."""
    joined = with_message or bool(wanted.event_types) or wanted.channel is not None
    statement = (
        f"SELECT {_COLUMNS}{_MESSAGE if joined else ''} FROM attempt{_JOIN if joined else ''}"
        f" WHERE attempt.app_id = :app{_conditions(wanted)}"
        f"{narrow.conditions(read.dialect, wanted.event_types, wanted.channel)}{end_of(span, 'attempt.id')}"
    )
    codes = range(0) if wanted.code_class is None else wanted.code_class.codes
    rows = await read.rows(
        statement,
        app=app_id,
        endpoint=wanted.endpoint_id,
        msg=wanted.msg_id,
        status=wanted.status if wanted.status is None else int(wanted.status),
        code_from=codes.start,
        code_to=codes.stop,
        event_types=list(wanted.event_types),
        channel=narrow.quoted(wanted.channel),
        **bounds_of(span),
    )
    return [_attempt(row, _message(row) if with_message else None) for row in rows]


def _conditions(wanted: AttemptFilter) -> str:
    given = (
        (_ENDPOINT, wanted.endpoint_id),
        (_MSG, wanted.msg_id),
        (_STATUS, wanted.status),
        (_CODES, wanted.code_class),
    )
    return "".join(condition for condition, value in given if value is not None)


def _attempt(row: Row, message: Message | None) -> Attempt:
    return Attempt(
        id=AttemptId(row["id"]),
        msg_id=MessageId(row["msg_id"]),
        endpoint_id=EndpointId(row["endpoint_id"]),
        url=row["url"],
        status=MessageStatus(row["status"]),
        trigger=MessageAttemptTriggerType(row["trigger_type"]),
        response=row["response"],
        response_status_code=row["response_status_code"],
        response_duration_ms=row["response_duration_ms"],
        message=message,
    )


def _message(row: Row) -> Message:
    channels = row["channels"]
    return Message(
        id=MessageId(row["msg_id"]),
        app_id=AppId(row["app_id"]),
        org_id=OrgId(row["org_id"]),
        event_type=row["event_type"],
        event_id=row["event_id"],
        channels=None if channels is None else tuple(json.loads(channels)),
        payload=None,
    )
