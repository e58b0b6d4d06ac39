# SPDX-License-Identifier: MIT
"""The relay makes one message of each event that an operational endpoint wants, and none of any other."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest_asyncio

from tidings import ids
from tidings.clock import DAY, HOUR, ManualClock
from tidings.core import operational
from tidings.core.notifier import Notifier
from tidings.core.operational import OperationalEvent
from tidings.core.operational_relay import Relay
from tidings.core.tuning import CoreTuning
from tidings.ids import DEFAULT_ORG, MANAGEMENT_ORG, AppId, EndpointId, OrgId
from tidings.model import payload_filter
from tidings.model.app import App
from tidings.model.endpoint import Endpoint
from tidings.storage.drivers.database import Database
from tidings.storage.tables import apps, endpoints

OTHER = OrgId("org_other")
FAILING, EXHAUSTED = operational.ATTEMPT_FAILING, operational.ATTEMPT_EXHAUSTED


@dataclass
class Desk:
    """A relay, and short ways to what it works on."""

    db: Database
    clock: ManualClock = field(default_factory=ManualClock)
    woken: list[str] = field(default_factory=list)
    tuning: CoreTuning = CoreTuning()

    @property
    def relay(self) -> Relay:
        return Relay(self.db, self.clock, Notifier(deliveries=self.woken.extend), self.tuning)

    async def emit(self, *types: str, org: OrgId = DEFAULT_ORG, age: int = 0) -> None:
        """Store events; the clock moves on before them."""
        self.clock.advance(ids.STEP_MS)
        async with self.db.write() as tx:
            events = [OperationalEvent(org, type_, {"number": number}) for number, type_ in enumerate(types)]
            await operational.emit_all(tx, events, self.clock.now() - age)

    async def app(self, org: OrgId = DEFAULT_ORG, *, owner: OrgId = MANAGEMENT_ORG) -> str:
        """Create the application of an organization's operational endpoints."""
        now = self.clock.now()
        made = App(
            id=AppId(ids.new(ids.APP, now)),
            org_id=owner,
            uid=org,
            name="Operations",
            throttle_rate=None,
            metadata={},
            created_at=now,
            updated_at=now,
        )
        async with self.db.write() as tx:
            assert await apps.add(tx, made)
        return made.id

    async def endpoint(self, app: str, **more: Any) -> str:
        """Create an endpoint."""
        self.clock.advance(ids.STEP_MS)
        now = self.clock.now()
        usual: dict[str, Any] = {"disabled": False, "event_types": None, "channels": None, "created_at": now}
        made = Endpoint(
            id=EndpointId(ids.new(ids.ENDPOINT, now)),
            app_id=AppId(app),
            org_id=MANAGEMENT_ORG,
            url="http://example.com/",
            description="",
            uid=None,
            version=1,
            throttle_rate=None,
            metadata={},
            updated_at=now,
            **usual | more,
        )
        async with self.db.write() as tx:
            await endpoints.add(tx, made, b"\0" * 24, "{}")
        return made.id

    async def drain(self) -> int:
        """Relay all events; return the number of transactions."""
        count = 1
        while await self.relay.pass_on():
            count += 1
        return count

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        async with self.db.read() as read:
            return [tuple(row) for row in await read.rows(sql)]

    async def left(self) -> int:
        return int((await self.rows("SELECT count(*) FROM operational_event"))[0][0])

    async def messages(self) -> list[tuple[Any, ...]]:
        return await self.rows("SELECT app_id, org_id, event_type FROM message ORDER BY id")

    async def deliveries(self) -> list[str]:
        return [row[0] for row in await self.rows("SELECT endpoint_id FROM delivery ORDER BY msg_id, endpoint_id")]


@pytest_asyncio.fixture
async def desk(db: Database) -> Desk:
    return Desk(db)


async def test_an_event_becomes_a_message_to_the_operational_endpoints_of_its_organization(desk: Desk) -> None:
    app = await desk.app()
    endpoint = await desk.endpoint(app)
    await desk.endpoint(await desk.app(OTHER))
    await desk.emit(FAILING)

    assert 1 == await desk.drain()

    assert [(app, MANAGEMENT_ORG, FAILING)] == await desk.messages()
    assert [endpoint] == await desk.deliveries() == desk.woken
    assert 0 == await desk.left()
    [(payload, expires_at, lease, due_at)] = await desk.rows(
        "SELECT payload, expires_at, lease, due_at FROM message JOIN delivery ON msg_id = id"
    )
    assert {"type": FAILING, "data": {"number": 0}} == json.loads(bytes(payload))
    assert (desk.clock.now() + 14 * DAY, None, desk.clock.now()) == (expires_at, lease, due_at)


async def test_without_an_operational_endpoint_an_event_is_deleted_and_makes_no_message(desk: Desk) -> None:
    await desk.app(OTHER)  # an application without endpoints
    await desk.emit(FAILING)
    await desk.emit(FAILING, org=OTHER)

    await desk.drain()

    assert [] == await desk.messages()
    assert [] == desk.woken
    assert 0 == await desk.left()


async def test_an_endpoint_gets_only_the_types_that_it_subscribes_to(desk: Desk) -> None:
    app = await desk.app()
    every, some = await desk.endpoint(app), await desk.endpoint(app, event_types=(EXHAUSTED,))
    await desk.endpoint(app, channels=("a",))
    await desk.emit(FAILING)
    await desk.emit(EXHAUSTED)

    await desk.drain()

    assert [every, every, some] == await desk.deliveries()
    assert [FAILING, EXHAUSTED] == [type_ for _, _, type_ in await desk.messages()]


async def test_an_endpoint_gets_only_the_events_that_its_payload_filter_matches(desk: Desk) -> None:
    text = '[{"path":"$.data.number","operator":">","value":0}]'
    app = await desk.app()
    endpoint = await desk.endpoint(app, filter=payload_filter.stored(text))
    await desk.emit(FAILING, EXHAUSTED)

    await desk.drain()

    assert [endpoint] == await desk.deliveries()
    assert [EXHAUSTED] == [type_ for _, _, type_ in await desk.messages()]


async def test_an_event_that_no_endpoint_subscribes_to_makes_no_message(desk: Desk) -> None:
    await desk.endpoint(await desk.app(), event_types=(EXHAUSTED,))
    await desk.emit(FAILING)

    await desk.drain()

    assert [] == await desk.messages()


async def test_an_endpoint_gets_no_event_that_is_older_than_itself(desk: Desk) -> None:
    await desk.emit(FAILING)
    app = await desk.app()
    first = await desk.endpoint(app)
    await desk.emit(EXHAUSTED)
    await desk.endpoint(app)

    await desk.drain()

    assert [EXHAUSTED] == [type_ for _, _, type_ in await desk.messages()]
    assert [first] == await desk.deliveries()


async def test_a_disabled_endpoint_has_a_message_to_replay_and_no_delivery(desk: Desk) -> None:
    await desk.endpoint(await desk.app(), disabled=True)
    await desk.emit(FAILING)

    await desk.drain()

    assert 1 == len(await desk.messages())
    assert [] == await desk.deliveries() == desk.woken


async def test_an_application_of_another_organization_with_the_uid_gets_nothing(desk: Desk) -> None:
    await desk.endpoint(await desk.app(owner=OTHER))
    await desk.emit(FAILING)

    await desk.drain()

    assert [] == await desk.messages()


async def test_deleted_applications_and_endpoints_get_nothing(desk: Desk) -> None:
    app = await desk.app()
    gone, _ = await desk.endpoint(app), await desk.endpoint(await desk.app(OTHER))
    async with desk.db.write() as tx:
        await endpoints.delete(tx, EndpointId(gone), desk.clock.now())
        await tx.run("UPDATE application SET deleted_at = 1 WHERE uid = :uid", uid=OTHER)
    await desk.emit(FAILING)
    await desk.emit(FAILING, org=OTHER)

    await desk.drain()

    assert [] == await desk.messages()


async def test_many_events_are_relayed_in_bounded_transactions(desk: Desk) -> None:
    desk.tuning = CoreTuning(relay_events=100, relay_deliveries=150)
    app = await desk.app()
    for _ in range(2):
        await desk.endpoint(app)
    await desk.emit(*[FAILING] * 1_000)

    assert 14 <= await desk.drain() <= 15  # 75 events with two deliveries each in a transaction

    assert 1_000 == len(await desk.messages())
    assert 2_000 == len(await desk.deliveries())
    assert 0 == await desk.left()


async def test_an_event_for_more_endpoints_than_fit_is_relayed_alone(desk: Desk) -> None:
    desk.tuning = CoreTuning(relay_deliveries=2)
    app = await desk.app()
    for _ in range(3):
        await desk.endpoint(app)
    await desk.emit(FAILING, FAILING)

    assert 2 == await desk.drain()

    assert 6 == len(await desk.deliveries())


async def test_relays_at_the_same_time_share_the_events(desk: Desk) -> None:
    desk.tuning = CoreTuning(relay_events=20)
    app = await desk.app()
    await desk.endpoint(app)
    await desk.emit(*[FAILING] * 400)

    await asyncio.gather(*(desk.drain() for _ in range(4)))

    rows = await desk.rows("SELECT payload FROM message")
    assert list(range(400)) == sorted(json.loads(bytes(payload))["data"]["number"] for (payload,) in rows)
    assert 400 == len(await desk.deliveries())
    assert 0 == await desk.left()


async def test_an_event_that_waited_is_relayed_until_it_is_deleted(desk: Desk) -> None:
    created_at = desk.clock.now() - 30 * DAY
    await desk.endpoint(await desk.app(), created_at=created_at)
    await desk.emit(FAILING, age=13 * DAY)
    await desk.emit(EXHAUSTED, age=14 * DAY + HOUR)

    await operational.prune(desk.db, desk.clock.now())
    await desk.drain()

    assert [FAILING] == [type_ for _, _, type_ in await desk.messages()]
