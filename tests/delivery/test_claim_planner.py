# SPDX-License-Identifier: MIT
"""Endpoints with more due rows than fit are deferred, and only those without a timer wait for memory."""

import asyncio
from dataclasses import replace

import pytest

from delivery.test_refresh import World, receiver, send
from tidings.delivery.claim_batch import ClaimBatch
from tidings.delivery.claim_planner import ClaimPlanner
from tidings.delivery.claim_schedule import ClaimSchedule
from tidings.delivery.throttle import Throttle
from tidings.delivery.tuning import DeliveryTuning
from tidings.model.routing import Receiver
from tidings.model.throttle import RateLimit

TUNING = DeliveryTuning(unanswered_limit=1)


async def is_woken(to: Receiver, *, is_reduced: bool = False) -> bool:
    """Claim a payload that does not fit while memory is empty; return whether the deferral has ended since."""
    world = World(tuning=TUNING)
    if is_reduced:
        delivery = send(to, 1, 0.0)
        world.queues.enqueue([delivery])
        world.queues.finish(delivery, unanswered=True)
    schedule = ClaimSchedule(world.clock, TUNING)
    planner = ClaimPlanner(world.queues, world.pacer, Throttle(world.clock), schedule, TUNING)
    batch = ClaimBatch(now=1, leased_at=0.0, receivers={to.id: to}, allocations=[(to.id, 1)])
    batch.taken.update([to.id])
    batch.too_large[to.id] = 100_000

    planner.defer(batch, [to.id])

    assert schedule.is_deferred(to.id)
    await asyncio.sleep(0)
    world.queues.close()
    return not schedule.is_deferred(to.id)


async def test_an_endpoint_that_waits_for_memory_is_woken_when_there_is_some() -> None:
    assert await is_woken(receiver("ep_1"))


@pytest.mark.parametrize("is_reduced", [True, False])
async def test_free_memory_does_not_wake_an_endpoint_with_a_timer_of_its_own(*, is_reduced: bool) -> None:
    """Else a dead endpoint would be tried as fast as its sends fail."""
    limits = () if is_reduced else (RateLimit("ep_1", 10),)

    assert not await is_woken(replace(receiver("ep_1"), limits=limits), is_reduced=is_reduced)
