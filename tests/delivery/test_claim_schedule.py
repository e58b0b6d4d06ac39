# SPDX-License-Identifier: MIT
"""The claimer looks at the earliest known time, and a deferred endpoint does not wake it before its own time."""

import asyncio

import pytest

from tidings.clock import SECOND, ManualClock
from tidings.delivery.claim_schedule import ClaimSchedule
from tidings.delivery.tuning import DeliveryTuning


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def schedule(clock: ManualClock) -> ClaimSchedule:
    """A schedule after a claim that found nothing."""
    schedule = ClaimSchedule(clock)
    schedule.begin()
    schedule.end()
    return schedule


async def is_due(schedule: ClaimSchedule) -> bool:
    """Return whether a claim would start now."""
    waiting = asyncio.create_task(schedule.wait())
    for _ in range(3):
        await asyncio.sleep(0)
    is_due = waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])
    return is_due


async def test_the_first_claim_is_immediate_and_the_next_one_is_not(clock: ManualClock) -> None:
    schedule = ClaimSchedule(clock)
    assert await schedule.wait()

    schedule.begin()
    schedule.end()
    assert not await is_due(schedule)


async def test_a_wait_ends_at_the_earliest_known_time(schedule: ClaimSchedule, clock: ManualClock) -> None:
    for seconds in (5, 3, 9):
        schedule.due_in(seconds)

    clock.advance(2_999)
    assert not await is_due(schedule)
    clock.advance(1)
    assert await is_due(schedule)


async def test_an_earlier_time_shortens_a_wait(schedule: ClaimSchedule, clock: ManualClock) -> None:
    waiting = asyncio.create_task(schedule.wait())
    await asyncio.sleep(0)
    schedule.due_at(clock.now())
    assert await waiting


async def test_a_wake_during_a_claim_causes_another_one(schedule: ClaimSchedule) -> None:
    schedule.begin()
    schedule.wake()
    schedule.end()
    assert await is_due(schedule)


async def test_a_time_found_by_a_claim_causes_no_immediate_claim(schedule: ClaimSchedule, clock: ManualClock) -> None:
    schedule.begin()
    schedule.due_at(clock.now())
    schedule.end()
    assert not await is_due(schedule)

    clock.advance(50)
    assert await is_due(schedule)


async def test_a_deferred_endpoint_is_claimed_for_at_its_time_and_does_not_wake_before(
    schedule: ClaimSchedule, clock: ManualClock
) -> None:
    schedule.defer("ep_1", 2.0)
    schedule.wake_for(["ep_1"])
    assert schedule.is_deferred("ep_1")
    assert not await is_due(schedule)
    schedule.wake_for(["ep_1", "ep_2"])
    assert await is_due(schedule)

    schedule.begin()
    schedule.keep_deferred("ep_1")
    clock.advance(2 * SECOND + 1)
    assert await is_due(schedule)
    schedule.end_deferrals()
    assert not schedule.is_deferred("ep_1")


async def test_the_claimer_queries_again_after_a_pause(schedule: ClaimSchedule, clock: ManualClock) -> None:
    schedule.pause(1.0)
    assert not await is_due(schedule)
    clock.advance(SECOND)
    assert await is_due(schedule)


async def test_a_closed_schedule_ends_the_wait(schedule: ClaimSchedule) -> None:
    waiting = asyncio.create_task(schedule.wait())
    await asyncio.sleep(0)
    schedule.close()
    assert not await waiting


async def test_a_wait_is_limited_in_case_the_clock_is_set(clock: ManualClock) -> None:
    schedule = ClaimSchedule(clock, DeliveryTuning(claim_max_sleep_seconds=0.01))
    schedule.begin()
    schedule.due_in(3_600.0)
    waiting = asyncio.create_task(schedule.wait())
    await asyncio.sleep(0)
    clock.advance(3_600 * SECOND)  # no event reports that
    assert await waiting


async def test_a_deferred_endpoint_is_claimed_at_the_end_of_its_deferral_also_after_a_claim_without_rows_of_it(
    schedule: ClaimSchedule, clock: ManualClock
) -> None:
    schedule.defer("ep_1", 2.0)
    schedule.begin()
    schedule.end()

    schedule.wake_for(["ep_1"])

    clock.advance(1_999)
    assert not await is_due(schedule)
    clock.advance(2)
    assert await is_due(schedule)


async def test_no_endpoint_wakes_nothing(schedule: ClaimSchedule) -> None:
    schedule.wake_for([])

    assert not await is_due(schedule)
