# SPDX-License-Identifier: MIT
"""Pages against the whole list, in both directions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.clock import DAY, HOUR
from tidings.ids import MESSAGE, first_at, last_at, new, timestamp_of
from tidings.model.page import Cursor, Order, Page, PageWindow

NOW = 1_700_000_000_000


def _read(keys: list[str], window: PageWindow) -> list[str]:
    found = [
        key
        for key in sorted(keys, reverse=window.order is Order.DESCENDING)
        if (window.above is None or key > window.above)
        and (window.below is None or key < window.below)
        and (window.first is None or key >= window.first)
    ]
    return found[: window.rows]


def _page(keys: list[str], cursor: Cursor) -> Page[str]:
    return cursor.page(_read(keys, cursor.window()), str)


KEYS = st.lists(st.text("abc", min_size=1, max_size=4), unique=True, max_size=30)


@given(KEYS, st.sampled_from(Order), st.integers(1, 7))
def test_forward_pages_cover_the_list_once_in_order(keys: list[str], order: Order, limit: int) -> None:
    walked: list[str] = []
    page = _page(keys, Cursor(order, limit))
    while True:
        walked += page.items
        if page.done:
            break
        page = _page(keys, Cursor(order, limit, page.iterator))

    assert sorted(keys, reverse=order is Order.DESCENDING) == walked


@given(KEYS, st.sampled_from(Order), st.integers(1, 7))
def test_backward_pages_cover_the_earlier_elements(keys: list[str], order: Order, limit: int) -> None:
    whole = sorted(keys, reverse=order is Order.DESCENDING)
    for position, key in enumerate(whole):
        page = _page(keys, Cursor(order, limit, f"-{key}"))

        assert whole[max(0, position - limit) : position] == list(page.items)
        assert page.done == (position <= limit)


def _kept(cursor: Cursor, timestamps: list[int]) -> list[int]:
    ids = [new(MESSAGE, timestamp) for timestamp in timestamps]
    return sorted(timestamp_of(key) for key in _read(ids, cursor.window_in_time(MESSAGE, NOW)))


def test_without_bounds_the_window_is_ninety_days_back_and_an_hour_ahead() -> None:
    timestamps = [NOW - 90 * DAY - 4, NOW - 90 * DAY, NOW, NOW + HOUR - 4, NOW + HOUR]

    assert timestamps[1:4] == _kept(Cursor(Order.DESCENDING), timestamps)


def test_a_window_with_before_begins_ninety_days_earlier() -> None:
    before = NOW - 200 * DAY
    timestamps = [before - 90 * DAY - 4, before - 90 * DAY, before - 4, before]

    assert timestamps[1:3] == _kept(Cursor(Order.DESCENDING, before=before), timestamps)


def test_a_window_with_after_ends_ninety_days_later() -> None:
    after = NOW - 200 * DAY
    timestamps = [after - 4, after, after + 90 * DAY - 4, after + 90 * DAY]

    assert timestamps[1:3] == _kept(Cursor(Order.DESCENDING, after=after), timestamps)


def test_a_timestamp_inside_a_step_counts_as_its_step() -> None:
    assert [NOW] == _kept(Cursor(Order.DESCENDING, after=NOW + 3), [NOW - 4, NOW])
    assert [NOW - 4] == _kept(Cursor(Order.DESCENDING, before=NOW + 3), [NOW - 4, NOW])


def test_a_window_with_an_iterator_covers_ninety_days_from_its_timestamp() -> None:
    at = NOW - 200 * DAY
    timestamps = [at - 90 * DAY - 4, at - 90 * DAY, at - 4, at + 4, at + 90 * DAY - 4, at + 90 * DAY]

    assert timestamps[1:3] == _kept(Cursor(Order.DESCENDING, iterator=first_at(MESSAGE, at)), timestamps)
    assert [at + 4, at + 90 * DAY - 4] == _kept(
        Cursor(Order.DESCENDING, iterator=f"-{last_at(MESSAGE, at)}"), timestamps
    )


def test_a_window_with_both_bounds_keeps_both() -> None:
    cursor = Cursor(Order.DESCENDING, before=NOW, after=NOW - 8)

    assert [NOW - 8, NOW - 4] == _kept(cursor, [NOW - 12, NOW - 8, NOW - 4, NOW])


def test_timestamps_outside_of_the_calendar_are_accepted() -> None:
    for timestamp in (-(10**15), 0, 10**15):
        assert [] == _kept(Cursor(Order.DESCENDING, before=timestamp, after=timestamp), [NOW])


@pytest.mark.parametrize(
    ("iterator", "items", "iterators"),
    [(None, [9, 8], ("8", "-9")), ("9", [8, 7], ("7", "-8")), ("-5", [7, 6], ("6", "-7"))],
)
def test_a_truncated_page_keeps_the_elements_next_to_the_cursor(
    iterator: str | None, items: list[int], iterators: tuple[str, str]
) -> None:
    cursor = Cursor(Order.DESCENDING, 3, iterator)
    rows = {None: [9, 8, 7, 6], "9": [8, 7, 6, 5], "-5": [6, 7, 8, 9]}[iterator]
    page = cursor.page(rows, str)

    fitting = page.within([10] * 3, 29)

    assert (tuple(items), False) == (fitting.items, fitting.done)
    assert iterators == (fitting.iterator, fitting.prev_iterator)
    assert fitting == page.mapped(lambda item: item).within([10] * 3, 29)
    assert page == page.within([10] * 3, 30)


def test_a_page_has_at_least_one_element_of_any_size() -> None:
    page = Cursor(Order.ASCENDING, 3).page([1, 2], str)

    assert (1,) == page.within([100, 1], 10).items
    assert page.within([100, 1], 10).done is False
    assert () == Cursor(Order.ASCENDING, 3).page([], str).within([], 10).items
