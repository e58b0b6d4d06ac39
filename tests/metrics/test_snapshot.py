# SPDX-License-Identifier: MIT
"""Snapshots of processes: what they count, how several are added, and what stays of one that has ended."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tidings import measures
from tidings.clock import ManualClock
from tidings.core import message_retention
from tidings.delivery.outcome import FAILED
from tidings.measures import Durations
from tidings.metrics import catalog, snapshot
from tidings.metrics.exposition import TOTALS_KEPT_MS, registry_of
from tidings.metrics.snapshot import Snapshot, Totals, counted, decode, encode, kept, merged
from tidings.metrics.workers import WorkerMetrics
from tidings.model.transformation import ScriptFault
from tidings.observe import count, counters

NOW = 1_800_000_000_000


def values(given: Snapshot, now: int = NOW) -> dict[str, float]:
    """Return the response for a snapshot, read by the official parser: values by series."""
    text = generate_latest(registry_of(given, now)).decode()
    return {
        sample.name + "".join(f" {label}" for label in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    counted_before, responses_before = counters.copy(), measures.responses.copy()
    yield
    counters.clear()
    counters.update(counted_before)
    measures.responses[:] = responses_before


def test_a_duration_counts_in_the_first_bucket_that_is_not_shorter() -> None:
    one, all_at_once = Durations(0.1, 1.0), Durations(0.1, 1.0)
    given = [0.05, 0.1, 0.2, 5.0]
    for each in given:
        one.add(each)
    all_at_once.add_all(given)

    assert [2, 1, 1] == one.counts == all_at_once.counts
    assert one.total == pytest.approx(5.35) == all_at_once.total


def test_a_response_has_counters_and_cumulative_buckets() -> None:
    count("messages.accepted", 3)
    count("tasks.ended endpoint.recover failed")
    before = values(counted())
    measures.accept.add(0.002)
    after = values(counted())

    assert after["tidings_messages_accepted_total"] >= 3
    assert after["tidings_tasks_ended_total endpoint.recover failed"] >= 1
    for bound, step in (("0.001", 0), ("0.0025", 1), ("5.0", 1), ("+Inf", 1)):
        name = f"tidings_accept_seconds_bucket {bound}"
        assert after[name] - before[name] == step


def test_an_operation_that_does_not_exist_is_no_server_error() -> None:
    measures.responses[:] = [0] * 600
    for status in (200, 202, 404, 500, 503, 501):
        measures.responses[status] += 1

    found = values(counted())

    assert [2, 0, 1, 2, 1] == [
        found[f"tidings_api_requests_total {name}"] for name in ("2xx", "3xx", "4xx", "5xx", "501")
    ]


def test_every_class_of_failure_is_a_metric() -> None:
    found = counted().samples["attempts"]

    assert set(FAILED) | {"delivered"} == set(found)


def test_every_outcome_of_a_script_and_every_end_of_its_process_is_a_metric() -> None:
    before = values(counted())
    for name in ("transformations.sent", "transformations.timeout", "sandbox.started", "sandbox.late"):
        count(name, 2)
    after = values(counted())

    outcomes = {"sent", "canceled", "unstarted", *(each.value for each in ScriptFault)}
    assert {f"tidings_transformations_total {each}" for each in outcomes} <= after.keys()
    grown = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert grown == {
        "tidings_transformations_total sent": 2,
        "tidings_transformations_total timeout": 2,
        "tidings_transformation_processes_started_total": 2,
        "tidings_transformation_processes_ended_total late": 2,
    }


def test_every_counter_of_the_retention_is_a_metric() -> None:
    source = Path(message_retention.__file__).read_text()
    names = set(re.findall(r'count\("retention\.(\w+)"', source))
    for number, name in enumerate(sorted(names), 7):
        counters[f"retention.{name}"] = number

    found = values(counted())

    assert len(names) == 5
    for number, name in enumerate(sorted(names), 7):
        assert number == found[f"tidings_retention_{name}_total"]


def test_a_snapshot_survives_the_way_to_the_supervisor() -> None:
    given = Snapshot({"deliveries_in_memory": {"": 2}}, counted().histograms, Totals(5, {"nodes": {"alive": 1}}))

    assert decode(encode(given)) == given


def test_workers_are_added_by_the_rule_of_each_metric() -> None:
    one = Snapshot(
        {
            "messages_accepted": {"": 2},
            "database_up": {"": 1},
            "process_start_time_seconds": {"": 7},
            "build_info": {"1 2 x": 1},
            "tasks_ended": {"a b": 1},
        },
        totals=Totals(1, {"nodes": {"alive": 9}}),
    )
    other = Snapshot(
        {
            "messages_accepted": {"": 3},
            "database_up": {"": 0},
            "process_start_time_seconds": {"": 8},
            "build_info": {"1 2 x": 1},
        },
        totals=Totals(2, {"nodes": {"alive": 2}}),
    )

    found = merged([one, other])

    assert found.totals == other.totals
    assert found.samples == {
        "messages_accepted": {"": 5},
        "database_up": {"": 0},
        "process_start_time_seconds": {"": 8},
        "build_info": {"1 2 x": 1},
        "tasks_ended": {"a b": 1},
    }
    histograms = merged([counted(), counted()]).histograms["accept_seconds"]
    assert sum(histograms.counts) == 2 * sum(measures.accept.counts)


def test_old_totals_are_left_out_and_their_age_stays_visible() -> None:
    given = Snapshot(totals=Totals(NOW, {"oldest_overdue_seconds": {"": 0.0}}))

    assert "tidings_oldest_overdue_seconds" in values(given, NOW + TOTALS_KEPT_MS)
    late = values(given, NOW + TOTALS_KEPT_MS + 1)
    assert {"tidings_totals_timestamp_seconds": NOW / 1_000} == late


async def test_what_a_worker_counted_stays_and_its_gauges_end() -> None:
    clock = ManualClock()
    with socket.socket() as listener:
        metrics = WorkerMetrics(listener, clock)
        given = Snapshot({"messages_accepted": {"": 2}, "processes": {"": 1}})
        metrics.take(1, encode(given))
        metrics.take(2, encode(given))
        metrics.take(1, encode(Snapshot({"messages_accepted": {"": 5}, "processes": {"": 1}})))
        both = (await metrics.snapshot()).samples
        metrics.ended(1)
        metrics.ended(1)
        left = (await metrics.snapshot()).samples
        metrics.take(3, encode(given))
        replaced = (await metrics.snapshot()).samples
        clock.advance(11_000)
        silent = (await metrics.snapshot()).samples
        metrics.take(2, b"{nonsense")

    assert {"messages_accepted": {"": 7}, "processes": {"": 2}} == both
    assert {"messages_accepted": {"": 7}, "processes": {"": 1}} == left
    assert {"messages_accepted": {"": 9}, "processes": {"": 2}} == replaced
    assert {"messages_accepted": {"": 9}} == silent


def test_names_are_unique_and_have_no_label_of_a_tenant() -> None:
    names = [metric.full_name for metric in catalog.CATALOG]
    labels = {label for metric in catalog.CATALOG for label in metric.labels}

    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"tidings_[a-z_]+", name) for name in names)
    assert labels <= {"outcome", "reason", "status", "kind", "state", "health", "version", "python", "database"}
    assert kept(snapshot.Snapshot({"nodes": {"": 1}})).samples == {}
