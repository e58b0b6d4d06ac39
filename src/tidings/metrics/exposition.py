# SPDX-License-Identifier: MIT
"""A snapshot as metric families of prometheus-client, which writes them in the format that the caller accepts."""

from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from tidings.clock import MINUTE, SECOND
from tidings.metrics.catalog import CATALOG, PREFIX, MetricType
from tidings.metrics.snapshot import Histogram, Snapshot, bounds_of

TOTALS_KEPT_MS: Final = MINUTE
"""The age at which totals are left out: a value that is no longer confirmed would mislead."""


class SnapshotCollector(Collector):
    """Yields the metrics of one snapshot, taken at `now` (milliseconds since the Unix epoch)."""

    def __init__(self, snapshot: Snapshot, now: int) -> None:
        self._snapshot = snapshot
        self._totals = {}
        if snapshot.totals is not None:
            read_at = snapshot.totals.read_at
            if now - read_at <= TOTALS_KEPT_MS:
                self._totals = snapshot.totals.samples
            self._totals = {**self._totals, "totals_timestamp_seconds": {"": read_at / SECOND}}

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        for metric in CATALOG:
            name = PREFIX + metric.name
            if metric.type is MetricType.HISTOGRAM:
                if metric.name in self._snapshot.histograms:
                    yield _histogram(name, metric.doc, metric.name, self._snapshot.histograms[metric.name])
                continue
            values = (self._totals if metric.is_total else self._snapshot.samples).get(metric.name)
            if not values:
                continue
            kind = CounterMetricFamily if metric.type is MetricType.COUNTER else GaugeMetricFamily
            family = kind(name, metric.doc, labels=metric.labels)
            for label, value in sorted(values.items()):
                family.add_metric(label.split(" ") if metric.labels else [], value)
            yield family


def _histogram(full_name: str, doc: str, name: str, histogram: Histogram) -> Metric:
    family = HistogramMetricFamily(full_name, doc)
    bounds = [*(str(bound) for bound in bounds_of(name)), "+Inf"]
    counts = accumulate(histogram.counts)
    family.add_metric([], list(zip(bounds, map(float, counts), strict=True)), histogram.total)
    return family


def registry_of(snapshot: Snapshot, now: int) -> CollectorRegistry:
    """Return a registry with the metrics of a snapshot."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SnapshotCollector(snapshot, now))
    return registry
