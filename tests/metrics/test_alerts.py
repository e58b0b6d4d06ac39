# SPDX-License-Identifier: MIT
"""The alert rules and the dashboard: a real Prometheus scrapes real servers, in trouble and healthy.

`promtool test rules` checks durations and thresholds (`rules.test.yaml`). The tests skip where Prometheus is missing.
"""

import http.server
import json
import re
import shutil
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import dashboard
from metrics import trouble
from metrics.trouble import NAMES, RULES, Prometheus, Receiver, Servers, checked
from postgres import Server
from tidings.metrics.catalog import series

NO_PROMETHEUS = "no Prometheus: apt-get install prometheus"


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip(NO_PROMETHEUS)
    return found


def metrics_in(query: str) -> set[str]:
    return set(re.findall(r"\btidings_\w+", query))


def test_the_rules_are_valid_and_use_metrics_that_exist(promtool: str) -> None:
    checked(promtool, "check", "rules", str(RULES))

    expressions = " ".join(re.findall(r"(?s) expr: (.*?)\n +(?:for|labels):", RULES.read_text()))
    assert expressions.count("tidings_") > len(NAMES)
    assert metrics_in(expressions) <= series()
    assert [name for name in NAMES if f"runbook: docs/operate.md#{name.lower()}" not in RULES.read_text()] == []


def test_each_alert_fires_after_its_time_and_not_before(promtool: str) -> None:
    checked(promtool, "test", "rules", str(Path(__file__).with_name("rules.test.yaml")))

    tested = set(re.findall(r'alertname="(\w+)"', Path(__file__).with_name("rules.test.yaml").read_text()))
    assert set(NAMES) == tested


def test_the_dashboard_is_up_to_date_and_its_queries_parse(promtool: str, tmp_path: Path) -> None:
    assert dashboard.TARGET.read_text() == dashboard.rendered(), "run scripts/dashboard.py"

    panels = [panel for panel in dashboard.dashboard()["panels"] if panel["type"] != "row"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(queries) > 30
    assert set().union(*map(metrics_in, queries)) <= series()
    lines = ["groups:", "- name: panels", "  rules:"]
    for number, query in enumerate(queries):
        text = query.replace("$__rate_interval", "1m").replace("$job", "tidings")
        lines += [f"  - record: panel:{number}", f"    expr: {json.dumps(text)}"]
    (tmp_path / "panels.yaml").write_text("\n".join(lines))
    checked(promtool, "check", "rules", str(tmp_path / "panels.yaml"))


def test_the_panels_of_a_row_fill_its_width_and_do_not_overlap() -> None:
    rows: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for panel in dashboard.dashboard()["panels"]:
        place = panel["gridPos"]
        rows[place["y"]].append((place["x"], place["w"]))

    for places in rows.values():
        assert sum(width for _, width in places) == 24
        assert [x for x, _ in sorted(places)] == [sum(w for _, w in sorted(places)[:n]) for n in range(len(places))]


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
def servers(tmp_path: Path, postgres_cluster: Server, postgres_template: str) -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(tmp_path, stack, postgres_cluster, postgres_template)


EXPECTED: dict[str, set[str]] = {
    "healthy": set(),
    "no_workers": {
        "TidingsDeliveriesOverdue",
        "TidingsTaskWithoutProgress",
        "TidingsDatabaseDiskFull",
        "TidingsDatabaseDiskFilling",
    },
    "failing": {"TidingsMessagesExhausted", "TidingsEndpointDisabled"},
    "unwritable": {"TidingsDatabaseNotWritable", "TidingsAcceptErrors"},
    "no_database": {"TidingsDatabaseDown"},
    "stale": {"TidingsMetricsStale"},
    "beside_a_dead_node": {"TidingsNodeLost", "TidingsAcceptSlow"},
    "stopped": {"TidingsDown"},
}


@pytest.mark.skipif(shutil.which("prometheus") is None, reason=NO_PROMETHEUS)
@pytest.mark.timeout(180)
def test_every_alert_fires_for_a_server_in_trouble_and_none_for_a_healthy_one(servers: Servers, receiver: str) -> None:
    assert set(NAMES) == set().union(*EXPECTED.values())
    healthy = servers.start("healthy", servers.sqlite("healthy"))
    trouble.start_without_workers(servers, receiver)
    failing = servers.start("failing", servers.sqlite("failing"), retry_schedule="[]")
    unwritable = trouble.start_unwritable(servers)
    trouble.start_without_database(servers)
    trouble.start_stale(servers)
    slow = trouble.start_beside_a_dead_node(servers)
    servers.reserve("stopped")
    prometheus = Prometheus(servers.folder, servers.ports)
    free = shutil.disk_usage(servers.folder).free
    hours = range(600, 6 * 3_600, 600)
    prometheus.backfill(
        "no_workers", "tidings_database_filesystem_free_bytes", {s: free * (1 + s / 3_600) for s in hours}
    )
    with prometheus.running():
        prometheus.wait_for_scrapes("healthy", "failing", "unwritable", "beside_a_dead_node")
        trouble.send(healthy, f"{receiver}/200")
        trouble.send(failing, f"{receiver}/500", f"{receiver}/410")
        trouble.refused(unwritable)
        trouble.accepted(slow)
        found = prometheus.wait_for(EXPECTED)

    assert {job: alerts for job, alerts in EXPECTED.items() if alerts} == {job: a for job, a in found.items() if a}
