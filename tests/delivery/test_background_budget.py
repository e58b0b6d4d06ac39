# SPDX-License-Identifier: MIT
"""Background work gets the share of the event loop that live messages leave unused, and never starves."""

from dataclasses import dataclass

from tidings.delivery.background_budget import BackgroundBudget


@dataclass
class Thread:
    """The clocks of a thread, which the test advances."""

    wall: float = 100.0
    busy: float = 5.0

    def advance(self, seconds: float, *, busy: float) -> None:
        self.wall += seconds
        self.busy += busy

    def budget(self) -> BackgroundBudget:
        return BackgroundBudget(lambda: self.wall, lambda: self.busy)


def _granted(thread: Thread, budget: BackgroundBudget, *, live: float, step: float, seconds: float = 2.0) -> int:
    """Let live messages use part of the time; return the number of background steps that the budget allowed."""
    granted, end = 0, thread.wall + seconds
    while thread.wall < end:
        budget.record_foreground()
        if budget.allows_work():
            granted += 1
            thread.advance(step * (1 + live), busy=step * (1 + live))
        else:
            thread.advance(0.002, busy=0.002 * live)
    return granted


def test_without_live_messages_background_work_is_always_allowed() -> None:
    thread = Thread()
    budget = thread.budget()

    for _ in range(100):
        thread.advance(0.01, busy=0.01)
        assert budget.allows_work()


def test_live_messages_and_background_work_share_half_of_the_time() -> None:
    thread = Thread()
    budget = thread.budget()

    busy = thread.busy
    granted = _granted(thread, budget, live=0.3, step=0.001)

    assert 0.45 < (thread.busy - busy) / 2.0 < 0.65
    assert granted > 200


def test_background_work_is_not_starved_where_live_messages_take_everything() -> None:
    thread = Thread()

    granted = _granted(thread, thread.budget(), live=1.0, step=0.001)

    assert 200 <= granted <= 400


def test_a_second_after_the_last_live_message_background_work_is_unlimited() -> None:
    thread = Thread()
    budget = thread.budget()
    _granted(thread, budget, live=1.0, step=0.001)

    thread.advance(0.9, busy=0.9)
    budget.allows_work()
    during = [budget.allows_work() for _ in range(3)]
    thread.advance(0.2, busy=0.2)

    assert (during, [budget.allows_work() for _ in range(3)]) == ([False] * 3, [True] * 3)
