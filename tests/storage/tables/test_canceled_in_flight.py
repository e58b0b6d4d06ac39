# SPDX-License-Identifier: MIT
"""If a task is canceled while its requested resend is being settled, no delivery stays under a lease."""

from collections.abc import Sequence
from typing import Any

import pytest

from tidings.storage.drivers.database import Database, Statement, Value, Write
from tidings.storage.tables import deliveries, intake
from tidings.storage.tables.deliveries import ManualSend, SettledDelivery
from tidings.storage.tables.intake import DeliveryRow

KEY = ("msg_1", "ep_1")


class _Interrupted:
    """A transaction that cancels the task's requests after its first statement, as another node may."""

    def __init__(self, tx: Write, after: int) -> None:
        self._tx = tx
        self._left = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    async def bulk(self, sql: Statement, rows: Sequence[Sequence[Value]]) -> int:
        count = await self._tx.bulk(sql, rows)
        self._left -= 1
        if self._left == 0:
            await deliveries.cancel_of_task(self._tx, "qtask_1", limit=10)
        return count


@pytest.mark.parametrize(
    ("next_at", "after", "left"),
    [
        (None, 1, []),
        (None, 2, []),
        (5_000, 1, [(5_000, None, 0, 1)]),
        (5_000, 2, [(5_000, None, 0, 1)]),
    ],
)
async def test_a_resend_canceled_while_a_failed_send_is_settled_is_not_due(
    db: Database, next_at: int | None, after: int, left: list[tuple[int, int | None, int, int]]
) -> None:
    await _leased_and_requested(db)

    async with db.write() as tx:
        is_due = await deliveries.settle_failed(
            _Interrupted(tx, after),
            [SettledDelivery(*KEY, 1, next_at)],
            2_000,
        )
        rows = [tuple(row) for row in await tx.rows("SELECT due_at, lease, manual, attempts FROM delivery")]

    assert (is_due, rows) == (False, left)


async def test_a_resend_canceled_while_a_success_is_settled_is_not_due(db: Database) -> None:
    await _leased_and_requested(db)

    async with db.write() as tx:
        is_due = await deliveries.settle_delivered(
            _Interrupted(tx, 1),
            [SettledDelivery(*KEY, 1)],
            2_000,
        )
        left = await tx.rows("SELECT 1 FROM delivery")

    assert (is_due, left) == (False, [])


async def _leased_and_requested(db: Database) -> None:
    async with db.write() as tx:
        await intake.add_deliveries(tx, [DeliveryRow(*KEY, "app_1", "org_1", 1_000, 1, 60_000)])
        await deliveries.schedule_manual_sends(tx, [ManualSend(*KEY, "app_1", "org_1", 1, 2, "qtask_1")], 1_500)
