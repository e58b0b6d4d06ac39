# SPDX-License-Identifier: MIT
"""The numbers of one process at one time, and the sum of several processes.

A worker sends its snapshot to the supervisor as one line of JSON. Its counters are totals since its start, so a lost
snapshot loses nothing: the next one has all that it had.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from tidings import measures
from tidings.metrics.catalog import BY_NAME, MetricType
from tidings.model.transformation import ScriptFault
from tidings.observe import counters

Samples = dict[str, dict[str, float]]
"""Values by the name of the metric, then by the values of its labels, joined by a space."""

_COUNTERS: Final = {
    "messages.accepted": ("messages_accepted", ""),
    "messages.not_stored": ("messages_not_stored", ""),
    "deliveries.delivered": ("attempts", "delivered"),
    "deliveries.exhausted": ("deliveries_exhausted", ""),
    "connections.refused": ("api_connections_refused", ""),
    "tasks.rows": ("task_items", ""),
    "failures": ("failures", ""),
    "payloads.expired": ("payloads_expired", ""),
    "retention.messages_deleted": ("retention_messages_deleted", ""),
    "retention.attempts_deleted": ("retention_attempts_deleted", ""),
    "retention.messages_kept": ("retention_messages_kept", ""),
    "retention.weeks_dropped": ("retention_weeks_dropped", ""),
    "retention.bytes_returned": ("retention_bytes_returned", ""),
    "spans.left_out": ("spans_not_exported", "left_out"),
    "spans.lost": ("spans_not_exported", "lost"),
    "endpoint.disabled after lasting failure": ("endpoints_disabled", "failing"),
    "endpoint.disabled after 410 Gone": ("endpoints_disabled", "gone"),
    "endpoint.disabled by its receiver": ("endpoints_disabled", "receiver"),
    "sandbox.started": ("transformation_processes_started", ""),
    **{f"sandbox.{reason}": ("transformation_processes_ended", reason) for reason in ("late", "memory", "ended")},
    **{
        f"transformations.{outcome}": ("transformations", outcome)
        for outcome in ("sent", "canceled", "unstarted", *(fault.value for fault in ScriptFault))
    },
    **{
        f"attempts.{outcome}": ("attempts", outcome)
        for outcome in ("3xx", "4xx", "5xx", "timeout", "no_response", "invalid_response", "transformation")
    },
}
"""The counters of `observe` that are metrics, with their metric and label. Those without a count yet are 0."""
_ENDED: Final = "tasks.ended "
_CLASSES: Final = ("2xx", "3xx", "4xx", "5xx", "501")
_NOT_IMPLEMENTED: Final = 501
_HISTOGRAMS: Final = {
    "accept_seconds": measures.accept,
    "first_attempt_delay_seconds": measures.first_attempt,
    "database_wait_seconds": measures.database_wait,
    "event_loop_lag_seconds": measures.loop_lag,
}


class Histogram(msgspec.Struct, array_like=True):
    """The counts of the buckets, the last one without a bound, and the sum."""

    counts: list[int]
    total: float


class Totals(msgspec.Struct):
    """What one node counted in the database for all; `read_at` is in milliseconds since the Unix epoch."""

    read_at: int
    samples: Samples


class Snapshot(msgspec.Struct):
    """The numbers of one process, or the sum of several."""

    samples: Samples = {}
    histograms: dict[str, Histogram] = {}
    totals: Totals | None = None


_decoder: Final = msgspec.json.Decoder(Snapshot)
encode: Final = msgspec.json.Encoder().encode


def decode(line: bytes) -> Snapshot:
    """Read a snapshot. Raises `msgspec.DecodeError`."""
    return _decoder.decode(line)


def bounds_of(name: str) -> tuple[float, ...]:
    """Return the bounds of a histogram's buckets, in seconds."""
    return _HISTOGRAMS[name].bounds


def counted() -> Snapshot:
    """Return the counters and the histograms of this process."""
    samples: Samples = defaultdict(dict)
    for name, (metric, label) in _COUNTERS.items():
        samples[metric][label] = counters[name]
    for name, value in tuple(counters.items()):
        if name.startswith(_ENDED):
            samples["tasks_ended"][name.removeprefix(_ENDED)] = value
    samples["api_requests"] = dict.fromkeys(_CLASSES, 0)
    for status, value in enumerate(measures.responses):
        if not value:
            continue
        name = "501" if status == _NOT_IMPLEMENTED else f"{status // 100}xx"
        samples["api_requests"][name] = samples["api_requests"].get(name, 0) + value
    histograms = {name: Histogram(list(each.counts), each.total) for name, each in _HISTOGRAMS.items()}
    return Snapshot(dict(samples), histograms)


def merged(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Return the sum of processes: gauges by their rule, and the latest totals."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    histograms: dict[str, Histogram] = {}
    totals: Totals | None = None
    for each in snapshots:
        for name, values in each.samples.items():
            for label, value in values.items():
                found[name][label].append(value)
        for name, histogram in each.histograms.items():
            histograms[name] = _added(histograms.get(name), histogram)
        if each.totals is not None and (totals is None or each.totals.read_at > totals.read_at):
            totals = each.totals
    samples = {
        name: {label: BY_NAME[name].merge(values) for label, values in by_label.items()}
        for name, by_label in found.items()
        if name in BY_NAME
    }
    return Snapshot(samples, histograms, totals)


def _added(one: Histogram | None, other: Histogram) -> Histogram:
    if one is None or len(one.counts) != len(other.counts):
        return other
    return Histogram([a + b for a, b in zip(one.counts, other.counts, strict=True)], one.total + other.total)


def kept(snapshot: Snapshot) -> Snapshot:
    """Return the counters and histograms of a process that has ended: they stay in the sum, which never goes down."""
    return Snapshot(_of_type(snapshot.samples, MetricType.COUNTER), snapshot.histograms)


def _of_type(samples: Mapping[str, dict[str, float]], kind: MetricType) -> Samples:
    return {name: values for name, values in samples.items() if name in BY_NAME and BY_NAME[name].type is kind}
