# SPDX-License-Identifier: MIT
"""Write the Grafana dashboard `deploy/grafana/tidings.json` from the rows below.

`python scripts/dashboard.py` updates the file; a test checks that it is up to date and that its queries parse.
"""

import json
from pathlib import Path
from typing import Any, Final

TARGET: Final = Path(__file__).resolve().parent.parent / "deploy" / "grafana" / "tidings.json"
WIDTH: Final = 24
GREEN, YELLOW, RED = "green", "orange", "red"
Panel = dict[str, Any]
DATA: Final = {"type": "prometheus", "uid": "${datasource}"}
JOB: Final = 'job="$job"'


def _targets(queries: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "refId": chr(ord("A") + number),
            "datasource": DATA,
            "expr": query.replace("JOB", JOB),
            "legendFormat": legend,
        }
        for number, (legend, query) in enumerate(queries.items())
    ]


def stat(  # noqa: PLR0913 - each is a property of the panel
    title: str,
    query: str,
    *,
    unit: str = "none",
    warn: float | None = None,
    bad: float | None = None,
    words: dict[str, tuple[str, str]] | None = None,
    doc: str = "",
) -> Panel:
    """Return a panel with one number, colored by thresholds, or with a word and a color for some values."""
    steps: list[dict[str, Any]] = [{"color": GREEN, "value": None}]
    steps += [{"color": color, "value": at} for color, at in ((YELLOW, warn), (RED, bad)) if at is not None]
    mappings = [
        {"type": "value", "options": {value: {"text": text, "color": color}}}
        for value, (text, color) in (words or {}).items()
    ]
    return {
        "type": "stat",
        "title": title,
        "description": doc,
        "datasource": DATA,
        "targets": _targets({"": query}),
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "noValue": "no data",
                "thresholds": {"mode": "absolute", "steps": steps},
                "mappings": mappings,
            },
            "overrides": [],
        },
        "options": {
            "colorMode": "background",
            "graphMode": "none",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        },
    }


def graph(title: str, queries: dict[str, str], *, unit: str = "none", stacked: bool = False, doc: str = "") -> Panel:
    """Return a panel with lines over time; the keys of `queries` are their legends."""
    custom: dict[str, Any] = {"fillOpacity": 15 if stacked else 0, "showPoints": "never", "lineWidth": 2}
    if stacked:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    return {
        "type": "timeseries",
        "title": title,
        "description": doc,
        "datasource": DATA,
        "targets": _targets(queries),
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": custom}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
    }


def _quantiles(metric: str) -> dict[str, str]:
    return {
        name: f"histogram_quantile({q}, sum by (le) (rate(tidings_{metric}_bucket{{JOB}}[$__rate_interval])))"
        for name, q in (("median", 0.5), ("p99", 0.99))
    }


def _rate(metric: str, by: str = "", more: str = "") -> str:
    group = f" by ({by}) " if by else ""
    return f"sum{group}(rate(tidings_{metric}_total{{JOB{more}}}[$__rate_interval]))"


def _hourly(metric: str) -> str:
    return f"sum(increase(tidings_{metric}_total{{JOB}}[1h]))"


def _max(metric: str, by: str = "", more: str = "") -> str:
    group = f" by ({by}) " if by else ""
    return f"max{group}(tidings_{metric}{{JOB{more}}})"


WRITABLE: Final = {"0": ("NOT WRITABLE", RED), "1": ("writable", GREEN)}
ROWS: Final[tuple[tuple[str, int, tuple[Panel, ...]], ...]] = (
    (
        "Is it working?",
        4,
        (
            stat("Nodes that do not respond", "count(up{JOB} == 0) or vector(0)", bad=1, doc="Scrapes that fail."),
            stat("Database", "min(tidings_database_writable{JOB})", words=WRITABLE, doc="Of the worst node."),
            stat(
                "Oldest overdue delivery",
                _max("oldest_overdue_seconds"),
                unit="s",
                warn=10,
                bad=60,
                doc="Of endpoints that respond. More than a minute is a problem of the service.",
            ),
            stat(
                "Requests that fail",
                'sum(rate(tidings_api_requests_total{JOB, status="5xx"}[5m])) /'
                " (sum(rate(tidings_api_requests_total{JOB}[5m])) > 0) or vector(0)",
                unit="percentunit",
                warn=0.001,
                bad=0.01,
                doc="Responses with a 5xx, without 501.",
            ),
            stat(
                "Accept, p99",
                "histogram_quantile(0.99, sum by (le) (rate(tidings_accept_seconds_bucket{JOB}[5m]))) >= 0",
                unit="s",
                warn=0.25,
                bad=0.5,
            ),
            stat(
                "Exhausted in 24 h",
                "sum(increase(tidings_deliveries_exhausted_total{JOB}[24h]))",
                warn=1,
                doc="Deliveries without attempts left.",
            ),
        ),
    ),
    (
        "Throughput",
        8,
        (
            graph(
                "Messages accepted and attempts delivered per second",
                {
                    "accepted": _rate("messages_accepted"),
                    "delivered": _rate("attempts", more=', outcome="delivered"'),
                },
                unit="ops",
            ),
            graph(
                "API requests per second", {"{{status}}": _rate("api_requests", "status")}, unit="reqps", stacked=True
            ),
        ),
    ),
    (
        "Latency",
        8,
        (
            graph("Accept a message", _quantiles("accept_seconds"), unit="s", doc="From the request to the commit."),
            graph(
                "Due to first attempt",
                _quantiles("first_attempt_delay_seconds"),
                unit="s",
                doc="Without endpoints that have a rate limit or fail.",
            ),
            graph("Wait for the database", _quantiles("database_wait_seconds"), unit="s"),
            graph(
                "Lag of the event loop",
                _quantiles("event_loop_lag_seconds"),
                unit="s",
                doc="High while a node has too little CPU.",
            ),
        ),
    ),
    (
        "Backlog and attempts",
        8,
        (
            graph(
                "Outstanding deliveries",
                {"{{state}}": _max("deliveries", "state")},
                stacked=True,
                doc="Counted up to 100,000.",
            ),
            graph(
                "Overdue deliveries",
                {"all": _max("deliveries", more=', state="overdue"'), "held back": _max("deliveries_held_back")},
                doc="Held back: their endpoint is disabled, unreachable or at a rate limit.",
            ),
            graph(
                "Attempts per second by outcome",
                {"{{outcome}}": _rate("attempts", "outcome")},
                unit="ops",
                stacked=True,
            ),
        ),
    ),
    (
        "Transformations",
        8,
        (
            graph(
                "Scripts per second by outcome",
                {"{{outcome}}": _rate("transformations", "outcome")},
                unit="ops",
                stacked=True,
                doc="Unstarted: no process or memory was free in time, and the delivery waits in the database.",
            ),
            graph(
                "Processes for scripts",
                {"running": "sum(tidings_transformation_processes{JOB})"},
                doc="They start when they are needed.",
            ),
            graph(
                "Processes replaced per hour",
                {"{{reason}}": "sum by (reason) (increase(tidings_transformation_processes_ended_total{JOB}[1h]))"},
                doc="A script was late or used its memory, or a process ended by itself.",
            ),
            graph("Scripts that wait for a process", {"waiting": "sum(tidings_transformations_waiting{JOB})"}),
        ),
    ),
    (
        "Endpoints in trouble, and tasks",
        8,
        (
            graph(
                "Endpoints in trouble",
                {
                    "{{health}}": _max("endpoints", "health", ', health!="healthy"'),
                    "at their rate limit": _max("rate_limits_in_force"),
                },
            ),
            graph(
                "Disabled by the service",
                {"{{reason}}": "sum by (reason) (increase(tidings_endpoints_disabled_total{JOB}[1h]))"},
                doc="In the last hour.",
            ),
            graph("Background tasks", {"{{kind}} {{state}}": _max("tasks", "kind, state")}, stacked=True),
            graph("Task without progress", {"oldest": _max("task_oldest_progress_seconds")}, unit="s"),
        ),
    ),
    (
        "Nodes and database",
        8,
        (
            graph(
                "CPU per node",
                {"{{instance}}": "rate(tidings_process_cpu_seconds_total{JOB}[$__rate_interval])"},
                unit="percentunit",
                doc="1 is one core.",
            ),
            graph("Memory per node", {"{{instance}}": "tidings_process_resident_memory_bytes{JOB}"}, unit="bytes"),
            graph("Sends in flight", {"{{instance}}": "tidings_sends_in_flight{JOB}"}),
            graph(
                "Size of the database",
                {
                    "database": _max("database_size_bytes"),
                    "free on its disk (SQLite)": _max("database_filesystem_free_bytes"),
                },
                unit="bytes",
            ),
        ),
    ),
    (
        "Retention",
        8,
        (
            graph(
                "Deleted per hour",
                {
                    "messages": _hourly("retention_messages_deleted"),
                    "attempts": _hourly("retention_attempts_deleted"),
                    "payloads": _hourly("payloads_expired"),
                },
                doc="Attempts without those of weeks that were dropped as a whole.",
            ),
            graph(
                "Kept because of a delivery, per hour",
                {"messages": _hourly("retention_messages_kept")},
                doc="Old messages with an outstanding delivery; each run counts them again.",
            ),
            graph("Returned to the disk per hour", {"SQLite": _hourly("retention_bytes_returned")}, unit="bytes"),
        ),
    ),
)


def _variables() -> list[dict[str, Any]]:
    return [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
        {
            "name": "job",
            "label": "Job",
            "type": "query",
            "datasource": DATA,
            "query": {"query": "label_values(tidings_build_info, job)", "refId": "job"},
            "refresh": 1,
            "current": {"text": "tidings", "value": "tidings"},
        },
    ]


def dashboard() -> dict[str, Any]:
    """Return the dashboard: rows of panels of equal width, from the verdict to the details."""
    panels: list[Panel] = []
    top = 0
    for title, height, row in ROWS:
        panels.append(
            {
                "type": "row",
                "title": title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": top},
            }
        )
        width = WIDTH // len(row)
        for number, panel in enumerate(row):
            place = {"h": height, "w": width, "x": number * width, "y": top + 1}
            panels.append({**panel, "gridPos": place})
        top += 1 + height
    return {
        "uid": "tidings",
        "title": "tidings",
        "tags": ["tidings"],
        "schemaVersion": 38,
        "editable": True,
        "timezone": "browser",
        "refresh": "15s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": [{"id": number, **panel} for number, panel in enumerate(panels, 1)],
    }


def rendered() -> str:
    """Return the text of the file."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    TARGET.write_text(rendered())
