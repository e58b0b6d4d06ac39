# SPDX-License-Identifier: MIT
"""The totals of an hour: rates and percentiles, from numbers by bucket."""

import pytest

from tidings.model.rollup import BUCKETS, LATENCY_BOUNDS_MS, AttemptTotals


def test_without_attempts_there_is_no_rate_and_no_latency() -> None:
    assert (None, None, 0) == (AttemptTotals().success_rate, AttemptTotals().latency_ms(0.95), AttemptTotals().attempts)


def test_failed_attempts_count_for_the_rate_and_not_for_the_latency() -> None:
    totals = AttemptTotals.of_buckets([(-1, 1), (0, 3)])

    assert (3, 1, 0.75, 3) == (totals.delivered, totals.failed, totals.success_rate, sum(totals.latency))


@pytest.mark.parametrize(
    ("buckets", "part", "latency"),
    [
        ([(0, 10)], 0.5, 5),
        ([(0, 10)], 1.0, 10),
        ([(1, 4)], 0.5, 18),
        ([(0, 50), (4, 50)], 0.5, 10),
        ([(0, 90), (4, 10)], 0.95, 175),
        ([(0, 1), (BUCKETS - 1, 99)], 0.5, LATENCY_BOUNDS_MS[-1]),
    ],
)
def test_a_percentile_lies_within_its_bucket(buckets: list[tuple[int, int]], part: float, latency: int) -> None:
    assert latency == AttemptTotals.of_buckets(buckets).latency_ms(part)


def test_a_sum_less_one_of_its_parts_is_the_other_one() -> None:
    one, other = AttemptTotals.of_buckets([(-1, 2), (0, 3)]), AttemptTotals.of_buckets([(3, 1), (11, 4)])

    assert one == one + other - other
