# SPDX-License-Identifier: MIT
"""A manual send of a delivery in flight begins when the send before it ends, long before a lease expires."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from delivery.test_role import Door
from delivery.test_settle import Shaky
from message_path import Path, add_app, add_endpoint, running, terms
from tidings.clock import SystemClock
from tidings.ids import DEFAULT_ORG
from tidings.model.delivery import Lane, Mode
from tidings.storage.drivers.database import Database, OutcomeUnknown
from tidings.storage.drivers.store import opened
from tidings.storage.tables import deliveries
from tidings.storage.tables.deliveries import ManualSend

SOON = 10.0
"""Seconds that suffice for a send, and far less than a lease."""
LONG = terms(timeout=20.0, lease_grace=25.0, schedule=(3_600,))


@pytest_asyncio.fixture
async def door() -> AsyncIterator[Door]:
    """Give a receiver that does not respond until it is opened."""
    async with Door() as door:
        door.open.clear()
        yield door


async def _in_flight(path: Path, app: str) -> str:
    """Send a message; return its id once its delivery is in flight."""
    sent = await path.send(app)
    assert path.delivery is not None
    assert [len(queue.in_flight) for queue in path.delivery.queues.all()] == [1]
    return sent.id


async def _request(db: Database, msg_id: str, endpoint: str, app: str, mode: Mode, task: str | None = None) -> None:
    lane = Lane.LIVE if task is None else Lane.REPLAY
    async with db.write() as tx:
        send = ManualSend(msg_id, endpoint, app, DEFAULT_ORG, lane, mode, task)
        await deliveries.schedule_manual_sends(tx, [send], SystemClock().now())


async def _sent(path: Path, count: int) -> list[tuple[int, int, str | None]]:
    """Return status, trigger and task of each attempt, once the expected number is recorded."""
    async with asyncio.timeout(SOON):
        await path.until("attempt", count)
    return await path.rows("SELECT status, trigger_type, task_id FROM attempt ORDER BY trigger_type, id")


@pytest.mark.parametrize(
    ("status", "mode", "task"),
    [
        (200, Mode.ALWAYS, None),
        (200, Mode.ALWAYS, "qtask_1"),
        (500, Mode.ALWAYS, None),
        (500, Mode.UNLESS_DELIVERED, "qtask_1"),
    ],
)
async def test_a_resend_requested_in_flight_is_sent_after_the_current_send(
    db: Database, door: Door, status: int, mode: Mode, task: str | None
) -> None:
    app = await add_app(db)
    endpoint = await add_endpoint(db, app, door.url)
    door.status = status

    async with running(db, delivering=LONG) as path:
        msg_id = await _in_flight(path, app)
        await _request(db, msg_id, endpoint, app, mode, task)
        door.open.set()
        attempts = await _sent(path, 2)

    outcome = 0 if status == 200 else 2
    assert attempts == [(outcome, 0, None), (outcome, 1, task)]


async def test_a_resend_of_failures_skips_a_delivery_that_succeeds_meanwhile(db: Database, door: Door) -> None:
    app = await add_app(db)
    endpoint = await add_endpoint(db, app, door.url)

    async with running(db, delivering=LONG) as path:
        msg_id = await _in_flight(path, app)
        await _request(db, msg_id, endpoint, app, Mode.UNLESS_DELIVERED, "qtask_1")
        door.open.set()
        async with asyncio.timeout(SOON):
            await path.until("delivery", 0)

        assert await path.count("attempt") == 1


async def test_a_resend_of_one_of_many_messages_in_flight_is_sent(db: Database, door: Door) -> None:
    app = await add_app(db)
    endpoint = await add_endpoint(db, app, door.url)
    door.status = 500

    async with running(db, delivering=LONG) as path:
        accepted = await asyncio.gather(*(path.send(app) for _ in range(10)))
        await _request(db, accepted[3].id, endpoint, app, Mode.ALWAYS)
        door.open.set()
        await _sent(path, 11)

        assert await path.count("delivery WHERE lease IS NULL AND manual = 0 AND attempts = 1") == 10


async def test_a_resend_survives_a_commit_with_an_unknown_outcome(db: Database, door: Door) -> None:
    app = await add_app(db)
    endpoint = await add_endpoint(db, app, door.url)
    shaky = Shaky(db)

    async with running(shaky, delivering=LONG) as path:
        msg_id = await _in_flight(path, app)
        await _request(db, msg_id, endpoint, app, Mode.ALWAYS)
        shaky.errors.append(OutcomeUnknown)
        door.open.set()
        attempts = await _sent(path, 2)

    assert attempts == [(0, 0, None), (0, 1, None)]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
@pytest.mark.parametrize("status", [200, 500])
async def test_a_resend_requested_at_another_node_is_sent(
    db: Database, migrated_url: str, door: Door, status: int
) -> None:
    app = await add_app(db)
    endpoint = await add_endpoint(db, app, door.url)
    door.status = status

    async with running(db, delivering=LONG) as path:
        msg_id = await _in_flight(path, app)
        other = await opened(migrated_url)
        await _request(other, msg_id, endpoint, app, Mode.ALWAYS)
        await other.close()
        door.open.set()
        attempts = await _sent(path, 2)

    assert [trigger for _, trigger, _ in attempts] == [0, 1]
