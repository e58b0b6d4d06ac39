# SPDX-License-Identifier: MIT
"""Failing endpoints: health events, the stored record, disabling, and receiver directives."""

import asyncio
import json
from typing import Any

import pytest

from delivery.test_role import Door
from message_path import Path, add_app, add_endpoint, running, terms
from tidings.clock import HOUR, SystemClock
from tidings.model.attempt import DeliveryEnd
from tidings.model.delivery import Mode
from tidings.storage.drivers.database import Database
from tidings.storage.tables import deliveries, health
from tidings.storage.tables.deliveries import ManualSend

NOWHERE = "http://127.0.0.1:9/"


async def operational_events(path: Path) -> list[tuple[str, dict[str, Any]]]:
    rows = await path.rows("SELECT type, payload FROM operational_event ORDER BY id")
    return [(kind, json.loads(payload)["data"]) for kind, payload in rows]


async def record(path: Path, endpoint: str) -> health.EndpointHealth:
    async with path.db.read() as read:
        return (await health.find(read, [endpoint]))[endpoint]


async def aged(db: Database, hours: float) -> None:
    """Move the start of the health record a number of hours into the past."""
    async with db.write() as tx:
        await tx.run("UPDATE endpoint SET failing_since = failing_since - :ms", ms=round(hours * HOUR))


async def test_the_fourth_and_the_last_failure_are_reported(db: Database) -> None:
    app = await add_app(db, uid="mine")
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        door.status = 500

        async with running(db, delivering=terms(schedule=(0, 0, 0, 1))) as path:
            accepted = await path.send(app, event_id="e-1")
            await path.until("delivery", 0)
            attempts = [row[0] for row in await path.rows("SELECT id FROM attempt ORDER BY id")]
            events = await operational_events(path)

    whose = {"appId": app, "appUid": "mine", "msgId": accepted.id, "msgEventId": "e-1", "endpointId": endpoint}
    assert ["message.attempt.failing", "message.attempt.exhausted"] == [kind for kind, _ in events]
    for (_, data), possible in zip(events, (attempts[:4], attempts[4:]), strict=True):
        last = data.pop("lastAttempt")
        assert whose == data
        assert last["id"] in possible
        assert (500, True) == (last["responseStatusCode"], last["timestamp"].endswith("Z"))


async def test_a_success_after_the_fourth_failure_is_reported_and_an_earlier_one_is_not(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)
        door.status = 500

        async with running(db, delivering=terms(schedule=(0, 0, 0, 1))) as path:
            await path.send(app)
            await path.until("attempt", 4)
            door.status = 200
            await path.until("delivery", 0)
            events = await operational_events(path)

    assert ["message.attempt.failing", "message.attempt.recovered"] == [kind for kind, _ in events]


async def test_exhaustion_starts_a_failure_record_and_a_success_clears_it(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        door.status = 500

        async with running(db, delivering=terms()) as path:
            await path.send(app)
            await path.settled()
            failing = (await record(path, endpoint)).record
            door.status = 200
            await path.send(app)
            await path.settled()
            works = (await record(path, endpoint)).record

    assert failing.failing_since is not None
    assert failing.disables_at == failing.failing_since + 120 * HOUR
    assert not works.is_open
    assert works.disables_at is None


async def test_the_record_outlives_the_process_and_the_next_one_ends_it(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        door.status = 500
        async with running(db, delivering=terms()) as path:
            await path.send(app)
            await path.settled()
        door.status = 200

        async with running(db, delivering=terms()) as path:
            await path.send(app)
            await path.settled()
            works = (await record(path, endpoint)).record

    assert not works.is_open


async def test_an_endpoint_that_fails_for_too_long_is_disabled_and_reported(db: Database) -> None:
    app = await add_app(db, uid="mine")
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        door.status = 500
        async with running(db, delivering=terms()) as path:
            await path.send(app)
            await path.settled()
            since = (await record(path, endpoint)).record.failing_since
            await aged(db, 121)

        async with running(db, delivering=terms()) as path:
            await path.send(app)
            await path.settled()
            disabled = await record(path, endpoint)
            kinds = await operational_events(path)
            await path.send(app)
            waiting, attempts = await path.count("delivery"), await path.count("attempt")

    assert since is not None
    assert disabled.disabled
    assert ("failing", True) == (
        disabled.record.disabled_reason and disabled.record.disabled_reason.value,
        disabled.record.disabled_at is not None,
    )
    [data] = [data for kind, data in kinds if kind == "endpoint.disabled"]
    assert (app, "mine", endpoint, None, "automatic") == (
        data["appId"],
        data["appUid"],
        data["endpointId"],
        data["endpointUid"],
        data["trigger"],
    )
    assert data["failSince"] is not None
    assert (0, 2) == (waiting, attempts)


async def test_an_outdated_record_is_restarted(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        door.status = 500
        for hours in (241, 0):
            async with running(db, delivering=terms()) as path:
                await path.send(app)
                await path.settled()
                await aged(db, hours)
                found = await record(path, endpoint)

    assert not found.disabled
    assert found.record.failing_since is not None
    assert SystemClock().now() - found.record.failing_since < HOUR


async def test_manual_failures_do_not_count_and_a_manual_success_does(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        door.status = 500

        async with running(db, delivering=terms(schedule=(600,))) as path:
            accepted = await path.send(app)
            await path.settled()
            await again(path, accepted.id, endpoint, app)
            await path.until("attempt", 2)
            before = (await record(path, endpoint)).record, await operational_events(path)
            async with db.write() as tx:
                await tx.run("UPDATE endpoint SET failing_since = 1")
                await tx.run("UPDATE application SET routing_version = routing_version + 1")
            path.routing.drop(app)
            door.status = 200
            await again(path, accepted.id, endpoint, app)
            await path.until("delivery", 0)
            after = (await record(path, endpoint)).record

    assert (False, []) == (before[0].is_open, before[1])
    assert not after.is_open


async def again(path: Path, msg_id: str, endpoint: str, app: str, *, task: str | None = None) -> None:
    async with path.db.write() as tx:
        ask = ManualSend(msg_id, endpoint, app, "org_x", 1, Mode.ALWAYS, task)
        await deliveries.schedule_manual_sends(tx, [ask], SystemClock().now())
    assert path.delivery is not None
    path.delivery.sink.notify_backlog([endpoint])


# ---------------------------------------------------------------------------------------------------------------------
# Receiver directives


async def test_a_receiver_can_end_a_message_without_a_failure_of_its_endpoint(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        door.status, door.fields = 400, b"Webhook-Delivery: abort-message\r\n"

        async with running(db, delivering=terms(schedule=(0, 0))) as path:
            await path.send(app)
            await path.until("delivery", 0)
            attempts = await path.rows("SELECT status, ended FROM attempt")
            kinds = [kind for kind, _ in await operational_events(path)]
            found = await record(path, endpoint)

    assert [(2, DeliveryEnd.EXHAUSTED)] == attempts
    assert ["message.attempt.exhausted"] == kinds
    assert not found.record.is_open


async def test_a_receiver_can_end_a_message_that_is_resent_between_two_attempts(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        door.status = 500

        async with running(db, delivering=terms(schedule=(600,))) as path:
            accepted = await path.send(app)
            await path.settled()
            door.fields = b"webhook-delivery: Abort-Message\r\n"
            await again(path, accepted.id, endpoint, app)
            await path.until("delivery", 0)
            attempts = await path.rows("SELECT trigger_type, ended FROM attempt ORDER BY id")

    assert [(0, None), (1, DeliveryEnd.EXHAUSTED)] == attempts


async def test_a_receiver_can_disable_its_endpoint_in_a_successful_response(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        door.fields = b"webhook-delivery: disable\r\n"

        async with running(db, delivering=terms()) as path:
            await path.send(app)
            await path.settled()
            found = await record(path, endpoint)
            events = await operational_events(path)
            await path.send(app)
            waiting = await path.count("delivery")

    assert found.disabled
    assert "receiver" == (found.record.disabled_reason and found.record.disabled_reason.value)
    assert [("endpoint.disabled", None)] == [(kind, data["failSince"]) for kind, data in events]
    assert (0, 1) == (waiting, len(door.seen))


@pytest.mark.parametrize(("status", "fields"), [(503, b"webhook-delivery: disable\r\n"), (410, b"")])
async def test_pending_deliveries_are_not_sent_once_the_receiver_disables_the_endpoint(
    db: Database, status: int, fields: bytes
) -> None:
    app = await add_app(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)
        door.status, door.fields = status, fields
        door.open.clear()

        async with running(db, delivering=terms(concurrency=1, timeout=20.0, lease_grace=25.0)) as path:
            await asyncio.gather(*(path.send(app) for _ in range(40)))
            door.open.set()
            await path.until("delivery", 0)

    assert len(door.seen) < 20


# ---------------------------------------------------------------------------------------------------------------------
# Unresponsive endpoints


async def test_ten_sends_without_an_answer_reduce_concurrency_and_one_answer_restores_it(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        endpoint = await add_endpoint(db, app, NOWHERE)

        async with running(db, delivering=terms()) as path:
            assert path.delivery is not None
            await asyncio.gather(*(path.send(app) for _ in range(30)))
            await path.settled()
            is_reduced = path.delivery.queues.capacity.is_reduced(endpoint)
            dead = (await record(path, endpoint)).record
            async with db.write() as tx:
                await tx.run("UPDATE endpoint SET url = :url", url=door.url)
                await tx.run("UPDATE application SET routing_version = routing_version + 1")
            await path.send(app)
            await path.settled()
            alive = (await record(path, endpoint)).record
            is_full = not path.delivery.queues.capacity.is_reduced(endpoint)

    assert (True, True) == (is_reduced, is_full)
    assert dead.unreachable_since is not None
    assert not alive.is_open


async def test_the_next_process_starts_with_reduced_concurrency_where_nothing_answered(db: Database) -> None:
    app = await add_app(db)
    endpoint = await add_endpoint(db, app, NOWHERE)
    async with running(db, delivering=terms()) as path:
        await asyncio.gather(*(path.send(app) for _ in range(20)))
        await path.settled()

    async with running(db, delivering=terms()) as path:
        assert path.delivery is not None
        await path.send(app)
        await path.settled()
        is_reduced = path.delivery.queues.capacity.is_reduced(endpoint)

    assert is_reduced


async def test_a_dead_endpoint_holds_few_connections_and_its_schedule_is_kept(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        door.open.clear()
        endpoint = await add_endpoint(db, app, door.url)

        async with running(db, delivering=terms(timeout=1.0, schedule=(1,))) as path:
            assert path.delivery is not None
            await asyncio.gather(*(path.send(app) for _ in range(40)))
            while not path.delivery.queues.capacity.is_reduced(endpoint):  # noqa: ASYNC110 - the queue has no event
                await asyncio.sleep(0.01)
            await asyncio.sleep(1.2)
            [queue] = path.delivery.queues.all()
            in_flight = len(queue.in_flight)

    assert in_flight <= 4


async def test_a_few_messages_to_a_dead_endpoint_follow_the_retry_schedule(db: Database) -> None:
    app = await add_app(db)
    endpoint = await add_endpoint(db, app, NOWHERE)

    async with running(db, delivering=terms(schedule=(1, 1))) as path:
        assert path.delivery is not None
        await asyncio.gather(*(path.send(app) for _ in range(20)))
        await path.until("delivery", 0)
        is_reduced = path.delivery.queues.capacity.is_reduced(endpoint)
        tries = await path.rows("SELECT count(*), max(id), min(id) FROM attempt GROUP BY msg_id")

    assert is_reduced
    assert {3} == {count for count, _, _ in tries}
