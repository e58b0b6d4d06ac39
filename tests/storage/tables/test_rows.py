# SPDX-License-Identifier: MIT
"""The rows of bulk inserts have each value in its column."""

from dataclasses import replace

import pytest

from delivery.test_refresh import receiver
from tidings.ids import AppId, MessageId, OrgId
from tidings.model.attempt import DeliveryEnd, MessageAttemptTriggerType, MessageStatus
from tidings.model.delivery import Delivery
from tidings.model.message import AcceptedMessage, MessageExtras
from tidings.storage.tables.intake import DeliveryRow, MessageRow
from tidings.storage.tables.settlement import AttemptRow

MESSAGE = AcceptedMessage(MessageId("msg_1"), AppId("app_1"), OrgId("org_1"), "a.b", b"{}", "event-1", ("c",), 7)


def test_a_message_has_its_values_in_their_columns() -> None:
    row = MessageRow.of(replace(MESSAGE, extras=MessageExtras(("t",), 5, is_raw=True)))

    assert row == MessageRow(
        id="msg_1",
        app_id="app_1",
        org_id="org_1",
        event_type="a.b",
        channels='["c"]',
        payload=b"{}",
        event_id="event-1",
        expires_at=7,
        tags='["t"]',
        deliver_at=5,
        raw=1,
    )


def test_a_message_without_extras_has_none_in_their_columns() -> None:
    row = MessageRow.of(MESSAGE)

    assert (row.expires_at, row.tags, row.deliver_at, row.raw) == (7, None, None, None)


def test_a_delivery_has_its_values_in_their_columns() -> None:
    assert DeliveryRow.of(MESSAGE, "ep_1", 1, 2, 3) == DeliveryRow(
        msg_id="msg_1", endpoint_id="ep_1", app_id="app_1", org_id="org_1", due_at=1, lease=2, lease_until=3
    )


@pytest.mark.parametrize(
    ("delivered", "manual", "next_at", "number", "ended"),
    [
        (True, False, None, 3, None),
        (False, False, 9, 3, None),
        (False, False, None, 3, DeliveryEnd.EXHAUSTED),
        (False, True, 9, None, None),
    ],
)
def test_an_attempt_has_its_values_in_their_columns(
    delivered: bool,  # noqa: FBT001 - a case of the table
    manual: bool,  # noqa: FBT001
    next_at: int | None,
    number: int | None,
    ended: DeliveryEnd | None,
) -> None:
    to = receiver("ep_1")
    delivery = Delivery(to, "msg_1", b"{}", 1, 0.0, attempts=2, manual=manual, task_id="qtask_1")

    row = AttemptRow.of(
        delivery, "atmpt_1", delivered=delivered, code=200, response="ok", duration_ms=4, next_at=next_at
    )

    assert row == AttemptRow(
        msg_id="msg_1",
        id="atmpt_1",
        endpoint_id="ep_1",
        app_id=to.app_id,
        org_id=to.org_id,
        url=to.url,
        status=MessageStatus.SUCCESS if delivered else MessageStatus.FAIL,
        response_status_code=200,
        response="ok",
        response_duration_ms=4,
        trigger_type=MessageAttemptTriggerType.MANUAL if manual else MessageAttemptTriggerType.SCHEDULED,
        number=number,
        next_at=next_at,
        ended=ended,
        task_id="qtask_1",
    )
