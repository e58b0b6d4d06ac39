# SPDX-License-Identifier: MIT
"""Endpoints whose payloads do not fit into memory are claimed for when bytes are freed: in order, as many as fit."""

import asyncio

import pytest

from delivery.test_budget import BIG, receiver, send, watched
from delivery.test_role import Door
from message_path import add_app, add_endpoint, running, terms
from tidings.delivery.budget import MemoryBudget
from tidings.delivery.payload_waiters import PayloadWaiters
from tidings.delivery.payloads import Payloads, reserve
from tidings.delivery.tuning import DeliveryTuning
from tidings.model.delivery import Delivery
from tidings.storage.drivers.database import Database

SIZE = len(BIG)


class World:
    """A budget of three payloads, all of them held, and the endpoints that are woken."""

    def __init__(self) -> None:
        self.budget = MemoryBudget(100, 3 * SIZE)
        self.held: list[Delivery] = [send(f"msg_{number}", receiver()) for number in range(3)]
        for each in self.held:
            self.budget.add(each)
        self.woken: list[list[str]] = []
        self.waiters = PayloadWaiters(self.budget, self.woken.append)

    async def end(self, sends: int) -> list[list[str]]:
        """End sends, and return the endpoints that are woken afterwards."""
        self.woken.clear()
        for _ in range(sends):
            self.budget.remove_and_clear(self.held.pop())
        await asyncio.sleep(0)
        return list(self.woken)


async def test_freed_bytes_wake_the_first_endpoints_that_fit_and_no_others() -> None:
    world = World()
    for number in range(5):
        world.waiters.add(f"ep_{number}", SIZE)

    assert [] == await world.end(0)
    assert [["ep_0"]] == await world.end(1)
    assert [["ep_1", "ep_2", "ep_3"]] == await world.end(2)


async def test_an_endpoint_that_is_added_again_waits_behind_the_others() -> None:
    world = World()
    for each in ("ep_0", "ep_1"):
        world.waiters.add(each, SIZE)
    assert [["ep_0"]] == await world.end(1)

    world.budget.add(send("msg_9", receiver()))
    world.waiters.add("ep_0", SIZE)

    assert [["ep_1"]] == await world.end(1)


async def test_a_large_payload_is_not_passed_by_small_ones_forever() -> None:
    world = World()
    world.waiters.add("ep_large", 2 * SIZE)
    world.waiters.add("ep_small", SIZE)

    assert [] == await world.end(1)
    assert [["ep_large"]] == await world.end(1)


async def test_a_payload_over_the_whole_bound_is_woken_when_memory_is_empty() -> None:
    world = World()
    for each in ("ep_0", "ep_1"):
        world.waiters.add(each, 9 * SIZE)

    assert [] == await world.end(2)
    assert [["ep_0"]] == await world.end(1)


async def test_bytes_that_were_freed_before_the_wait_count_as_well() -> None:
    world = World()
    await world.end(1)

    world.waiters.add("ep_0", SIZE)
    world.waiters.check()

    assert [["ep_0"]] == await world.end(0)


async def test_the_end_of_a_reservation_wakes_unless_its_bytes_become_a_delivery() -> None:
    world = World()
    await world.end(1)
    assert SIZE == world.budget.reserve_payload(SIZE)
    world.waiters.add("ep_0", SIZE)

    world.budget.release(0, SIZE)
    world.budget.add(send("msg_8", receiver()))
    assert [] == await world.end(0)

    assert [["ep_0"]] == await world.end(1)


async def test_an_endpoint_that_was_discarded_is_not_woken() -> None:
    world = World()
    for each in ("ep_0", "ep_1"):
        world.waiters.add(each, SIZE)

    world.waiters.discard("ep_0")

    assert [["ep_1"]] == await world.end(1)


def test_a_delivery_needs_its_copy_and_its_payload_unless_that_is_in_memory() -> None:
    tls, plain = receiver("https://example.com", "ep_tls"), receiver(name="ep_plain")
    full = MemoryBudget(10, SIZE)
    full.add(send("msg_1", plain))
    payloads = Payloads()

    assert not reserve(full, payloads, "msg_2", SIZE, [tls, plain])
    assert {("msg_2", tls.id): 2 * SIZE, ("msg_2", plain.id): SIZE} == payloads.too_large

    full.add(send("msg_2", plain))
    held = Payloads()
    assert not reserve(full, held, "msg_2", SIZE, [tls])
    assert {("msg_2", tls.id): SIZE} == held.too_large


async def test_bytes_that_a_woken_endpoint_does_not_use_wake_the_next_one() -> None:
    world = World()
    for each in ("ep_0", "ep_1"):
        world.waiters.add(each, SIZE)
    assert [["ep_0"]] == await world.end(1)

    world.waiters.check()

    assert [["ep_1"]] == await world.end(0)


@pytest.mark.parametrize("fits", [1, 5])
async def test_large_payloads_are_claimed_once_memory_is_free(db: Database, fits: int) -> None:
    """No timer helps: each deferral is longer than the test."""
    app = await add_app(db)
    async with Door() as door:
        for _ in range(4):
            await add_endpoint(db, app, door.url)
        async with running(db) as waiting:  # without the delivery role every row is left in the database
            for payload in (b'"%b"' % BIG, b"{}"):  # some that are woken for a large payload find a small one
                await asyncio.gather(*(waiting.send(app, payload=payload) for _ in range(15)))
        tuning = DeliveryTuning(claim_defer_seconds=3_600.0, claim_memory_seconds=3_600.0)
        bound = fits * (SIZE + 2)
        async with running(db, delivering=terms(memory_bytes=bound), tuning=tuning) as path:
            with watched(path) as most:
                await path.until("delivery", 0)

    assert most["bytes"] <= bound
    assert 120 == len(door.seen)
