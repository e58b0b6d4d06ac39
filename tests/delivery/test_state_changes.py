# SPDX-License-Identifier: MIT
"""An endpoint that starts or stops failing is reported once, whichever nodes see its attempts."""

import asyncio

from delivery.test_health import NOWHERE, again, operational_events, record
from delivery.test_role import Door
from message_path import Path, add_app, add_endpoint, running, terms
from tidings import ids
from tidings.clock import SystemClock, rfc3339
from tidings.core.health_recorder import HealthEvent, HealthEventKind, HealthRecorder
from tidings.core.routing import RoutingCache
from tidings.ids import MANAGEMENT_ORG
from tidings.storage.drivers.database import Database
from tidings.storage.tables import settlement
from tidings.storage.tables.settlement import AttemptRow

LATER = terms(schedule=(600,))


async def states(path: Path) -> list[str]:
    return [kind for kind, _ in await operational_events(path) if kind.startswith("endpoint.")]


async def fail(path: Path, app: str, count: int) -> None:
    for _ in range(count):
        await path.send(app)
        await path.settled()


async def test_ten_failures_in_a_row_and_the_next_success_are_reported_once_each(db: Database) -> None:
    app = await add_app(db, uid="mine")
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        door.status = 500

        async with running(db, delivering=LATER) as path:
            await fail(path, app, 9)
            nine = await states(path)
            await fail(path, app, 4)
            failing = await record(path, endpoint)
            attempts = [row[0] for row in await path.rows("SELECT id FROM attempt ORDER BY id")]
            door.status = 200
            await fail(path, app, 2)
            works = await record(path, endpoint)
            events = await operational_events(path)

    assert [] == nine
    began = ids.timestamp_of(attempts[0])
    assert began == failing.record.run_failing_since
    assert (True, False) == (failing.record.is_open, works.record.is_open)
    whose = {"appId": app, "appUid": "mine", "endpointId": endpoint, "endpointUid": None, "failSince": rfc3339(began)}
    last = {
        "id": attempts[9],
        "responseStatusCode": 500,
        "timestamp": rfc3339(ids.timestamp_of(attempts[9])),
    }
    assert [("endpoint.failing", whose | {"lastAttempt": last}), ("endpoint.recovered", whose)] == events


async def test_failures_with_a_success_among_them_are_not_reported(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)

        async with running(db, delivering=LATER) as path:
            for _ in range(2):
                door.status = 500
                await fail(path, app, 9)
                door.status = 200
                await fail(path, app, 1)
            found, kinds = await record(path, endpoint), await states(path)

    assert [] == kinds
    assert not found.record.is_open


async def test_a_run_that_two_processes_saw_parts_of_is_reported(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)
        door.status = 500
        async with running(db, delivering=LATER) as path:
            await fail(path, app, 7)
        async with running(db, delivering=LATER) as path:
            await fail(path, app, 2)
            before = await states(path)
            await fail(path, app, 1)
            kinds = await states(path)

    assert ([], ["endpoint.failing"]) == (before, kinds)


async def test_the_next_process_reports_the_recovery(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)
        door.status = 500
        async with running(db, delivering=LATER) as path:
            await fail(path, app, 10)
        door.status = 200
        async with running(db, delivering=LATER) as path:
            await fail(path, app, 3)
            kinds = await states(path)

    assert ["endpoint.failing", "endpoint.recovered"] == kinds


async def test_an_endpoint_that_does_not_respond_is_reported_once(db: Database) -> None:
    app = await add_app(db)
    await add_endpoint(db, app, NOWHERE)

    async with running(db, delivering=LATER) as path:
        await asyncio.gather(*(path.send(app) for _ in range(40)))
        await path.settled()
        events = await operational_events(path)

    [(kind, data)] = events
    assert ("endpoint.failing", 0) == (kind, data["lastAttempt"]["responseStatusCode"])


async def test_failures_of_a_resend_count_and_its_success_reports_the_recovery(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        door.status = 500
        async with running(db, delivering=LATER) as path:
            accepted = await path.send(app)
            await path.settled()
            for number in range(2, 12):
                await again(path, accepted.id, endpoint, app)
                await path.until("attempt", number)
            failing = await states(path)
            door.status = 200
            await again(path, accepted.id, endpoint, app)
            await path.until("delivery", 0)
            kinds = await states(path)

    assert ["endpoint.failing"] == failing
    assert ["endpoint.failing", "endpoint.recovered"] == kinds


async def test_a_message_that_always_fails_reports_nothing_where_others_succeed(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)
        async with running(db, delivering=terms()) as path:
            for _ in range(5):
                door.status = 500
                await fail(path, app, 1)  # exhausted at once: it opens a failure record
                door.status = 200
                await fail(path, app, 1)
            kinds = await states(path)

    assert [] == kinds


async def test_operational_endpoints_are_not_reported(db: Database) -> None:
    app = await add_app(db)
    endpoint = await add_endpoint(db, app, NOWHERE)
    async with db.write() as tx:
        for table in ("application", "endpoint"):
            await tx.run(f"UPDATE {table} SET org_id = :org", org=MANAGEMENT_ORG)
    async with running(db) as path:
        for _ in range(10):
            await store_failure(path, app, endpoint)
        await report(path, app)
        found, kinds = await record(path, endpoint), await states(path)

    assert found.record.run_failing_since is not None
    assert [] == kinds


async def test_many_nodes_report_a_run_and_its_end_once(db: Database) -> None:
    app = await add_app(db)
    endpoint = await add_endpoint(db, app, NOWHERE)
    async with running(db) as path:
        for _ in range(10):
            await store_failure(path, app, endpoint)
        await asyncio.gather(*(report(path, app) for _ in range(8)))
        failing = await states(path)
        await asyncio.gather(*(report(path, app, HealthEventKind.SUCCEEDED) for _ in range(8)))
        kinds = await states(path)

    assert ["endpoint.failing"] == failing
    assert ["endpoint.failing", "endpoint.recovered"] == kinds


async def store_failure(path: Path, app: str, endpoint: str) -> None:
    """Store a failed attempt, as another node does."""
    async with path.db.write() as tx:
        at = SystemClock().now()
        row = AttemptRow(
            ids.new(ids.MESSAGE, at), ids.new(ids.ATTEMPT, at), endpoint, app, "org_x", NOWHERE, 2, 500, "", 1, 0
        )
        await settlement.add_attempts(tx, [row])


async def report(path: Path, app: str, kind: HealthEventKind = HealthEventKind.FAILED_IN_A_ROW) -> None:
    """Write a health event as a node of its own."""
    routing = RoutingCache(path.db)
    async with path.db.read() as read:
        found = await routing.by_id(app, read)
    assert found is not None
    async with path.db.write() as tx:
        await HealthRecorder(1_000).write(tx, [HealthEvent(kind, found.receivers[0])], SystemClock().now())
