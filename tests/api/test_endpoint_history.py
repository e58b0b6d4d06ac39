# SPDX-License-Identifier: MIT
"""The history of an endpoint has a row for every write that changes what decides its routing, and a bound."""

import json
from typing import Any

import pytest
import pytest_asyncio

from api.kit import ORG, Api
from tidings.core import wiping
from tidings.core.health_recorder import HealthEvent, HealthEventKind, HealthRecorder
from tidings.ids import ATTEMPT, AppId, new
from tidings.storage.tables import apps, routing
from tidings.storage.tables.routing import HISTORY_ROWS_MAX

WINDOW = 1_000
EVERY = "SELECT at, event_types, channels, filter, disabled, disabled_reason, deleted FROM endpoint_history"
NEWEST = f"{EVERY} WHERE endpoint_id = :id ORDER BY routing_version DESC LIMIT 1"
OF_ENDPOINT = "SELECT event_types, channels, filter, disabled, disabled_reason, deleted_at FROM endpoint WHERE id = :id"


class Setup:
    """An application with one endpoint."""

    def __init__(self, api: Api, app: str, endpoint: str) -> None:
        self.api = api
        self.app = app
        self.endpoint = endpoint
        self.path = f"/app/{app}/endpoint/{endpoint}"

    async def count(self) -> int:
        async with self.api.db.read() as read:
            return int((await read.one("SELECT count(*) AS n FROM endpoint_history"))["n"])

    async def call(self, method: str, path: str = "", **body: Any) -> None:
        """Send a request a second later."""
        self.api.clock.advance(1_000)
        answer = await self.api.call(method, f"{self.path}{path}", json=body or None)
        assert answer.status_code < 300, answer.text

    async def observe(self, kind: HealthEventKind) -> None:
        """Let the service disable the endpoint after a response of its receiver."""
        async with self.api.db.write() as tx:
            compiled = await routing.find_by_id(tx, self.app, self.api.context.services.encryption)
            assert compiled is not None
            [receiver] = compiled.receivers
            now = self.api.clock.now()
            await HealthRecorder(WINDOW).write(tx, [HealthEvent(kind, receiver, "msg_1", new(ATTEMPT, now), 500)], now)

    async def require_newest(self) -> None:
        """Require that the newest row has the present state of the endpoint, and its time."""
        async with self.api.db.read() as read:
            at, *found, deleted = await read.one(NEWEST, id=self.endpoint)
            *expected, deleted_at = await read.one(OF_ENDPOINT, id=self.endpoint)
        assert (expected, deleted_at is not None, self.api.clock.now()) == (found, bool(deleted), at)


@pytest_asyncio.fixture
async def setup(api: Api) -> Setup:
    app = await api.app()
    await api.made("/event-type", {"name": "a", "description": ""})
    return Setup(api, app, await api.endpoint(app))


async def test_every_write_that_changes_routing_adds_a_row(setup: Setup) -> None:
    await setup.require_newest()
    writes: list[tuple[str, str, dict[str, Any]]] = [
        ("PATCH", "", {"filterTypes": ["a"]}),
        ("PATCH", "", {"channels": ["eu"]}),
        ("PATCH", "", {"x": {"filter": [{"path": "$.a", "operator": "==", "value": 1}]}}),
        ("PATCH", "", {"x": {"filter": [{"path": "$.a", "operator": "==", "value": 2}]}}),
        ("PUT", "", {"url": "http://example.com/", "channels": ["eu", "us"]}),
        ("PATCH", "", {"disabled": True}),
        ("PATCH", "", {"disabled": False}),
        ("PATCH", "", {"disabled": True}),
        ("POST", "/enable", {}),
        ("DELETE", "", {}),
    ]
    for number, (method, path, body) in enumerate(writes, 2):
        await setup.call(method, path, **body)
        await setup.require_newest()
        assert number == await setup.count(), (method, body)


@pytest.mark.parametrize("kind", [HealthEventKind.GONE, HealthEventKind.DISABLE_REQUESTED])
async def test_an_endpoint_disabled_by_the_service_gets_a_row_with_the_reason(
    setup: Setup, kind: HealthEventKind
) -> None:
    await setup.observe(kind)

    await setup.require_newest()
    assert 2 == await setup.count()


async def test_a_lasting_failure_gets_a_row_when_it_disables_the_endpoint(setup: Setup) -> None:
    await setup.observe(HealthEventKind.EXHAUSTED)
    assert 1 == await setup.count()
    setup.api.clock.advance(WINDOW + 1)

    await setup.observe(HealthEventKind.EXHAUSTED)

    await setup.require_newest()
    assert 2 == await setup.count()


async def test_writes_that_keep_the_routing_add_no_row(setup: Setup) -> None:
    await setup.call("PATCH", description="edited", url="http://example.com/other")
    await setup.call("PATCH", "/headers", headers={"a": "b"})
    await setup.call("POST", "/secret/rotate", key="whsec_" + "A" * 32)
    await setup.call("PATCH", disabled=False)
    await setup.observe(HealthEventKind.UNREACHABLE)

    assert 1 == await setup.count()


async def test_an_endpoint_keeps_its_newest_rows(setup: Setup) -> None:
    other = await setup.api.endpoint(setup.app)
    before = await setup.count()

    async with setup.api.db.write() as tx:
        for number in range(HISTORY_ROWS_MAX + 10):
            await apps.advance_routing_version(tx, AppId(setup.app), number)
            await tx.run("UPDATE endpoint SET channels = :names", names=json.dumps([str(number)]))
            await routing.record_history(tx, setup.endpoint, number)
        rows = await tx.rows(f"{EVERY} WHERE endpoint_id = :id ORDER BY routing_version", id=setup.endpoint)
        assert [*range(10, HISTORY_ROWS_MAX + 10)] == [row["at"] for row in rows]
        assert HISTORY_ROWS_MAX + before - 1 == (await tx.one("SELECT count(*) AS n FROM endpoint_history"))["n"]
        found = await routing.settings_in_force(tx, [setup.endpoint, other], 9)
    assert {} == found


async def test_two_writes_in_one_millisecond_keep_their_order(setup: Setup) -> None:
    async with setup.api.db.write() as tx:
        for name in ("first", "second"):
            await apps.advance_routing_version(tx, AppId(setup.app), 5)
            await tx.run("UPDATE endpoint SET channels = :names", names=json.dumps([name]))
            await routing.record_history(tx, setup.endpoint, 5)
        [found] = (await routing.settings_in_force(tx, [setup.endpoint], 6)).values()

    assert ("second",) == found.channels


async def test_a_wiped_organization_has_no_history(setup: Setup) -> None:
    await wiping.wipe(setup.api.db, ORG, chunk=100)

    assert 0 == await setup.count()
