# SPDX-License-Identifier: MIT
"""The demo's `result_of` is correct in every case, so that `lost = 0` can be trusted."""

from tidings.demo.count import Seen, result_of


def seen(msg_id: str, status: int = 200, *, is_valid: bool = True) -> Seen:
    return (msg_id, "1700000000", is_valid, status)


def test_an_immediate_arrival_counts_as_delivered_the_first_time() -> None:
    result = result_of(["a", "b"], [seen("a"), seen("b")])

    assert (2, 2, 0, 0) == (result.accepted, result.first_time, result.failed, result.recovered)
    assert (0, 0) == (len(result.lost), len(result.duplicates))


def test_a_message_delivered_after_a_failure_was_recovered() -> None:
    result = result_of(["a"], [seen("a", 500), seen("a", 500), seen("a")])

    assert (0, 1, 1, ()) == (result.first_time, result.failed, result.recovered, result.lost)


def test_a_message_that_never_arrives_is_lost() -> None:
    result = result_of(["a", "b"], [seen("a", 500)])

    assert ("a", "b") == result.lost
    assert (1, 0) == (result.failed, result.recovered)


def test_repeated_arrivals_are_each_counted() -> None:
    result = result_of(["a", "b"], [seen("a"), seen("a"), seen("b"), seen("a")])

    assert {"a": 2} == result.duplicates


def test_a_failure_after_a_success_keeps_the_delivery_counted() -> None:
    result = result_of(["a"], [seen("a"), seen("a", 500)])

    assert (1, 0, ()) == (result.first_time, result.failed, result.lost)


def test_unknown_messages_and_invalid_signatures_are_counted() -> None:
    result = result_of(["a"], [seen("a", is_valid=False), seen("x")])

    assert (1, 1) == (result.unknown, result.invalid_signatures)
