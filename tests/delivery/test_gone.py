# SPDX-License-Identifier: MIT
"""410 Gone disables the endpoint, whatever triggered the attempt, and ends the delivery."""

import pytest

from delivery.test_health import NOWHERE, again, operational_events, record
from delivery.test_role import Door
from message_path import add_app, add_endpoint, running, terms
from tidings.model.attempt import DeliveryEnd
from tidings.storage.drivers.database import Database
from tidings.storage.tables import health


def reason_of(found: health.EndpointHealth) -> str | None:
    return found.record.disabled_reason and found.record.disabled_reason.value


async def test_a_410_disables_the_endpoint_and_ends_the_delivery(db: Database) -> None:
    app = await add_app(db, uid="mine")
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        door.status = 410

        async with running(db, delivering=terms(schedule=(600,))) as path:
            accepted = await path.send(app)
            await path.until("delivery", 0)
            found = await record(path, endpoint)
            events = dict(await operational_events(path))
            attempts = await path.rows("SELECT status, response_status_code, ended FROM attempt")
            await path.send(app)
            waiting = await path.count("delivery")

    assert (found.disabled, reason_of(found)) == (True, "gone")
    assert [(2, 410, DeliveryEnd.EXHAUSTED)] == attempts
    assert events.keys() == {"message.attempt.exhausted", "endpoint.disabled"}
    assert events["message.attempt.exhausted"]["msgId"] == accepted.id
    whose = {"appId": app, "appUid": "mine", "endpointId": endpoint, "endpointUid": None}
    assert events["endpoint.disabled"] == {**whose, "failSince": None, "trigger": "automatic"}
    assert (0, 1) == (waiting, len(door.seen))


async def test_a_410_to_a_retry_disables_the_endpoint(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        door.status = 500

        async with running(db, delivering=terms(schedule=(1, 600))) as path:
            await path.send(app)
            await path.until("attempt", 1)
            door.status = 410
            await path.until("delivery", 0)
            found = await record(path, endpoint)

    assert (found.disabled, reason_of(found), len(door.seen)) == (True, "gone", 2)


@pytest.mark.parametrize("task", [None, "qtask_1"])
async def test_a_410_to_a_resend_disables_the_endpoint(db: Database, task: str | None) -> None:
    app = await add_app(db)
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        door.status = 500

        async with running(db, delivering=terms(schedule=(600,))) as path:
            accepted = await path.send(app)
            await path.settled()
            door.status = 410
            await again(path, accepted.id, endpoint, app, task=task)
            await path.until("delivery", 0)
            found = await record(path, endpoint)
            attempts = await path.rows("SELECT trigger_type, ended FROM attempt ORDER BY id")

    assert (found.disabled, reason_of(found)) == (True, "gone")
    assert [(0, None), (1, DeliveryEnd.EXHAUSTED)] == attempts


async def test_a_410_is_an_ordinary_failure_with_the_setting_off(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        door.status = 410

        async with running(db, delivering=terms(schedule=(0,), gone_disables=False)) as path:
            await path.send(app)
            await path.until("delivery", 0)
            found = await record(path, endpoint)

    assert (found.disabled, len(door.seen)) == (False, 2)
    assert found.record.failing_since is not None


async def test_a_410_from_a_former_url_of_the_endpoint_does_not_disable_it(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        door.status = 410
        door.open.clear()

        async with running(db, delivering=terms(timeout=20.0, lease_grace=25.0)) as path:
            await path.send(app)
            await door.asked.wait()
            async with db.write() as tx:
                await tx.run("UPDATE endpoint SET url = :url", url=f"{door.url}/new")
            door.open.set()
            await path.until("delivery", 0)
            found = await record(path, endpoint)

    assert not found.disabled


async def test_an_unknown_disable_reason_is_read_as_none(db: Database) -> None:
    endpoint = await add_endpoint(db, await add_app(db), NOWHERE)
    async with db.write() as tx:
        await tx.run("UPDATE endpoint SET disabled = 1, disabled_reason = 'of the future'")
    async with db.read() as read:
        found = (await health.find(read, [endpoint]))[endpoint]

    assert (found.disabled, reason_of(found)) == (True, None)
