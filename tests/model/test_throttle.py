# SPDX-License-Identifier: MIT
"""However tokens are requested, used late or lost, no window of ten seconds holds more than the rate."""

from bisect import bisect_left
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.model.throttle import HORIZON_US, SECOND_US, WINDOW_US, RateLimit, TokenRequest, allocate, step_of

START = 1_700_000_000 * SECOND_US


@dataclass
class SharedTokens:
    """The shared token counts, and the send times of each key."""

    tats: dict[str, int] = field(default_factory=dict)
    sent: dict[str, list[int]] = field(default_factory=dict)

    def take(self, wants: list[TokenRequest], now: int, late: float = 0.0) -> list[int]:
        """Take tokens and use each with a delay: 0 is immediately, 1 is in the window's last microsecond."""
        found, self.tats = allocate(wants, self.tats, now)
        for want, each in zip(wants, found, strict=True):
            for slot in each.slots:
                at = max(now, slot.since + round((slot.until - slot.since) * late))
                for limit in want.limits if at <= slot.until else ():
                    self.sent.setdefault(limit.key, []).append(at)
        return [len(each.slots) for each in found]


def most_in_a_window(timestamps: list[int], window: int) -> int:
    ordered = sorted(timestamps)
    return max((bisect_left(ordered, at + window) - index for index, at in enumerate(ordered)), default=0)


asked = st.tuples(
    st.integers(SECOND_US // 4, SECOND_US), st.integers(0, 60), st.sampled_from([0.0, 1.0]), st.integers(0, 2)
)


@given(st.integers(1, 30), st.integers(1, 30), st.lists(asked, max_size=40))
@settings(max_examples=100)
def test_no_window_of_ten_seconds_holds_more_than_the_rate(
    app_rate: int, own_rate: int, turns: list[tuple[int, int, float, int]]
) -> None:
    app = RateLimit("app", app_rate)
    limits = {0: (app,), 1: (RateLimit("own", own_rate), app), 2: (RateLimit("own", own_rate),)}
    shared, now = SharedTokens(), START

    for pause, count, late, who in turns:
        now += pause
        shared.take([TokenRequest(limits[who], count), TokenRequest(limits[0], count // 3)], now, late)

    assert most_in_a_window(shared.sent.get("app", []), WINDOW_US) <= 10 * app_rate
    assert most_in_a_window(shared.sent.get("own", []), WINDOW_US) <= 10 * own_rate


@pytest.mark.parametrize("rate", [1, 7, 100, 65_535])
def test_a_limit_under_constant_demand_gives_nearly_all_of_its_rate(rate: int) -> None:
    shared = SharedTokens()

    for turn in range(24):  # longer than a window
        shared.take([TokenRequest((RateLimit("own", rate),), 100_000)], START + turn * SECOND_US // 2)

    assert 0.96 * rate * 12 <= len(shared.sent["own"]) <= rate * 13


@pytest.mark.parametrize("late_turns", range(1, 6))
def test_tokens_used_late_and_then_at_once_stay_below_the_rate(late_turns: int) -> None:
    """The worst case: late and punctual sends fall into one window."""
    shared = SharedTokens()

    for turn in range(60):
        shared.take(
            [TokenRequest((RateLimit("own", 50),), 500)], START + turn * SECOND_US // 2, late=float(turn < late_turns)
        )

    assert most_in_a_window(shared.sent["own"], WINDOW_US) <= 500


@pytest.mark.parametrize("rate", [3, 7, 15, 29, 700, 65_535])
def test_tokens_are_never_closer_than_a_step(rate: int) -> None:
    [found], tats = allocate([TokenRequest((RateLimit("own", rate),), 100_000)], {}, START)

    step = Fraction(10_250_000, 10 * rate)
    taken = [slot.since - START for slot in found.slots] + [tats["own"] - START]
    assert {position - ceil(number * step) for number, position in enumerate(taken)} <= {0, 1}


def test_no_more_than_a_second_is_taken_ahead() -> None:
    shared = SharedTokens()

    [first] = shared.take([TokenRequest((RateLimit("own", 100),), 1_000)], START)
    [second] = shared.take([TokenRequest((RateLimit("own", 100),), 1_000)], START)

    assert (98, 0) == (first, second)


def test_keys_that_share_a_limit_share_it_evenly() -> None:
    limit = RateLimit("app", 90)

    found, _ = allocate(
        [TokenRequest((limit,), 500), TokenRequest((limit,), 500), TokenRequest((limit,), 5)], {}, START
    )

    assert [42, 41, 5] == [len(each.slots) for each in found]
    assert ["app", "app", None] == [each.short for each in found]


def test_a_slow_limit_does_not_use_up_the_fast_one_that_it_shares() -> None:
    fast, slow = RateLimit("app", 100), RateLimit("own", 2)

    found, tats = allocate([TokenRequest((slow, fast), 50), TokenRequest((fast,), 1_000)], {}, START)

    assert 1 == len(found[0].slots)
    assert 97 == len(found[1].slots)
    assert "own" == found[0].short
    assert tats["own"] - START == pytest.approx(step_of(2), abs=1)


def test_a_clock_that_goes_back_delays_a_limit_by_at_most_a_second() -> None:
    shared = SharedTokens()
    shared.take([TokenRequest((RateLimit("own", 10),), 100)], START)

    early = START - 3_600 * SECOND_US
    [at_once] = shared.take([TokenRequest((RateLimit("own", 10),), 100)], early)
    [later] = shared.take([TokenRequest((RateLimit("own", 10),), 100)], early + HORIZON_US + round(step_of(10)))

    assert (0, 10) == (at_once, later)
