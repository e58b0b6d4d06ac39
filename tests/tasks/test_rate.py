# SPDX-License-Identifier: MIT
"""A task with a rate limit never exceeds it over any ten seconds, even across its slices."""

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.kit import QUICK, reread
from tasks.world import World, a_world, at
from tidings.model.task import State
from tidings.storage.drivers.database import Database
from tidings.tasks.kinds import replay
from tidings.tasks.pace import RateMeter
from tidings.tasks.resending import ResendWindow

WINDOW = 10.0


def _most_in_ten_seconds(sent: list[tuple[float, int]]) -> int:
    """Return the maximum number of sends in any ten seconds."""
    return max(
        (sum(count for timestamp, count in sent if begun <= timestamp < begun + WINDOW) for begun, _ in sent), default=0
    )


def _sends(rate: int, seconds: float, dice: random.Random, slices: list[float]) -> Iterator[tuple[float, int]]:
    """Send as fast as the meter allows, with occasional delays; each slice has its own meter."""
    now, meter, ends = 0.0, RateMeter(rate, 0.0), list(slices)
    while now < seconds:
        if ends and now >= ends[0]:
            ends.pop(0)
            meter = RateMeter(rate, now)
        wait = meter.wait(now)
        if wait > 0:
            now += wait + dice.choice((0.0, 0.001, 0.02))
            continue
        count = meter.allowance(now)
        now += dice.choice((0.0, 0.003, 0.4))
        meter.spend(count, now)
        yield now, count


@settings(max_examples=60)
@given(rate=st.integers(1, 2_000), seed=st.integers(0, 1 << 30), slices=st.lists(st.floats(0.5, 40), max_size=4))
def test_no_ten_seconds_hold_more_sends_than_the_rate_allows(rate: int, seed: int, slices: list[float]) -> None:
    sent = list(_sends(rate, 45, random.Random(seed), sorted(slices)))  # noqa: S311 - a schedule, no secret

    assert _most_in_ten_seconds(sent) <= 10 * rate
    assert all(count >= 1 for _, count in sent)


@pytest.mark.parametrize("rate", [1, 3, 10, 250, 5_000])
def test_a_rate_meter_allows_at_least_93_percent_of_its_rate(rate: int) -> None:
    meter, now, total = RateMeter(rate, 0.0), 0.0, 0
    while now < 60:
        wait = meter.wait(now)
        now += wait + 0.002 if wait else 0.001
        if not wait:
            total += (count := meter.allowance(now))
            meter.spend(count, now)

    assert 0.93 * 55 * rate <= total <= 60 * rate


async def test_a_replay_keeps_its_rate(db: Database) -> None:
    world = await a_world(db)
    for number in range(400):
        world.seed.message(at(5) + number)
    await world.seed.write(world.db)
    clock = world.services.clock
    begun = clock.monotonic()
    async with world.working(replace(QUICK, backlog=0, slice_seconds=0.3)):
        task = await world.begin(replay.build_task, world.seed.app, _chosen(world))
        while (held := await reread(world.db, task.id)).state in (State.QUEUED, State.RUNNING):
            sent = held.counters.get("messagesSent", 0)
            assert sent <= 150 * (clock.monotonic() - begun)

    assert (State.SUCCEEDED, 400) == (held.state, held.counters["messagesSent"])
    assert 400 / 150 <= clock.monotonic() - begun


def _chosen(world: World) -> ResendWindow:
    return ResendWindow(
        endpoint_ref=world.seed.endpoint_id,
        since=at(10),
        until=None,
        created_by="me",
        rate_limit=150,
    )
