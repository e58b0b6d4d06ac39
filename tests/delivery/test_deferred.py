# SPDX-License-Identifier: MIT
"""Deferred messages and final failures, through accept, claim, send and settle."""

import asyncio

import pytest

from delivery.test_role import Door
from message_path import DAY_MS, Path, add_app, add_endpoint, running, terms
from tidings import ids
from tidings.clock import HOUR, SystemClock
from tidings.core.services import HotRequest
from tidings.ids import DEFAULT_ORG
from tidings.model.attempt import DeliveryEnd
from tidings.model.message import Draft, MessageExtras
from tidings.storage.drivers.database import Database
from tidings.storage.tables import deliveries
from tidings.storage.tables.deliveries import ManualSend

SOON_MS = 300


async def _defer(path: Path, app: str, *, ms: int = SOON_MS, payload: bytes = b"{}") -> str:
    extras = MessageExtras(deliver_at=SystemClock().now() + ms)
    draft = Draft("a.b", payload, None, None, DAY_MS, extras)
    return (await path.accept.accept(HotRequest(DEFAULT_ORG, app, None), draft)).id


async def test_a_deferred_delivery_delays_no_other(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)

        async with running(db, delivering=terms()) as path:
            await _defer(path, app, ms=HOUR)
            now = (await path.send(app)).id
            await path.until("attempt", 1)

    assert [now.lower()] == door.seen
    assert 1 == await path.count("delivery")


async def test_a_deferred_delivery_is_not_sent_before_its_time(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)

        async with running(db, delivering=terms()) as path:
            due_at = SystemClock().now() + SOON_MS
            later = await _defer(path, app)
            await path.until("attempt", 1)
            [(attempt_id,)] = await path.rows("SELECT id FROM attempt")

    assert [later.lower()] == door.seen
    assert ids.timestamp_of(attempt_id) >= due_at - ids.STEP_MS


async def test_a_deferred_delivery_outlives_its_process(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)

        async with running(db) as path:
            later = await _defer(path, app, ms=100)
        async with running(db, delivering=terms()) as path:
            await path.until("attempt", 1)

    assert [later.lower()] == door.seen


async def _ends(path: Path) -> list[int | None]:
    return [row[0] for row in await path.rows("SELECT ended FROM attempt WHERE status = 2 ORDER BY id")]


async def test_a_failure_is_final_until_a_manual_resend(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        door.status = 500

        async with running(db, delivering=terms()) as path:
            msg_id = (await path.send(app)).id
            await path.until("delivery", 0)
            assert [DeliveryEnd.EXHAUSTED] == await _ends(path)
            door.status = 200
            now = SystemClock().now()
            async with db.write() as tx:
                await deliveries.schedule_manual_sends(
                    tx, [ManualSend(msg_id, endpoint, app, DEFAULT_ORG, 0, 2, None)], now
                )
            assert path.delivery is not None
            path.delivery.sink.notify_backlog([endpoint])
            await path.until("attempt", 2)

            assert [DeliveryEnd.DELIVERED_LATER] == await _ends(path)


@pytest.mark.parametrize("how", ["disabled", "expunged"])
async def test_a_delivery_that_ends_without_another_request_is_discarded(db: Database, how: str) -> None:
    app = await add_app(db)
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        door.status = 500

        async with running(db, delivering=terms(schedule=(1,))) as path:
            await path.send(app)
            await path.until("delivery WHERE attempts = 1", 1)
            assert [None] == await _ends(path)
            async with db.write() as tx:
                if how == "disabled":
                    await tx.run("UPDATE endpoint SET disabled = 1 WHERE id = :id", id=endpoint)
                    await tx.run("UPDATE application SET routing_version = routing_version + 1")
                else:
                    await tx.run("UPDATE message SET payload = NULL")
            path.routing.drop(app)
            await path.until("delivery", 0)
            await asyncio.sleep(0)

            assert [DeliveryEnd.DISCARDED] == await _ends(path)
