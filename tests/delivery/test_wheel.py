# SPDX-License-Identifier: MIT
from collections.abc import Callable

import pytest

from tidings.delivery.wheel import TimerWheel


class Timer:
    def __init__(self, loop: "Loop", timestamp: float, callback: Callable[[], None]) -> None:
        self.timestamp = timestamp
        self.callback = callback
        self._loop = loop

    def cancel(self) -> None:
        self._loop.timers.remove(self)


class Loop:
    """A manual clock, and the timers set in it."""

    def __init__(self) -> None:
        self.timestamp = 1000.03
        self.timers: list[Timer] = []
        self.wakeups = 0

    def now(self) -> float:
        return self.timestamp

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(self, self.timestamp + delay, callback)
        self.timers.append(timer)
        return timer

    def advance(self, seconds: float) -> None:
        end = self.timestamp + seconds
        while due := [timer for timer in self.timers if timer.timestamp <= end]:
            timer = min(due, key=lambda timer: timer.timestamp)
            self.timers.remove(timer)
            self.timestamp = max(self.timestamp, timer.timestamp)
            self.wakeups += 1
            timer.callback()
        self.timestamp = end

    def stall(self, seconds: float) -> None:
        """Let time pass while the loop cannot run."""
        self.timestamp += seconds


class Item:
    def __init__(self, act: Callable[[], None] = lambda: None) -> None:
        self.expired = 0
        self._act = act

    def expire(self) -> None:
        self.expired += 1
        self._act()


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def wheel(loop: Loop) -> TimerWheel:
    return TimerWheel(loop.call_later, loop.now, tick_seconds=0.1)


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.1, 0.15, 1.0, 29.97, 30.0])
def test_a_deadline_expires_within_a_tick_and_never_early(loop: Loop, wheel: TimerWheel, seconds: float) -> None:
    item = Item()

    wheel.add(loop.timestamp + seconds, item)

    loop.advance(seconds)
    early = item.expired
    loop.advance(0.11)
    assert (early, item.expired) == (0, 1)


def test_a_removed_deadline_never_expires(loop: Loop, wheel: TimerWheel) -> None:
    dropped, kept = Item(), Item()
    slot = wheel.add(loop.timestamp + 1, dropped)
    wheel.add(loop.timestamp + 1, kept)

    wheel.drop(slot, dropped)

    loop.advance(5)
    assert (dropped.expired, kept.expired) == (0, 1)


def test_an_earlier_deadline_set_later_expires_first(loop: Loop, wheel: TimerWheel) -> None:
    order: list[str] = []
    wheel.add(loop.timestamp + 3, Item(lambda: order.append("late")))
    wheel.add(loop.timestamp + 1, Item(lambda: order.append("early")))

    loop.advance(5)

    assert order == ["early", "late"]


def test_an_empty_wheel_sets_no_timer(loop: Loop, wheel: TimerWheel) -> None:
    for _ in range(1000):
        item = Item()
        wheel.drop(wheel.add(loop.timestamp + 30, item), item)
    loop.advance(31)
    woken = loop.wakeups

    loop.advance(1000)

    assert loop.timers == []
    assert not wheel.is_armed
    assert woken == loop.wakeups == 1


def test_a_deadline_may_set_the_next_one(loop: Loop, wheel: TimerWheel) -> None:
    second = Item()
    wheel.add(loop.timestamp + 1, Item(lambda: void(wheel.add(loop.timestamp + 1, second))))

    loop.advance(1.5)
    early = second.expired
    loop.advance(1)

    assert (early, second.expired) == (0, 1)


def test_after_a_stall_the_loop_reads_sockets_before_deadlines_expire(loop: Loop, wheel: TimerWheel) -> None:
    answered, silent = Item(), Item()
    slot = wheel.add(loop.timestamp + 1, answered)
    wheel.add(loop.timestamp + 1, silent)
    loop.stall(10)
    loop.advance(0.0)

    wheel.drop(slot, answered)  # its response was in the socket all along

    loop.advance(0.2)
    assert (answered.expired, silent.expired) == (0, 1)


def test_one_stall_after_another_does_not_hold_deadlines_back(loop: Loop, wheel: TimerWheel) -> None:
    item = Item()
    wheel.add(loop.timestamp + 1, item)

    for _ in range(2):
        loop.stall(10)
        loop.advance(0.0)

    assert item.expired == 1


def test_a_closed_wheel_expires_nothing(loop: Loop, wheel: TimerWheel) -> None:
    item = Item()
    wheel.add(loop.timestamp + 1, item)

    wheel.close()

    loop.advance(5)
    assert (item.expired, loop.wakeups) == (0, 0)


def void(_: object) -> None:
    pass
