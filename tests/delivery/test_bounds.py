# SPDX-License-Identifier: MIT
"""One process bounds its deliveries in memory and in flight, whatever is due or requested."""

import asyncio
import contextlib
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from delivery.recorder import Recorder
from delivery.test_refresh import receiver, send
from delivery.test_role import Door
from delivery.test_settle import Shaky
from message_path import DAY_MS, Path, add_app, add_endpoint, running, terms
from tidings.clock import ManualClock, SystemClock
from tidings.delivery.budget import LARGE, MemoryBudget, MemoryLimits, fair_shares
from tidings.delivery.endpoint_queues import EndpointQueues
from tidings.delivery.payloads import payloads_of
from tidings.errors import AppError
from tidings.ids import DEFAULT_ORG
from tidings.model.delivery import Delivery
from tidings.model.message import Draft
from tidings.storage.drivers.database import Busy, Database, Unavailable

PATIENT = {"timeout": 20.0, "lease_grace": 25.0}


def _queues(in_flight: int, started: list[Delivery], concurrency: int = 100, memory: int = 10_000) -> EndpointQueues:
    bounds, around = MemoryLimits(concurrency, memory, 10.0, 1 << 20, in_flight), Recorder()
    around.started = started
    return EndpointQueues(bounds, ManualClock(), around, around, around)


def test_endpoints_share_the_free_memory() -> None:
    assert fair_shares([("a", 3), ("b", 4)], 7) == [("a", 3), ("b", 4)]
    assert dict(fair_shares([("a", 100), ("b", 2), ("c", 100)], 42)) == {"a": 20, "b": 2, "c": 20}
    assert sum(room for _, room in fair_shares([(str(n), 200) for n in range(100)], 37)) == 37
    assert fair_shares([("a", 5)], 0) == fair_shares([("a", 5)], -3) == []


async def test_one_loop_iteration_begins_a_few_sends_of_each_endpoint() -> None:
    started: list[Delivery] = []
    queues = _queues(4_000, started)
    queues.enqueue([send(receiver(f"ep_{n}"), k, 0.0) for n in range(50) for k in range(40)])
    turns = [len(started)]
    for _ in range(3):
        await asyncio.sleep(0)
        turns.append(len(started))

    assert max(after - before for before, after in zip([0, *turns], turns, strict=False)) <= 64
    assert len({each.receiver.id for each in started}) == 50
    async with asyncio.timeout(30):
        while len(started) < 2_000:  # noqa: ASYNC110 - the condition has no event
            await asyncio.sleep(0)
    queues.close()


async def test_sends_in_flight_to_all_endpoints_are_bounded_and_each_that_ends_begins_another() -> None:
    started: list[Delivery] = []
    queues = _queues(40, started)
    queues.enqueue([send(receiver(f"ep_{n}"), k, 0.0) for n in range(10) for k in range(10)])
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(started) == 30, "none of them has answered yet"

    for at in range(100):
        queues.finish(started[at])
        for _ in range(3):
            await asyncio.sleep(0)
    assert len(started) == 100
    assert queues.held == 0
    queues.close()


async def test_one_endpoint_does_not_take_every_send_in_flight() -> None:
    started: list[Delivery] = []
    queues = _queues(40, started)
    queues.enqueue([send(receiver("ep_slow"), k, 0.0) for k in range(100)])
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(started) == 20
    queues.enqueue([send(receiver("ep_other"), 0, 0.0)])
    for _ in range(5):
        await asyncio.sleep(0)
    assert started[-1].receiver.id == "ep_other"
    queues.close()


async def test_a_responsive_endpoint_is_served_at_once_beside_many_that_hang() -> None:
    started: list[Delivery] = []
    queues = _queues(400, started, memory=1_000)
    healthy = receiver("ep_healthy")
    queues.enqueue([send(healthy, 0, 0.0)])
    queues.finish(started.pop())
    for hanging, k in product([receiver(f"ep_{n}") for n in range(200)], range(20)):
        if queues.capacity.has_capacity(hanging.id):
            queues.enqueue([send(hanging, k, 0.0)])
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(started) == 250
    assert queues.capacity.for_unanswered == 0

    for k in range(50):
        assert queues.capacity.has_capacity(healthy.id)
        queues.enqueue([send(healthy, k, 0.0)])
        await asyncio.sleep(0)
        assert started[-1].receiver is healthy
        queues.finish(started.pop())
    queues.close()


async def test_endpoints_that_hang_leave_memory_to_those_that_answer_until_they_answer() -> None:
    started: list[Delivery] = []
    queues = _queues(400, started, memory=40)
    for n in range(60):
        if queues.capacity.has_capacity(f"ep_{n}"):
            queues.enqueue([send(receiver(f"ep_{n}"), 0, 0.0)])
    assert (queues.held, queues.capacity.for_unanswered) == (30, 0)

    queues.finish(started[0])
    queues.finish(started[1], unanswered=True)
    assert queues.capacity.for_unanswered == 2
    queues.enqueue([send(receiver("ep_0"), k, 0.0) for k in range(5)])
    assert queues.capacity.for_unanswered == 2
    queues.finish(started[-1], unanswered=True)
    assert queues.capacity.for_unanswered == -2
    queues.close()
    queues.cancel_all()
    assert (queues.held, queues.capacity.for_unanswered) == (0, 30)


def test_a_large_payload_counts_once_and_is_shared() -> None:
    budget = MemoryBudget(100, 10 * LARGE)
    first, second = (replace(send(receiver(name), 1, 0.0), payload=b"x" * (2 * LARGE)) for name in ("ep_1", "ep_2"))
    second.payload = bytes(bytearray(second.payload))
    for each in (first, second):
        budget.add(each)

    assert (budget.held, budget.held_bytes) == (2, 2 * LARGE)
    assert first.payload is second.payload
    budget.remove_and_clear(first)
    assert (budget.held_bytes, first.payload) == (2 * LARGE, b"")
    budget.remove_and_clear(second)
    assert (budget.held, budget.held_bytes, budget.payload("msg_1")) == (0, 0, None)


async def _add_due(db: Database, doors: list[str], each: int, payload: bytes = b"{}") -> tuple[str, list[str]]:
    """Make deliveries of one application's endpoints due, as a process without a delivery role leaves them."""
    app = await add_app(db)
    endpoints = [await add_endpoint(db, app, url) for url in doors]
    async with running(db) as path:
        await asyncio.gather(*(path.send(app, payload=payload) for _ in range(each)))
    return app, endpoints


async def _first_claim(path: Path) -> int:
    """Return the number of leased rows once there are any."""
    while not (leased := await path.count("delivery WHERE lease IS NOT NULL")):  # noqa: ASYNC110 - a claim has no event
        await asyncio.sleep(0.01)
    return leased


@pytest.mark.parametrize("lanes", ["0", "CASE WHEN substr(msg_id, 31, 1) < 'V' THEN 1 ELSE 0 END"])
async def test_the_endpoints_of_one_claim_share_the_free_memory(db: Database, lanes: str) -> None:
    async with Door() as door:
        door.open.clear()
        await _add_due(db, [door.url] * 30, 10)
        async with db.write() as tx:
            await tx.run(f"UPDATE delivery SET lane = {lanes}")

        async with running(db, delivering=terms(memory=50, concurrency=10, **PATIENT)) as path:
            leased = await _first_claim(path)
            door.open.set()
            await path.until("delivery", 0)

    assert leased <= 50
    assert len(door.seen) == 300


async def test_accept_reserves_a_place_for_each_delivery(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        door.open.clear()
        for _ in range(10):
            await add_endpoint(db, app, door.url)

        async with running(db, delivering=terms(memory=50, concurrency=10, **PATIENT)) as path:
            await asyncio.gather(*(path.send(app) for _ in range(40)))
            leased = await path.count("delivery WHERE lease IS NOT NULL")
            door.open.set()
            await path.until("delivery", 0)
            assert path.delivery is not None
            assert (path.delivery.queues.budget.held, path.delivery.queues.budget.reserved) == (0, 0)

    assert leased == 38, "endpoints that have not answered get three quarters"


async def test_results_that_are_not_settled_count_as_deliveries_in_memory(db: Database) -> None:
    app = await add_app(db)
    shaky = Shaky(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)
        async with running(shaky, delivering=terms(memory=40, concurrency=10, **PATIENT)) as path:
            assert path.delivery is not None
            budget = path.delivery.queues.budget
            shaky.open.clear()  # neither settle nor a claim can write
            for _ in range(100):
                await path.send(app)
            await path.delivery.queues.wait_empty(30.0)
            sent = len(door.seen)
            assert budget.unsettled == sent

            shaky.open.set()
            await path.until("delivery", 0)
            assert (budget.held, budget.reserved, budget.unsettled) == (0, 0, 0)

    assert 10 <= sent <= 40
    assert len(door.seen) == len(set(door.seen)) == 100


@pytest.mark.parametrize("error", [Unavailable, Busy])
async def test_a_failed_transaction_releases_its_reservations(db: Database, error: type[Unavailable | Busy]) -> None:
    app = await add_app(db)
    shaky = Shaky(db)
    async with Door() as door:
        await add_endpoint(db, app, door.url)
        async with running(shaky, delivering=terms(**PATIENT)) as path:
            assert path.delivery is not None
            budget = path.delivery.queues.budget
            draft = Draft("a.b", b"x" * (2 * LARGE), None, None, DAY_MS)
            shaky.errors.append(error)
            with path.accept.preparing() as prepared, contextlib.suppress(error):
                async with shaky.write() as tx:
                    await path.accept.accept_many(tx, DEFAULT_ORG, app, [draft] * 5, prepared)
                    assert (budget.reserved, budget.reserved_bytes) == (5, 10 * LARGE)
            assert shaky.errors == []
            assert (budget.reserved, budget.reserved_bytes) == (0, 0)

            if error is Unavailable:
                shaky.errors.append(error)
                with pytest.raises(AppError):
                    await path.send(app, payload=b"x" * (2 * LARGE))
                assert (budget.reserved, budget.reserved_bytes, budget.held) == (0, 0, 0)


async def test_large_payloads_wait_in_the_database_for_memory_and_small_ones_do_not(db: Database) -> None:
    size = 100_000
    async with Door() as door, Door() as other:
        door.open.clear()
        app, _ = await _add_due(db, [door.url] * 3, 20, payload=b'"' + b"x" * size + b'"')

        async with running(db, delivering=terms(memory_bytes=5 * size + 50, concurrency=10, **PATIENT)) as path:
            await _first_claim(path)
            assert path.delivery is not None
            budget = path.delivery.queues.budget
            await path.send(app, payload=b'"' + b"y" * size + b'"')
            assert budget.held_bytes + budget.reserved_bytes <= 5 * size + 50
            second = await add_app(db)
            await add_endpoint(db, second, other.url)
            small = await path.send(second)
            await path.until(f"attempt WHERE msg_id = '{small.id}'", 1)
            door.open.set()
            await path.until("delivery", 0)
            assert (budget.held, budget.held_bytes, budget.reserved_bytes) == (0, 0, 0)

    assert len(door.seen) == len(set(door.seen)) * 3 == 63


async def test_a_payload_over_the_whole_bound_is_sent_alone(db: Database) -> None:
    async with Door() as door:
        await _add_due(db, [door.url] * 2, 2, payload=b'"' + b"x" * 50_000 + b'"')
        async with running(db, delivering=terms(memory_bytes=10_000)) as path:
            await path.until("delivery", 0)

    assert len(door.seen) == 4


async def test_rows_without_memory_stay_first_in_the_queue(db: Database) -> None:
    async with Door() as door:
        door.open.clear()
        await _add_due(db, [door.url], 6, payload=b'"' + b"x" * 50_000 + b'"')
        due = SystemClock().now() - 1_000
        async with db.write() as tx:
            await tx.run("UPDATE delivery SET due_at = :due", due=due)
        async with running(db, delivering=terms(memory_bytes=60_000, **PATIENT)) as path:
            await _first_claim(path)
            assert await path.rows("SELECT DISTINCT due_at FROM delivery WHERE lease IS NULL") == [(due,)]
            door.open.set()
            await path.until("delivery", 0)


class _Breaking:
    """A transaction whose connection breaks while it reads large payloads."""

    async def rows(self, _sql: object, *, ids: list[str], limit: int) -> list[dict[str, object]]:
        if limit > LARGE:
            raise Unavailable("the connection is lost")
        return [{"id": each, "size": 2 * LARGE, "payload": None} for each in ids]


async def test_a_claim_that_fails_while_reading_large_payloads_releases_their_bytes() -> None:
    budget = MemoryBudget(100, 10 * LARGE)
    rows: Any = [{"msg_id": "msg_1", "endpoint_id": "ep_1"}]
    breaking: Any = _Breaking()
    with pytest.raises(Unavailable):
        await payloads_of(breaking, budget, rows, {"ep_1": receiver("ep_1")})
    assert budget.reserved_bytes == 0


async def test_unused_reservations_cause_another_claim(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Door() as door, running(db, delivering=terms(memory=10)) as path:
        assert path.delivery is not None
        queues, starved = path.delivery.queues, asyncio.Event()
        starve = queues.request_claim_when_half_empty

        def watched() -> None:
            starve()
            starved.set()

        monkeypatch.setattr(queues, "request_claim_when_half_empty", watched)
        queues.budget.reserved += 10
        _, endpoints = await _add_due(db, [door.url], 2)
        path.delivery.sink.notify_backlog(endpoints)
        await starved.wait()
        queues.budget.release(10, 0)
        await path.until("delivery", 0)
