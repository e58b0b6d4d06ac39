# SPDX-License-Identifier: MIT
"""Queries that explain the deliveries of a message to a page of endpoints.

The endpoints of a page are adjacent in the keys of deliveries and attempts, so each table is read as one range.
Deliveries are read before attempts: if a delivery settles first, the second statement sees its attempt.
"""

import json
from dataclasses import dataclass
from typing import Final

from tidings.ids import TASK, AppId, AttemptId, EndpointId, MessageId, TaskId, first_at, timestamp_of
from tidings.model.attempt import BLOCKED_TEXT, DeliveryEnd, MessageAttemptTriggerType, MessageStatus
from tidings.model.explanation import AttemptSummary, LastAttempt, MessageFacts, OutstandingDelivery
from tidings.model.message import RETENTION_MS, Message
from tidings.model.task_item import ItemOutcome
from tidings.storage.drivers.database import Read, Row
from tidings.storage.tables.task_items import key_of

TASKS_MAX: Final = 100
"""The number of canceled tasks that are searched per application, newest first."""
_PAYLOAD: Final = (
    "SELECT expires_at, CASE WHEN payload IS NULL THEN 0 ELSE 1 END AS has_payload FROM message WHERE id = :msg"
)
_IN_PAGE: Final = "msg_id = :msg AND endpoint_id >= :first AND endpoint_id <= :last"
_OUTSTANDING: Final = (
    "SELECT endpoint_id, due_at, attempts, manual, CASE WHEN lease IS NULL THEN NULL ELSE lease_until END AS"
    f" lease_until, task_id FROM delivery WHERE {_IN_PAGE}"
)
_BLOCKED: Final = "response_status_code = 0 AND response LIKE :blocked"
_TRIED: Final = (
    "SELECT tried.*, attempt.id, attempt.status, attempt.response_status_code, attempt.trigger_type, attempt.ended,"
    " attempt.task_id"
    " FROM (SELECT endpoint_id, count(*) AS attempts, coalesce(max(number), 0) AS automatic,"
    f" count(*) FILTER (WHERE {_BLOCKED}) AS blocked, count(*) FILTER (WHERE status = 0) AS delivered,"
    f" max(id) AS latest FROM attempt WHERE {_IN_PAGE} GROUP BY endpoint_id) AS tried"
    " JOIN attempt ON attempt.msg_id = :msg AND attempt.endpoint_id = tried.endpoint_id AND attempt.id = tried.latest"
)
_CANCELED: Final = (
    "SELECT id, args FROM task WHERE app_id = :app AND wire_status = 'failed' AND id >= :since AND state = 'cancelled'"
    f" ORDER BY id DESC LIMIT {TASKS_MAX:d}"
)
_CANCELED_ITEMS: Final = (
    "SELECT task_item.task_id, task_item.key FROM rows_of(:tasks, :keys) AS asked(task, key) CROSS JOIN task_item"
    " WHERE task_item.task_id = asked.task AND task_item.key = asked.key AND task_item.outcome = :outcome"
)


@dataclass(frozen=True, slots=True)
class EndpointDeliveries:
    """The outstanding deliveries and the attempts of a message, by endpoint."""

    outstanding: dict[EndpointId, OutstandingDelivery]
    attempts: dict[EndpointId, AttemptSummary]


NOTHING: Final = EndpointDeliveries({}, {})


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


async def stored(read: Read, msg_id: MessageId, first: EndpointId, last: EndpointId) -> EndpointDeliveries:
    """Return the deliveries and attempts of a message at the endpoints from `first` to `last`, inclusive."""
    page = {"msg": msg_id, "first": first, "last": last}
    outstanding = await read.rows(_OUTSTANDING, **page)
    tried = await read.rows(_TRIED, **page, blocked=f"{BLOCKED_TEXT}%")
    return EndpointDeliveries(
        {EndpointId(row["endpoint_id"]): _outstanding(row) for row in outstanding},
        {EndpointId(row["endpoint_id"]): _tried(row) for row in tried},
    )


async def canceled(
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


def _outstanding(row: Row) -> OutstandingDelivery:
    return OutstandingDelivery(
        due_at=row["due_at"],
        attempts=row["attempts"],
        is_manual=bool(row["manual"]),
        lease_until=row["lease_until"],
        task_id=_task(row),
    )


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
            task_id=_task(row),
        ),
    )


def _task(row: Row) -> TaskId | None:
    return None if row["task_id"] is None else TaskId(row["task_id"])
