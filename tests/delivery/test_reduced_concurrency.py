# SPDX-License-Identifier: MIT
"""An endpoint that does not answer gets reduced concurrency, and one answer restores it."""

from dataclasses import replace

import pytest

from delivery.test_refresh import World, receiver, send
from tidings.delivery.endpoint_queue import EndpointQueue
from tidings.delivery.reduced_concurrency import ReducedConcurrency
from tidings.delivery.tuning import DeliveryTuning
from tidings.model.throttle import RateLimit

FULL = 20
TUNING = DeliveryTuning(unanswered_limit=3, reduced_concurrency=2, reduced_length=5)


@pytest.fixture
def queue() -> EndpointQueue:
    return EndpointQueue(receiver("ep_1"), FULL)


def test_the_last_of_several_unanswered_sends_reduces_concurrency_once(queue: EndpointQueue) -> None:
    rule = ReducedConcurrency(FULL, TUNING)

    assert [False, False, True, False, False] == [rule.count_unanswered(queue) for _ in range(5)]
    assert (True, 2, 5) == (queue.is_reduced, queue.concurrency, queue.unanswered)


def test_one_answer_restores_full_concurrency_and_restarts_the_count(queue: EndpointQueue) -> None:
    rule = ReducedConcurrency(FULL, TUNING)
    for _ in range(3):
        rule.count_unanswered(queue)

    rule.restore(queue)

    assert (False, FULL, 0) == (queue.is_reduced, queue.concurrency, queue.unanswered)
    assert [False, False, True] == [rule.count_unanswered(queue) for _ in range(3)]


def test_an_endpoint_that_starts_reduced_counts_as_unanswered_so_an_answer_restores_it(queue: EndpointQueue) -> None:
    ReducedConcurrency(FULL, TUNING).reduce(queue)

    assert (True, 2, 1) == (queue.is_reduced, queue.concurrency, queue.unanswered)


def test_reduced_concurrency_never_exceeds_the_full_one(queue: EndpointQueue) -> None:
    ReducedConcurrency(1, TUNING).reduce(queue)

    assert 1 == queue.concurrency


async def test_reducing_hands_back_deliveries_beyond_the_shorter_queue() -> None:
    world, to = World(concurrency=FULL, tuning=TUNING), receiver("ep_1")
    world.queues.enqueue([send(to, number, 0.0) for number in range(FULL + 9)])
    [queue] = world.queues.all()

    assert [False, False, True] == [world.queues.finish(each, unanswered=True) for each in list(queue.in_flight)[:3]]

    assert (5, FULL - 1) == (len(queue.waiting), len(queue.in_flight))
    assert [f"msg_{number}" for number in (28, 27)] == world.returned[:2]
    assert (True, 1) == (queue.is_spilled, world.claim_requests)
    world.queues.close()


@pytest.mark.parametrize(("is_spilled", "has_replay_backlog"), [(True, False), (False, True)])
def test_a_queue_with_a_backlog_needs_a_refill_while_it_is_half_empty(
    queue: EndpointQueue, *, is_spilled: bool, has_replay_backlog: bool
) -> None:
    assert not queue.needs_refill
    queue.is_spilled, queue.has_replay_backlog = is_spilled, has_replay_backlog
    assert queue.needs_refill

    for number in range(FULL):
        queue.add(send(queue.receiver, number, 0.0))
    assert not queue.needs_refill


def test_a_timer_refills_an_endpoint_with_a_limit_or_with_reduced_concurrency(queue: EndpointQueue) -> None:
    queue.is_spilled = True
    ReducedConcurrency(FULL, TUNING).reduce(queue)
    assert not queue.needs_refill

    limited = EndpointQueue(replace(receiver("ep_2"), limits=(RateLimit("ep_2", 10),)), FULL)
    limited.is_spilled = True
    assert not limited.needs_refill
