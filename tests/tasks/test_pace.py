# SPDX-License-Identifier: MIT
"""The pace keeps sizes in bounds and meets the budget for any cost, also after the cost has changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.tasks.pace import Pace, next_rate, pace_of

SQLITE = pace_of(has_one_writer=True, lease_ms=30_000)
POSTGRESQL = pace_of(has_one_writer=False, lease_ms=30_000)
took = st.floats(0, 1e6, allow_nan=False)


def _after(pace: Pace, size: int, cost_ms: float, *, fixed_ms: float = 0.0, chunks: int) -> int:
    for _ in range(chunks):
        spent = fixed_ms + size * cost_ms
        size = pace.next_size(size, write_ms=spent, whole_ms=spent)
    return size


@given(size=st.integers(1, 8_000), write_ms=took, whole_ms=took)
def test_a_chunk_size_stays_in_bounds_and_changes_by_bounded_steps(size: int, write_ms: float, whole_ms: float) -> None:
    after = POSTGRESQL.next_size(size, write_ms=write_ms, whole_ms=whole_ms)

    assert 1 <= after <= POSTGRESQL.cap
    assert size // 2 <= after <= size * 1.2 + 1


@pytest.mark.parametrize("pace", [SQLITE, POSTGRESQL], ids=["sqlite", "postgresql"])
@given(cost=st.floats(0.0001, 1.0), fixed=st.floats(0, 1.0))
def test_the_chunk_duration_reaches_its_target_within_twenty_chunks(pace: Pace, cost: float, fixed: float) -> None:
    size = _after(pace, pace.first, cost, fixed_ms=fixed, chunks=24)

    # Within a fifth of the budget, or within one row of it if rows are expensive.
    assert fixed + size * cost <= pace.write_ms * 1.25 or fixed + (size - 1) * cost <= pace.write_ms or size == 1
    assert fixed + size * cost >= pace.write_ms * 0.45 or size == pace.cap or fixed + (size + 1) * cost > pace.write_ms


@given(cost=st.floats(0.003, 0.01))
def test_the_chunk_size_follows_a_slowdown_and_its_end(cost: float) -> None:
    before = _after(SQLITE, 100, cost, chunks=40)
    during = _after(SQLITE, before, cost * 10, chunks=8)
    after = _after(SQLITE, during, cost, chunks=20)

    assert during * cost * 10 <= SQLITE.write_ms * 1.25
    assert after >= before * 0.8


def test_a_chunk_of_one_row_can_grow() -> None:
    assert SQLITE.next_size(1, write_ms=0.01, whole_ms=0.01) == 2


def test_a_chunk_fits_in_half_a_lease() -> None:
    short = pace_of(has_one_writer=False, lease_ms=100)

    assert short.next_size(1_000, write_ms=1, whole_ms=200) == 500


def test_an_operators_cap_counts_only_where_it_is_set() -> None:
    assert pace_of(has_one_writer=True, lease_ms=30_000, rows=7).cap == 7
    assert pace_of(has_one_writer=True, lease_ms=30_000, rows=7).first == 7
    assert pace_of(has_one_writer=True, lease_ms=30_000, rows=10**6).cap == SQLITE.cap == 1_000
    assert POSTGRESQL.cap == 8_000


def test_the_first_rate_counts_alone_and_later_ones_adjust_it() -> None:
    assert next_rate(0.0, 100, 1_000) == pytest.approx(100.0)
    assert next_rate(100.0, 200, 1_000) == pytest.approx(120.0)


@pytest.mark.parametrize("has_one_writer", [True, False])
@pytest.mark.parametrize("rows", [0, 1, 100, 400, 800, 100_000])
def test_concurrent_chunks_are_no_longer_than_a_single_one(*, has_one_writer: bool, rows: int) -> None:
    pace = pace_of(has_one_writer=has_one_writer, lease_ms=10_000, rows=rows)

    assert 1 <= pace.crowded <= pace.cap
