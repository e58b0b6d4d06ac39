# SPDX-License-Identifier: MIT
"""Throttles in force: a receiver never gets more than the rate, from one node or two, whatever the trigger."""

import asyncio
import time
from collections import Counter
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
from tidings.storage.drivers.database import Database, Dialect
from tidings.storage.tables import deliveries, throttles
from tidings.storage.tables.deliveries import ManualSend


class Timed(Door):
    """A receiver that records each message's arrival."""

    def __init__(self) -> None:
        super().__init__()
        self.timestamps: list[float] = []
        self.seen = _Noting(self.timestamps)


class _Noting(list[str]):
    def __init__(self, timestamps: list[float]) -> None:
        super().__init__()
        self._timestamps = timestamps

    def append(self, item: str, /) -> None:
        self._timestamps.append(time.monotonic())
        super().append(item)


async def limit(db: Database, table: str, row: str, rate: int) -> None:
    async with db.write() as tx:
        await tx.run(f"UPDATE {table} SET throttle_rate = :rate WHERE id = :row", rate=rate, row=row)
        await tx.run("UPDATE application SET routing_version = routing_version + 1")


def most_within(timestamps: list[float], seconds: float) -> int:
    return max(sum(at <= other < at + seconds for other in timestamps) for at in timestamps)


def seen_at_most(timestamps: list[float], rate: int, seconds: float = 1.0) -> bool:
    """Return whether each window held at most its tokens, those of the window before, and a busy loop's burst."""
    return most_within(timestamps, seconds) <= rate * (seconds + 0.3) + 1


async def test_an_endpoint_with_a_rate_gets_its_messages_at_that_rate(db: Database) -> None:
    app = await add_app(db)
    async with Timed() as door:
        await limit(db, "endpoint", await add_endpoint(db, app, door.url), 40)

        async with running(db, delivering=terms()) as path:
            accepted = await asyncio.gather(*(path.send(app) for _ in range(70)))
            await path.settled()

    assert sorted(each.id.lower() for each in accepted) == sorted(door.seen)
    assert seen_at_most(door.timestamps, 40)
    assert 1.4 < door.timestamps[-1] - door.timestamps[0] < 3.5


async def test_two_nodes_share_the_rate(db: Database) -> None:
    app = await add_app(db)
    async with Timed() as door:
        await limit(db, "endpoint", await add_endpoint(db, app, door.url), 40)
        async with running(db) as path:
            await asyncio.gather(*(path.send(app) for _ in range(70)))

        async with running(db, delivering=terms()) as one, running(db, delivering=terms()):
            await one.settled()

    assert len(door.timestamps) == len(set(door.seen)) == 70
    assert seen_at_most(door.timestamps, 40)


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
    async with Timed() as door:
        endpoints = sorted([await add_endpoint(db, app, door.url) for _ in range(3)])
        for each in endpoints[:at_once]:
            await limit(db, "endpoint", each, 20)
        async with running(db) as path:
            await asyncio.gather(*(path.send(app) for _ in range(30)))

        tuning = DeliveryTuning(claim_endpoints=at_once)
        async with asyncio.timeout(20), running(db, delivering=terms(lease_grace=60.0), tuning=tuning) as path:
            await path.until("delivery", 0)

    assert len(door.timestamps) == 90
    assert looks < 100


async def test_the_endpoints_of_an_application_share_its_rate_and_none_starves(db: Database) -> None:
    app = await add_app(db)
    await limit(db, "application", app, 30)
    async with Timed() as one, Timed() as two:
        for door in (one, two):
            await add_endpoint(db, app, door.url)

        async with running(db, delivering=terms()) as path:
            await asyncio.gather(*(path.send(app) for _ in range(40)))
            await path.settled()

    assert seen_at_most(one.timestamps + two.timestamps, 30)
    assert len(one.timestamps) == len(two.timestamps) == 40
    for door in (one, two):
        assert sum(at < one.timestamps[0] + 1.5 for at in door.timestamps) > 10


async def test_retries_and_manual_sends_count_too(db: Database) -> None:
    app = await add_app(db)
    async with Timed() as door:
        endpoint = await add_endpoint(db, app, door.url)
        await limit(db, "endpoint", endpoint, 20)
        door.status = 500

        async with running(db, delivering=terms(schedule=(0,))) as path:
            accepted = await asyncio.gather(*(path.send(app) for _ in range(20)))
            asks = [ManualSend(each.id, endpoint, app, "org_x", 1, Mode.ALWAYS, None) for each in accepted[:10]]
            async with db.write() as tx:
                await deliveries.send_again(tx, asks, SystemClock().now())
            await path.until("delivery", 0)

    assert len(door.timestamps) == 50
    assert seen_at_most(door.timestamps, 20)


async def test_throttled_deliveries_stay_in_the_database_and_in_order(db: Database) -> None:
    app = await add_app(db)
    async with Timed() as door:
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
    async with Timed() as door:
        await limit(db, "endpoint", await add_endpoint(db, app, door.url), 1_000)

        async with running(db, delivering=terms()) as path:
            began = []
            for _ in range(6):
                began.append(time.monotonic())
                await path.send(app)
                await path.settled()

    waits = [came - sent for came, sent in zip(door.timestamps, began, strict=True)]
    assert min(waits[1:]) < 0.1  # a busy machine may delay most of them


async def test_both_lanes_get_their_share_of_a_limit(db: Database) -> None:
    app = await add_app(db)
    async with Timed() as door:
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
    async with Timed() as door:
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


async def test_a_throttled_delivery_that_is_late_or_finds_no_capacity_is_handed_back(db: Database) -> None:
    app, clock = await add_app(db), ManualClock()
    await add_endpoint(db, app, "http://127.0.0.1:9/")
    async with running(db) as path:
        receiver = await receiver_of(path, app)
    sent: list[Delivery] = []
    back: list[Delivery] = []
    free = True

    def start(send: Delivery) -> bool:
        if free:
            sent.append(send)
        return free

    pacer = Pacer(clock, start=start, return_unsent=back.extend)
    now = clock.monotonic()
    first, late, crowded, left = (a_send(receiver) for _ in range(4))
    pacer.take([(first, SendWindow(now, now + 0.25)), (late, SendWindow(now + 1, now + 1.25))])
    pacer.take([(crowded, SendWindow(now + 3, now + 3.25)), (left, SendWindow(now + 9, now + 9.25))])
    assert (sent, pacer.held_for(receiver.id)) == ([first], 3)

    clock.advance(1_300)
    pacer.turn()
    free = False
    clock.advance(1_800)
    pacer.turn()

    assert (sent, back, pacer.close(), pacer.held) == ([first], [late, crowded], [left], 0)
