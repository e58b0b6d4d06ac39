# SPDX-License-Identifier: MIT
"""The count of failures in a row decides when the attempts are read."""

from typing import Any

from tidings.core.failure_runs import FailureRuns
from tidings.ids import AppId, EndpointId, OrgId
from tidings.model.routing import Receiver
from tidings.model.signature import KeyRing, SymmetricKey

NOW = 1_700_000_000_000


def receiver(name: str = "ep") -> Receiver:
    nothing: dict[str, Any] = {"headers": (), "disabled": False, "event_types": None, "channels": None}
    ring = KeyRing(SymmetricKey(bytes(24)))
    return Receiver(EndpointId(name), AppId("app"), OrgId("org"), "http://example.com/", ring, **nothing)


def after_each(runs: FailureRuns, outcomes: str, now: int = NOW) -> list[int]:
    """Count attempts one by one, `x` for a failure; return the positions after which the attempts are to be read."""
    endpoint = receiver()
    return [number for number, each in enumerate(outcomes, 1) if runs.count([(endpoint, each != "x")], now)]


def test_the_attempts_are_read_at_every_third_failure_and_at_the_tenth() -> None:
    assert [3, 6, 9, 10] == after_each(FailureRuns(), "xxxxxxxxxx")


def test_failures_between_successes_never_cause_a_read() -> None:
    assert [] == after_each(FailureRuns(), "xx.xx.x.xx." * 10)


def test_an_endpoint_without_failures_has_no_entry() -> None:
    runs = FailureRuns()
    runs.count([(receiver(), True), (receiver("other"), False)], NOW)
    assert 1 == len(runs)

    runs.end("other")

    assert not runs


def test_a_batch_of_failures_counts_as_a_whole() -> None:
    runs = FailureRuns()
    failing = receiver()

    assert [failing] == runs.count([(failing, False)] * 12, NOW)


def test_a_success_within_a_batch_ends_the_run_before_it() -> None:
    runs = FailureRuns()
    flapping = receiver()

    assert [] == runs.count([*[(flapping, False)] * 9, (flapping, True), (flapping, False)], NOW)
    assert [flapping] == runs.count([(flapping, False)] * 2, NOW)


def test_a_long_run_is_read_again_after_a_pause_and_at_once_if_the_transaction_failed() -> None:
    runs = FailureRuns()
    after_each(runs, "x" * 10)

    assert [1] == after_each(runs, "x")  # nothing was committed, so the attempts were not read
    runs.looked(["ep"], NOW)
    assert [] == after_each(runs, "xxxxx", NOW + 9_999)
    assert [1] == after_each(runs, "x", NOW + 10_000)


def test_the_count_is_bounded() -> None:
    runs = FailureRuns()
    for number in range(25_000):
        runs.count([(receiver(f"ep_{number}"), False)], NOW)

    assert len(runs) <= 10_000
