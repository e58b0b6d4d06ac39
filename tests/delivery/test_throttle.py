# SPDX-License-Identifier: MIT
"""Throttles in force: each send uses a token of its limits, from one node or two, whatever the trigger.

That a token is valid for a short time only, and that no ten seconds hold more of them than the rate allows, is tested
where the clock is moved by hand. Here tokens are counted by the time that a limit has allocated, so a slow machine
changes nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from delivery.test_role import Door
from message_path import Path, add_app, add_endpoint, running, terms
from tidings.clock import ManualClock, SystemClock
from tidings.core.routing import RoutingCache
from tidings.delivery.throttle import Pacer, SendWindow, Throttle
from tidings.delivery.tuning import DeliveryTuning
from tidings.model.delivery import Delivery, Mode
from tidings.model.routing import Receiver
from tidings.model.throttle import step_of
from tidings.storage.drivers.database import Database, Dialect
from tidings.storage.tables import deliveries, throttles
from tidings.storage.tables.deliveries import ManualSend


async def limit(db: Database, table: str, row: str, rate: int) -> None:
    async with db.write() as tx:
        await tx.run(f"UPDATE {table} SET throttle_rate = :rate WHERE id = :row", rate=rate, row=row)
        await tx.run("UPDATE application SET routing_version = routing_version + 1")


def most_within(timestamps: list[float], seconds: float) -> int:
    return max(sum(at <= other < at + seconds for other in timestamps) for at in timestamps)


async def tokens_taken(path: Path, key: str, rate: int, began: int) -> float:
    """Return the most tokens that a limit can have given since a timestamp, by the time that it has allocated."""
    async with path.db.read() as read:
        [row] = await throttles.find(read, [key])
    return (row.tat - (began - 1) * 1_000) / step_of(rate)


async def test_an_endpoint_with_a_rate_gets_its_messages_at_that_rate(db: Database) -> None:
    app, began = await add_app(db), SystemClock().now()
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        await limit(db, "endpoint", endpoint, 60)

        async with running(db, delivering=terms()) as path:
            accepted = await asyncio.gather(*(path.send(app) for _ in range(70)))
            await path.settled()

    assert sorted(each.id.lower() for each in accepted) == sorted(door.seen)
    assert await tokens_taken(path, endpoint, 60, began) >= 70


async def test_two_nodes_share_the_rate(db: Database) -> None:
    app, began = await add_app(db), SystemClock().now()
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        await limit(db, "endpoint", endpoint, 60)
        async with running(db) as path:
            await asyncio.gather(*(path.send(app) for _ in range(70)))

        async with running(db, delivering=terms()) as one, running(db, delivering=terms()):
            await one.settled()

    assert len(door.seen) == len(set(door.seen)) == 70
    assert await tokens_taken(path, endpoint, 60, began) >= 70


@pytest.mark.parametrize("at_once", [2, 3])
async def test_deferred_deliveries_are_checked_on_time_for_any_number_of_endpoints(
    db: Database, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """The last batch of endpoints has a single one without deferred deliveries, or it is empty."""
    looks = 0

    async def counted(*where: Any, **which: Any) -> list[tuple[str, str, bool]]:
        nonlocal looks
        looks += 1
        return await due_endpoints(*where, **which)

    due_endpoints = deliveries.due_endpoints
    monkeypatch.setattr(deliveries, "due_endpoints", counted)
    app = await add_app(db)
    async with Door() as door:
        endpoints = sorted([await add_endpoint(db, app, door.url) for _ in range(3)])
        for each in endpoints[:at_once]:
            await limit(db, "endpoint", each, 20)
        async with running(db) as path:
            await asyncio.gather(*(path.send(app) for _ in range(30)))

        tuning = DeliveryTuning(claim_endpoints=at_once)
        async with asyncio.timeout(20), running(db, delivering=terms(lease_grace=60.0), tuning=tuning) as path:
            await path.until("delivery", 0)

    assert len(door.seen) == 90
    assert looks < 1_000, "a busy loop"


async def test_the_endpoints_of_an_application_share_its_rate_and_none_starves(db: Database) -> None:
    app, began = await add_app(db), SystemClock().now()
    await limit(db, "application", app, 60)
    async with Door() as one, Door() as two:
        for door in (one, two):
            await add_endpoint(db, app, door.url)

        async with running(db, delivering=terms()) as path:
            await asyncio.gather(*(path.send(app) for _ in range(40)))
            await path.settled()
            sent = await path.rows("SELECT endpoint_id FROM attempt ORDER BY id")

    assert await tokens_taken(path, app, 60, began) >= 80
    assert len(one.seen) == len(two.seen) == 40
    assert min(Counter(sent[:40]).values()) > 10


async def test_retries_and_manual_sends_count_too(db: Database) -> None:
    app, began = await add_app(db), SystemClock().now()
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        await limit(db, "endpoint", endpoint, 40)
        door.status = 500

        async with running(db, delivering=terms(schedule=(0,))) as path:
            accepted = await asyncio.gather(*(path.send(app) for _ in range(20)))
            asks = [ManualSend(each.id, endpoint, app, "org_x", 1, Mode.ALWAYS, None) for each in accepted[:10]]
            async with db.write() as tx:
                await deliveries.schedule_manual_sends(tx, asks, SystemClock().now())
            await path.until("delivery", 0)

    assert len(door.seen) == 50
    assert await tokens_taken(path, endpoint, 40, began) >= 50


async def test_throttled_deliveries_stay_in_the_database_and_in_order(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        await limit(db, "endpoint", await add_endpoint(db, app, door.url), 20)

        async with running(db, delivering=terms()) as path:
            accepted = []
            for _ in range(30):
                accepted.append((await path.send(app)).id.lower())
                await asyncio.sleep(0.01)  # an id of a later step each time
            leased = await path.count("delivery WHERE lease IS NOT NULL")
            await path.settled()

    assert leased <= 20
    assert accepted == door.seen


async def test_traffic_below_the_rate_is_not_delayed(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        await limit(db, "endpoint", endpoint, 1_000)

        async with running(db, delivering=terms()) as path:
            for _ in range(6):
                await path.send(app)
                await path.settled()
            async with db.read() as read:
                [idle] = await throttles.find(read, [endpoint])

    assert idle.limited_since is None


async def test_both_lanes_get_their_share_of_a_limit(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        await limit(db, "endpoint", endpoint, 50)
        async with running(db) as path:
            await asyncio.gather(*(path.send(app) for _ in range(90)))
            async with db.write() as tx:
                await tx.run("UPDATE delivery SET lane = 1 WHERE msg_id IN (SELECT max(msg_id) FROM delivery)")
                await tx.run("UPDATE delivery SET due_at = due_at + 1 WHERE lane = 1")

        async with running(db, delivering=terms()) as path:
            last = (await path.rows("SELECT msg_id FROM delivery WHERE lane = 1"))[0][0].lower()
            await path.settled()

    assert door.seen.index(last) < 80


# ---------------------------------------------------------------------------------------------------------------------
# By the clock


async def receiver_of(path: Path, app: str) -> Receiver:
    async with path.db.read() as read:
        routing = await RoutingCache(path.db).by_id(app, read)
    assert routing is not None
    return routing.receivers[0]


async def test_restarts_and_kills_lose_tokens_and_never_add_any(db: Database) -> None:
    """Nodes that start and die without cleanup, over a minute of a manual clock."""
    if db.dialect is Dialect.POSTGRESQL:
        pytest.skip("there the database's clock counts, which no test moves")
    app, clock, sent = await add_app(db), ManualClock(), list[float]()
    await limit(db, "endpoint", await add_endpoint(db, app, "http://127.0.0.1:9/"), 7)
    async with running(db) as path:
        receiver = await receiver_of(path, app)
    nodes = [Throttle(clock), Throttle(clock)]

    for turn in range(240):
        if turn % 17 == 0:
            nodes[turn % 2] = Throttle(clock)
        async with db.write() as tx:
            opened = await nodes[turn % 2].reserve(tx, [(receiver, 50)])
            taken = Counter[str]({receiver.id: opened.granted(receiver.id)})
            windows = (await nodes[turn % 2].spend(tx, opened, taken))[receiver.id]
        # Every fifth node dies with its tokens; the others use each at the last millisecond.
        sent += [] if turn % 5 == 0 else [max(window.until, clock.monotonic()) for window in windows]
        clock.advance(250)

    assert most_within(sent, 10.0) <= 70
    assert len(sent) > 60 * 7 * 0.7


async def test_the_throttle_status_reports_since_when_deliveries_are_delayed(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        endpoint = await add_endpoint(db, app, door.url)
        await limit(db, "endpoint", endpoint, 10)

        async with running(db, delivering=terms()) as path:
            began = SystemClock().now()
            await asyncio.gather(*(path.send(app) for _ in range(25)))
            while await path.count("delivery WHERE attempts = 0") > 10:  # noqa: ASYNC110 - the database offers no event
                await asyncio.sleep(0.01)
            async with db.read() as read:
                [busy] = await throttles.find(read, [endpoint])

    assert busy.limited_since is not None
    assert began - 1 <= busy.limited_since <= SystemClock().now()  # the throttle rounds to a millisecond


async def test_a_limit_that_keeps_delaying_keeps_its_timestamp(db: Database) -> None:
    if db.dialect is Dialect.POSTGRESQL:
        pytest.skip("there the database's clock counts, which no test moves")
    app, clock = await add_app(db), ManualClock()
    endpoint = await add_endpoint(db, app, "http://127.0.0.1:9/")
    await limit(db, "endpoint", endpoint, 10)
    async with running(db) as path:
        receiver = await receiver_of(path, app)
    throttle, began = Throttle(clock), clock.now()

    async def since() -> int | None:
        async with db.write() as tx:
            opened = await throttle.reserve(tx, [(receiver, 50)])
            await throttle.spend(tx, opened, Counter({receiver.id: opened.granted(receiver.id)}))
        async with db.read() as read:
            return (await throttles.find(read, [endpoint]))[0].limited_since

    found = []
    for _ in range(100):
        found.append(await since())
        clock.advance(50)
    clock.advance(60_000)

    assert {began} == set(found)
    assert clock.now() == await since()


def a_send(receiver: Any) -> Delivery:
    return Delivery(receiver, "msg_1", b"{}", 1, 0.0)


class OneQueue:
    """An endpoint queue, as the pacer sees it."""

    def __init__(self) -> None:
        self.has_free_slot = True
        self.started: list[Delivery] = []
        self.returned: list[Delivery] = []

    def start_paced(self, delivery: Delivery) -> bool:
        if self.has_free_slot:
            self.started.append(delivery)
        return self.has_free_slot

    def return_paced(self, deliveries: Iterable[Delivery]) -> None:
        self.returned += deliveries


async def test_a_throttled_delivery_that_is_late_or_finds_no_capacity_is_handed_back(db: Database) -> None:
    app, clock = await add_app(db), ManualClock()
    await add_endpoint(db, app, "http://127.0.0.1:9/")
    async with running(db) as path:
        receiver = await receiver_of(path, app)
    queues = OneQueue()
    pacer = Pacer(clock, queues)
    now = clock.monotonic()
    first, late, crowded, left = (a_send(receiver) for _ in range(4))
    pacer.add([(first, SendWindow(now, now + 0.25)), (late, SendWindow(now + 1, now + 1.25))])
    pacer.add([(crowded, SendWindow(now + 3, now + 3.25)), (left, SendWindow(now + 9, now + 9.25))])
    assert (queues.started, pacer.held_for(receiver.id)) == ([first], 3)

    clock.advance(1_300)
    pacer.start_due()
    queues.has_free_slot = False
    clock.advance(1_800)
    pacer.start_due()

    assert (queues.started, queues.returned, pacer.close(), pacer.held) == ([first], [late, crowded], [left], 0)
