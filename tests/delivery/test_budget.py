# SPDX-License-Identifier: MIT
"""The bounds of one process's send memory: number of deliveries, bytes of large payloads, sends in flight."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import pytest

from delivery.test_role import Door
from message_path import Path, add_app, add_endpoint, running, terms
from tidings.delivery.budget import LARGE, MemoryBudget, fair_shares
from tidings.delivery.payloads import Payloads, reserve
from tidings.delivery.tuning import DeliveryTuning
from tidings.ids import AppId, EndpointId, OrgId
from tidings.model.delivery import Delivery
from tidings.model.routing import Receiver
from tidings.model.signature import KeyRing, SymmetricKey
from tidings.storage.drivers.database import Database

MEBIBYTE = 1 << 20
BIG = b"x" * 100_000


def receiver(url: str = "http://example.com", name: str = "ep_1") -> Receiver:
    ring = KeyRing(SymmetricKey(bytes(24)))
    return Receiver(EndpointId(name), AppId("app_1"), OrgId("org_1"), url, ring, (), False, None, None)  # noqa: FBT003


def send(message: str, to: Receiver, payload: bytes = BIG) -> Delivery:
    return Delivery(to, message, payload, 1, 0.0)


def test_the_payload_of_a_message_counts_once_for_all_of_its_deliveries() -> None:
    budget = MemoryBudget(10, MEBIBYTE)
    sends = [send("msg_1", receiver(name=f"ep_{n}"), bytes(bytearray(BIG))) for n in range(3)]
    for each in sends:
        budget.add(each)

    assert (3, len(BIG)) == (budget.held, budget.held_bytes)
    assert sends[0].payload is sends[1].payload is sends[2].payload
    for each in sends:
        budget.remove_and_clear(each)
    assert (0, 0, b"") == (budget.held, budget.held_bytes, sends[0].payload)


def test_a_delivery_over_tls_counts_its_encrypted_copy() -> None:
    budget = MemoryBudget(10, MEBIBYTE)
    for name in ("ep_1", "ep_2"):
        budget.add(send("msg_1", receiver("https://example.com", name)))

    assert 3 * len(BIG) == budget.held_bytes


def test_a_small_payload_counts_as_a_delivery_only() -> None:
    budget = MemoryBudget(10, MEBIBYTE)
    budget.add(send("msg_1", receiver(), b"x" * LARGE))

    assert (9, MEBIBYTE) == (budget.free, budget.free_bytes)


def test_a_payload_that_does_not_fit_is_refused_unless_it_is_alone() -> None:
    budget = MemoryBudget(10, len(BIG) + 1)
    assert len(BIG) * 2 == budget.reserve_payload(len(BIG) * 2)
    assert budget.reserve_payload(1) is None
    budget.release(0, len(BIG) * 2)
    assert len(BIG) == budget.reserve_payload(len(BIG))


def test_one_encrypted_copy_always_fits_and_the_next_only_within_the_bound() -> None:
    budget, tls = MemoryBudget(10, 1), receiver("https://example.com")
    assert len(BIG) == budget.reserve_payload(len(BIG))
    assert 0 == budget.reserve_copy(len(BIG), receiver())
    assert len(BIG) == budget.reserve_copy(len(BIG), tls)
    assert budget.reserve_copy(len(BIG), tls) is None


def test_free_memory_is_shared_among_endpoints() -> None:
    rooms = [("a", 5), ("b", 100), ("c", 100)]

    assert rooms == fair_shares(rooms, 205)
    few = dict(fair_shares(rooms, 60))
    assert (5, [27, 28]) == (few["a"], sorted((few["b"], few["c"])))
    assert 2 == len(fair_shares([("a", 9), ("b", 9), ("c", 9)], 2))


def test_a_payload_without_room_for_any_copy_is_not_reserved() -> None:
    budget, tls = MemoryBudget(10, 2 * len(BIG) + 1), receiver("https://example.com")
    budget.add(send("msg_1", receiver()))
    payloads = Payloads()

    assert not reserve(budget, payloads, "msg_2", len(BIG), [tls])
    assert {("msg_2", tls.id): 2 * len(BIG)} == payloads.too_large
    assert (0, 0) == (payloads.reserved, budget.reserved_bytes)


@contextmanager
def watched(path: Path) -> Iterator[dict[str, int]]:
    """Record the maximum number of deliveries and bytes in memory, over all iterations of the loop."""
    assert path.delivery is not None
    budget, most = path.delivery.queues.budget, {"held": 0, "bytes": 0}
    loop, is_over = asyncio.get_running_loop(), asyncio.Event()

    def look() -> None:
        most["held"] = max(most["held"], budget.held + budget.reserved)
        most["bytes"] = max(most["bytes"], budget.held_bytes + budget.reserved_bytes)
        if not is_over.is_set():
            loop.call_soon(look)

    look()
    try:
        yield most
    finally:
        is_over.set()


async def test_one_claim_for_many_endpoints_stays_within_the_memory_bound(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        for _ in range(30):
            await add_endpoint(db, app, door.url)
        async with running(db) as waiting:  # without the delivery role every row is left in the database
            await asyncio.gather(*(waiting.send(app) for _ in range(20)))
        async with running(db, delivering=terms(memory=50)) as path:
            with watched(path) as most:
                await path.until("attempt", 600)

    assert 25 < most["held"] <= 50
    assert 600 == len(door.seen)


async def test_accepted_messages_stay_within_the_memory_bound(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        for _ in range(10):
            await add_endpoint(db, app, door.url)
        async with running(db, delivering=terms(memory=50)) as path:
            with watched(path) as most:
                await asyncio.gather(*(path.send(app) for _ in range(40)))
                await path.until("attempt", 400)

    assert 25 < most["held"] <= 50
    assert 400 == len(door.seen)


async def test_sends_in_flight_to_all_endpoints_are_bounded(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        door.open.clear()
        for _ in range(8):
            await add_endpoint(db, app, door.url)
        async with running(db, delivering=replace(terms(), in_flight=8)) as path:
            assert path.delivery is not None
            await asyncio.gather(*(path.send(app) for _ in range(10)))
            await door.asked.wait()
            in_flight = [len(queue.in_flight) for queue in path.delivery.queues.all()]
            door.open.set()
            await path.until("attempt", 80)

    assert 6 == sum(in_flight), "three quarters, as none of them has answered"
    assert 80 == len(door.seen)


async def test_one_loop_iteration_begins_few_sends(db: Database) -> None:
    app = await add_app(db)
    async with Door() as door:
        door.open.clear()
        for _ in range(10):
            await add_endpoint(db, app, door.url)
        async with running(db, delivering=terms(), tuning=DeliveryTuning(sends_per_iteration=5)) as path:
            assert path.delivery is not None
            counted = [0]
            accepting = asyncio.gather(*(path.send(app) for _ in range(6)))
            while counted[-1] < 60:
                await asyncio.sleep(0)
                counted.append(sum(len(queue.in_flight) for queue in path.delivery.queues.all()))
            await accepting
            door.open.set()
            await path.until("attempt", 60)

    assert (
        0 < max(after - before for before, after in pairwise(counted)) <= 10
    )  # the check may run before or after ours


@pytest.mark.parametrize("is_backlog", [False, True])
async def test_large_payloads_stay_within_the_bound_in_bytes(db: Database, *, is_backlog: bool) -> None:
    app, rest = await add_app(db), {"payload": b'"%b"' % BIG}
    async with Door() as door:
        for _ in range(3):
            await add_endpoint(db, app, door.url)
        if is_backlog:
            async with running(db) as waiting:
                await asyncio.gather(*(waiting.send(app, **rest) for _ in range(30)))
        async with running(db, delivering=replace(terms(), memory_bytes=5 * len(BIG))) as path:
            with watched(path) as most:
                if not is_backlog:
                    await asyncio.gather(*(path.send(app, **rest) for _ in range(30)))
                await path.until("attempt", 90)

    assert len(BIG) < most["bytes"] <= 5 * len(BIG)
    assert 90 == len(door.seen)
    assert path.delivery is not None
    assert (0, 0) == (path.delivery.queues.budget.held_bytes, path.delivery.queues.budget.reserved_bytes)


@pytest.mark.parametrize("is_backlog", [False, True])
async def test_one_large_message_to_many_endpoints_over_tls_stays_within_the_bound(
    db: Database, *, is_backlog: bool
) -> None:
    app, rest = await add_app(db), {"payload": b'"%b"' % BIG}
    async with Door() as door:
        for _ in range(12):
            await add_endpoint(
                db, app, door.url.replace("http:", "https:")
            )  # its encrypted copy exists, and the receiver completes no handshake
        if is_backlog:
            async with running(db) as waiting:
                await waiting.send(app, **rest)
        async with running(db, delivering=replace(terms(timeout=0.3), memory_bytes=5 * len(BIG))) as path:
            with watched(path) as most:
                if not is_backlog:
                    await path.send(app, **rest)
                await path.until("attempt", 12)

    assert 2 * len(BIG) < most["bytes"] <= 5 * (len(BIG) + 2)
    assert path.delivery is not None
    assert (0, 0, 0) == (
        path.delivery.queues.budget.held_bytes,
        path.delivery.queues.budget.reserved_bytes,
        path.delivery.queues.budget.reserved,
    )
