# SPDX-License-Identifier: MIT
"""The demo's bill is right in every case, so that `lost = 0` means it."""

from tidings.demo.count import Seen, outcome


def seen(msg_id: str, status: int = 200, *, genuine: bool = True) -> Seen:
    return (msg_id, "1700000000", genuine, status)


def test_what_came_at_once_was_delivered_the_first_time() -> None:
    bill = outcome(["a", "b"], [seen("a"), seen("b")])

    assert (2, 2, 0, 0) == (bill.accepted, bill.first_time, bill.failed, bill.repaired)
    assert (0, 0) == (len(bill.lost), len(bill.duplicates))


def test_what_failed_and_came_later_was_repaired() -> None:
    bill = outcome(["a"], [seen("a", 500), seen("a", 500), seen("a")])

    assert (0, 1, 1, ()) == (bill.first_time, bill.failed, bill.repaired, bill.lost)


def test_what_never_came_is_lost() -> None:
    bill = outcome(["a", "b"], [seen("a", 500)])

    assert ("a", "b") == bill.lost
    assert (1, 0) == (bill.failed, bill.repaired)


def test_what_came_more_than_once_is_counted_each_time() -> None:
    bill = outcome(["a", "b"], [seen("a"), seen("a"), seen("b"), seen("a")])

    assert {"a": 2} == bill.duplicates


def test_a_failure_after_a_success_takes_nothing_back() -> None:
    bill = outcome(["a"], [seen("a"), seen("a", 500)])

    assert (1, 0, ()) == (bill.first_time, bill.failed, bill.lost)


def test_strangers_and_forgeries_are_told() -> None:
    bill = outcome(["a"], [seen("a", genuine=False), seen("x")])

    assert (1, 1) == (bill.strangers, bill.forged)
