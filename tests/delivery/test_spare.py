# SPDX-License-Identifier: MIT
"""What nobody waits for gets the time that live messages leave, and never nothing."""

from dataclasses import dataclass

from tidings.delivery.spare import SpareTime


@dataclass
class Thread:
    """A thread's clocks, which a test moves."""

    wall: float = 100.0
    busy: float = 5.0

    def goes_by(self, seconds: float, *, busy: float) -> None:
        self.wall += seconds
        self.busy += busy

    def spare(self) -> SpareTime:
        return SpareTime(lambda: self.wall, lambda: self.busy)


def _granted(thread: Thread, spare: SpareTime, *, live: float, grain: float, seconds: float = 2.0) -> int:
    """Have live messages take a part of the time; return how many grains of the rest there was time for."""
    granted, end = 0, thread.wall + seconds
    while thread.wall < end:
        spare.urgent()
        if spare.is_left():
            granted += 1
            thread.goes_by(grain * (1 + live), busy=grain * (1 + live))
        else:
            thread.goes_by(0.002, busy=0.002 * live)
    return granted


def test_without_live_messages_there_is_always_time() -> None:
    thread = Thread()
    spare = thread.spare()

    for _ in range(100):
        thread.goes_by(0.01, busy=0.01)
        assert spare.is_left()


def test_live_messages_and_the_rest_share_half_of_the_time() -> None:
    thread = Thread()
    spare = thread.spare()

    busy = thread.busy
    granted = _granted(thread, spare, live=0.3, grain=0.001)

    assert 0.45 < (thread.busy - busy) / 2.0 < 0.65
    assert granted > 200


def test_the_rest_is_not_starved_where_live_messages_take_everything() -> None:
    thread = Thread()

    granted = _granted(thread, thread.spare(), live=1.0, grain=0.001)

    assert 200 <= granted <= 400


def test_a_second_after_the_last_live_message_the_time_is_free_again() -> None:
    thread = Thread()
    spare = thread.spare()
    _granted(thread, spare, live=1.0, grain=0.001)

    thread.goes_by(0.9, busy=0.9)
    spare.is_left()
    during = [spare.is_left() for _ in range(3)]
    thread.goes_by(0.2, busy=0.2)

    assert (during, [spare.is_left() for _ in range(3)]) == ([False] * 3, [True] * 3)
