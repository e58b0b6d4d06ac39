# SPDX-License-Identifier: MIT
"""A delivery that ends after attempts, without another request: its last attempt says how it ended."""

from collections.abc import Awaitable, Callable

import pytest

from tidings.ids import DEFAULT_ORG as ORG
from tidings.model.attempt import DeliveryEnd
from tidings.storage.drivers.database import Database, Write
from tidings.storage.tables import deliveries, messages, settlement
from tidings.storage.tables.deliveries import ManualSend, SettledDelivery
from tidings.storage.tables.settlement import AttemptRow

MSG, ENDPOINT, TASK, LEASE = "msg_1", "ep_1", "qtask_1", 7
End = Callable[[Write], Awaitable[object]]


def discarding(tx: Write) -> Awaitable[object]:
    return deliveries.discard(tx, [SettledDelivery(MSG, ENDPOINT, LEASE)])


def discarding_waiting(tx: Write) -> Awaitable[object]:
    return deliveries.discard_waiting(tx, ENDPOINT, limit=10)


def expunging(tx: Write) -> Awaitable[object]:
    return messages.expunge(tx, [MSG])


def canceling(tx: Write) -> Awaitable[object]:
    return deliveries.cancel_of_task(tx, TASK, limit=10)


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (discarding, DeliveryEnd.DISCARDED),
        (discarding_waiting, DeliveryEnd.DISCARDED),
        (expunging, DeliveryEnd.DISCARDED),
        (canceling, DeliveryEnd.CANCELED),
    ],
)
async def test_the_last_failed_attempt_says_how_the_delivery_ended(db: Database, end: End, code: DeliveryEnd) -> None:
    async with db.write() as tx:
        await _attempts(tx, MSG, ENDPOINT, 2, 2)
        await _attempts(tx, MSG, "ep_2", 2, 2)
        await _attempts(tx, "msg_2", ENDPOINT, 2)
        await _outstanding(tx, is_leased=end is discarding)

        await end(tx)

        found = [tuple(row) for row in await tx.rows("SELECT msg_id, endpoint_id, number, ended FROM attempt")]
        [left] = await tx.one("SELECT count(*) FROM delivery")

    assert [(MSG, ENDPOINT, 2, code)] == [row for row in found if row[3] is not None]
    assert (5, 0) == (len(found), left)


@pytest.mark.parametrize("end", [discarding, discarding_waiting, expunging, canceling])
async def test_an_attempt_that_succeeded_stays_as_it_is(db: Database, end: End) -> None:
    async with db.write() as tx:
        await _attempts(tx, MSG, ENDPOINT, 2, 0)
        await _outstanding(tx, is_leased=end is discarding)

        await end(tx)

        assert [None, None] == [row["ended"] for row in await tx.rows("SELECT ended FROM attempt")]


async def test_a_canceled_resend_leaves_the_retry_schedule(db: Database) -> None:
    async with db.write() as tx:
        await _attempts(tx, MSG, ENDPOINT, 2)
        await _outstanding(tx, is_leased=False)
        await tx.run("UPDATE delivery SET retry_at = 9000")

        assert [(MSG, ENDPOINT)] == await deliveries.cancel_of_task(tx, TASK, limit=10)

        assert [None] == list(await tx.one("SELECT ended FROM attempt"))
        assert [9000] == list(await tx.one("SELECT due_at FROM delivery"))


async def test_a_later_success_replaces_every_end(db: Database) -> None:
    async with db.write() as tx:
        await _attempts(tx, MSG, ENDPOINT, 2, 2, 2, 2)
        ends = (None, DeliveryEnd.EXHAUSTED, DeliveryEnd.CANCELED, DeliveryEnd.DISCARDED)
        for number, end in enumerate(ends, 1):
            await tx.run("UPDATE attempt SET ended = :end WHERE number = :number", end=end, number=number)

        await settlement.note_delivered(tx, [(MSG, ENDPOINT)])

        rows = await tx.rows("SELECT ended FROM attempt ORDER BY number")
    assert [None, *[DeliveryEnd.DELIVERED_LATER] * 3] == [row["ended"] for row in rows]


async def _attempts(tx: Write, msg_id: str, endpoint_id: str, *statuses: int) -> None:
    """Store attempts of a delivery, each with a retry."""
    for number, status in enumerate(statuses, 1):
        who = (msg_id, f"atmpt_{endpoint_id}_{number}", endpoint_id, "app_1", ORG, "http://example.com")
        await settlement.add_attempts(tx, [AttemptRow(*who, status, 500, "", 1, 0, number, next_at=5_000)])


async def _outstanding(tx: Write, *, is_leased: bool) -> None:
    """Store a delivery that a task requested, leased or scheduled."""
    await deliveries.schedule_manual_sends(tx, [ManualSend(MSG, ENDPOINT, "app_1", ORG, 0, 2, TASK)], 1_000)
    if is_leased:
        await tx.run("UPDATE delivery SET lease = :lease, lease_until = 2000", lease=LEASE)
