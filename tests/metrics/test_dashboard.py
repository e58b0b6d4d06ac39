# SPDX-License-Identifier: MIT
"""The Grafana dashboard: each query returns data of a real server, with the legend and the unit of its panel.

Grafana itself is not needed. A real Prometheus scrapes a real server with some traffic and answers each query, and the
file has the members that Grafana documents for its model: https://grafana.com/docs/grafana/latest/dashboards/
build-dashboards/view-dashboard-json-model/
"""

import http.server
import math
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import dashboard
from metrics import trouble
from metrics.trouble import SECONDS, Prometheus, Receiver, Servers
from postgres import Server
from tidings.metrics.catalog import CATALOG, MetricType

JOB = "node"
PANELS: list[dict[str, Any]] = dashboard.dashboard()["panels"]
GRAPHS = [panel for panel in PANELS if panel["type"] != "row"]
TARGETS = [(panel, target) for panel in GRAPHS for target in panel["targets"]]
NO_DATA = {
    'max by (kind, state) (tidings_tasks{job="$job"})': "no task waits or runs on a server at rest",
}
"""The queries that return nothing here, and why."""


def _texts(query: str) -> str:
    """Return a query as Grafana sends it for a dashboard of some minutes."""
    return query.replace("$__rate_interval", "1m").replace("$job", JOB)


# ---------------------------------------------------------------------------------------------------------------------
# The model


def test_each_panel_has_a_place_a_source_and_queries_with_names_of_their_own() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        place = panel["gridPos"]
        assert set(place) == {"h", "w", "x", "y"}
        assert all(isinstance(each, int) for each in place.values())
        assert place["x"] + place["w"] <= 24
    for panel in GRAPHS:
        assert panel["type"] in {"stat", "timeseries"}
        names = [target["refId"] for target in panel["targets"]]
        assert names == sorted(set(names))
        assert all(re.fullmatch("[A-Z]", name) for name in names)
        for each in (panel, *panel["targets"]):
            assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_the_variables_are_those_that_the_queries_use() -> None:
    model = dashboard.dashboard()
    variables = {each["name"]: each for each in model["templating"]["list"]}

    assert {"type": "datasource", "query": "prometheus"}.items() <= variables["datasource"].items()
    assert variables["job"]["type"] == "query"
    assert set(re.findall(r"label_values\((\w+), (\w+)\)", variables["job"]["query"]["query"])) == {
        ("tidings_build_info", "job")
    }
    used = set(re.findall(r"\$\{?(\w+)", str(model["panels"])))
    assert used == {*variables, "__rate_interval"}
    assert isinstance(model["schemaVersion"], int)
    assert {"uid", "title", "tags", "time", "refresh", "timezone", "editable"} <= set(model)


def test_thresholds_and_words_have_the_form_of_the_model() -> None:
    stats = [panel["fieldConfig"]["defaults"] for panel in GRAPHS if panel["type"] == "stat"]
    assert stats
    for found in stats:
        values = [step["value"] for step in found["thresholds"]["steps"]]
        assert values[0] is None  # the base, which has no lower end
        assert values[1:] == sorted(values[1:])
        assert found["thresholds"]["mode"] == "absolute"
        for mapping in found["mappings"]:
            assert mapping["type"] == "value"
            assert all(set(shown) == {"text", "color"} for shown in mapping["options"].values())


def _unit_of(query: str) -> str:
    """Return the unit of a query by the names of its metrics: see the units of Grafana's `valueFormats`."""
    metrics = [each for each in CATALOG if re.search(rf"\b{each.full_name}(?:_bucket)?\b", query)]
    is_rate, is_share = "rate(" in query and "histogram_quantile" not in query, ") / (" in query
    if is_share or any(each.name == "process_cpu_seconds" for each in metrics):
        return "percentunit"
    if any("bytes" in each.name for each in metrics):
        return "bytes"
    if any(each.name.endswith("_seconds") for each in metrics):
        return "s"
    if is_rate:
        return "reqps" if any(each.name == "api_requests" for each in metrics) else "ops"
    return "none"


@pytest.mark.parametrize("panel", GRAPHS, ids=lambda panel: panel["title"])
def test_each_panel_has_the_unit_of_its_metrics(panel: dict[str, Any]) -> None:
    units = {_unit_of(target["expr"]) for target in panel["targets"]}

    assert units == {panel["fieldConfig"]["defaults"]["unit"]}


def test_counters_are_shown_as_rates_and_gauges_as_they_are() -> None:
    for _, target in TARGETS:
        for metric in CATALOG:
            for use in re.findall(rf"(\w+)\({metric.full_name}(?:_bucket)?\b", target["expr"]):
                assert (metric.type is MetricType.GAUGE) != (use in {"rate", "increase"}), target["expr"]


# ---------------------------------------------------------------------------------------------------------------------
# A real Prometheus


@pytest.fixture
def receiver() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def prometheus(tmp_path: Path, postgres_cluster: Server, postgres_template: str, receiver: str) -> Iterator[Prometheus]:
    """Give a Prometheus that has scraped a server with traffic: delivered, failed, and an endpoint that is gone."""
    with ExitStack() as stack:
        servers = Servers(tmp_path, stack, postgres_cluster, postgres_template)
        node = servers.start(JOB, servers.sqlite(JOB), retry_schedule="[]")
        found = stack.enter_context(Prometheus(servers.folder, servers.ports).running())
        found.wait_for_scrapes(JOB)
        trouble.send(node, f"{receiver}/200", f"{receiver}/500", f"{receiver}/410")
        yield found


def _answered(prometheus: Prometheus, query: str) -> list[dict[str, Any]]:
    """Return the series of a query that have a number now."""
    found = (prometheus.ask(f"/api/v1/query?query={quote(_texts(query))}") or {"result": []})["result"]
    return [each for each in found if math.isfinite(float(each["value"][1]))]


def _answers(prometheus: Prometheus) -> dict[str, list[dict[str, Any]]]:
    """Ask until each query returns data, or the time is over."""
    deadline = time.monotonic() + SECONDS
    while True:
        found = {target["expr"]: _answered(prometheus, target["expr"]) for _, target in TARGETS}
        if all(found[query] for query in found if query not in NO_DATA) or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="no Prometheus: apt-get install prometheus")
@pytest.mark.timeout(180)
def test_each_query_returns_data_and_each_line_a_legend_of_its_own(prometheus: Prometheus) -> None:
    found = _answers(prometheus)

    assert {query for query, series in found.items() if not series} == set(NO_DATA)
    for panel in GRAPHS:
        legends = [
            _legend(target["legendFormat"], series["metric"])
            for target in panel["targets"]
            for series in found[target["expr"]]
        ]
        assert len(set(legends)) == len(legends), panel["title"]
        assert panel["type"] == "stat" or all(legends), panel["title"]
        if panel["type"] == "stat":
            assert len(legends) == 1, panel["title"]


def _legend(form: str, labels: dict[str, str]) -> str:
    """Return the legend of a line as Grafana writes it; every label that it names has to be there."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: labels[match[1]], form)
