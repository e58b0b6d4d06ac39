# SPDX-License-Identifier: MIT
"""Replayed deliveries never delay live ones, neither in memory nor in the database."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from delivery.test_refresh import World, receiver, send
from message_path import add_app, add_endpoint, running, terms
from tidings.model.delivery import Delivery
from tidings.model.routing import Receiver
from tidings.storage.drivers.database import Database


def _resend(to: Receiver, number: int) -> Delivery:
    return replace(send(to, number, 0.0), task_id="qtask_1")


async def test_live_deliveries_go_first_and_every_tenth_send_is_a_replay() -> None:
    world, to = World(), receiver("ep_1")
    world.queues.enqueue([_resend(to, number) for number in range(4)])
    await _begun(world, 1)
    live = [send(to, number, 0.0) for number in range(100, 125)]
    world.queues.enqueue(live)

    while len(world.started) < 29:
        await _begun(world, len(world.started) + 1, finishing=next(iter(next(world.queues.all()).in_flight)))

    tasks = [at for at, name in enumerate(world.started) if len(name) == len("msg_0")]
    assert tasks == [0, 10, 20, 28]
    assert [name for name in world.started if len(name) > len("msg_0")] == [each.msg_id for each in live]
    world.queues.close()


async def test_replays_left_in_the_database_are_claimed_when_there_is_room() -> None:
    world, to = World(), receiver("ep_1")
    world.queues.enqueue([_resend(to, number) for number in range(3)])
    await _begun(world, 1)

    will_ask = world.queues.record_replay_backlog("ep_1")
    before = world.claim_requests
    for begun in (2, 3):
        await _begun(world, begun, finishing=next(iter(next(world.queues.all()).in_flight)))

    assert (will_ask, before, world.claim_requests > 0) == (True, 0, True)
    assert world.queues.capacity.has_capacity("ep_1")
    assert not world.queues.record_replay_backlog("ep_1")
    assert not world.queues.record_replay_backlog("ep_2")
    world.queues.close()


async def test_replays_begin_one_per_loop_iteration_and_live_sends_at_once() -> None:
    world, to = World(concurrency=10), receiver("ep_1")
    world.queues.enqueue([_resend(to, number) for number in range(8)])
    world.queues.enqueue([send(to, number, 0.0) for number in (100, 101)])
    begun = [len(world.started)]
    for _ in range(4):
        await asyncio.sleep(0)
        begun.append(len(world.started))

    assert world.started[:2] == ["msg_100", "msg_101"]
    assert begun[0] == 2
    assert all(later - earlier <= 1 for earlier, later in pairwise(begun))
    await _begun(world, 10)
    world.queues.close()


async def _begun(world: World, count: int, *, finishing: Delivery | None = None) -> None:
    """End a send, and run the loop until this many sends have begun."""
    if finishing is not None:
        world.queues.finish(finishing)
    async with asyncio.timeout(30):
        while len(world.started) < count:  # noqa: ASYNC110 - the condition has no event
            await asyncio.sleep(0)


@pytest.mark.parametrize(("lane", "task", "fits"), [(1, "'qtask_1'", True), (0, "NULL", False)])
async def test_only_live_rows_in_the_database_keep_live_deliveries_there(
    db: Database, lane: int, task: str, *, fits: bool
) -> None:
    """More deliveries are due for an endpoint than memory has room for, and the receiver responds to none."""
    app, over = await add_app(db), asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        endpoint = await add_endpoint(db, app, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        async with running(db) as path:
            await asyncio.gather(*(path.send(app) for _ in range(30)))
            async with db.write() as tx:
                await tx.run(f"UPDATE delivery SET lane = {lane}, task_id = {task}")
        async with running(db, delivering=terms(concurrency=5, timeout=30.0)) as path:
            assert path.delivery is not None
            path.delivery.sink.notify_backlog([endpoint])
            await path.until("delivery WHERE lease IS NOT NULL", 15)
            await _claimed(path.delivery.queues.capacity.has_capacity, endpoint, fits=fits)
            await path.send(app)
            leased = await path.count("delivery WHERE lease IS NOT NULL")
            over.set()

    assert leased == 15 + fits


async def test_deliveries_that_can_never_be_sent_are_claimed_and_ended(db: Database) -> None:
    """Deliveries that are claimed and dropped start no send, so no end of a send would request more of them."""
    app = await add_app(db)
    endpoint = await add_endpoint(db, app, "http://127.0.0.1:9/")
    async with running(db) as path:
        await asyncio.gather(*(path.send(app) for _ in range(30)))
        async with db.write() as tx:
            await tx.run("UPDATE message SET payload = NULL")
    async with running(db, delivering=terms(concurrency=5)) as path:
        assert path.delivery is not None
        path.delivery.sink.notify_backlog([endpoint])
        await path.until("delivery", 0)
        assert await path.count("attempt") == 0


async def _claimed(has_capacity: object, endpoint: str, *, fits: bool) -> None:
    """Wait until the claim has updated the endpoint queue; otherwise the test's time limit fails it."""
    assert callable(has_capacity)
    while has_capacity(endpoint) != fits:  # noqa: ASYNC110 - the condition has no event
        await asyncio.sleep(0.01)
